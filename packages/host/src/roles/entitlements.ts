// Which role may be given the connection to which logical database, and as whom. What is not listed is refused: this
// table is all that stands between a role and a database.

import type { LogicalDatabase, RoleName } from "../services.ts";

/** `read`: a user that may only select. `tokens`: one that may only mark tokens as claimed. */
export type Access = "dml" | "read" | "tokens";

const ENTITLEMENTS: Readonly<Partial<Record<RoleName, Readonly<Partial<Record<LogicalDatabase["kind"], Access>>>>>> = {
  crypto: { config: "read", crypto: "dml", "vnode-crypto": "dml" },
  persistence: { vault: "dml", entities: "read", bus: "dml" },
  uniqueness: { uniqueness: "dml" },
  "token-selection": { tokens: "tokens" },
};

/** Undefined: none. */
export function entitlement(role: RoleName, database: LogicalDatabase["kind"]): Access | undefined {
  const entitled = ENTITLEMENTS[role] ?? {};
  // What every object inherits ("constructor") is on no list.
  return Object.hasOwn(entitled, database) ? entitled[database] : undefined;
}
