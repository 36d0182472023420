// The notary alone: single-input notarisations through its queue, checks, memory and signature, on one PostgreSQL with fsync on.
// `batched` is the queue as the uniqueness role has it; `single` has batches of one. `curve` is `batched` where the notary
// remembers so many states, and as many transactions, as the metric's name says: half of what is spent is of its oldest.
//
// It runs in a process of its own, with the flags that our workers have.

import { fork } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Database, secureHash } from "../packages/base/src/index.ts";
import { sha256, signSync } from "../packages/crypto/src/index.ts";
import { startEmbeddedPostgres } from "../packages/host/src/adapters/embedded-postgres.ts";
import { migrate, readMigrations } from "../packages/host/src/adapters/migrate.ts";
import { openDatabase } from "../packages/host/src/adapters/postgres.ts";
import { type BatchLimits, createNotaryQueue } from "../packages/host/src/roles/notary-queue.ts";
import { filterForNotary } from "../packages/ledger/src/filter.ts";
import { stateRef } from "../packages/ledger/src/leaves.ts";
import { notarise } from "../packages/ledger/src/notary.store.ts";
import type { NotariseRequest, NotaryAnswer } from "../packages/ledger/src/ports.ts";
import { NOW, PLATFORM_VERSION, type Sample, sample } from "../packages/ledger/src/sample.memory.ts";
import { UNIQUENESS_SETTINGS, uniquenessStore } from "../packages/ledger/src/uniqueness.store.ts";
import { RUNTIME_FLAGS } from "./child.ts";
import { type Result, round } from "./result.ts";

const BATCHED: BatchLimits = { batchMax: 256, flightsMax: 2, waitingMax: 100_000 };
const SINGLE: BatchLimits = { batchMax: 1, flightsMax: 8, waitingMax: 100_000 };
const IN_FLIGHT = { batched: 2_048, single: 8 } as const;
const FULL = { batched: 40_000, single: 6_000, curve: 10_000, sizes: [100_000, 1_000_000, 10_000_000] } as const;
const QUICK = { batched: 10_000, single: 2_000, curve: 4_000, sizes: [100_000, 1_000_000] } as const;
const WARM_UP = 2_000;
const FAR = 4_000_000_000_000;
const MIGRATIONS = new URL("../packages/ledger/sql/uniqueness", import.meta.url);
const SCHEMA = "notary";

interface Ground {
  readonly database: Database;
  readonly network: Sample;
  /** Makes the notary remember so many states in all. */
  remember(states: number): Promise<void>;
  /** Requests that each spend one state that no other spends. */
  spends(count: number): readonly NotariseRequest[];
}

export async function benchNotary({ quick, say }: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Result[]> {
  const child = fork(fileURLToPath(import.meta.url), quick ? ["--quick"] : [], { execArgv: [...RUNTIME_FLAGS] });
  return new Promise((resolve, reject) => {
    child.on("message", (message: Message) => ("said" in message ? say(message.said) : resolve(message.results)));
    child.once("exit", (code) => reject(new Error(`the notary's process has ended: exit code ${code}`)));
  });
}

type Message = { readonly said: string } | { readonly results: Result[] };

async function measureNotary(quick: boolean, say: (text: string) => void): Promise<Result[]> {
  const amounts = quick ? QUICK : FULL;
  const results: Result[] = [];
  await onGround(async (ground) => {
    const [smallest, ...larger] = amounts.sizes;
    say(`Remembering ${smallest} states …`);
    await ground.remember(smallest);
    await run(ground, BATCHED, IN_FLIGHT.batched, WARM_UP);
    say(`Notarising, in batches: ${amounts.batched} …`);
    results.push({ metric: "notary.batched", ...(await run(ground, BATCHED, IN_FLIGHT.batched, amounts.batched)) });
    say(`Notarising, one by one: ${amounts.single} …`);
    results.push({ metric: "notary.single", ...(await run(ground, SINGLE, IN_FLIGHT.single, amounts.single)) });
    for (const size of [smallest, ...larger]) {
      say(`Notarising where ${size} states are remembered …`);
      await ground.remember(size);
      results.push({ metric: `notary.curve.${size}`, ...(await run(ground, BATCHED, IN_FLIGHT.batched, amounts.curve)) });
    }
  });
  return results;
}

async function run(ground: Ground, limits: BatchLimits, inFlight: number, count: number): Promise<Omit<Result, "metric">> {
  const requests = ground.spends(count);
  const { self, notaryKeys } = ground.network;
  const store = uniquenessStore(ground.database);
  const queue = createNotaryQueue<NotariseRequest, NotaryAnswer>(limits, Date.now, (batch) =>
    notarise(batch, self, {
      store,
      metadata: { timestamp: NOW, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION },
      sign: async (preimage) => signSync(notaryKeys.privateKey, preimage),
    }),
  );
  const times: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      const asked = performance.now();
      const answer = await queue.ask(request);
      if (answer?.kind !== "accepted") throw new Error(`a notarisation was ${answer?.kind}: ${answer?.message}`);
      times.push(performance.now() - asked);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, client));
  const seconds = (performance.now() - started) / 1_000;
  times.sort((a, b) => a - b);
  const quantile = (share: number) => round(times[Math.floor(times.length * share)] ?? Number.NaN);
  return { value: round(count / seconds), unit: "1/s", p50_ms: quantile(0.5), p99_ms: quantile(0.99) };
}

/** What the states' transactions are called: the SHA-256 of a number, here as there. */
const idOf = (index: number) => {
  const number = Buffer.alloc(8);
  number.writeBigInt64BE(BigInt(index));
  return secureHash(sha256(number));
};

async function onGround(work: (ground: Ground) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "bowline-bench-"));
  await chmod(home, 0o755);
  const server = await startEmbeddedPostgres({ home });
  const database = openDatabase({ ...server.connection, schema: SCHEMA, connectionsMax: SINGLE.flightsMax, settings: UNIQUENESS_SETTINGS });
  try {
    await database.sql.query(`CREATE SCHEMA ${SCHEMA}`);
    await migrate(database, SCHEMA, await readMigrations([MIGRATIONS.pathname]));
    const network = await sample();
    const { alice, bob } = network.parties;
    let remembered = 0;
    const spent = new Set<number>();
    const fresh = (step: number): number => {
      // Half from the oldest states, half from all: neither is what PostgreSQL has just had in its hands.
      const among = step % 2 === 0 ? Math.min(remembered, 50_000) : remembered;
      for (let index = Math.floor(Math.random() * among); ; index = Math.floor(Math.random() * remembered)) {
        if (spent.has(index)) continue;
        spent.add(index);
        return index;
      }
    };
    await work({
      database,
      network,
      async remember(states) {
        if (states > remembered) await load(database, remembered, states);
        remembered = Math.max(states, remembered);
      },
      spends: (count) =>
        Array.from({ length: count }, (_, step) => {
          const outputs = [{ owner: bob, amount: 1 }];
          const inputs = [stateRef(idOf(fresh(step)), 0)];
          return {
            originator: alice.name,
            filtered: filterForNotary(network.build(network.propose({ inputs, outputs, signedBy: [alice], until: FAR }))),
            mode: "write",
          };
        }),
    });
  } finally {
    await database.close();
    await server.stop();
    await rm(home, { recursive: true, force: true });
  }
}

/** Without keys while it grows: a key is made faster than it is kept. */
async function load({ sql }: Database, from: number, to: number): Promise<void> {
  const tables = {
    uniqueness_state_details: "issue_tx_id_algo, issue_tx_id, issue_tx_output_idx",
    uniqueness_tx_details: "tx_id_algo, tx_id",
  };
  await sql.query("ALTER TABLE uniqueness_rejected_txs DROP CONSTRAINT IF EXISTS uniqueness_rejected_txs_tx_id_algo_tx_id_fkey");
  for (const table of Object.keys(tables)) await sql.query(`ALTER TABLE ${table} DROP CONSTRAINT ${table}_pkey`);
  await sql.query(`INSERT INTO uniqueness_state_details (issue_tx_id_algo, issue_tx_id, issue_tx_output_idx)
    SELECT 'SHA-256', sha256(int8send(i)), 0 FROM generate_series(${from}::bigint, ${to - 1}) AS i`);
  await sql.query(`INSERT INTO uniqueness_tx_details (tx_id_algo, tx_id, originator_x500_name, expiry_datetime, commit_timestamp, result)
    SELECT 'SHA-256', sha256(int8send(i)), 'O=Alice, L=London, C=GB', now(), now(), 'A' FROM generate_series(${from}::bigint, ${to - 1}) AS i`);
  for (const [table, key] of Object.entries(tables))
    await sql.query(`ALTER TABLE ${table} ADD CONSTRAINT ${table}_pkey PRIMARY KEY (${key})`);
  await sql.query("VACUUM ANALYZE");
  await sql.query("CHECKPOINT");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tell = (message: Message) => process.send?.(message);
  tell({ results: await measureNotary(process.argv.includes("--quick"), (said) => tell({ said })) });
  process.disconnect?.();
}
