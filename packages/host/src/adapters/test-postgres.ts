// A PostgreSQL for tests: one server per test run, one schema per test.
//
// `npm test` starts the server and hands it down in an environment variable; a test file that is run alone starts one for
// itself. Either way it lies in the system's temporary folder and goes with the process that started it.

import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "@bowline/base";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded-postgres.ts";
import { openDatabase } from "./postgres.ts";

/** Holds `EmbeddedPostgres["connection"]` as JSON. */
export const TEST_POSTGRES_VARIABLE = "BOWLINE_TEST_POSTGRES";

const CONNECTIONS_MAX = 8;

/** What `node:test` hands to a test, as far as it is needed. */
interface TestScope {
  after(work: () => Promise<void>): void;
}

export async function startTestPostgres(): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ home: await mkdtemp(join(tmpdir(), "bowline-test-")), temporary: true });
}

let server: Promise<EmbeddedPostgres["connection"]> | undefined;

/** The run's server. One that was started here ends with this process. */
export function testServer(): Promise<EmbeddedPostgres["connection"]> {
  server ??= handedDown() ?? startTestPostgres().then(({ connection }) => connection);
  return server;
}

function handedDown(): Promise<EmbeddedPostgres["connection"]> | undefined {
  const text = process.env[TEST_POSTGRES_VARIABLE];
  return text === undefined ? undefined : Promise.resolve(JSON.parse(text));
}

/** A fresh schema with the migrations of these folders applied, in the order of their names. It goes when the test ends. */
export async function testDatabase(
  test: TestScope,
  migrationFolders: readonly (string | URL)[] = [],
  settings: Readonly<Record<string, string>> = {},
): Promise<Database> {
  const connection = await testServer();
  const schema = `test_${randomBytes(6).toString("hex")}`;
  const database = openDatabase({ ...connection, schema, connectionsMax: CONNECTIONS_MAX, settings });
  await database.sql.query(`CREATE SCHEMA ${schema}`);
  test.after(async () => {
    await database.sql.query(`DROP SCHEMA ${schema} CASCADE`);
    await database.close();
  });
  for (const folder of migrationFolders) {
    for (const migration of await readMigrations(folder)) await database.sql.query(migration);
  }
  return database;
}

async function readMigrations(folder: string | URL): Promise<string[]> {
  const path = folder instanceof URL ? folder.pathname : folder;
  const names = (await readdir(path)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(names.map((name) => readFile(join(path, name), "utf8")));
}
