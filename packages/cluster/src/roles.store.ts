// Roles, permissions, and which role has which. Neither is ever deleted or changed, as in the original: a permission is
// taken from a role, and a role from whoever has it.

import { badRequest, type Database, type Sql } from "@bowline/base";
import { asPermission, type Change, type Changes, requireGroup, requirePermission, requireRole } from "./access-change.store.ts";
import { loadPermissionsOfRole, loadRoles, type PermissionQuery, queryPermissions } from "./access-rows.store.ts";
import { isAdminRole } from "./users.store.ts";
import { absent, checkName, checkPermission, clash, isProtected, type NewPermission, type Role, type StoredPermission } from "./users.ts";

export interface RoleAdministration {
  roles(request: null): Promise<readonly Role[]>;
  role(request: { readonly id: string }): Promise<Role>;
  /** Names may repeat, as in the original. */
  createRole(request: { readonly roleName: string; readonly groupVisibility: string | null; readonly actor: string }): Promise<Role>;
  attachPermission(request: { readonly role: string; readonly permission: string; readonly actor: string }): Promise<Role>;
  detachPermission(request: { readonly role: string; readonly permission: string; readonly actor: string }): Promise<Role>;
  permissions(request: PermissionQuery): Promise<readonly StoredPermission[]>;
  permission(request: { readonly id: string }): Promise<StoredPermission>;
  createPermission(request: NewPermission & { readonly actor: string }): Promise<StoredPermission>;
  /** All are made and given to every role, or nothing is done. Answers the ids of the permissions. */
  createPermissions(request: {
    readonly permissions: readonly NewPermission[];
    readonly roles: readonly string[];
    readonly actor: string;
  }): Promise<readonly string[]>;
}

const BULK_MAX = 1_000;

export function createRoleAdministration(rbac: Database, changes: Changes): RoleAdministration {
  const update = (actor: string, id: string, work: (change: Change, role: Role) => Promise<void>): Promise<Role> =>
    changes(actor, async (change) => {
      const role = await requireRole(change.sql, id);
      await work(change, role);
      await change.sql.query("UPDATE rbac_role SET version = version + 1, update_ts = $2 WHERE id = $1", [role.id, change.now]);
      return requireRole(change.sql, id);
    });

  return {
    roles: () => loadRoles(rbac.sql, null),
    role: ({ id }) => requireRole(rbac.sql, id),
    async createRole({ actor, roleName, groupVisibility }) {
      checkName("roleName", roleName);
      return changes(actor, async ({ sql, now, audit }) => {
        if (groupVisibility !== null) await requireGroup(sql, groupVisibility);
        const [made] = await sql.query<{ id: string }>(
          "INSERT INTO rbac_role (update_ts, version, name, group_vis) VALUES ($1, 0, $2, $3) RETURNING id",
          [now, roleName, groupVisibility],
        );
        const id = made?.id ?? "";
        await audit("ROLE_INSERT", `Role ${roleName} (${id})`);
        return requireRole(sql, id);
      });
    },
    attachPermission: ({ actor, role, permission }) =>
      update(actor, role, async (change, found) => attach(change, found, await requirePermission(change.sql, permission))),
    detachPermission: ({ actor, role, permission }) =>
      update(actor, role, async (change, { id, roleName, groupVisibility }) => {
        const found = await requirePermission(change.sql, permission);
        if (isAdminRole({ roleName, groupVisibility }))
          throw isProtected(`The permissions of ${roleName} stay as they are.`, { roleId: id });
        change.release(`Permission ${found.id} cannot be taken from ${roleName}`, [asPermission(found)]);
        const gone = await change.sql.query("DELETE FROM rbac_role_perm_rel WHERE role_id = $1 AND perm_id = $2 RETURNING 1", [
          id,
          found.id,
        ]);
        if (gone.length === 0) throw absent(`Role ${roleName} has no permission ${found.id}.`, { roleId: id, permissionId: found.id });
        await change.audit("DELETE_PERMISSION_FROM_ROLE", `Permission ${found.id} from role ${roleName} (${id})`);
      }),
    permissions: (query) => queryPermissions(rbac.sql, query),
    permission: ({ id }) => requirePermission(rbac.sql, id),
    async createPermission({ actor, ...permission }) {
      checkPermission(permission);
      return changes(actor, (change) => insertPermission(change, permission));
    },
    async createPermissions({ actor, permissions, roles }) {
      if (permissions.length === 0 || permissions.length > BULK_MAX)
        throw badRequest("access.bulk", `One request makes 1 to ${BULK_MAX} permissions.`, { field: "permissionsToCreate" });
      for (const permission of permissions) checkPermission(permission);
      return changes(actor, async (change) => {
        const found = await allRoles(change.sql, roles);
        const made: StoredPermission[] = [];
        for (const permission of permissions) made.push(await insertPermission(change, permission));
        for (const role of found) {
          // Denials first, so that they bind what comes with them.
          const inOrder = made.toSorted((a, b) => b.permissionType.localeCompare(a.permissionType));
          for (const permission of inOrder) await attach(change, role, permission);
          await change.sql.query("UPDATE rbac_role SET version = version + 1, update_ts = $2 WHERE id = $1", [role.id, change.now]);
        }
        return made.map(({ id }) => id);
      });
    },
  };
}

/** As the original has it, an unknown role is here the request's mistake, and no missing resource. */
async function allRoles(sql: Sql, ids: readonly string[]): Promise<readonly Role[]> {
  const found: Role[] = [];
  for (const id of new Set(ids)) {
    const [role] = await loadRoles(sql, id);
    if (role === undefined) throw badRequest("access.bulk", `There is no role ${id}.`, { field: "roleIds", roleId: id });
    found.push(role);
  }
  return found;
}

async function insertPermission({ sql, now, audit }: Change, permission: NewPermission): Promise<StoredPermission> {
  const { permissionType, permissionString, virtualNode, groupVisibility } = permission;
  if (groupVisibility !== null) await requireGroup(sql, groupVisibility);
  const [made] = await sql.query<{ id: string }>(
    `INSERT INTO rbac_perm (update_ts, version, perm_type, perm_string, virtual_node, group_vis) VALUES ($1, 0, $2, $3, $4, $5) RETURNING id`,
    [now, permissionType, permissionString, virtualNode, groupVisibility],
  );
  const id = made?.id ?? "";
  await audit("PERMISSION_INSERT", `Permission ${permissionType} ${permissionString} (${id})`);
  return requirePermission(sql, id);
}

async function attach(change: Change, { id, roleName, groupVisibility }: Role, permission: StoredPermission): Promise<void> {
  const { sql, now } = change;
  const given = asPermission(permission);
  if (given.type === "DENY" && isAdminRole({ roleName, groupVisibility }))
    throw isProtected(`${roleName} is denied nothing: somebody must be able to undo it.`, { roleId: id });
  const denials = (await loadPermissionsOfRole(sql, id)).filter(({ type }) => type === "DENY");
  change.give(`Permission ${permission.id} cannot be given to ${roleName}`, [given, ...denials]);
  const added = await sql.query(
    "INSERT INTO rbac_role_perm_rel (role_id, perm_id, update_ts) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1",
    [id, permission.id, now],
  );
  if (added.length === 0)
    throw clash(`Role ${roleName} has the permission ${permission.id} already.`, { roleId: id, permissionId: permission.id });
  await change.audit("ADD_PERMISSION_TO_ROLE", `Permission ${permission.id} to role ${roleName} (${id})`);
}
