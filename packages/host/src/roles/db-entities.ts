// The tables of a virtual node's CorDapps: a schema of their own, made by what the packages of its CPI bring.
//
// Three users: one who makes the tables and owns nothing else, so that a migration could reach nothing else even if the rules
// that it passed had a hole; the vault's, who changes rows in step commits; and one who only reads. Everything may be
// repeated: of a CPI that brings more migrations than the last, only those that are missing run.

import { type Database, type SecureHash, type ShortHash, utf8 } from "@bowline/base";
import { loadCpiMigrations, type StoredCpi, virtualNodeDatabase } from "@bowline/cluster";
import { secureHashOf } from "@bowline/crypto";
import { dropOtherIndexes, makeIndexes } from "@bowline/ledger/queries";
import type { ConnectionDetails } from "../services.ts";
import { provisionSchema } from "./provision.ts";
import type { VirtualNodesOptions } from "./virtual-node-parts.ts";

/** Throws `migration.failed` where the database refuses one, as for rows that break a new constraint, and `migration.changed`. */
export async function provisionEntities(
  { config, book, open, random, now }: Pick<VirtualNodesOptions, "config" | "book" | "open" | "random" | "now">,
  request: { readonly creator: Database; readonly vnode: ShortHash; readonly cpi: SecureHash; readonly writer: string },
): Promise<void> {
  const { creator, vnode, cpi, writer } = request;
  const migrations = (await loadCpiMigrations(config.sql, cpi)).map((each) => ({ ...each, checksum: secureHashOf(utf8(each.text)) }));
  if (migrations.length === 0) return;
  const plan = virtualNodeDatabase("entities", vnode);
  const ddl = await book.ensure(config.sql, plan, "DDL", "ddl", now());
  const read = await book.ensure(config.sql, plan, "DML", "read", now());
  const users = { schema: plan.schema, ddl: ddl.details, read: read.details, writer };
  await provisionSchema({ creator, users, migrations, open, random });
}

/** The indexes that the queries of a CPI declare, on the vault of one virtual node: made without keeping states out meanwhile. */
export async function provisionIndexes(
  { open }: Pick<VirtualNodesOptions, "open">,
  owner: ConnectionDetails,
  { cpks }: Pick<StoredCpi, "cpks">,
  others: "kept" | "dropped" = "kept",
): Promise<void> {
  const queries = cpks.flatMap(({ manifest }) => manifest.queries ?? []);
  const database = open(owner);
  try {
    await makeIndexes(database.sql, queries);
    if (others === "dropped") await dropOtherIndexes(database.sql, queries);
  } finally {
    await database.close();
  }
}
