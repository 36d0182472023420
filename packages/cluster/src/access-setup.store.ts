// What a cluster's users begin with: the built-in roles and the first administrator.

import type { Database, Instant, Sql } from "@bowline/base";
import type { Permission } from "./access.ts";
import { type ChangeType, saveAudit } from "./access-change.store.ts";
import { BUILT_IN_ROLES, SYSTEM_ADMIN_FULL_NAME, SYSTEM_ADMIN_ROLE } from "./built-in-roles.ts";

const SETUP_ACTOR = "Setup Script";

/** Makes what is missing of the built-in roles; each is made whole or not at all, and never changed afterwards. */
export async function ensureBuiltInRoles(database: Database, now: Instant): Promise<void> {
  const there = await database.sql.query<{ name: string }>("SELECT name FROM rbac_role");
  for (const role of BUILT_IN_ROLES.filter(({ name }) => !there.some((row) => row.name === name)))
    await database.transaction(async (sql) => {
      // Two workers that start together make one role: the second waits here, and then sees it.
      await sql.query("LOCK TABLE rbac_role IN SHARE ROW EXCLUSIVE MODE");
      const [found] = await sql.query("SELECT 1 FROM rbac_role WHERE name = $1", [role.name]);
      if (found === undefined) await insertRole(sql, role.name, role.permissions, now);
    });
}

async function insertRole(sql: Sql, name: string, permissions: readonly Permission[], now: Instant): Promise<void> {
  await sql.query(
    `WITH role AS (INSERT INTO rbac_role (update_ts, version, name) VALUES ($4, 0, $1) RETURNING id),
          perm AS (INSERT INTO rbac_perm (update_ts, version, perm_type, perm_string)
                   SELECT $4, 0, t, s FROM unnest($2::text[], $3::text[]) AS p (t, s) RETURNING id)
     INSERT INTO rbac_role_perm_rel (role_id, perm_id, update_ts) SELECT role.id, perm.id, $4 FROM role, perm`,
    [name, permissions.map(({ type }) => type), permissions.map(({ pattern }) => pattern), new Date(now)],
  );
  await saveAudit(
    sql,
    { actor: SETUP_ACTOR, changeType: "ROLE_INSERT", details: `Role ${name} with ${permissions.length} permissions` },
    new Date(now),
  );
}

/** The first administrator, where nobody has that login. True when it was made. */
export async function ensureFirstAdmin(
  database: Database,
  admin: { readonly login: string; readonly hashedPassword: string },
  now: Instant,
): Promise<boolean> {
  return database.transaction(async (sql) => {
    const login = admin.login.toLowerCase();
    const [user] = await sql.query<{ id: string }>(
      `INSERT INTO rbac_user (update_ts, version, full_name, login_name, enabled, hashed_password)
       VALUES ($1, 0, $2, $3, true, $4) ON CONFLICT DO NOTHING RETURNING id`,
      [new Date(now), SYSTEM_ADMIN_FULL_NAME, login, admin.hashedPassword],
    );
    if (user === undefined) return false;
    await sql.query("INSERT INTO rbac_role_user_rel (user_id, role_id, update_ts) SELECT $1, id, $3 FROM rbac_role WHERE name = $2", [
      user.id,
      SYSTEM_ADMIN_ROLE,
      new Date(now),
    ]);
    const audit = (changeType: ChangeType, details: string) => saveAudit(sql, { actor: SETUP_ACTOR, changeType, details }, new Date(now));
    await audit("USER_INSERT", `User ${login}`);
    await audit("ADD_ROLE_TO_USER", `Role ${SYSTEM_ADMIN_ROLE} to user ${login}`);
    return true;
  });
}
