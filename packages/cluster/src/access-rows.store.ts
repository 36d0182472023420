// What the rbac database holds, read as plain data.

import type { Instant, Sql } from "@bowline/base";
import type { Group, HeldPermission, Property, Role, RoleLink, StoredPermission, User } from "./users.ts";

/** A user as decisions see him: who he is, and all that he has through his roles and his groups. */
export interface Standing {
  readonly id: string;
  readonly login: string;
  readonly fullName: string;
  readonly enabled: boolean;
  /** PHC string; null: no login by password. */
  readonly hashedPassword: string | null;
  readonly passwordExpiry: Instant | null;
  readonly parentGroup: string | null;
  readonly version: number;
  readonly updateTimestamp: Instant;
  readonly createdBy: string | null;
  readonly permissions: readonly HeldPermission[];
}

/** Roles of a line of groups; `line` is a group and all above it. */
const LINE = `SELECT g.id, g.name, g.parent_group, 1 AS height FROM rbac_group g WHERE g.id =`;
const UP = "UNION ALL SELECT g.id, g.name, g.parent_group, line.height + 1 FROM rbac_group g JOIN line ON g.id = line.parent_group";
const HELD = `jsonb_agg(jsonb_build_object(
    'type', p.perm_type, 'pattern', p.perm_string, 'id', p.id, 'virtualNode', p.virtual_node, 'groupVisibility', p.group_vis,
    'role', jsonb_build_object('id', r.id, 'name', r.name),
    'group', CASE WHEN held.group_id IS NULL THEN NULL ELSE jsonb_build_object('id', held.group_id, 'name', held.group_name) END)
  ORDER BY p.perm_type DESC, p.perm_string, p.virtual_node NULLS FIRST, p.group_vis NULLS FIRST, p.id, held.height, r.id)`;
const JOINS =
  "JOIN rbac_role r ON r.id = held.role_id JOIN rbac_role_perm_rel rp ON rp.role_id = r.id JOIN rbac_perm p ON p.id = rp.perm_id";

/** Login names are compared in lower case. */
export async function loadStanding(sql: Sql, login: string): Promise<Standing | undefined> {
  const [row] = await sql.query<UserRow & { permissions: readonly HeldPermission[] | null; created_by: string | null }>(
    {
      name: "user_standing",
      text: `SELECT u.*, (
          WITH RECURSIVE line AS (${LINE} u.parent_group ${UP}),
          held AS (SELECT ur.role_id, NULL::uuid AS group_id, NULL AS group_name, 0 AS height FROM rbac_role_user_rel ur WHERE ur.user_id = u.id
                   UNION ALL SELECT gr.role_id, line.id, line.name, line.height FROM line JOIN rbac_role_group_rel gr ON gr.group_id = line.id)
          SELECT ${HELD} FROM held ${JOINS}) AS permissions
        FROM rbac_user u WHERE u.login_name = $1`,
    },
    [login.toLowerCase()],
  );
  if (row === undefined) return undefined;
  return {
    id: row.id,
    login: row.login_name,
    fullName: row.full_name,
    enabled: row.enabled,
    hashedPassword: row.hashed_password,
    passwordExpiry: row.password_expiry?.getTime() ?? null,
    parentGroup: row.parent_group,
    version: row.version,
    updateTimestamp: row.update_ts.getTime(),
    createdBy: row.created_by,
    permissions: row.permissions ?? [],
  };
}

/** What whoever comes into this group has by it. */
export async function loadPermissionsOfGroup(sql: Sql, group: string): Promise<readonly HeldPermission[]> {
  const [row] = await sql.query<{ permissions: readonly HeldPermission[] | null }>(
    `WITH RECURSIVE line AS (${LINE} $1 ${UP}),
      held AS (SELECT gr.role_id, line.id AS group_id, line.name AS group_name, line.height FROM line
               JOIN rbac_role_group_rel gr ON gr.group_id = line.id)
     SELECT ${HELD} AS permissions FROM held ${JOINS}`,
    [group],
  );
  return row?.permissions ?? [];
}

export async function loadPermissionsOfRole(sql: Sql, role: string): Promise<readonly HeldPermission[]> {
  const [row] = await sql.query<{ permissions: readonly HeldPermission[] | null }>(
    `WITH held AS (SELECT $1::uuid AS role_id, NULL::uuid AS group_id, NULL AS group_name, 0 AS height)
     SELECT ${HELD} AS permissions FROM held ${JOINS}`,
    [role],
  );
  return row?.permissions ?? [];
}

/** A group and all above it, the nearest first. */
export async function loadLine(sql: Sql, group: string): Promise<readonly string[]> {
  const rows = await sql.query<{ id: string }>(`WITH RECURSIVE line AS (${LINE} $1 ${UP}) SELECT id FROM line ORDER BY height`, [group]);
  return rows.map(({ id }) => id);
}

interface UserRow {
  readonly id: string;
  readonly login_name: string;
  readonly full_name: string;
  readonly enabled: boolean;
  readonly hashed_password: string | null;
  readonly password_expiry: Date | null;
  readonly parent_group: string | null;
  readonly version: number;
  readonly update_ts: Date;
}

type Links = readonly { readonly id: string; readonly at: string }[] | null;

const linksOf = (links: Links): RoleLink[] => (links ?? []).map(({ id, at }) => ({ roleId: id, createTimestamp: Date.parse(at) }));

/** Users by login, or by a property. */
export async function loadUsers(
  sql: Sql,
  by: { readonly login: string } | { readonly key: string; readonly value: string },
): Promise<readonly User[]> {
  const [where, values] =
    "login" in by
      ? ["u.login_name = $1", [by.login.toLowerCase()]]
      : ["EXISTS (SELECT 1 FROM rbac_user_props p WHERE p.user_ref = u.id AND p.key = $1 AND p.value = $2)", [by.key, by.value]];
  const rows = await sql.query<UserRow & { roles: Links; properties: readonly { key: string; value: string; at: string }[] | null }>(
    `SELECT u.*,
       (SELECT jsonb_agg(jsonb_build_object('id', role_id, 'at', update_ts) ORDER BY update_ts, role_id)
        FROM rbac_role_user_rel WHERE user_id = u.id) AS roles,
       (SELECT jsonb_agg(jsonb_build_object('key', key, 'value', value, 'at', update_ts) ORDER BY key)
        FROM rbac_user_props WHERE user_ref = u.id) AS properties
     FROM rbac_user u WHERE ${where} ORDER BY u.login_name`,
    values,
  );
  return rows.map((row) => ({
    id: row.id,
    loginName: row.login_name,
    fullName: row.full_name,
    enabled: row.enabled,
    ssoAuth: row.hashed_password === null,
    passwordExpiry: row.password_expiry?.getTime() ?? null,
    parentGroup: row.parent_group,
    properties: (row.properties ?? []).map(({ key, value, at }): Property => ({ key, value, lastChangedTimestamp: Date.parse(at) })),
    roleAssociations: linksOf(row.roles),
    version: row.version,
    updateTimestamp: row.update_ts.getTime(),
  }));
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What is no id names nothing. */
const isId = (text: string): boolean => UUID.test(text);

export async function loadGroup(sql: Sql, id: string): Promise<Group | undefined> {
  if (!isId(id)) return undefined;
  const [row] = await sql.query<{
    id: string;
    name: string;
    parent_group: string | null;
    version: number;
    update_ts: Date;
    roles: Links;
    users: string[];
    subgroups: string[];
  }>(
    `SELECT g.*,
       (SELECT jsonb_agg(jsonb_build_object('id', role_id, 'at', update_ts) ORDER BY update_ts, role_id)
        FROM rbac_role_group_rel WHERE group_id = g.id) AS roles,
       ARRAY(SELECT id::text FROM rbac_user WHERE parent_group = g.id ORDER BY login_name) AS users,
       ARRAY(SELECT id::text FROM rbac_group WHERE parent_group = g.id ORDER BY name) AS subgroups
     FROM rbac_group g WHERE g.id = $1`,
    [id],
  );
  if (row === undefined) return undefined;
  const { name, users, subgroups, version } = row;
  return {
    id: row.id,
    name,
    parentGroupId: row.parent_group,
    roleAssociations: linksOf(row.roles),
    users,
    subgroups,
    version,
    updateTimestamp: row.update_ts.getTime(),
  };
}

/** All roles where no id is said. */
export async function loadRoles(sql: Sql, id: string | null): Promise<readonly Role[]> {
  if (id !== null && !isId(id)) return [];
  const rows = await sql.query<{
    id: string;
    name: string;
    group_vis: string | null;
    version: number;
    update_ts: Date;
    permissions: Links;
  }>(
    `SELECT r.*,
       (SELECT jsonb_agg(jsonb_build_object('id', perm_id, 'at', update_ts) ORDER BY update_ts, perm_id)
        FROM rbac_role_perm_rel WHERE role_id = r.id) AS permissions
     FROM rbac_role r WHERE $1::uuid IS NULL OR r.id = $1 ORDER BY r.name, r.id`,
    [id],
  );
  return rows.map((row) => ({
    id: row.id,
    roleName: row.name,
    groupVisibility: row.group_vis,
    permissions: (row.permissions ?? []).map((link) => ({ id: link.id, createdTimestamp: Date.parse(link.at) })),
    version: row.version,
    updateTimestamp: row.update_ts.getTime(),
  }));
}

interface PermissionRow {
  readonly id: string;
  readonly perm_type: StoredPermission["permissionType"];
  readonly perm_string: string;
  readonly virtual_node: string | null;
  readonly group_vis: string | null;
  readonly version: number;
  readonly update_ts: Date;
}

const permissionOf = (row: PermissionRow): StoredPermission => ({
  id: row.id,
  permissionType: row.perm_type,
  permissionString: row.perm_string,
  virtualNode: row.virtual_node,
  groupVisibility: row.group_vis,
  version: row.version,
  updateTimestamp: row.update_ts.getTime(),
});

export async function loadPermission(sql: Sql, id: string): Promise<StoredPermission | undefined> {
  if (!isId(id)) return undefined;
  const [row] = await sql.query<PermissionRow>("SELECT * FROM rbac_perm WHERE id = $1", [id]);
  return row === undefined ? undefined : permissionOf(row);
}

export interface PermissionQuery {
  readonly type: StoredPermission["permissionType"];
  readonly limit: number;
  /** Null asks for those that have none. */
  readonly groupVisibility: string | null;
  readonly virtualNode: string | null;
  readonly prefix: string;
}

export async function queryPermissions(sql: Sql, query: PermissionQuery): Promise<readonly StoredPermission[]> {
  if (query.groupVisibility !== null && !isId(query.groupVisibility)) return [];
  const rows = await sql.query<PermissionRow>(
    `SELECT * FROM rbac_perm
     WHERE perm_type = $1 AND group_vis IS NOT DISTINCT FROM $2::uuid AND virtual_node IS NOT DISTINCT FROM $3 AND starts_with(perm_string, $4)
     ORDER BY perm_string, id LIMIT $5`,
    [query.type, query.groupVisibility, query.virtualNode, query.prefix, query.limit],
  );
  return rows.map(permissionOf);
}
