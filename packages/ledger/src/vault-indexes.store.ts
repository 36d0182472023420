// The indexes that CorDapps declare for their queries, on the states of one virtual node's vault.
//
// Guarantees: whatever is asked again is found done; states are recorded meanwhile, since no lock that would keep them out is taken; an
// index whose making was interrupted is made anew. Names are of what an index holds, so that queries which want the same share one.

import { type Database, type Sql, utf8 } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import type { StateQueryDescription } from "@bowline/sdk/queries";
import { indexedExpressions, statementOf } from "./vault-queries.store.ts";
import { joinsOf, type QueryDescriptions, queryNamed, samplePlan } from "./vault-queries.ts";

const STATES = "utxo_visible_transaction_output";
const PREFIX = "vault_query_";

interface VaultIndex {
  readonly name: string;
  readonly text: string;
}

function indexOf(query: StateQueryDescription): VaultIndex | undefined {
  if (query.index === null) return undefined;
  const text = `ON ${STATES} ${indexedExpressions(query)}`;
  const name = `${PREFIX}${secureHashOf(utf8(text))
    .slice("SHA-256:".length, "SHA-256:".length + 24)
    .toLowerCase()}`;
  return { name, text };
}

const wantedBy = (queries: readonly StateQueryDescription[]): ReadonlyMap<string, VaultIndex> =>
  new Map(queries.flatMap((query) => indexOf(query) ?? []).map((index) => [index.name, index]));

/** Makes those that are missing; outside of a transaction, as the owner of the vault's tables. */
export async function makeIndexes(sql: Sql, queries: readonly StateQueryDescription[]): Promise<void> {
  const wanted = wantedBy(queries);
  if (wanted.size === 0) return;
  const there = await indexesOf(sql);
  // In a new vault there is nothing to wait for, and nobody to keep waiting.
  const [vault] = await sql.query<{ empty: boolean }>(`SELECT NOT EXISTS (SELECT FROM ${STATES}) AS empty`);
  const how = vault?.empty === true ? "" : "CONCURRENTLY";
  for (const { name, text } of wanted.values()) {
    if (there.get(name) === "ready") continue;
    if (there.has(name)) await sql.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
    await sql.query(`CREATE INDEX ${how} IF NOT EXISTS ${name} ${text}`);
  }
  // What PostgreSQL knows of expressions it knows of their indexes.
  await sql.query(`ANALYZE ${STATES}`);
}

/** Takes away those that no query wants any more. */
export async function dropOtherIndexes(sql: Sql, queries: readonly StateQueryDescription[]): Promise<void> {
  const wanted = wantedBy(queries);
  for (const name of (await indexesOf(sql)).keys()) if (!wanted.has(name)) await sql.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
}

async function indexesOf(sql: Sql): Promise<ReadonlyMap<string, "ready" | "unfinished">> {
  const rows = await sql.query<{ name: string; ready: boolean }>(
    `SELECT c.relname::text AS name, i.indisvalid AND i.indisready AS ready FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = '${STATES}'::regclass AND starts_with(c.relname, '${PREFIX}') ORDER BY 1`,
  );
  return new Map(rows.map(({ name, ready }) => [name, ready ? "ready" : "unfinished"]));
}

export interface QueryExplanation {
  readonly query: string;
  /** Fields; null where the query declares no index. */
  readonly index: { readonly name: string; readonly fields: readonly string[]; readonly state: "ready" | "unfinished" | "missing" } | null;
  /** Whether the plan goes through the query's own index. */
  readonly usesIndex: boolean;
  /** As PostgreSQL words it. */
  readonly plan: readonly string[];
}

/**
 * How PostgreSQL would find a page, whatever the parameters. `large`: as where reading all states is out of the question; a small vault
 * is read whole, and rightly so. Throws `vault.queryUnknown`.
 */
export async function explainStates(
  database: Database,
  name: string,
  descriptions: QueryDescriptions,
  { entities, large }: { readonly entities: string; readonly large: boolean },
): Promise<QueryExplanation> {
  const query = queryNamed(descriptions, name);
  const { text, values } = statementOf(samplePlan(query, joinsOf(query, descriptions)), entities);
  const rows = await database.transaction(async (sql) => {
    await sql.query("SET LOCAL plan_cache_mode = force_generic_plan");
    if (large) await sql.query("SET LOCAL enable_seqscan = off");
    if (large) await sql.query("SET LOCAL enable_bitmapscan = off");
    await sql.query(`PREPARE vault_explained AS ${text}`);
    const given = values.length === 0 ? "" : `(${values.map(() => "NULL").join(", ")})`;
    const explained = await sql.query<{ "QUERY PLAN": string }>(`EXPLAIN EXECUTE vault_explained${given}`);
    await sql.query("DEALLOCATE vault_explained");
    return explained;
  });
  const plan = rows.map((row) => row["QUERY PLAN"]);
  const index = indexOf(query);
  if (index === undefined) return { query: name, index: null, usesIndex: false, plan };
  const state = (await indexesOf(database.sql)).get(index.name) ?? "missing";
  const usesIndex = plan.some((line) => line.includes(index.name));
  return { query: name, index: { name: index.name, fields: query.index ?? [], state }, usesIndex, plan };
}
