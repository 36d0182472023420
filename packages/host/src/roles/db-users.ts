// Who may log in, and what for.

import type { Database } from "@bowline/base";
import { type AccessDecision, accessDecision, checkPassword, loadUser, NOBODYS_PASSWORD } from "@bowline/cluster";
import type { DbService } from "../services.ts";

/** How long a decision stands on permissions that may have changed since. */
const PERMISSIONS_KEPT_MS = 2_000;
const USERS_KEPT_MAX = 1_000;

export function createUsers(rbac: Database, now: () => number): Pick<DbService, "authenticate" | "authorise"> {
  const decisions = new Map<string, { readonly at: number; readonly decide: Promise<AccessDecision> }>();

  async function read(login: string): Promise<AccessDecision> {
    const user = await loadUser(rbac.sql, login);
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
      const user = await loadUser(rbac.sql, login);
      const matches = await checkPassword(password, user?.hashedPassword ?? NOBODYS_PASSWORD);
      return matches && user !== undefined ? { login: user.login } : null;
    },
    authorise: async ({ login, permission }) => (await decisionFor(login.toLowerCase()))(permission),
  };
}
