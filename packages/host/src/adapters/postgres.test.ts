import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError } from "@bowline/base";
import { openDatabase } from "./postgres.ts";
import { checkServerVersion, refuseOldServer } from "./server-version.ts";
import { testDatabase, testServer } from "./test-postgres.ts";

const INSERT = { name: "insert-t", text: "INSERT INTO t VALUES ($1)" };

test("values arrive as the platform's own types", async (t) => {
  const { sql } = await testDatabase(t);
  const bytes = new Uint8Array([0, 1, 255]);
  const [row] = await sql.query(
    "SELECT $1::bytea AS bytes, $2::bytea[] AS many, 5::int8 AS small, 9007199254740993::int8 AS large, ARRAY[1, 2]::int8[] AS list, NULL::bytea AS none, $3::jsonb AS json",
    [bytes, [bytes, new Uint8Array()], { a: [1] }],
  );
  assert.deepEqual(row, {
    bytes,
    many: [bytes, new Uint8Array()],
    small: 5,
    large: 9007199254740993n,
    list: [1, 2],
    none: null,
    json: { a: [1] },
  });
});

test("table names need no schema, and no other schema is looked at", async (t) => {
  const one = await testDatabase(t);
  const other = await testDatabase(t);
  await one.sql.query("CREATE TABLE t (n int)");
  await one.sql.query(INSERT, [1]);
  await assert.rejects(other.sql.query("SELECT * FROM t"), /relation "t" does not exist/);
});

test("a transaction is committed when it returns, and rolled back when it throws", async (t) => {
  const database = await testDatabase(t);
  await database.sql.query("CREATE TABLE t (n int PRIMARY KEY)");
  const returned = await database.transaction(async (sql) => {
    await sql.query(INSERT, [1]);
    return "done";
  });
  assert.equal(returned, "done");
  await assert.rejects(
    database.transaction(async (sql) => {
      await sql.query(INSERT, [2]);
      throw new Error("changed my mind");
    }),
    /changed my mind/,
  );
  assert.deepEqual(await database.sql.query("SELECT n FROM t"), [{ n: 1 }]);
});

test("a failed transaction says what failed first, not what followed from it", async (t) => {
  const database = await testDatabase(t);
  await database.sql.query("CREATE TABLE t (n int PRIMARY KEY)");
  const failing = database.transaction(async (sql) => {
    sql.query("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$");
    await sql.query(INSERT, [1]);
  });
  await assert.rejects(failing, { code: "database.diskFull", kind: "unavailable" });
});

test("statements that nobody awaits are committed in their order", async (t) => {
  const database = await testDatabase(t);
  await database.sql.query("CREATE TABLE t (n int); CREATE TABLE u (at serial, n int)");
  await database.transaction(async (sql) => {
    for (let n = 0; n < 50; n++) sql.query({ name: "insert-u", text: "INSERT INTO u (n) VALUES ($1)" }, [n]);
  });
  const rows = await database.sql.query<{ n: number }>("SELECT n FROM u ORDER BY at");
  assert.deepEqual(
    rows.map(({ n }) => n),
    Array.from({ length: 50 }, (_, n) => n),
  );
});

test("a transaction with a failed statement never commits, awaited or not, caught or not", async (t) => {
  const database = await testDatabase(t);
  await database.sql.query("CREATE TABLE t (n int PRIMARY KEY)");
  const duplicate = /duplicate key/;
  await assert.rejects(
    database.transaction(async (sql) => {
      sql.query(INSERT, [1]);
      sql.query(INSERT, [1]);
      sql.query(INSERT, [2]);
    }),
    duplicate,
  );
  await assert.rejects(
    database.transaction(async (sql) => {
      await sql.query(INSERT, [1]);
      await sql.query(INSERT, [1]).catch(() => undefined);
    }),
    duplicate,
  );
  assert.deepEqual(await database.sql.query("SELECT n FROM t"), []);
  assert.deepEqual(await database.sql.query("SELECT 1 AS usable"), [{ usable: 1 }]);
});

test("a statement through a transaction that has ended is refused", async (t) => {
  const database = await testDatabase(t);
  const escaped = await database.transaction(async (sql) => ({ sql }));
  assert.throws(() => escaped.sql.query("SELECT 1"), /had ended/);
});

test("more transactions than connections wait for their turn", async (t) => {
  const database = await testDatabase(t);
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, n) =>
      database.transaction(async (sql) => (await sql.query<{ n: number }>("SELECT $1::int AS n", [n]))[0]?.n),
    ),
  );
  assert.deepEqual(
    results,
    Array.from({ length: 40 }, (_, n) => n),
  );
});

test("a connection that the server ends is replaced, and its work is told as unavailable", async (t) => {
  const database = await testDatabase(t);
  const suicide = database.transaction((sql) => sql.query("SELECT pg_terminate_backend(pg_backend_pid())"));
  await assert.rejects(suicide, (error) => error instanceof BowlineError && error.kind === "unavailable");
  assert.deepEqual(await database.sql.query("SELECT 1 AS one"), [{ one: 1 }]);
});

test("a lost race is unavailable, so that it is tried again", async (t) => {
  const database = await testDatabase(t);
  await database.sql.query("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
  const race = (ours: () => Promise<void>) =>
    database.transaction(async (sql) => {
      await sql.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      await sql.query("SELECT n FROM t");
      await ours();
      await sql.query("UPDATE t SET n = n + 1");
    });
  await assert.rejects(
    race(() => database.transaction(async (sql) => void (await sql.query("UPDATE t SET n = n + 1")))),
    (error) => error instanceof BowlineError && error.code === "database.contended",
  );
});

test("errors quote no row", async (t) => {
  const { sql } = await testDatabase(t);
  await sql.query("CREATE TABLE t (n text PRIMARY KEY)");
  await sql.query(INSERT, ["hunter2"]);
  await assert.rejects(
    sql.query(INSERT, ["hunter2"]),
    (error) => !JSON.stringify(error, Object.getOwnPropertyNames(error)).includes("hunter2"),
  );
});

test("a server that is away, a wrong password and closed connections are told apart", async () => {
  const server = await testServer();
  const open = (changes: object) => openDatabase({ ...server, schema: "public", connectionsMax: 1, ...changes });
  const code = (expected: string) => (error: unknown) => {
    assert.ok(error instanceof BowlineError && error.kind === "unavailable", String(error));
    assert.equal(error.code, expected);
    assert.ok(!error.message.includes(server.password) && !error.message.includes("wrong-password"));
    return true;
  };
  await assert.rejects(open({ host: "/nowhere" }).sql.query("SELECT 1"), code("database.unavailable"));
  await assert.rejects(open({ host: "127.0.0.1", port: 1 }).sql.query("SELECT 1"), code("database.unavailable"));
  await assert.rejects(open({ password: "wrong-password" }).sql.query("SELECT 1"), code("database.refused"));
  await assert.rejects(open({ database: "nothing" }).sql.query("SELECT 1"), code("database.refused"));
  const closed = open({});
  await closed.close();
  await closed.close();
  await assert.rejects(closed.sql.query("SELECT 1"), code("database.closed"));
});

test("a server older than PostgreSQL 14 is refused by name", async (t) => {
  assert.throws(() => refuseOldServer("13.4 (Debian 13.4-1)"), /^BowlineError: PostgreSQL 13\.4 is too old; .*PostgreSQL 14/);
  assert.throws(() => refuseOldServer("9.6.24"), /9\.6\.24 is too old/);
  for (const version of ["14.0", "15.18 (Debian 15.18-1)", "19beta1"]) refuseOldServer(version);
  await checkServerVersion((await testDatabase(t)).sql);
});
