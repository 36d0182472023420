// What the machine could do at best, measured in the same run as what we make of it: durable commits of the same PostgreSQL,
// signatures and verifications of one core.

import { generateKeyPairSync, sign, verify } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../packages/host/src/adapters/embedded-postgres.ts";
import { openDatabase } from "../packages/host/src/adapters/postgres.ts";
import { measure } from "./measure.ts";

export interface Ceilings {
  /** Single-row inserts, each its own durable transaction, over eight connections. */
  readonly commitsPerSecond: number;
  /** ECDSA P-256 over 200 bytes, one thread. */
  readonly signaturesPerSecond: number;
  readonly verificationsPerSecond: number;
}

const CONNECTIONS = 8;

export async function measureCeilings(durationMs: number): Promise<Ceilings> {
  const home = await mkdtemp(join(tmpdir(), "bowline-bench-"));
  await chmod(home, 0o755);
  const server = await startEmbeddedPostgres({ home });
  const database = openDatabase({ ...server.connection, schema: "public", connectionsMax: CONNECTIONS });
  try {
    await database.sql.query("CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea NOT NULL)");
    const payload = Buffer.alloc(200, 7);
    const insert = { name: "insert", text: "INSERT INTO entry (payload) VALUES ($1)" };
    const commits = await measure({ durationMs, inFlight: CONNECTIONS }, async () => {
      await database.sql.query(insert, [payload]);
    });
    return { commitsPerSecond: commits.perSecond, ...oneCore(durationMs) };
  } finally {
    await database.close();
    await server.stop();
    await rm(home, { recursive: true, force: true });
  }
}

function oneCore(durationMs: number): Omit<Ceilings, "commitsPerSecond"> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const message = Buffer.alloc(200, 7);
  const signature = sign("sha256", message, privateKey);
  return {
    signaturesPerSecond: perSecond(durationMs, () => sign("sha256", message, privateKey)),
    verificationsPerSecond: perSecond(durationMs, () => verify("sha256", message, publicKey, signature)),
  };
}

function perSecond(durationMs: number, work: () => unknown): number {
  const until = performance.now() + durationMs;
  const started = performance.now();
  let count = 0;
  for (; performance.now() < until; count++) work();
  return (count * 1_000) / (performance.now() - started);
}
