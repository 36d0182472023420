// `bowline user`: who may log in, and what for.

import type { Command } from "commander";
import { newPassword, roleNames, roleOf, type UserReply } from "./access-names.ts";
import type { Connection, ReplyTo } from "./connection.ts";
import { online } from "./online.ts";
import type { Register, Shell } from "./program.ts";
import { renderTable } from "./table.ts";
import { EXIT, print, usage } from "./terminal.ts";

const EXAMPLES = `
Examples:
  bowline user create ann@example.com --full-name "Ann Smith"
  bowline user grant ann@example.com UserAdminRole
  bowline user explain ann@example.com POST:/api/v5_3/user
  bowline user password                                      your own

Passwords are typed unseen, or read from BOWLINE_NEW_PASSWORD.`;

export const register: Register = (program, shell) => {
  const group = program
    .command("user")
    .summary("users: make them, give them roles, say why they may or may not")
    .description("Users of this cluster: who may log in over REST, and what for.")
    .addHelpText("after", EXAMPLES);
  registerAccounts(group, shell);
  registerRoles(group, shell);
  registerProperties(group, shell);
};

interface CreateOptions {
  readonly fullName: string;
  readonly group?: string;
  readonly expires?: string;
  readonly password: boolean;
  readonly disabled?: true;
}

function registerAccounts(group: Command, shell: Shell): void {
  group
    .command("create")
    .argument("<login>", "3 to 255 of a-z, 0-9, '-', '.', '_' and '@'")
    .requiredOption("--full-name <name>", "what the user is called")
    .option("--group <id>", "the group that the user is in")
    .option("--expires <moment>", "when the password expires, such as 2030-06-24T10:15:30Z")
    .option("--no-password", "make the user without a password")
    .option("--disabled", "make the user, and do not let him in yet")
    .description("Makes a user.")
    .action(
      online(shell, async (connection, loginName: string, options: CreateOptions) => {
        const initialPassword = options.password ? await newPassword(shell.terminal, loginName) : null;
        const { fullName, group: parentGroup = null, expires: passwordExpiry = null, disabled } = options;
        const body = { loginName, fullName, enabled: disabled !== true, initialPassword, parentGroup, passwordExpiry };
        return show(shell, connection, await connection.call("createUser", { body }));
      }),
    );
  group
    .command("show")
    .argument("<login>")
    .description("Shows a user.")
    .action(
      online(shell, async (connection, loginname: string) =>
        show(shell, connection, await connection.call("getUser", { params: { loginname } })),
      ),
    );
  group
    .command("delete")
    .argument("<login>")
    .description("Deletes a user.")
    .action(
      online(shell, async (connection, loginname: string) => {
        const user = await connection.call("deleteUser", { params: { loginname } });
        print(shell.terminal, user, ({ loginName }) => `${loginName} is deleted.`);
        return undefined;
      }),
    );
  for (const [name, enabled] of [
    ["enable", true],
    ["disable", false],
  ] as const)
    group
      .command(name)
      .argument("<login>")
      .description(enabled ? "Lets a user in again." : "Lets a user do nothing any more, from the next second on.")
      .action(
        online(shell, async (connection, loginname: string) =>
          show(shell, connection, await connection.call("enableUser", { params: { loginname }, body: { enabled } })),
        ),
      );
  group
    .command("password")
    .argument("[login]", "whose; your own where nobody is named")
    .description("Changes a password.")
    .action(
      online(shell, async (connection, username: string | undefined) => {
        const password = await newPassword(shell.terminal, username ?? "yours");
        const user =
          username === undefined
            ? await connection.call("changeOwnPassword", { body: { password } })
            : await connection.call("changeOtherPassword", { body: { username, password } });
        print(shell.terminal, user, (changed) => `The password of ${changed.loginName} holds until ${changed.passwordExpiry}.`);
        return undefined;
      }),
    );
}

function registerRoles(group: Command, shell: Shell): void {
  for (const [name, operation, what] of [
    ["grant", "assignRole", "Gives a user a role."],
    ["revoke", "withdrawRole", "Takes a role from a user."],
  ] as const)
    group
      .command(name)
      .argument("<login>")
      .argument("<role>", "the role's name or id")
      .description(what)
      .action(
        online(shell, async (connection, loginname: string, role: string) => {
          const params = { loginname, roleid: (await roleOf(connection, role)).id };
          return show(shell, connection, await connection.call(operation, { params }));
        }),
      );
  group
    .command("move")
    .argument("<login>")
    .argument("<group>", "the id of the group")
    .description("Moves a user into another group.")
    .action(
      online(shell, async (connection, loginname: string, newparentgroupid: string) =>
        show(shell, connection, await connection.call("moveUser", { params: { loginname, newparentgroupid } })),
      ),
    );
  group
    .command("permissions")
    .argument("<login>")
    .description("Lists all permissions that a user has, of roles and groups.")
    .action(
      online(shell, async (connection, loginname: string) => {
        const summary = await connection.call("getPermissionSummary", { params: { loginname } });
        print(shell.terminal, summary, ({ permissions }) => renderTable(PERMISSION_COLUMNS, permissions));
        return undefined;
      }),
    );
  group
    .command("explain")
    .argument("<login>")
    .argument("<action>", "such as POST:/api/v5_3/user or StartFlow:com.example.Pay")
    .description("Says which permission of which role decides. Ends with 1 where the user may not.")
    .action(
      online(shell, async (connection, loginname: string, action: string) => {
        const explained = await connection.call("explainAccess", { params: { loginname }, query: { action } });
        print(shell.terminal, explained, explanation);
        return explained.allowed ? EXIT.done : EXIT.refused;
      }),
    );
}

function registerProperties(group: Command, shell: Shell): void {
  group
    .command("property-set")
    .argument("<login>")
    .argument("<key=value...>")
    .description("Sets properties of a user.")
    .action(
      online(shell, async (connection, loginname: string, pairs: readonly string[]) => {
        const body = Object.fromEntries(pairs.map(pairOf));
        return show(shell, connection, await connection.call("setProperties", { params: { loginname }, body }));
      }),
    );
  group
    .command("property-remove")
    .argument("<login>")
    .argument("<key>")
    .description("Removes a property of a user.")
    .action(
      online(shell, async (connection, loginname: string, propertykey: string) =>
        show(shell, connection, await connection.call("removeProperty", { params: { loginname, propertykey } })),
      ),
    );
  group
    .command("find")
    .argument("<key=value>")
    .description("Lists the users that have a property.")
    .action(
      online(shell, async (connection, pair: string) => {
        const [propertykey, propertyvalue] = pairOf(pair);
        const users = await connection.call("findUsersByProperty", { params: { propertykey, propertyvalue } });
        print(shell.terminal, users, (found) => renderTable(USER_COLUMNS, found));
        return undefined;
      }),
    );
}

function pairOf(text: string): [key: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw usage("property", `A property is written key=value, and not "${text}".`);
  return [text.slice(0, at), text.slice(at + 1)];
}

async function show({ terminal }: Shell, connection: Connection, user: UserReply): Promise<undefined> {
  const names = terminal.json ? new Map<string, string>() : await namesOf(connection);
  print(terminal, user, () =>
    [
      `${user.loginName}: ${user.fullName}`,
      `${user.enabled ? "enabled" : "disabled"}, ${user.ssoAuth ? "without a password" : `password holds ${user.passwordExpiry === null ? "without end" : `until ${user.passwordExpiry}`}`}`,
      ...(user.parentGroup === null ? [] : [`group: ${user.parentGroup}`]),
      ...user.roleAssociations.map(({ roleId }) => `role: ${names.get(roleId) ?? roleId}`),
      ...user.properties.map(({ key, value }) => `property: ${key}=${value}`),
    ].join("\n"),
  );
  return undefined;
}

/** Whoever may not list roles sees their ids. */
const namesOf = (connection: Connection): Promise<ReadonlyMap<string, string>> => roleNames(connection).catch(() => new Map());

const WHY: Readonly<Record<ReplyTo<"explainAccess">["because"], string>> = {
  allowed: "A permission allows it.",
  denied: "A permission denies it, and a denial wins over every allowance.",
  unmatched: "No permission allows it.",
  disabled: "The user is disabled.",
  passwordExpired: "The password has expired; its owner may change it, and nothing else.",
  ownPassword: "Everybody may change his own password.",
  actionTooLong: "The action is longer than any real one.",
  tooMuchWork: "The user's permissions are too many and too large to decide it.",
};

function explanation({ loginName, action, allowed, because, permission, role, group }: ReplyTo<"explainAccess">): string {
  return [
    `${loginName} ${allowed ? "may" : "may not"} ${action}`,
    WHY[because],
    ...(permission === null ? [] : [`permission: ${permission.permissionType} ${permission.permissionString} (${permission.id})`]),
    ...(role === null ? [] : [`role: ${role.name} (${role.id})`]),
    ...(group === null ? [] : [`group: ${group.name} (${group.id})`]),
  ].join("\n");
}

type Held = ReplyTo<"getPermissionSummary">["permissions"][number];

const PERMISSION_COLUMNS = [
  { title: "type", cell: ({ permissionType }: Held) => permissionType },
  { title: "permission", cell: ({ permissionString }: Held) => permissionString },
];

const USER_COLUMNS = [
  { title: "login", cell: ({ loginName }: UserReply) => loginName },
  { title: "name", cell: ({ fullName }: UserReply) => fullName },
  { title: "state", cell: ({ enabled }: UserReply) => (enabled ? "enabled" : "disabled") },
];
