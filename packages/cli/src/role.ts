// `bowline role` and `bowline permission`: what may be done, by name.

import { type RoleReply, roleOf } from "./access-names.ts";
import type { Connection, ReplyTo } from "./connection.ts";
import { online } from "./online.ts";
import { severalOption, whole } from "./options.ts";
import type { Register, Shell } from "./program.ts";
import { renderTable } from "./table.ts";
import { print, usage } from "./terminal.ts";

const LIMIT_MAX = 1_000;

interface PatternOptions {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

export const registerRole: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program
    .command("role")
    .summary("roles: what may be done, under a name")
    .description("Roles: permissions under a name, for users and groups.")
    .addHelpText("after", '\nExample:\n  bowline role create Auditors --allow "GET:/api/v5_3/audit/.*" --deny "StartFlow:.*"');
  group
    .command("list")
    .description("Lists the roles.")
    .action(
      online(shell, async (connection) => {
        print(terminal, await connection.call("listRoles", {}), (roles) => renderTable(ROLE_COLUMNS, roles));
        return undefined;
      }),
    );
  group
    .command("show")
    .argument("<role>", "the role's name or id")
    .description("Shows a role and its permissions.")
    .action(online(shell, async (connection, role: string) => show(shell, connection, await roleOf(connection, role))));
  group
    .command("create")
    .argument("<name>")
    .addOption(severalOption("--allow <pattern>", "allow what this regular expression matches"))
    .addOption(severalOption("--deny <pattern>", "deny what this regular expression matches"))
    .description("Makes a role.")
    .action(
      online(shell, async (connection, roleName: string, { allow, deny }: PatternOptions) => {
        const role = await connection.call("createRole", { body: { roleName } });
        return show(shell, connection, await withPermissions(connection, role, [...patterns("ALLOW", allow), ...patterns("DENY", deny)]));
      }),
    );
  group
    .command("allow")
    .argument("<role>", "the role's name or id")
    .argument("<pattern...>")
    .description("Allows a role what these regular expressions match.")
    .action(
      online(shell, async (connection, role: string, texts: readonly string[]) =>
        show(shell, connection, await withPermissions(connection, await roleOf(connection, role), patterns("ALLOW", texts))),
      ),
    );
  group
    .command("deny")
    .argument("<role>", "the role's name or id")
    .argument("<pattern...>")
    .description("Denies a role what these regular expressions match: a denial wins over every allowance.")
    .action(
      online(shell, async (connection, role: string, texts: readonly string[]) =>
        show(shell, connection, await withPermissions(connection, await roleOf(connection, role), patterns("DENY", texts))),
      ),
    );
  for (const [name, operation, what] of [
    ["add", "attachPermission", "Gives a role a permission that is there."],
    ["remove", "detachPermission", "Takes a permission from a role."],
  ] as const)
    group
      .command(name)
      .argument("<role>", "the role's name or id")
      .argument("<permission>", "the permission's id")
      .description(what)
      .action(
        online(shell, async (connection, role: string, permissionid: string) => {
          const params = { roleid: (await roleOf(connection, role)).id, permissionid };
          return show(shell, connection, await connection.call(operation, { params }));
        }),
      );
};

interface QueryOptions {
  readonly type: string;
  readonly prefix?: string;
  readonly vnode?: string;
  readonly limit: number;
}

export const registerPermission: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program
    .command("permission")
    .summary("permissions: regular expressions over what may be done")
    .description("Permissions: each allows or denies what its regular expression matches as a whole, in either case.");
  group
    .command("create")
    .argument("<type>", "ALLOW or DENY")
    .argument("<pattern>", "a regular expression, such as GET:/api/v5_3/cpi.*")
    .option("--vnode <id>", "the short hash of a virtual node, to find the permission by; it limits nothing")
    .description("Makes a permission that no role has yet.")
    .action(
      online(shell, async (connection, type: string, permissionString: string, { vnode }: { readonly vnode?: string }) => {
        const body = { permissionType: typeOf(type), permissionString, virtualNode: vnode ?? null };
        print(terminal, await connection.call("createPermission", { body }), (made) => renderTable(PERMISSION_COLUMNS, [made]));
        return undefined;
      }),
    );
  group
    .command("list")
    .option("--type <type>", "ALLOW or DENY", "ALLOW")
    .option("--prefix <text>", "those that begin so")
    .option("--vnode <id>", "those of this virtual node; without it those of none")
    .option("--limit <n>", "at most so many", whole(1, LIMIT_MAX), LIMIT_MAX)
    .description("Lists permissions.")
    .action(
      online(shell, async (connection, { type, prefix, vnode, limit }: QueryOptions) => {
        const query = {
          limit,
          permissiontype: typeOf(type),
          ...(prefix === undefined ? {} : { permissionstringprefix: prefix }),
          ...(vnode === undefined ? {} : { virtualnode: vnode }),
        };
        print(terminal, await connection.call("queryPermissions", { query }), (found) => renderTable(PERMISSION_COLUMNS, found));
        return undefined;
      }),
    );
};

type NewPermission = { readonly permissionType: "ALLOW" | "DENY"; readonly permissionString: string };

const patterns = (permissionType: NewPermission["permissionType"], texts: readonly string[]): NewPermission[] =>
  texts.map((permissionString) => ({ permissionType, permissionString }));

/** The role, when it has these permissions too. */
async function withPermissions(connection: Connection, role: RoleReply, permissions: readonly NewPermission[]): Promise<RoleReply> {
  if (permissions.length === 0) return role;
  await connection.call("createPermissions", { body: { permissionsToCreate: [...permissions], roleIds: [role.id] } });
  return connection.call("getRole", { params: { id: role.id } });
}

function typeOf(text: string): NewPermission["permissionType"] {
  const type = text.toUpperCase();
  if (type === "ALLOW" || type === "DENY") return type;
  throw usage("permission", `A permission is ALLOW or DENY, and not "${text}".`);
}

async function show({ terminal }: Shell, connection: Connection, role: RoleReply): Promise<undefined> {
  const found: ReplyTo<"getPermission">[] = [];
  if (!terminal.json) for (const { id } of role.permissions) found.push(await connection.call("getPermission", { params: { id } }));
  print(terminal, role, ({ roleName, id }) => `${roleName} (${id})\n\n${renderTable(PERMISSION_COLUMNS, found)}`);
  return undefined;
}

const ROLE_COLUMNS = [
  { title: "id", cell: ({ id }: RoleReply) => id },
  { title: "permissions", align: "right" as const, cell: ({ permissions }: RoleReply) => String(permissions.length) },
  { title: "name", cell: ({ roleName }: RoleReply) => roleName },
];

const PERMISSION_COLUMNS = [
  { title: "id", cell: ({ id }: ReplyTo<"getPermission">) => id },
  { title: "type", cell: ({ permissionType }: ReplyTo<"getPermission">) => permissionType },
  { title: "permission", cell: ({ permissionString }: ReplyTo<"getPermission">) => permissionString },
];
