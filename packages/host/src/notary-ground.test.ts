import assert from "node:assert/strict";
import { appendFile, chmod, chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseName } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import { confirmHistory, UNIQUENESS_SETTINGS, type UniquenessStore, uniquenessStore } from "@bowline/ledger/notary";
import { startEmbeddedPostgres } from "./adapters/embedded-postgres.ts";
import { migrate, readMigrations } from "./adapters/migrate.ts";
import { openDatabase } from "./adapters/postgres.ts";
import { testDatabase } from "./adapters/test-postgres.ts";

const MIGRATIONS = new URL("../../ledger/sql/uniqueness", import.meta.url);
const NEVER = new Uint8Array(32).fill(7);

async function issue(store: UniquenessStore, name: string): Promise<string | undefined> {
  const originator = parseName("O=Alice, L=London, C=GB");
  const transactionId = secureHashOf(Buffer.from(name));
  const spend = { transactionId, originator, inputs: [], references: [], outputCount: 1, until: 4e12, mode: "write" as const };
  return (await store.notarise([spend], async () => ({ record: new Uint8Array([7]) }))).verdicts[0]?.kind;
}

const endOf = async (store: UniquenessStore) => {
  const { entries } = await store.log(0, 1_000);
  return entries.at(-1) ?? assert.fail("the log is empty");
};

test("a notary whose server is on another timeline decides on nothing until the end of its log is confirmed", async (t) => {
  const database = await testDatabase(t, [MIGRATIONS], UNIQUENESS_SETTINGS);
  const [store, other] = [uniquenessStore(database), uniquenessStore(database)];
  assert.equal(await issue(store, "a"), "accepted");
  // As it looks to a server that was promoted since.
  await database.sql.query("UPDATE uniqueness_ground SET timeline = '00000000'");
  for (const one of [store, other, uniquenessStore(database)])
    await assert.rejects(issue(one, "b"), {
      code: "notary.historyLost",
      message: /is on timeline 0000000\d, and the log was written on 00000000/,
    });
  await assert.rejects(confirmHistory(database, { seq: 1, head: NEVER }), { code: "notary.historyOther", message: /ends with 1:/ });
  await assert.rejects(issue(store, "b"), { code: "notary.historyLost" });
  assert.equal((await store.log(0, 10)).last, 1, "it can be read all the same");
  await confirmHistory(database, await endOf(store));
  for (const [i, one] of [store, other].entries()) assert.equal(await issue(one, `after ${i}`), "accepted");
});

test("a worker that has committed what is not there any more decides on nothing, until that is confirmed", async (t) => {
  const database = await testDatabase(t, [MIGRATIONS], UNIQUENESS_SETTINGS);
  const [store, idle] = [uniquenessStore(database), uniquenessStore(database)];
  assert.equal(await issue(idle, "z"), "accepted");
  for (const name of ["a", "b", "c"]) assert.equal(await issue(store, name), "accepted");
  // As after the restore of a disk's snapshot, under workers that live on.
  const forget = (after: number) =>
    database.transaction(async (sql) => {
      await sql.query("DELETE FROM uniqueness_log WHERE seq > $1", [after]);
      await sql.query("UPDATE uniqueness_log_head SET (seq, head) = (SELECT seq, head FROM uniqueness_log WHERE seq = $1)", [after]);
    });
  await forget(2);
  await assert.rejects(issue(store, "d"), { code: "notary.historyLost", message: /entry 4, .* is no longer there/ });
  assert.equal(await issue(idle, "e"), "accepted", "who has seen nothing of it cannot know");
  assert.equal(await issue(idle, "f"), "accepted");
  await assert.rejects(issue(store, "g"), { code: "notary.historyLost" }, "another entry has its number now");
  await confirmHistory(database, await endOf(store));
  assert.equal(await issue(store, "h"), "accepted");
  await forget(2);
  await assert.rejects(issue(store, "i"), { code: "notary.historyLost" }, "and from there on it remembers again");
});

test("a real server that ends a recovery is on another timeline, and its notary stops", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "bowline-timeline-"));
  await chmod(home, 0o755); // PostgreSQL's own user passes through, so that the data stays in here.
  let server = await startEmbeddedPostgres({ home });
  let database = openDatabase({ ...server.connection, schema: "notary", connectionsMax: 2, settings: UNIQUENESS_SETTINGS });
  t.after(async () => {
    await database.close();
    await server.stop();
    await rm(home, { recursive: true, force: true });
  });
  await database.sql.query("CREATE SCHEMA notary");
  await migrate(database, "notary", await readMigrations([fileURLToPath(MIGRATIONS)]));
  assert.equal(await issue(uniquenessStore(database), "a"), "accepted");
  const [place] = await database.sql.query<{ data_directory: string }>("SHOW data_directory");
  const data = place?.data_directory ?? "";
  await database.close();
  await server.stop();
  // From its own log, as a standby or a restored backup does from another's.
  const { uid, gid } = await stat(data);
  await writeFile(join(data, "recovery.signal"), "");
  await chown(join(data, "recovery.signal"), uid, gid);
  await appendFile(join(data, "postgresql.auto.conf"), "restore_command = 'false'\n");
  server = await startEmbeddedPostgres({ home });
  database = openDatabase({ ...server.connection, schema: "notary", connectionsMax: 2, settings: UNIQUENESS_SETTINGS });
  const store = uniquenessStore(database);
  const inRecovery = async () => (await database.sql.query<{ yes: boolean }>("SELECT pg_is_in_recovery() AS yes"))[0]?.yes;
  while (await inRecovery()) await assert.rejects(issue(store, "b"));
  await assert.rejects(issue(store, "b"), { code: "notary.historyLost", message: /is on timeline 00000002, .* written on 00000001/ });
  await confirmHistory(database, await endOf(store));
  assert.equal(await issue(store, "b"), "accepted");
});
