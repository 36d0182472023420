// The roles that every cluster has from its first start, with the original's permission strings.

import type { Permission } from "./access.ts";

export interface RoleTemplate {
  readonly name: string;
  readonly permissions: readonly Permission[];
}

export const SYSTEM_ADMIN_ROLE = "Default System Admin";
/** By this full name the first administrator is known, who cannot lose the role. */
export const SYSTEM_ADMIN_FULL_NAME = "Default Admin";

/** Building blocks, as the original names them. */
const VERSION = "v[_a-zA-Z0-9]{1,30}";
const UUID = "[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-[1-5][a-fA-F0-9]{3}-[89aAbB][a-fA-F0-9]{3}-[a-fA-F0-9]{12}";
const VNODE = "[a-fA-F0-9]{12}";
const VNODE_STATE = "[_a-zA-Z0-9]{3,255}";
const VNODE_STATUS_REQUEST = "([a-fA-F0-9]{36}|[a-fA-F0-9]{12})";
const USER = "[-._a-zA-Z0-9]{3,200}[%40]{0,3}[-._a-zA-Z0-9]{0,50}";
const CLIENT_REQUEST = "[-._A-Za-z0-9]{1,242}";
const FLOW_NAME = "[._$a-zA-Z0-9]{1,250}";
const CPI_SUM = "[a-fA-F0-9]{12}";
const FLOW_STATE = "[_a-zA-Z0-9]{3,255}";
const CERTIFICATE_USAGE = "(p2p-tls|p2p-session|code-signer)";
const TENANT = "([a-fA-F0-9]{12}|p2p)";
const KEY_ID = "[a-fA-F0-9]{12}";
const HSM_CATEGORY = "[_A-Z]{2,20}";
const ALIAS = "[-._a-zA-Z0-9]{1,255}";
const KEY_SCHEME = "CORDA\\.[-.A-Z0-9]{3,30}";
const OPTIONAL_QUERY = "((\\?)(.*?))?";

const USER_ADMIN = [
  "POST /user",
  `GET /user/${USER}`,
  `DELETE /user/${USER}`,
  `PUT /user/${USER}/parent/changeparentid/${UUID}`,
  "POST /user/otheruserpassword",
  `PUT /user/${USER}/role/${UUID}`,
  `DELETE /user/${USER}/role/${UUID}`,
  `GET /user/${USER}/permissionSummary`,
  "POST /permission",
  "POST /permission/bulk",
  "GET /permission\\?.*",
  `GET /permission/${UUID}`,
  "GET /role",
  "POST /role",
  `GET /role/${UUID}`,
  `PUT /role/${UUID}/permission/${UUID}`,
  `DELETE /role/${UUID}/permission/${UUID}`,
  `POST /user/${USER}/property`,
  `DELETE /user/${USER}/property/.*`,
  `GET /user/${USER}/property`,
  "GET /user/findByProperty/.*/.*",
  "POST /group",
  `GET /group/${UUID}`,
  `PUT /group/${UUID}/parent/changeparentid/${UUID}`,
  `PUT /group/${UUID}/role/${UUID}`,
  `DELETE /group/${UUID}/role/${UUID}`,
  `DELETE /group/${UUID}`,
];

const VIRTUAL_NODE_CREATOR = [
  "GET /cpi",
  "POST /cpi",
  `GET /cpi/status/${UUID}`,
  "POST /virtualnode",
  "GET /virtualnode",
  `GET /virtualnode/${VNODE}`,
  `PUT /virtualnode/${VNODE}/state/${VNODE_STATE}`,
  `GET /virtualnode/status/${VNODE_STATUS_REQUEST}`,
  `PUT /virtualnode/${VNODE}/cpi/${CPI_SUM}`,
  `PUT /virtualnode/${VNODE}/db`,
  "GET /virtualnode/create/db/crypto",
  "GET /virtualnode/create/db/uniqueness",
  `GET /virtualnode/create/db/vault/${CPI_SUM}`,
  `GET /virtualnode/${VNODE}/db/vault/${CPI_SUM}`,
  `PUT /certificate/cluster/${CERTIFICATE_USAGE}`,
  `GET /certificate/cluster/${CERTIFICATE_USAGE}`,
  `GET /certificate/cluster/${CERTIFICATE_USAGE}/${ALIAS}`,
  `POST /certificate/${TENANT}/${KEY_ID}`,
  `GET /hsm/${TENANT}/${HSM_CATEGORY}`,
  `POST /hsm/soft/${TENANT}/${HSM_CATEGORY}`,
  `POST /key/${TENANT}/alias/${ALIAS}/category/${HSM_CATEGORY}/scheme/${KEY_SCHEME}`,
  `GET /key/${TENANT}${OPTIONAL_QUERY}`,
  `GET /key/${TENANT}/schemes/${HSM_CATEGORY}`,
  `GET /key/${TENANT}/${KEY_ID}`,
  `POST /membership/${VNODE}`,
  `GET /membership/${VNODE}/${UUID}`,
  `GET /members/${VNODE}`,
  `GET /mgm/${VNODE}/info`,
  `PUT /network/setup/${VNODE}`,
  `GET /flow/${VNODE}`,
  `GET /flow/${VNODE}(/?\\?status=${FLOW_STATE})?`,
  `GET /flow/${VNODE}/${CLIENT_REQUEST}`,
];

const CORDA_DEVELOPER = [
  "POST /maintenance/virtualnode/forcecpiupload",
  `POST /maintenance/virtualnode/${VNODE}/vault-schema/force-resync`,
];

export const BUILT_IN_ROLES: readonly RoleTemplate[] = [
  { name: SYSTEM_ADMIN_ROLE, permissions: [{ type: "ALLOW", pattern: ".*" }] },
  { name: "UserAdminRole", permissions: USER_ADMIN.map(overRest) },
  { name: "VNodeCreatorRole", permissions: VIRTUAL_NODE_CREATOR.map(overRest) },
  { name: "CordaDeveloperRole", permissions: CORDA_DEVELOPER.map(overRest) },
];

/** Whoever has it may start every flow of one virtual node and read what became of them. */
export function flowExecutorRole(vnode: string): RoleTemplate {
  const paths = [
    `POST /flow/${vnode}(\\?.*)?`,
    `POST /flowclass/${vnode}/${FLOW_NAME}(\\?.*)?`,
    `GET /flow/${vnode}(\\?.*)?`,
    `GET /flow/${vnode}/${CLIENT_REQUEST}(/result|/events)?(\\?.*)?`,
    `GET /flowclass/${vnode}`,
  ];
  return {
    name: `FlowExecutorRole-${vnode}`,
    permissions: [...paths.map(overRest), { type: "ALLOW", pattern: `StartFlow:${FLOW_NAME}` }],
  };
}

function overRest(line: string): Permission {
  const [method, path] = line.split(" ") as [string, string];
  return { type: "ALLOW", pattern: `${method}:/api/${VERSION}${path}` };
}
