// All that an operator may do to users, groups, roles and permissions, and the record of what was done.

import type { Database } from "@bowline/base";
import { type AuditQuery, createChanges, loadAudit } from "./access-change.store.ts";
import { createGroupAdministration, type GroupAdministration } from "./groups.store.ts";
import { createRoleAdministration, type RoleAdministration } from "./roles.store.ts";
import { type AdministrationEnv, createUserAdministration, type UserAdministration } from "./users.store.ts";
import type { AccessChange } from "./users.ts";

export interface Administration extends UserAdministration, GroupAdministration, RoleAdministration {
  accessChanges(request: AuditQuery): Promise<readonly AccessChange[]>;
}

/** `changed` is called after each change that is committed. */
export function createAdministration(rbac: Database, env: AdministrationEnv, changed: () => void): Administration {
  const changes = createChanges(rbac, env.now, changed);
  return {
    ...createUserAdministration(rbac, changes, env),
    ...createGroupAdministration(rbac, changes),
    ...createRoleAdministration(rbac, changes),
    accessChanges: (query) => loadAudit(rbac.sql, query),
  };
}
