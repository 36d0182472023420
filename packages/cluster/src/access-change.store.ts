// How users, groups, roles and permissions are changed. Changes come one after another, each in a transaction that holds
// its audit rows; each is judged on what its actor holds in that transaction, and nobody gives more than he holds.

import { BowlineError, type Database, type Instant, type Sql } from "@bowline/base";
import { covers, type Permission, unlimited } from "./access.ts";
import { loadGroup, loadPermission, loadRoles, loadStanding, type Standing } from "./access-rows.store.ts";
import { type AccessChange, type Group, type Role, type StoredPermission, unknown } from "./users.ts";

/** The original's names. */
export type ChangeType =
  | "USER_INSERT"
  | "USER_UPDATE"
  | "USER_DELETE"
  | "ROLE_INSERT"
  | "GROUP_INSERT"
  | "GROUP_UPDATE"
  | "GROUP_DELETE"
  | "PERMISSION_INSERT"
  | "ADD_PERMISSION_TO_ROLE"
  | "ADD_ROLE_TO_USER"
  | "ADD_ROLE_TO_GROUP"
  | "ADD_PROPERTY_TO_USER"
  | "DELETE_PERMISSION_FROM_ROLE"
  | "DELETE_ROLE_FROM_USER"
  | "DELETE_ROLE_FROM_GROUP"
  | "DELETE_PROPERTY_FROM_USER";

const DETAILS_MAX = 2_048;

export interface Change {
  readonly sql: Sql;
  readonly actor: Standing;
  readonly now: Date;
  audit(changeType: ChangeType, details: string): Promise<void>;
  /** Throws `access.ceiling` where the actor may not give this. */
  give(what: string, given: readonly Permission[]): void;
  /** What ends a denial gives what was denied: only who holds everything may. Throws `access.ceiling`. */
  release(what: string, taken: readonly Permission[]): void;
}

export type Changes = <T>(actor: string, work: (change: Change) => Promise<T>) => Promise<T>;

export function createChanges(rbac: Database, now: () => Instant, changed: () => void): Changes {
  return async (login, work) => {
    const done = await rbac.transaction(async (sql) => {
      await sql.query("SELECT pg_advisory_xact_lock(hashtext('bowline access'))");
      const actor = await loadStanding(sql, login);
      if (actor === undefined || !actor.enabled) throw new BowlineError("forbidden", "rest.forbidden", "User not authorized.", {});
      return work(changeOf(sql, actor, new Date(now())));
    });
    changed();
    return done;
  };
}

function changeOf(sql: Sql, actor: Standing, now: Date): Change {
  const refuse = (what: string): never => {
    throw new BowlineError("forbidden", "access.ceiling", `${what}: nobody gives more than he holds himself.`, { actor: actor.login });
  };
  return {
    sql,
    actor,
    now,
    audit: (changeType, details) => saveAudit(sql, { actor: actor.login, changeType, details }, now),
    give(what, given) {
      if (!covers(actor.permissions, given)) refuse(what);
    },
    release(what, taken) {
      if (taken.some(({ type }) => type === "DENY") && !unlimited(actor.permissions)) refuse(what);
    },
  };
}

export async function saveAudit(
  sql: Sql,
  { actor, changeType, details }: { readonly actor: string; readonly changeType: ChangeType; readonly details: string },
  now: Date,
): Promise<void> {
  await sql.query("INSERT INTO rbac_change_audit (update_ts, actor_user, change_type, details) VALUES ($1, $2, $3, $4)", [
    now,
    actor,
    changeType,
    details.slice(0, DETAILS_MAX),
  ]);
}

export interface AuditQuery {
  readonly limit: number;
  /** Only changes before this one; null: from the newest on. */
  readonly before: number | null;
  readonly actor: string | null;
  readonly changeType: string | null;
}

/** The newest first. */
export async function loadAudit(sql: Sql, { limit, before, actor, changeType }: AuditQuery): Promise<readonly AccessChange[]> {
  const rows = await sql.query<{ seq: string; update_ts: Date; actor_user: string; change_type: string; details: string }>(
    `SELECT seq::text, update_ts, actor_user, change_type, details FROM rbac_change_audit
     WHERE ($1::bigint IS NULL OR seq < $1) AND ($2::text IS NULL OR actor_user = $2) AND ($3::text IS NULL OR change_type = $3)
     ORDER BY rbac_change_audit.seq DESC LIMIT $4`,
    [before, actor, changeType, limit],
  );
  return rows.map((row) => ({
    seq: Number(row.seq),
    timestamp: row.update_ts.getTime(),
    actor: row.actor_user,
    changeType: row.change_type,
    details: row.details,
  }));
}

export async function requireUser(sql: Sql, login: string): Promise<Standing> {
  const user = await loadStanding(sql, login);
  if (user === undefined) throw unknown("user", login);
  return user;
}

export async function requireRole(sql: Sql, id: string): Promise<Role> {
  const [role] = await loadRoles(sql, id);
  if (role === undefined) throw unknown("role", id);
  return role;
}

export async function requireGroup(sql: Sql, id: string): Promise<Group> {
  const group = await loadGroup(sql, id);
  if (group === undefined) throw unknown("group", id);
  return group;
}

export async function requirePermission(sql: Sql, id: string): Promise<StoredPermission> {
  const permission = await loadPermission(sql, id);
  if (permission === undefined) throw unknown("permission", id);
  return permission;
}

export const asPermission = ({ permissionType, permissionString }: StoredPermission): Permission => ({
  type: permissionType,
  pattern: permissionString,
});
