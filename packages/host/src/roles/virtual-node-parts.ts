// What the operations on virtual nodes have in common.

import { BowlineError, type Database, type Log, parseName } from "@bowline/base";
import type { DatabasePlan, StoredCpi } from "@bowline/cluster";
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

export async function usersOf({ config, book, now }: VirtualNodesOptions, plan: DatabasePlan) {
  const ddl = await book.ensure(config.sql, plan, "DDL", "ddl", now());
  const dml = await book.ensure(config.sql, plan, "DML", "dml", now());
  return { users: { schema: plan.schema, ddl: ddl.details, dml: dml.details }, ddlId: ddl.id, dmlId: dml.id };
}
