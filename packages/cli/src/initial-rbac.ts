// `bowline initial-rbac`: the original's command, which makes the built-in roles. A cluster has all but the flow
// executors' from its first start, and a role that is there is left as it is.

import type { Connection } from "./connection.ts";
import { online } from "./online.ts";
import type { Register, Shell } from "./program.ts";
import { print, usage } from "./terminal.ts";

const ROLES = [
  ["user-admin", ["UserAdminRole"]],
  ["vnode-creator", ["VNodeCreatorRole"]],
  ["corda-developer", ["CordaDeveloperRole"]],
  ["all-cluster-roles", ["CordaDeveloperRole", "UserAdminRole", "VNodeCreatorRole"]],
] as const;
const SHORT_HASH = /^[0-9a-fA-F]{12}$/;

export const register: Register = (program, shell) => {
  const group = program
    .command("initial-rbac")
    .summary("make the built-in roles, of which only the flow executors' are not there from the start")
    .description("Makes the built-in roles. A role that is there is left as it is.");
  for (const [name, roles] of ROLES)
    group
      .command(name)
      .description(`Makes ${roles.join(", ")}.`)
      .action(
        online(shell, async (connection) => {
          const { BUILT_IN_ROLES } = await import("@bowline/cluster");
          for (const role of BUILT_IN_ROLES.filter((each) => roles.some((wanted) => wanted === each.name)))
            await make(shell, connection, role);
          return undefined;
        }),
      );
  group
    .command("flow-executor")
    .requiredOption("-v, --v-node-id <id>", "the short hash of the virtual node whose flows may be started")
    .description("Makes FlowExecutorRole-<id>: whoever has it may start every flow of that virtual node.")
    .action(
      online(shell, async (connection, { vNodeId }: { readonly vNodeId: string }) => {
        if (!SHORT_HASH.test(vNodeId)) throw usage("vnode", `"${vNodeId}" is no short hash: it has twelve hexadecimal digits.`);
        const { flowExecutorRole } = await import("@bowline/cluster");
        return make(shell, connection, flowExecutorRole(vNodeId));
      }),
    );
};

interface Template {
  readonly name: string;
  readonly permissions: readonly { readonly type: "ALLOW" | "DENY"; readonly pattern: string }[];
}

async function make({ terminal }: Shell, connection: Connection, { name, permissions }: Template): Promise<undefined> {
  const known = (await connection.call("listRoles", {})).find(({ roleName }) => roleName === name);
  const role = known ?? (await connection.call("createRole", { body: { roleName: name } }));
  if (known === undefined) {
    const permissionsToCreate = permissions.map(({ type, pattern }) => ({ permissionType: type, permissionString: pattern }));
    await connection.call("createPermissions", { body: { permissionsToCreate, roleIds: [role.id] } });
  }
  print(terminal, { role: name, id: role.id, made: known === undefined }, ({ made }) =>
    made ? `${name} is made: ${role.id}` : `${name} is there already: ${role.id}`,
  );
}
