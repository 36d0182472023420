// Which role may call which method of which other role. The transport looks here before anything runs: what is not
// granted cannot be reached. Author code runs in the flow role only, so that role can change nothing in the db role
// and can make or rotate no key.

import type { RoleName, Services } from "./services.ts";

/** What the people who administer do over REST; each call names its actor. */
const ADMINISTRATION = [
  "createUser",
  "user",
  "deleteUser",
  "enableUser",
  "moveUser",
  "changePassword",
  "assignRole",
  "withdrawRole",
  "setProperties",
  "removeProperty",
  "properties",
  "usersByProperty",
  "createGroup",
  "group",
  "deleteGroup",
  "moveGroup",
  "assignGroupRole",
  "withdrawGroupRole",
  "roles",
  "role",
  "createRole",
  "attachPermission",
  "detachPermission",
  "permissions",
  "permission",
  "createPermission",
  "createPermissions",
  "accessChanges",
] as const;

export type Grants = { readonly [S in keyof Services]?: readonly (keyof Services[S])[] };

export const GRANTS = {
  rest: {
    db: [
      "authenticate",
      "admit",
      "authorise",
      "permissionSummary",
      "explainAccess",
      ...ADMINISTRATION,
      "uploadCpi",
      "cpiStatus",
      "cpis",
      "createVirtualNode",
      "upgradeVirtualNode",
      "virtualNodeStatus",
      "virtualNodes",
      "members",
      "groupParameters",
      "importCertificate",
      "certificates",
      "certificate",
      "config",
      "changeConfig",
    ],
    persistence: [
      "startFlow",
      "flowStatus",
      "flowStatuses",
      "flowInspect",
      "flowKill",
      "flowRetry",
      "read",
      "explainQuery",
      "vaultChanges",
    ],
    flow: ["tryCode"],
    crypto: ["releaseTls"],
    "token-selection": ["balances"],
    uniqueness: ["history", "states", "confirmHistory"],
  },
  flow: {
    persistence: ["load", "commit", "acknowledge", "due", "dueBefore", "read", "readEntities", "queryVault"],
    verification: ["verify", "signatures", "dependencies"],
    uniqueness: ["admit", "notarise"],
    "token-selection": ["claim", "balance"],
    crypto: ["filterMyKeys", "sign"],
    db: ["bundle", "cpis", "virtualNodes", "members", "groupParameters"],
  },
  persistence: { db: ["connection", "virtualNodes", "bundle", "externalRouteDefaults"] },
  verification: { db: ["bundle"] },
  uniqueness: { db: ["connection", "virtualNodes", "members", "groupParameters", "notaryQuota"], crypto: ["sign"] },
  crypto: { db: ["connection"] },
  db: { crypto: ["generateKey", "sign"] },
  "token-selection": { db: ["connection"] },
  membership: {},
  "p2p-link-manager": {},
  "p2p-gateway": {},
} as const satisfies Readonly<Record<RoleName, Grants>>;

/** What one role is handed: the stubs of its granted methods, by type and in fact. */
export type Granted<R extends RoleName> = {
  readonly [S in keyof (typeof GRANTS)[R] & keyof Services]: Pick<Services[S], MethodsOf<(typeof GRANTS)[R][S], Services[S]>>;
};

type MethodsOf<List, Service> = List extends readonly (infer Name)[] ? Name & keyof Service : never;
