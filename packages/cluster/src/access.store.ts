// Users, roles and permissions, in the rbac database: who may log in, and what for. Every change and its audit row are one
// transaction.

import type { Database, Instant, Sql } from "@bowline/base";
import { type AccessDecision, accessDecision, type Permission } from "./access.ts";
import { BUILT_IN_ROLES, SYSTEM_ADMIN_FULL_NAME, SYSTEM_ADMIN_ROLE } from "./built-in-roles.ts";
import { checkPassword, NOBODYS_PASSWORD } from "./password.ts";

/** How long a decision stands on permissions that may have changed since. */
const PERMISSIONS_KEPT_MS = 2_000;
const USERS_KEPT_MAX = 1_000;

export interface Access {
  /** Null says only that login and password do not match. */
  authenticate(credentials: { readonly login: string; readonly password: string }): Promise<{ readonly login: string } | null>;
  authorise(asked: { readonly login: string; readonly permission: string }): Promise<boolean>;
}

export function createAccess(rbac: Sql, now: () => Instant): Access {
  const decisions = new Map<string, { readonly at: Instant; readonly decide: Promise<AccessDecision> }>();

  async function read(login: string): Promise<AccessDecision> {
    const user = await loadUser(rbac, login);
    if (user === undefined || !user.enabled) return () => false;
    const decide = accessDecision(user.permissions);
    return (action) => (user.passwordExpiry === null || now() < user.passwordExpiry) && decide(action);
  }

  function decisionFor(login: string): Promise<AccessDecision> {
    const known = decisions.get(login);
    if (known !== undefined && now() - known.at < PERMISSIONS_KEPT_MS) return known.decide;
    if (decisions.size >= USERS_KEPT_MAX) decisions.clear();
    const decide = read(login);
    decisions.set(login, { at: now(), decide });
    decide.catch(() => decisions.delete(login));
    return decide;
  }

  return {
    // A disabled user is told so by being allowed nothing, as in the original; an unknown one takes as long as a known one.
    async authenticate({ login, password }) {
      const user = await loadUser(rbac, login);
      const matches = await checkPassword(password, user?.hashedPassword ?? NOBODYS_PASSWORD);
      return matches && user !== undefined ? { login: user.login } : null;
    },
    authorise: async ({ login, permission }) => (await decisionFor(login.toLowerCase()))(permission),
  };
}

interface StoredUser {
  readonly login: string;
  readonly enabled: boolean;
  /** PHC string. */
  readonly hashedPassword: string | null;
  readonly passwordExpiry: Instant | null;
  readonly permissions: readonly Permission[];
}

/** Login names are compared in lower case. */
export async function loadUser(sql: Sql, login: string): Promise<StoredUser | undefined> {
  const [row] = await sql.query<{
    login_name: string;
    enabled: boolean;
    hashed_password: string | null;
    password_expiry: Date | null;
    permissions: readonly Permission[] | null;
  }>(
    {
      name: "user_get",
      text: `SELECT u.login_name, u.enabled, u.hashed_password, u.password_expiry,
               (SELECT jsonb_agg(jsonb_build_object('type', p.perm_type, 'pattern', p.perm_string))
                FROM rbac_role_user_rel ur JOIN rbac_role_perm_rel rp USING (role_id) JOIN rbac_perm p ON p.id = rp.perm_id
                WHERE ur.user_id = u.id) AS permissions
             FROM rbac_user u WHERE u.login_name = $1`,
    },
    [login.toLowerCase()],
  );
  if (row === undefined) return undefined;
  return {
    login: row.login_name,
    enabled: row.enabled,
    hashedPassword: row.hashed_password,
    passwordExpiry: row.password_expiry?.getTime() ?? null,
    permissions: row.permissions ?? [],
  };
}

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
  await audit(sql, "ROLE_INSERT", `Role ${name} with ${permissions.length} permissions`, now);
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
    await audit(sql, "USER_INSERT", `User ${login}`, now);
    await audit(sql, "ADD_ROLE_TO_USER", `Role ${SYSTEM_ADMIN_ROLE} to user ${login}`, now);
    return true;
  });
}

const SETUP_ACTOR = "Setup Script";

async function audit(sql: Sql, changeType: string, details: string, now: Instant): Promise<void> {
  await sql.query("INSERT INTO rbac_change_audit (update_ts, actor_user, change_type, details) VALUES ($1, $2, $3, $4)", [
    new Date(now),
    SETUP_ACTOR,
    changeType,
    details,
  ]);
}
