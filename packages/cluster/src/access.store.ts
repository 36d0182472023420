// Who logs in, and what for, from the rbac database.
//
// Guarantees: a changed permission, role, group, password or user is in force at once in the process that changed it and
// within KEPT_MS in every other, also for whoever logged in before. A name that nobody has costs the derivation that a
// wrong password costs.

import { createHash } from "node:crypto";
import type { Instant, Sql } from "@bowline/base";
import { type AccessDecision, accessDecision, judge, unlimited, type Verdict } from "./access.ts";
import { requireUser } from "./access-change.store.ts";
import { loadStanding, type Standing } from "./access-rows.store.ts";
import { LoginLimits } from "./login-limits.ts";
import { NOBODYS_PASSWORD } from "./password.ts";
import { expiryOf, type PasswordPolicy } from "./password-policy.ts";
import type { HeldPermission } from "./users.ts";

const KEPT_MS = 1_000;
const USERS_KEPT_MAX = 1_000;

export type Login =
  /** `stamp` changes with the user's password, and is another's where the name is taken anew. */
  | { readonly kind: "known"; readonly login: string; readonly stamp: string }
  /** Says only that login and password do not match. */
  | { readonly kind: "unknown" }
  | { readonly kind: "wait"; readonly seconds: number };

export type Admission =
  | { readonly kind: "allowed"; readonly closeToExpiry: boolean }
  | { readonly kind: "refused" }
  | { readonly kind: "expired" }
  /** These credentials are no longer the user's: they are to be checked again. */
  | { readonly kind: "stale" };

export interface PermissionSummary {
  readonly loginName: string;
  readonly enabled: boolean;
  readonly lastUpdateTimestamp: Instant;
  readonly permissions: readonly HeldPermission[];
}

export interface Explanation {
  readonly loginName: string;
  readonly action: string;
  readonly allowed: boolean;
  readonly because: Verdict<HeldPermission>["because"] | "disabled" | "passwordExpired" | "ownPassword";
  /** What decided; null where nothing matched, or no permission was asked. */
  readonly by: HeldPermission | null;
}

export interface Access {
  authenticate(credentials: { readonly login: string; readonly password: string; readonly source: string }): Promise<Login>;
  /** Whether a request of whoever logged in as `login` may pass. */
  admit(asked: { readonly login: string; readonly stamp: string; readonly permission: string }): Promise<Admission>;
  authorise(asked: { readonly login: string; readonly permission: string }): Promise<boolean>;
  permissionSummary(asked: { readonly loginName: string }): Promise<PermissionSummary>;
  explainAccess(asked: { readonly loginName: string; readonly action: string }): Promise<Explanation>;
}

interface Known {
  readonly at: Instant;
  readonly user: Standing | undefined;
  readonly stamp: string;
  /** When his password is over, and when he is warned of it. */
  readonly expiry: { readonly from: Instant; readonly warnedFrom: Instant };
  /** A system administrator: there is nothing to decide. */
  readonly free: boolean;
  readonly decide: AccessDecision;
  /** The permissions as text: while they are the same, what was decided on them stands. */
  readonly text: string;
}

export interface AccessEnv {
  now(): Instant;
  policy(): Promise<PasswordPolicy>;
  /** Whether a password is the one that was stored: a derivation, whatever the answer. */
  checkPassword(password: string, stored: string): Promise<boolean>;
}

/** `forget` drops what is remembered of users: something was changed. */
export function createAccess(rbac: Sql, env: AccessEnv): { readonly access: Access; forget(): void } {
  const memory = createMemory(rbac, env);
  return { access: { ...logins(rbac, env), ...admissions(memory, env), ...explanations(rbac, env) }, forget: memory.forget };
}

interface Memory {
  /** As it was at most KEPT_MS ago. */
  known(login: string): Promise<Known>;
  /** As it is now. Those who ask at once ask once. */
  reread(login: string): Promise<Known>;
  forget(): void;
}

function createMemory(rbac: Sql, { now, policy }: AccessEnv): Memory {
  const users = new Map<string, Known>();
  const reading = new Map<string, Promise<Known>>();
  let changes = 0;

  async function read(login: string): Promise<Known> {
    const [at, before] = [now(), changes];
    const user = await loadStanding(rbac, login);
    const permissions = user?.permissions ?? [];
    const text = JSON.stringify(permissions.map(({ type, pattern }) => [type, pattern]));
    const old = users.get(login);
    const decide = old?.text === text ? old.decide : accessDecision(permissions);
    const stamp = user === undefined ? "" : stampOf(user);
    const expiry = expiryOf(user?.passwordExpiry ?? null, await policy());
    const known = { at, user, stamp, expiry, free: unlimited(permissions), decide, text };
    if (users.size >= USERS_KEPT_MAX) users.clear();
    // What was read while something changed here is answered, but not kept.
    if (changes === before) users.set(login, known);
    return known;
  }

  function reread(login: string): Promise<Known> {
    const begun = reading.get(login);
    if (begun !== undefined) return begun;
    const asked = read(login).finally(() => {
      if (reading.get(login) === asked) reading.delete(login);
    });
    reading.set(login, asked);
    return asked;
  }

  return {
    reread,
    async known(login) {
      const known = users.get(login);
      return known !== undefined && now() - known.at < KEPT_MS ? known : reread(login);
    },
    forget() {
      changes++;
      users.clear();
      reading.clear();
    },
  };
}

function logins(rbac: Sql, { now, checkPassword }: AccessEnv): Pick<Access, "authenticate"> {
  const limits = new LoginLimits();
  return {
    // A disabled user is told so by being allowed nothing, as in the original.
    async authenticate({ login, password, source }) {
      const attempt = { login: login.toLowerCase(), source };
      const waitMs = limits.wait(attempt, now());
      if (waitMs > 0) return { kind: "wait", seconds: Math.ceil(waitMs / 1_000) };
      const user = await loadStanding(rbac, login);
      const matches = await checkPassword(password, user?.hashedPassword ?? NOBODYS_PASSWORD);
      if (matches && user?.hashedPassword != null) {
        limits.succeeded(attempt);
        return { kind: "known", login: user.login, stamp: stampOf(user) };
      }
      limits.failed(attempt, now());
      return { kind: "unknown" };
    },
  };
}

function admissions(memory: Memory, { now }: AccessEnv): Pick<Access, "admit" | "authorise"> {
  return {
    async admit({ login, stamp, permission }) {
      let known = await memory.known(login);
      // Another process may have changed the password just now.
      if (known.stamp !== stamp) known = await memory.reread(login);
      if (known.user === undefined || known.stamp !== stamp) return { kind: "stale" };
      if (!known.user.enabled) return { kind: "refused" };
      if (!isOwnPassword(permission)) {
        if (now() >= known.expiry.from) return { kind: "expired" };
        if (!allows(known, permission)) return { kind: "refused" };
      }
      return { kind: "allowed", closeToExpiry: now() >= known.expiry.warnedFrom && now() < known.expiry.from };
    },
    async authorise({ login, permission }) {
      const known = await memory.known(login.toLowerCase());
      return known.user?.enabled === true && now() < known.expiry.from && allows(known, permission);
    },
  };
}

const allows = ({ free, decide }: Known, action: string): boolean => free || decide(action);

function explanations(rbac: Sql, { now }: AccessEnv): Pick<Access, "permissionSummary" | "explainAccess"> {
  return {
    async permissionSummary({ loginName }) {
      const { login, enabled, permissions } = await requireUser(rbac, loginName);
      const once = new Map(permissions.map((permission) => [permission.id, permission] as const));
      return { loginName: login, enabled, lastUpdateTimestamp: now(), permissions: [...once.values()] };
    },
    async explainAccess({ loginName, action }) {
      const user = await requireUser(rbac, loginName);
      const explained = (allowed: boolean, because: Explanation["because"], by: HeldPermission | null = null): Explanation => ({
        loginName: user.login,
        action,
        allowed,
        because,
        by,
      });
      if (!user.enabled) return explained(false, "disabled");
      if (isOwnPassword(action)) return explained(true, "ownPassword");
      if (user.passwordExpiry !== null && now() >= user.passwordExpiry) return explained(false, "passwordExpired");
      const { allowed, because, by } = judge(user.permissions, action);
      return explained(allowed, because, by);
    },
  };
}

/** Everybody may change his own password, also when it has expired. */
const OWN_PASSWORD = /^POST:\/api\/v[0-9_]+\/user\/selfpassword$/i;
const isOwnPassword = (action: string): boolean => OWN_PASSWORD.test(action);

const stampOf = ({ id, hashedPassword }: Standing): string => createHash("sha256").update(`${id} ${hashedPassword}`).digest("base64");
