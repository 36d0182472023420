// The embedded server on real processes: what survives, what is cleared away, and what is refused.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BowlineError } from "@bowline/base";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded-postgres.ts";
import { openDatabase } from "./postgres.ts";
import { removePlace } from "./postgres-place.ts";
import { clearPredecessor } from "./postgres-predecessor.ts";
import { processesIn, signal } from "./processes.ts";

const LAUNCHER = `
  import { startEmbeddedPostgres } from ${JSON.stringify(new URL("./embedded-postgres.ts", import.meta.url).href)};
  const server = await startEmbeddedPostgres({ home: process.argv[1] });
  console.log(server.pid);
  setInterval(() => undefined, 1000);`;

async function makeHome(t: TestContext, name = "bowline-home-"): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), name));
  t.after(async () => {
    await clearPredecessor(await dataOf(home));
    await removePlace(home);
    await rm(home, { recursive: true, force: true });
  });
  return home;
}

const dataOf = async (home: string): Promise<string> => realpath(join(home, "postgres", "data")).catch(() => join(home, "no-data"));

async function start(t: TestContext, home: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ home });
  t.after(() => server.stop());
  return server;
}

async function query<Row>(server: EmbeddedPostgres, text: string): Promise<Row[]> {
  const database = openDatabase({ ...server.connection, schema: "public", connectionsMax: 1 });
  try {
    return await database.sql.query<Row>(text);
  } finally {
    await database.close();
  }
}

const refusedWith = (code: string) => (error: unknown) => {
  assert.ok(error instanceof BowlineError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, /^[^\n]+\.$/, "one clear sentence or two, on one line");
  return true;
};

async function gone(data: string): Promise<void> {
  for (let waited = 0; (await processesIn(data)).length > 0; waited += 50) {
    assert.ok(waited < 20_000, "the server ends");
    await sleep(50);
  }
}

test("a server keeps its data over a stop, with fsync on and no port open", async (t) => {
  const home = await makeHome(t);
  const first = await start(t, home);
  await query(first, "CREATE TABLE kept AS SELECT 7 AS value");
  const settings = await query(first, "SELECT current_setting('fsync') AS fsync, current_setting('listen_addresses') AS addresses");
  assert.deepEqual(settings, [{ fsync: "on", addresses: "" }]);
  await first.stop();
  assert.deepEqual(await processesIn(await dataOf(home)), []);
  assert.equal((await stat(join(home, "secrets", "postgres-password"))).mode & 0o777, 0o600);
  const second = await start(t, home);
  assert.deepEqual(await query(second, "SELECT value FROM kept"), [{ value: 7 }]);
});

test("a home is served by one process at a time", async (t) => {
  const home = await makeHome(t);
  await start(t, home);
  await assert.rejects(startEmbeddedPostgres({ home }), refusedWith("folder.inUse"));
});

test("the server ends when its Bowline is killed, and the next one starts", async (t) => {
  const home = await makeHome(t);
  const bowline = spawn(process.execPath, ["--input-type=module", "-e", LAUNCHER, home], { stdio: ["ignore", "pipe", "inherit"] });
  await once(bowline.stdout, "data");
  const data = await dataOf(home);
  assert.notEqual((await processesIn(data)).length, 0);
  bowline.kill("SIGKILL");
  await gone(data);
  await start(t, home);
});

/** A server in `home` that outlived its Bowline and the watcher; its process id. */
async function orphan(home: string): Promise<number> {
  const bowline = spawn(process.execPath, ["--input-type=module", "-e", LAUNCHER, home], { stdio: ["ignore", "pipe", "inherit"] });
  const [line]: Buffer[] = await once(bowline.stdout, "data");
  const server = Number(String(line));
  const watcher = (await childrenOf(bowline.pid as number)).find((pid) => pid !== server);
  assert.ok(watcher !== undefined);
  signal(watcher, "SIGKILL");
  bowline.kill("SIGKILL");
  await once(bowline, "exit");
  assert.ok((await processesIn(await dataOf(home))).includes(server), "the server is an orphan now");
  return server;
}

test("a server that outlived its Bowline and the watcher is replaced at once", async (t) => {
  const home = await makeHome(t);
  const orphaned = await orphan(home);
  const server = await start(t, home);
  assert.notEqual(server.pid, orphaned);
});

test("a home is removed with the server that outlived its Bowline", async (t) => {
  const home = join(await makeHome(t), "home");
  await mkdir(home);
  await orphan(home);
  const data = await dataOf(home);
  const entry = fileURLToPath(new URL("../remove-home.ts", import.meta.url));
  const removal = spawn(process.execPath, [entry, "--home", home], { stdio: ["ignore", "pipe", "inherit"] });
  assert.deepEqual(JSON.parse(String((await once(removal.stdout, "data"))[0])), { event: "removed" });
  assert.deepEqual(await processesIn(data), []);
  await assert.rejects(stat(home), { code: "ENOENT" });
});

test("a killed server with clients is started again right away", async (t) => {
  const home = await makeHome(t);
  const first = await start(t, home);
  const database = openDatabase({ ...first.connection, schema: "public", connectionsMax: 4 });
  await database.sql.query("CREATE TABLE counted (n int)");
  const writers = Array.from({ length: 4 }, () => writeUntilLost(database));
  await sleep(200);
  signal(first.pid, "SIGKILL");
  const acknowledged = (await Promise.all(writers)).reduce((total, count) => total + count, 0);
  await database.close();
  await first.stop();
  const second = await start(t, home);
  const [row] = await query<{ count: number }>(second, "SELECT count(*) AS count FROM counted");
  assert.ok(row !== undefined && row.count >= acknowledged, `${row?.count} rows of ${acknowledged} that were acknowledged`);
  assert.ok(acknowledged > 0);
});

async function writeUntilLost(database: ReturnType<typeof openDatabase>): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      await database.sql.query("INSERT INTO counted VALUES (1)");
    } catch (error) {
      assert.ok(error instanceof BowlineError && error.kind === "unavailable", String(error));
      return count;
    }
  }
}

test("a lock file that names a stranger is not in the way", async (t) => {
  const home = await makeHome(t);
  const first = await start(t, home);
  await first.stop();
  await writeFile(join(home, "postgres", "data", "postmaster.pid"), `${process.pid}\n`);
  await start(t, home);
});

test("a home with a long path has its socket elsewhere", async (t) => {
  const home = await makeHome(t, `bowline-${"long-".repeat(20)}`);
  const server = await start(t, home);
  assert.ok(Buffer.byteLength(server.connection.host) < 80);
  assert.deepEqual(await query(server, "SELECT 1 AS one"), [{ one: 1 }]);
});

test("below a folder that only root may enter, data lie elsewhere, and follow their home", {
  skip: process.getuid?.() !== 0 && "not root",
}, async (t) => {
  const closed = await mkdtemp(join(tmpdir(), "bowline-closed-"));
  t.after(() => rm(closed, { recursive: true, force: true }));
  const [home, copy, moved] = [join(closed, "home"), join(closed, "copy"), join(closed, "moved")];
  await mkdir(home);
  const server = await startEmbeddedPostgres({ home });
  await server.stop();
  const data = await dataOf(home);
  assert.ok(!data.startsWith(closed), data);
  await cp(home, copy, { recursive: true, verbatimSymlinks: true });
  await assert.rejects(startEmbeddedPostgres({ home: copy }), refusedWith("postgres.copiedHome"));
  await rename(home, moved);
  await (await startEmbeddedPostgres({ home: moved })).stop();
  assert.equal(await dataOf(moved), data);
  await removePlace(moved);
  await assert.rejects(stat(data), /ENOENT/);
});

test("data of another version, damaged data and a lost password are refused by name", async (t) => {
  const home = await makeHome(t);
  await (await start(t, home)).stop();
  const data = await dataOf(home);
  const change = async (path: string, text: string | undefined, code: string) => {
    const before = await readFile(path);
    await (text === undefined ? rm(path) : writeFile(path, text));
    await assert.rejects(startEmbeddedPostgres({ home }), refusedWith(code));
    await writeFile(path, before);
  };
  await change(join(data, "PG_VERSION"), "13\n", "postgres.dataVersion");
  await change(join(data, "PG_VERSION"), undefined, "postgres.dataDamaged");
  await change(join(data, "global", "pg_control"), "", "postgres.dataDamaged");
  await change(join(home, "secrets", "postgres-password"), undefined, "postgres.passwordMissing");
  await change(join(home, "secrets", "postgres-password"), "another\n", "postgres.passwordWrong");
  const [wal] = (await readdir(join(data, "pg_wal"))).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  await change(join(data, "pg_wal", wal ?? ""), "", "postgres.dataDamaged");
});

test("a temporary server leaves nothing behind", async () => {
  const home = await mkdtemp(join(tmpdir(), "bowline-home-"));
  const server = await startEmbeddedPostgres({ home, temporary: true });
  await server.stop();
  await assert.rejects(stat(home), /ENOENT/);
});

async function childrenOf(pid: number): Promise<number[]> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").map(Number);
}
