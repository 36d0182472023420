// What the operations on virtual nodes have in common.

import { BowlineError, type Database, invariant, type Log, parseName } from "@bowline/base";
import { type DatabasePlan, type StoredCpi, VIRTUAL_NODES_CONNECTION } from "@bowline/cluster";
import { parseGroupPolicy, type StaticMember, type StaticNetworkPolicy, staticMemberOf } from "@bowline/membership";
import type { CryptoService } from "../services.ts";
import type { ConnectionBook } from "./db-connections.ts";
import type { MigrationSets } from "./migrations.ts";
import type { OpenDatabase } from "./provision.ts";
import type { Queue } from "./queue.ts";

export interface VirtualNodesOptions {
  readonly config: Database;
  readonly book: ConnectionBook;
  readonly migrations: MigrationSets;
  readonly crypto: Pick<CryptoService, "generateKey" | "sign">;
  readonly queue: Queue;
  readonly open: OpenDatabase;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
  readonly log: Log;
}

/** Throws `vnode.networkUnsupported` or `vnode.nameNotListed`. */
export function membershipOf(cpi: StoredCpi, name: string): { readonly policy: StaticNetworkPolicy; readonly member: StaticMember } {
  const policy = parseGroupPolicy(cpi.groupPolicy);
  if (policy.kind !== "static")
    throw new BowlineError(
      "badRequest",
      "vnode.networkUnsupported",
      `The CPI ${cpi.name} belongs to a network with a manager; virtual nodes are made of static networks only.`,
      { cpi: cpi.name },
    );
  const member = staticMemberOf(policy, parseName(name));
  if (member === undefined)
    throw new BowlineError("badRequest", "vnode.nameNotListed", `The group policy of CPI ${cpi.name} lists no member ${name}.`, {
      x500Name: name,
    });
  return { policy, member };
}

/** As the one who may make schemas and users. */
export async function asCreator(
  { config, book, open }: Pick<VirtualNodesOptions, "config" | "book" | "open">,
  work: (creator: Database) => Promise<void>,
): Promise<void> {
  const details = await book.find(config.sql, VIRTUAL_NODES_CONNECTION, "DDL");
  invariant(details !== undefined, "the creator of virtual nodes is made at bootstrap");
  const creator = open(details);
  try {
    await work(creator);
  } finally {
    await creator.close();
  }
}

/** `tokens`: the plan of one user more, for a part of it. */
export async function usersOf({ config, book, now }: VirtualNodesOptions, plan: DatabasePlan, tokens?: DatabasePlan) {
  const ddl = await book.ensure(config.sql, plan, "DDL", "ddl", now());
  const dml = await book.ensure(config.sql, plan, "DML", "dml", now());
  const users = { schema: plan.schema, ddl: ddl.details, dml: dml.details };
  if (tokens === undefined) return { users, ddlId: ddl.id, dmlId: dml.id };
  const { details } = await book.ensure(config.sql, tokens, "DML", "tokens", now());
  return { users: { ...users, limited: { ...details, rights: TOKEN_SELECTION_RIGHTS } }, ddlId: ddl.id, dmlId: dml.id };
}

/** The token-selection role marks tokens as claimed; it can make none and take none away. */
const TOKEN_SELECTION_RIGHTS = [
  "SELECT ON utxo_token, utxo_token_claim, utxo_ended_flow",
  "UPDATE (claim_id, claim_flow, claim_until) ON utxo_token",
  "INSERT, DELETE, UPDATE ON utxo_token_claim",
];
