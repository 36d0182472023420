// Schema migrations: plain SQL files `NNNN-name.sql`, applied in order, once, all of a call in one transaction.
//
// Guarantees: a file that was applied never changes afterwards without being noticed, a schema that a newer program has
// migrated is left alone, and two processes that migrate the same schema at the same time do it once.

import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { BowlineError, type Database, type SecureHash, type Sql, utf8 } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";

export interface Migration {
  /** The package that owns it: numbers are per package. */
  readonly source: string;
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly checksum: SecureHash;
}

const FILE = /^([0-9]{4})-([a-z0-9-]+)\.sql$/;

/** Of `…/packages/<source>/sql/<logical database>` folders: folder by folder, by number. A folder that is missing is a bug of ours. */
export async function readMigrations(folders: readonly string[]): Promise<readonly Migration[]> {
  const migrations: Migration[] = [];
  for (const folder of folders) {
    const source = basename(dirname(dirname(folder)));
    for (const file of (await readdir(folder)).sort()) {
      const [, number, name] = FILE.exec(file) ?? [];
      if (number === undefined || name === undefined) continue;
      const text = await readFile(join(folder, file), "utf8");
      migrations.push({ source, number: Number(number), name, text, checksum: secureHashOf(utf8(text)) });
    }
  }
  return migrations;
}

/** Names a set of migrations: two schemas of one level have had the same ones. */
export const migrationLevel = (migrations: readonly Migration[]): SecureHash =>
  secureHashOf(...migrations.map(({ source, number, checksum }) => utf8(`${source}/${number}/${checksum}\n`)));

interface Applied {
  readonly source: string;
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

/** How many were applied. `schema` is named in refusals. Throws `migration.changed`, `migration.newer` or `migration.failed`. */
export async function migrate(database: Database, schema: string, migrations: readonly Migration[]): Promise<number> {
  if (pending(schema, await loadApplied(database.sql), migrations).length === 0) return 0;
  return database.transaction(async (sql) => {
    await sql.query("SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))", [LOCK]);
    await sql.query(TABLE);
    const todo = pending(schema, await loadApplied(sql), migrations);
    for (const migration of todo) await apply(sql, schema, migration);
    return todo.length;
  });
}

/** The first half of an advisory lock; the second is the schema. */
const LOCK = 0x626f776c;
const TABLE = `CREATE TABLE IF NOT EXISTS schema_migration (
  source     text        NOT NULL,
  number     int         NOT NULL,
  name       text        NOT NULL,
  checksum   text        NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source, number)
)`;

async function loadApplied(sql: Sql): Promise<readonly Applied[]> {
  const [table] = await sql.query<{ there: boolean }>("SELECT to_regclass('schema_migration') IS NOT NULL AS there");
  return table?.there ? sql.query<Applied>("SELECT source, number, name, checksum FROM schema_migration") : [];
}

async function apply(sql: Sql, schema: string, { source, number, name, text, checksum }: Migration): Promise<void> {
  try {
    await sql.query(text);
  } catch (error) {
    if (error instanceof BowlineError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new BowlineError(
      "internal",
      "migration.failed",
      `Migration ${label({ source, number, name })} of schema ${schema} failed: ${reason}.`,
      {
        schema,
      },
    );
  }
  await sql.query("INSERT INTO schema_migration (source, number, name, checksum) VALUES ($1, $2, $3, $4)", [
    source,
    number,
    name,
    checksum,
  ]);
}

function pending(schema: string, applied: readonly Applied[], migrations: readonly Migration[]): readonly Migration[] {
  const key = ({ source, number }: { source: string; number: number }) => `${source}/${number}`;
  const known = new Map(migrations.map((migration) => [key(migration), migration]));
  for (const row of applied) {
    const migration = known.get(key(row));
    if (migration === undefined)
      throw new BowlineError(
        "unavailable",
        "migration.newer",
        `Schema ${schema} has had migration ${label(row)}, which this program does not know: a newer Bowline has used it. Run that version, or a newer one.`,
        { schema },
      );
    if (migration.checksum !== row.checksum)
      throw new BowlineError(
        "unavailable",
        "migration.changed",
        `Migration ${label(row)} was applied to schema ${schema} with another content than it has now. Restore the file as it was; changes go into a new migration.`,
        { schema },
      );
  }
  const done = new Set(applied.map(key));
  return migrations.filter((migration) => !done.has(key(migration)));
}

const label = ({ source, number, name }: { source: string; number: number; name: string }): string =>
  `${source}/${String(number).padStart(4, "0")}-${name}`;
