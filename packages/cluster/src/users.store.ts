// Users: made, changed and deleted. The first administrator keeps his role and cannot be deleted: the next start would
// make him anew, with the password that it is configured with.

import { BowlineError, badRequest, type Database, type Instant, type Sql } from "@bowline/base";
import { type Change, type Changes, requireGroup, requireRole, requireUser } from "./access-change.store.ts";
import { loadLine, loadPermissionsOfGroup, loadPermissionsOfRole, loadStanding, loadUsers, type Standing } from "./access-rows.store.ts";
import { SYSTEM_ADMIN_FULL_NAME, SYSTEM_ADMIN_ROLE } from "./built-in-roles.ts";
import { checkPassword, hashPassword, SALT_LENGTH } from "./password.ts";
import { checkNewPassword, expiryAfterChange, type PasswordPolicy } from "./password-policy.ts";
import {
  absent,
  checkProperties,
  checkUser,
  clash,
  isProtected,
  type NewUser,
  type Property,
  type Role,
  type User,
  unknown,
} from "./users.ts";

export interface UserAdministration {
  /** The same request of the same actor again is answered with the user that it made. Throws `access.exists` where the name is taken. */
  createUser(request: NewUser & { readonly actor: string }): Promise<User>;
  user(request: { readonly loginName: string }): Promise<User>;
  deleteUser(request: { readonly loginName: string; readonly actor: string }): Promise<User>;
  enableUser(request: { readonly loginName: string; readonly enabled: boolean; readonly actor: string }): Promise<User>;
  moveUser(request: { readonly loginName: string; readonly group: string; readonly actor: string }): Promise<User>;
  /** One's own where actor and user are one. */
  changePassword(request: { readonly loginName: string; readonly password: string; readonly actor: string }): Promise<User>;
  assignRole(request: { readonly loginName: string; readonly role: string; readonly actor: string }): Promise<User>;
  withdrawRole(request: { readonly loginName: string; readonly role: string; readonly actor: string }): Promise<User>;
  setProperties(request: {
    readonly loginName: string;
    readonly properties: Readonly<Record<string, string>>;
    readonly actor: string;
  }): Promise<User>;
  removeProperty(request: { readonly loginName: string; readonly key: string; readonly actor: string }): Promise<User>;
  properties(request: { readonly loginName: string }): Promise<readonly Property[]>;
  usersByProperty(request: { readonly key: string; readonly value: string }): Promise<readonly User[]>;
}

export interface AdministrationEnv {
  now(): Instant;
  random(length: number): Uint8Array;
  policy(): Promise<PasswordPolicy>;
}

export function createUserAdministration(rbac: Database, changes: Changes, env: AdministrationEnv): UserAdministration {
  const hash = (password: string) => hashPassword(password, env.random(SALT_LENGTH));
  const update: Update = (actor, loginName, work) =>
    changes(actor, async (change) => {
      const user = await requireUser(change.sql, loginName);
      await work(change, user);
      await change.sql.query("UPDATE rbac_user SET version = version + 1, update_ts = $2 WHERE id = $1", [user.id, change.now]);
      return shown(change.sql, user.login);
    });

  return {
    async createUser({ actor, ...user }) {
      checkUser(user);
      if (user.initialPassword !== null) checkNewPassword(user.initialPassword, await env.policy(), "first");
      const hashed = user.initialPassword === null ? null : await hash(user.initialPassword);
      return changes(actor, (change) => insertUser(change, user, hashed));
    },
    user: ({ loginName }) => shown(rbac.sql, loginName),
    deleteUser: ({ actor, loginName }) =>
      changes(actor, async (change) => {
        const user = await shown(change.sql, loginName);
        notOneself(change, user.loginName, "deleted");
        await notFirst(change.sql, user);
        await change.sql.query("DELETE FROM rbac_user WHERE id = $1", [user.id]);
        await change.audit("USER_DELETE", `User ${user.loginName}`);
        return user;
      }),
    enableUser: ({ actor, loginName, enabled }) =>
      update(actor, loginName, async (change, user) => {
        notOneself(change, user.login, enabled ? "enabled" : "disabled");
        await change.sql.query("UPDATE rbac_user SET enabled = $2 WHERE id = $1", [user.id, enabled]);
        await change.audit("USER_UPDATE", `User ${user.login} ${enabled ? "enabled" : "disabled"}`);
      }),
    moveUser: ({ actor, loginName, group }) =>
      update(actor, loginName, async (change, user) => {
        await requireGroup(change.sql, group);
        await changePlace(change, `User ${user.login}`, user.parentGroup, group);
        await change.sql.query("UPDATE rbac_user SET parent_group = $2 WHERE id = $1", [user.id, group]);
        await change.audit("USER_UPDATE", `User ${user.login} to group ${group}`);
      }),
    changePassword: passwordChange(rbac, update, env, hash),
    ...userRoles(update),
    ...userProperties(rbac, update),
  };
}

/** Changes one user, raises his version, and answers him as he then is. */
type Update = (actor: string, loginName: string, work: (change: Change, user: Standing) => Promise<void>) => Promise<User>;

/** The derivations are done before the transaction, which nobody else's change need wait for. */
function passwordChange(
  rbac: Database,
  update: Update,
  env: AdministrationEnv,
  hash: (password: string) => Promise<string>,
): UserAdministration["changePassword"] {
  return async ({ actor, loginName, password }) => {
    const policy = await env.policy();
    checkNewPassword(password, policy, "next");
    const seen = await requireUser(rbac.sql, loginName);
    if (seen.hashedPassword !== null && (await checkPassword(password, seen.hashedPassword)))
      throw badRequest("access.passwordInvalid", "The password is the present one.", { reason: "is the present one" });
    const hashed = await hash(password);
    return update(actor, loginName, async (change, user) => {
      if (user.id !== seen.id || user.version !== seen.version) throw overtaken(user.login);
      const self = user.id === change.actor.id;
      // Whoever knows another's password can do all that the other may.
      if (!self) change.give(`The password of ${user.login} cannot be set by ${change.actor.login}`, user.permissions);
      const expiry = new Date(expiryAfterChange(policy, self, change.now.getTime()));
      await change.sql.query("UPDATE rbac_user SET hashed_password = $2, password_expiry = $3 WHERE id = $1", [user.id, hashed, expiry]);
      await change.audit("USER_UPDATE", `Password of user ${user.login}`);
    });
  };
}

function userRoles(update: Update): Pick<UserAdministration, "assignRole" | "withdrawRole"> {
  return {
    assignRole: ({ actor, loginName, role }) =>
      update(actor, loginName, async (change, user) => {
        const { id, roleName } = await requireRole(change.sql, role);
        change.give(`Role ${roleName} cannot be assigned`, await loadPermissionsOfRole(change.sql, id));
        const added = await change.sql.query(
          "INSERT INTO rbac_role_user_rel (user_id, role_id, update_ts) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1",
          [user.id, id, change.now],
        );
        if (added.length === 0) throw clash(`User ${user.login} has the role ${roleName} already.`, { loginName: user.login, roleId: id });
        await change.audit("ADD_ROLE_TO_USER", `Role ${roleName} (${id}) to user ${user.login}`);
      }),
    withdrawRole: ({ actor, loginName, role }) =>
      update(actor, loginName, async (change, user) => {
        const found = await requireRole(change.sql, role);
        const { id, roleName } = found;
        if (user.fullName === SYSTEM_ADMIN_FULL_NAME && isAdminRole(found))
          throw isProtected("The first administrator keeps his role.", { loginName: user.login, roleId: id });
        change.release(`Role ${roleName} cannot be withdrawn`, await loadPermissionsOfRole(change.sql, id));
        const gone = await change.sql.query("DELETE FROM rbac_role_user_rel WHERE user_id = $1 AND role_id = $2 RETURNING 1", [
          user.id,
          id,
        ]);
        if (gone.length === 0)
          throw absent(`User ${user.login} has no role ${roleName} of his own.`, { loginName: user.login, roleId: id });
        await change.audit("DELETE_ROLE_FROM_USER", `Role ${roleName} (${id}) from user ${user.login}`);
      }),
  };
}

function userProperties(
  rbac: Database,
  update: Update,
): Pick<UserAdministration, "setProperties" | "removeProperty" | "properties" | "usersByProperty"> {
  return {
    async setProperties({ actor, loginName, properties }) {
      checkProperties(properties);
      return update(actor, loginName, async (change, user) => {
        await change.sql.query(
          `INSERT INTO rbac_user_props (user_ref, key, value, update_ts) SELECT $1, k, v, $4 FROM unnest($2::text[], $3::text[]) AS p (k, v)
           ON CONFLICT (user_ref, key) DO UPDATE SET value = excluded.value, update_ts = excluded.update_ts`,
          [user.id, Object.keys(properties), Object.values(properties), change.now],
        );
        for (const [key, value] of Object.entries(properties))
          await change.audit("ADD_PROPERTY_TO_USER", `Property ${key} = ${value} to user ${user.login}`);
      });
    },
    removeProperty: ({ actor, loginName, key }) =>
      update(actor, loginName, async (change, user) => {
        const gone = await change.sql.query("DELETE FROM rbac_user_props WHERE user_ref = $1 AND key = $2 RETURNING 1", [user.id, key]);
        if (gone.length === 0) throw absent(`User ${user.login} has no property ${key}.`, { loginName: user.login, key });
        await change.audit("DELETE_PROPERTY_FROM_USER", `Property ${key} from user ${user.login}`);
      }),
    properties: async ({ loginName }) => (await shown(rbac.sql, loginName)).properties,
    usersByProperty: (by) => loadUsers(rbac.sql, by),
  };
}

async function shown(sql: Sql, login: string): Promise<User> {
  const [user] = await loadUsers(sql, { login });
  if (user === undefined) throw unknown("user", login);
  return user;
}

async function insertUser(change: Change, user: NewUser, hashedPassword: string | null): Promise<User> {
  const { sql, actor, now } = change;
  const login = user.loginName.toLowerCase();
  const known = await loadStanding(sql, login);
  if (known !== undefined) {
    if (await isRepeat(known, user, actor)) return shown(sql, login);
    throw clash(`The login name ${login} is taken.`, { loginName: login });
  }
  if (user.parentGroup !== null) {
    await requireGroup(sql, user.parentGroup);
    change.give(`User ${login} cannot be put into group ${user.parentGroup}`, await loadPermissionsOfGroup(sql, user.parentGroup));
  }
  const expiry = user.passwordExpiry === null ? null : new Date(user.passwordExpiry);
  await sql.query(
    `INSERT INTO rbac_user (update_ts, version, full_name, login_name, enabled, hashed_password, password_expiry, parent_group, created_by)
     VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8)`,
    [now, user.fullName, login, user.enabled, hashedPassword, expiry, user.parentGroup, actor.login],
  );
  await change.audit("USER_INSERT", `User ${login}`);
  return shown(sql, login);
}

/** Only for a user whom nobody has changed, and to whoever made him: nobody learns another's password by asking. */
async function isRepeat(known: Standing, user: NewUser, actor: Standing): Promise<boolean> {
  const same =
    known.version === 0 &&
    known.createdBy === actor.login &&
    known.fullName === user.fullName &&
    known.enabled === user.enabled &&
    known.passwordExpiry === user.passwordExpiry &&
    known.parentGroup === user.parentGroup;
  if (!same || known.hashedPassword === null || user.initialPassword === null)
    return same && (known.hashedPassword === null) === (user.initialPassword === null);
  return checkPassword(user.initialPassword, known.hashedPassword);
}

/** Of a user or a group: it gets what the new place gives, and loses what the old one denies. */
export async function changePlace({ sql, give, release }: Change, what: string, from: string | null, to: string): Promise<void> {
  const kept = await loadLine(sql, to);
  const given = await loadPermissionsOfGroup(sql, to);
  const left = from === null ? [] : await loadPermissionsOfGroup(sql, from);
  give(`${what} cannot be put into group ${to}`, given);
  release(
    `${what} cannot be taken from its group`,
    left.filter(({ group }) => group !== null && !kept.includes(group.id)),
  );
}

export const isAdminRole = ({ roleName, groupVisibility }: Pick<Role, "roleName" | "groupVisibility">): boolean =>
  roleName === SYSTEM_ADMIN_ROLE && groupVisibility === null;

function notOneself({ actor }: Change, login: string, what: string): void {
  if (actor.login === login) throw isProtected(`Nobody can be ${what} by himself.`, { loginName: login });
}

async function notFirst(sql: Sql, user: User): Promise<void> {
  if (user.fullName !== SYSTEM_ADMIN_FULL_NAME) return;
  for (const { roleId } of user.roleAssociations)
    if (isAdminRole(await requireRole(sql, roleId)))
      throw isProtected("The first administrator cannot be deleted: disable him instead.", { loginName: user.loginName });
}

const overtaken = (loginName: string): BowlineError =>
  new BowlineError("conflict", "access.overtaken", `User ${loginName} was changed at the same time. Try again.`, { loginName });
