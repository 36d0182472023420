import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { BowlineError } from "@bowline/base";
import { migrate, migrationLevel, readMigrations } from "./migrate.ts";
import { testDatabase } from "./test-postgres.ts";

async function folderOf(source: string, files: Readonly<Record<string, string>>): Promise<{ folder: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), "bowline-migrate-"));
  const folder = join(root, source, "sql", "vault");
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return { folder, remove: () => rm(root, { recursive: true }) };
}

const refused = (code: string) => (error: unknown) => error instanceof BowlineError && error.code === code;

describe("migrations", () => {
  test("are read by package and number, with what is no migration left out", async (t) => {
    const first = await folderOf("flow", { "0002-b.sql": "SELECT 2", "0001-a.sql": "SELECT 1", "notes.txt": "x", "1-c.sql": "SELECT 3" });
    const second = await folderOf("ledger", { "0001-c.sql": "SELECT 3" });
    t.after(() => Promise.all([first.remove(), second.remove()]));
    const migrations = await readMigrations([first.folder, second.folder]);
    assert.deepEqual(
      migrations.map(({ source, number, name }) => `${source}/${number}/${name}`),
      ["flow/1/a", "flow/2/b", "ledger/1/c"],
    );
    assert.notEqual(migrationLevel(migrations), migrationLevel(migrations.slice(0, 2)));
  });

  test("are applied once, by however many at the same time, and later ones after them", async (t) => {
    const { folder, remove } = await folderOf("flow", { "0001-a.sql": "CREATE TABLE a (x int); INSERT INTO a VALUES (1);" });
    t.after(remove);
    const database = await testDatabase(t);
    const [one] = await readMigrations([folder]);
    assert.ok(one !== undefined);
    const applied = await Promise.all([1, 2, 3].map(() => migrate(database, "test", [one])));
    assert.deepEqual(applied.toSorted(), [0, 0, 1]);
    const two = { ...one, number: 2, name: "b", text: "INSERT INTO a VALUES (2)" };
    assert.equal(await migrate(database, "test", [one, two]), 1);
    assert.deepEqual(await database.sql.query("SELECT x FROM a ORDER BY x"), [{ x: 1 }, { x: 2 }]);
  });

  test("refuse a file that changed, and a schema of a newer program", async (t) => {
    const { folder, remove } = await folderOf("flow", { "0001-a.sql": "CREATE TABLE a (x int)", "0002-b.sql": "CREATE TABLE b (x int)" });
    t.after(remove);
    const database = await testDatabase(t);
    const migrations = await readMigrations([folder]);
    await migrate(database, "test", migrations);
    await writeFile(join(folder, "0001-a.sql"), "CREATE TABLE a (x bigint)");
    await assert.rejects(migrate(database, "test", await readMigrations([folder])), refused("migration.changed"));
    await assert.rejects(migrate(database, "test", migrations.slice(0, 1)), refused("migration.newer"));
  });

  test("leave nothing behind when one of them fails", async (t) => {
    const { folder, remove } = await folderOf("flow", { "0001-a.sql": "CREATE TABLE a (x int)", "0002-b.sql": "CREATE TABEL b (x int)" });
    t.after(remove);
    const database = await testDatabase(t);
    const failing = migrate(database, "test", await readMigrations([folder]));
    await assert.rejects(failing, (error: unknown) => refused("migration.failed")(error) && /flow\/0002-b.*TABEL/.test(String(error)));
    assert.deepEqual(await database.sql.query("SELECT to_regclass('a') AS a, to_regclass('schema_migration') AS m"), [
      { a: null, m: null },
    ]);
  });
});
