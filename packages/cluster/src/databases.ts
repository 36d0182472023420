// How logical databases, their schemas, users and connections are called. One schema and two users each: one that may
// change its tables, one that may change its rows. Neither has any right anywhere else.

import { invariant, type ShortHash } from "@bowline/base";
import { sha256 } from "@bowline/crypto";

export type Privilege = "DDL" | "DML";

/** Per virtual node. `tokens` is a part of the vault, through a user who reaches no other. */
export type VirtualNodeDatabase = "vault" | "tokens" | "entities" | "crypto" | "uniqueness";

export interface DatabasePlan {
  readonly schema: string;
  /** Its name among the stored connections; undefined for config, whose connection is not stored. */
  readonly connection: string | undefined;
  readonly description: string;
}

export const CONFIG_DATABASE: DatabasePlan = { schema: "config", connection: undefined, description: "Cluster configuration" };
export const RBAC_DATABASE: DatabasePlan = { schema: "rbac", connection: "corda-rbac", description: "Users, roles and permissions" };
export const CRYPTO_DATABASE: DatabasePlan = { schema: "crypto", connection: "corda-crypto", description: "Keys of the cluster" };
/** The user that makes the schemas and users of virtual nodes. Its connection names no schema. */
export const VIRTUAL_NODES_CONNECTION = "corda-virtual-nodes";

const SCHEMA_PREFIX: Readonly<Record<VirtualNodeDatabase, string>> = {
  vault: "vnode_vault_",
  tokens: "vnode_vault_",
  entities: "vnode_entities_",
  crypto: "vnode_crypto_",
  uniqueness: "vnode_uniq_",
};

export function virtualNodeDatabase(kind: VirtualNodeDatabase, vnode: ShortHash): DatabasePlan {
  const schema = `${SCHEMA_PREFIX[kind]}${vnode.toLowerCase()}`;
  const connection = kind === "tokens" ? `vnode_tokens_${vnode.toLowerCase()}` : schema;
  return { schema, connection, description: `The ${kind} database of virtual node ${vnode}` };
}

export type UserKind = "ddl" | "dml" | "read" | "tokens" | "admin";

/**
 * Users belong to the whole server, so their names carry the database: two clusters on one server do not meet.
 * PostgreSQL cuts names at 63 characters; a longer database name is named by a hash of it.
 */
export function userName(database: string, schema: string, kind: UserKind): string {
  const prefix = /^[a-z_][a-z0-9_]{0,24}$/.test(database)
    ? database
    : `db_${Buffer.from(sha256(Buffer.from(database)))
        .toString("hex")
        .slice(0, 12)}`;
  const name = `${prefix}_${schema}_${kind}`;
  invariant(/^[a-z_][a-z0-9_]{0,62}$/.test(name), `a user's name fits PostgreSQL: ${name}`);
  return name;
}
