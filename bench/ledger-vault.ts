// A vault of a million states, each of them a token: pages of a query from anywhere in it, and claims by many flows at once, on
// one PostgreSQL. `vault.page_ms` is a page of 100 states after a random one, a tenth of which the query's filter lets through;
// `vault.query_ms` a page of a named query: what one of a thousand owners has, in the order of another field, anywhere in it, through
// the index that the query declares, which is made while the vault is full (`vault.index_s`);
// `tokens.claim` claims two tokens for each flow, in batches as the token-selection role has them.

import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Type from "typebox";
import type { Database } from "../packages/base/src/index.ts";
import { startEmbeddedPostgres } from "../packages/host/src/adapters/embedded-postgres.ts";
import { migrate, readMigrations } from "../packages/host/src/adapters/migrate.ts";
import { openDatabase } from "../packages/host/src/adapters/postgres.ts";
import { createBatches } from "../packages/host/src/roles/batches.ts";
import { MAC_KEY, Note, type Sample, sample } from "../packages/ledger/src/sample.memory.ts";
import { tokenStore } from "../packages/ledger/src/tokens.store.ts";
import { type ClaimOutcome, type ClaimRequest, claimRequest } from "../packages/ledger/src/tokens.ts";
import { resolvedOutput } from "../packages/ledger/src/transaction.ts";
import { vaultStore } from "../packages/ledger/src/vault.store.ts";
import { makeIndexes } from "../packages/ledger/src/vault-indexes.store.ts";
import { readStates } from "../packages/ledger/src/vault-queries.store.ts";
import { stateQueryPlan } from "../packages/ledger/src/vault-queries.ts";
import { cordapp } from "../packages/sdk/src/index.ts";
import { stateQuery } from "../packages/sdk/src/queries.ts";
import { type Result, round } from "./result.ts";

const FULL = { states: 1_000_000, pages: 500, claims: 5_000 } as const;
const QUICK = { states: 100_000, pages: 200, claims: 2_000 } as const;
const IN_FLIGHT = 64;
const PAGE = 100;
const OWNERS = 1_000;
/** Of a hundred thousand states an owner has one page of 100, of a million ten. */
const PAGES_OF_OWNER = { quick: 1, full: 10 } as const;
const MIGRATIONS = ["flow", "ledger"].map((name) => new URL(`../packages/${name}/sql/vault`, import.meta.url).pathname);
const SCHEMA = "vault";

export async function benchVault({ quick, say }: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Result[]> {
  const { states, pages, claims } = quick ? QUICK : FULL;
  const home = await mkdtemp(join(tmpdir(), "bowline-bench-"));
  await chmod(home, 0o755);
  const server = await startEmbeddedPostgres({ home });
  const database = openDatabase({ ...server.connection, schema: SCHEMA, connectionsMax: 2 });
  try {
    await database.sql.query(`CREATE SCHEMA ${SCHEMA}`);
    await migrate(database, SCHEMA, await readMigrations(MIGRATIONS));
    const network = await sample();
    say(`Filling a vault with ${states} states …`);
    await fill(database, network, states);
    say(`Reading ${pages} pages …`);
    const page = await readPages(database, states, pages);
    say("Making the index of a named query …");
    const queried = await askQuery(database, pages, PAGES_OF_OWNER[quick ? "quick" : "full"]);
    say(`Claiming ${claims} times …`);
    return [page, ...queried, await claimTokens(database, network, claims)];
  } finally {
    await database.close();
    await server.stop();
    await rm(home, { recursive: true, force: true });
  }
}

async function readPages(database: Database, states: number, count: number): Promise<Result> {
  const vault = vaultStore({ macKey: MAC_KEY });
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const after = String(Math.floor(Math.random() * states * 0.99));
    const asked = performance.now();
    const found = await vault.readVault(database.sql, {
      kind: "find",
      query: { state: Note.name, where: { "nested.amount": i % 10 }, limit: PAGE, after },
    });
    times.push(performance.now() - asked);
    if ((found as { readonly states: readonly unknown[] }).states.length !== PAGE) throw new Error("a page is not full");
  }
  const { p50_ms, p99_ms } = quantiles(times);
  return { metric: "vault.page_ms", value: p50_ms, unit: "ms", p50_ms, p99_ms };
}

const Owned = stateQuery({
  name: "bench.Owned",
  of: Note,
  fields: Type.Object({ owner: Type.String(), due: Type.Integer() }),
  where: [{ property: "owner", operator: "=" }],
  orderBy: ["due"],
  index: ["owner", "due"],
});

async function askQuery({ sql }: Database, count: number, pagesOfOwner: number): Promise<Result[]> {
  const { queries = [] } = cordapp({ flows: [], states: [Note], contracts: [], queries: [Owned] }).manifest;
  const making = performance.now();
  await makeIndexes(sql, queries);
  const made: Result = { metric: "vault.index_s", value: round((performance.now() - making) / 1_000), unit: "s" };
  const times: number[] = [];
  let after: string | null = null;
  for (let i = 0; i < count; i++) {
    const parameters = { owner: `owner ${Math.floor(i / pagesOfOwner) % OWNERS}` };
    const place: { readonly after?: string } = after === null || i % pagesOfOwner === 0 ? {} : { after };
    const asked = performance.now();
    const page = await readStates(sql, stateQueryPlan({ query: Owned.name, parameters, limit: PAGE, ...place }, { queries }), SCHEMA);
    times.push(performance.now() - asked);
    const { states, next } = page as { readonly states: readonly unknown[]; readonly next: string | null };
    if (states.length !== PAGE) throw new Error("a page of a query is not full");
    after = next;
  }
  const { p50_ms, p99_ms } = quantiles(times);
  return [made, { metric: "vault.query_ms", value: p50_ms, unit: "ms", p50_ms, p99_ms }];
}

async function claimTokens(database: Database, network: Sample, count: number): Promise<Result> {
  const store = tokenStore(database, randomBytes);
  const ask = createBatches<string, ClaimRequest, ClaimOutcome>(IN_FLIGHT, (_, requests) => store.claim(requests));
  const pool = { tokenType: Note.name, issuer: "the mint", symbol: "NOTE", notary: network.notary.name };
  const times: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    for (let flow = next++; flow < count; flow = next++) {
      const asked = performance.now();
      const outcome = await ask("vault", claimRequest(`flow ${flow}`, "1", { ...pool, amount: "2" }));
      if (outcome.kind !== "claimed" || outcome.tokens.length !== 2) throw new Error(`a claim was ${outcome.kind}`);
      times.push(performance.now() - asked);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  const seconds = (performance.now() - started) / 1_000;
  return { metric: "tokens.claim", value: round(count / seconds), unit: "1/s", ...quantiles(times) };
}

function quantiles(times: number[]): { readonly p50_ms: number; readonly p99_ms: number } {
  times.sort((a, b) => a - b);
  const quantile = (share: number) => round(times[Math.floor(times.length * share)] ?? Number.NaN);
  return { p50_ms: quantile(0.5), p99_ms: quantile(0.99) };
}

/** One note's bytes under a million ids. Of transactions a page needs none. */
async function fill({ sql }: Database, network: Sample, states: number): Promise<void> {
  const { alice } = network.parties;
  const issued = network.build(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }));
  const note = resolvedOutput(issued, 0);
  if (note === undefined) throw new Error("an issue has an output");
  const id = "'SHA-256:' || upper(encode(sha256(int8send(i)), 'hex'))";
  const series = `generate_series(0::bigint, ${states - 1}) AS i`;
  await sql.query("ALTER TABLE utxo_visible_transaction_output DROP CONSTRAINT utxo_visible_transaction_output_transaction_id_fkey");
  const restore = await withoutIndexes(sql, ["utxo_visible_transaction_output", "utxo_token"]);
  await sql.query(
    `INSERT INTO utxo_visible_transaction_output (transaction_id, group_idx, leaf_idx, type, info, data, position, custom_representation)
     SELECT ${id}, 8, 0, $1, $2, $3, i + 1, jsonb_build_object('nested', jsonb_build_object('amount', i % 10), 'text', '',
       'owner', 'owner ' || i % ${OWNERS}, 'due', i * 7919 % 1000003) FROM ${series}`,
    [Note.name, note.info, note.data],
  );
  await sql.query(
    `INSERT INTO utxo_token (transaction_id, leaf_idx, token_type, issuer, symbol, notary, amount, owner)
     SELECT ${id}, 0, $1, 'the mint', 'NOTE', $2, 1, $3 FROM ${series}`,
    [Note.name, network.notary.name, alice.keys.publicKey],
  );
  await restore();
  await sql.query("VACUUM ANALYZE");
  await sql.query("CHECKPOINT");
}

/** While tables grow: an index is made faster than it is kept. */
async function withoutIndexes(sql: Database["sql"], tables: readonly string[]): Promise<() => Promise<void>> {
  const indexes = await sql.query<{ name: string; table: string; text: string }>(
    "SELECT indexname AS name, tablename AS table, indexdef AS text FROM pg_indexes WHERE schemaname = $1 AND tablename = ANY ($2::text[])",
    [SCHEMA, tables],
  );
  for (const { name, table } of indexes) {
    await sql.query(name.endsWith("_pkey") ? `ALTER TABLE ${table} DROP CONSTRAINT ${name}` : `DROP INDEX ${name}`);
  }
  return async () => {
    for (const { text } of indexes) await sql.query(text);
  };
}
