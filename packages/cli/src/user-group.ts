// `bowline group`: groups of users, below each other. Whoever is in one has its roles and those of all above it.

import { roleNames, roleOf } from "./access-names.ts";
import type { ReplyTo } from "./connection.ts";
import { online } from "./online.ts";
import type { Register } from "./program.ts";
import { print } from "./terminal.ts";

export const register: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program
    .command("group")
    .summary("groups of users, and the roles that they give")
    .description("Groups of users: whoever is in one has its roles and those of all groups above it.");
  const changed = (body: ReplyTo<"createGroup">): undefined => {
    print(terminal, body, title);
  };
  group
    .command("create")
    .argument("<name>")
    .option("--parent <id>", "the group that it is below")
    .description("Makes a group.")
    .action(
      online(shell, async (connection, name: string, { parent }: { readonly parent?: string }) =>
        changed(await connection.call("createGroup", { body: { name, parentGroupId: parent ?? null } })),
      ),
    );
  group
    .command("show")
    .argument("<id>")
    .description("Shows a group: its roles, and the ids of users and groups directly in it.")
    .action(
      online(shell, async (connection, groupid: string) => {
        const found = await connection.call("getGroup", { params: { groupid } });
        const names = terminal.json ? new Map<string, string>() : await roleNames(connection);
        print(terminal, found, () => described(found, names));
        return undefined;
      }),
    );
  group
    .command("delete")
    .argument("<id>")
    .description("Deletes an empty group.")
    .action(
      online(shell, async (connection, groupid: string) => {
        print(terminal, await connection.call("deleteGroup", { params: { groupid } }), ({ name }) => `${name} is deleted.`);
        return undefined;
      }),
    );
  group
    .command("move")
    .argument("<id>")
    .argument("<parent>", "the id of the group that it is to be below")
    .description("Moves a group below another.")
    .action(
      online(shell, async (connection, groupid: string, newparentgroupid: string) =>
        changed(await connection.call("moveGroup", { params: { groupid, newparentgroupid } })),
      ),
    );
  for (const [name, operation, what] of [
    ["grant", "assignGroupRole", "Gives a group a role."],
    ["revoke", "withdrawGroupRole", "Takes a role from a group."],
  ] as const)
    group
      .command(name)
      .argument("<id>")
      .argument("<role>", "the role's name or id")
      .description(what)
      .action(
        online(shell, async (connection, groupid: string, role: string) => {
          const params = { groupid, roleid: (await roleOf(connection, role)).id };
          return changed(await connection.call(operation, { params }));
        }),
      );
};

const title = ({ name, id, parentGroupId }: Pick<ReplyTo<"getGroup">, "name" | "id" | "parentGroupId">): string =>
  `${name} (${id})${parentGroupId === null ? "" : `, below ${parentGroupId}`}`;

const described = (group: ReplyTo<"getGroup">, names: ReadonlyMap<string, string>): string =>
  [
    title(group),
    ...group.roleAssociations.map(({ roleId }) => `role: ${names.get(roleId) ?? roleId}`),
    ...group.users.map((user) => `user: ${user}`),
    ...group.subgroups.map((below) => `group: ${below}`),
  ].join("\n");
