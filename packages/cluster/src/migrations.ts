// A CorDapp's own SQL: `migration/NNNN-name.sql` in its CPK, in the order of its numbers. Read by PostgreSQL's own parser
// where a package is made and where it is uploaded, and held against `migration-rules.ts`; nothing else ever runs.

import { badRequest, utf8 } from "@bowline/base";
import type { EntityDescription, EntityProperty } from "@bowline/sdk";
import { checkStatements, type MigrationSchema, type MigrationTable, type Statement } from "./migration-rules.ts";

export interface CpkMigration {
  /** `0001-create-contacts.sql`, without its folder. */
  readonly fileName: string;
  readonly text: string;
}

export const MIGRATION_FILE = /^(\d{4})-([a-z0-9][a-z0-9-]{0,99})\.sql$/;
const MIGRATIONS_MAX = 1_000;
const TEXT_LENGTH_MAX = 1024 * 1024;

/**
 * Throws `package.migrationRefused` with one line per fault, each with file, line and reason: statements that may not be, and
 * entities that do not fit the tables. The names of the tables that there are in the end.
 */
export async function checkMigrations(
  what: string,
  migrations: readonly CpkMigration[],
  entities: readonly EntityDescription[],
): Promise<readonly string[]> {
  const schema: MigrationSchema = { tables: new Map(), indexes: new Map() };
  const faults = namingFaults(migrations);
  if (faults.length === 0) for (const migration of migrations) faults.push(...(await fileFaults(schema, migration)));
  if (faults.length === 0) faults.push(...entities.flatMap((entity) => entityFaults(schema, entity)));
  if (faults.length === 0) return [...schema.tables.keys()];
  const message = `${what} is refused for its migrations:\n${faults.map((fault) => `  ${fault}`).join("\n")}`;
  throw badRequest("package.migrationRefused", message, { package: what, faults: faults.join("\n") });
}

/** A table that holds the entity, as a migration would make it. */
export function tableFor({ table, key, properties }: EntityDescription): string {
  const columnOf = (name: string) => properties.find((property) => property.name === name)?.column ?? name;
  const columns = properties.map(
    ({ column, kind, missing }) => `  ${column} ${SQL_TYPES[kind]}${missing === "never" ? " NOT NULL" : ""},\n`,
  );
  return `CREATE TABLE ${table} (\n${columns.join("")}  PRIMARY KEY (${key.map(columnOf).join(", ")})\n);`;
}

/** Texts in the order of their characters, whatever the language of the server. */
const SQL_TYPES: Readonly<Record<EntityProperty["kind"], string>> = {
  text: 'text COLLATE "C"',
  integer: "bigint",
  bigint: "bigint",
  decimal: "numeric",
  instant: "timestamptz(3)",
  uuid: "uuid",
  bytes: "bytea",
  boolean: "boolean",
  json: "jsonb",
};

function namingFaults(migrations: readonly CpkMigration[]): string[] {
  if (migrations.length > MIGRATIONS_MAX) return [`there are ${migrations.length} files, and at most ${MIGRATIONS_MAX} are allowed`];
  const numbers = new Map<string, string>();
  return migrations.flatMap(({ fileName, text }) => {
    const [, number] = MIGRATION_FILE.exec(fileName) ?? [];
    if (number === undefined) return [`migration/${fileName}: call it like 0001-create-contacts.sql`];
    const other = numbers.get(number);
    numbers.set(number, fileName);
    if (other !== undefined) return [`migration/${fileName}: ${other} has the same number`];
    return text.length > TEXT_LENGTH_MAX ? [`migration/${fileName}: it is longer than ${TEXT_LENGTH_MAX} characters`] : [];
  });
}

async function fileFaults(schema: MigrationSchema, { fileName, text }: CpkMigration): Promise<readonly string[]> {
  const { parse } = await import("libpg-query"); // A megabyte: only those who look at migrations load it.
  const fault = (line: number, reason: string) => `migration/${fileName}:${line}: ${reason}`;
  if (text.includes("\0")) return [fault(1, "it holds a null character")];
  if (text.trim() === "") return [fault(1, "it is empty")];
  const bytes = utf8(text);
  let statements: readonly Statement[];
  try {
    ({ stmts: statements = [] } = (await parse(text)) as { readonly stmts?: readonly Statement[] });
  } catch (thrown) {
    const { message, sqlDetails } = thrown as { readonly message: string; readonly sqlDetails?: { readonly cursorPosition?: number } };
    const before = [...text].slice(0, sqlDetails?.cursorPosition ?? 0).join("");
    return [fault(before.split("\n").length, `PostgreSQL does not understand it: ${message}`)];
  }
  return checkStatements(schema, statements).map(({ at, reason }) => fault(lineAt(bytes, at), reason));
}

/** Of the first word at or after an offset: what stands before a statement belongs to it. */
function lineAt(bytes: Uint8Array, at: number): number {
  const text = (from: number, to?: number): string => new TextDecoder().decode(bytes.subarray(from, to));
  const skipped = /^(?:\s+|--[^\n]*|\/\*[\s\S]*?\*\/)*/.exec(text(at))?.[0] ?? "";
  return `${text(0, at)}${skipped}`.split("\n").length;
}

function entityFaults({ tables }: MigrationSchema, entity: EntityDescription): readonly string[] {
  const { name, table: tableName, key, properties } = entity;
  const table = tables.get(tableName);
  if (table === undefined)
    return [
      `entity ${name}: no migration makes its table ${tableName}. Name a folder of migrations in package.json ("migrations", beside "entry"); a file there, like 0001-create-${tableName.replaceAll("_", "-")}.sql, may say:\n\n${tableFor(entity)}\n`,
    ];
  const faults = properties.flatMap((property) => propertyFaults(table, property).map((fault) => `entity ${name}: ${fault}`));
  const known = new Set(properties.map(({ column }) => column));
  for (const [column, { required, filled }] of table.columns)
    if (required && !filled && !known.has(column))
      faults.push(`entity ${name}: column ${column} of ${tableName} must be filled, and no property fills it`);
  const keyColumns = key.map((each) => properties.find((property) => property.name === each)?.column);
  if ([...keyColumns].sort().join() !== [...table.primaryKey].sort().join())
    faults.push(
      `entity ${name}: its key lies in ${keyColumns.join(", ")}, and the primary key of ${tableName} is (${table.primaryKey.join(", ")})`,
    );
  return faults;
}

function propertyFaults(table: MigrationTable, { name, column, kind, missing }: EntityProperty): readonly string[] {
  const found = table.columns.get(column);
  if (found === undefined) return [`its table has no column ${column} for ${name}`];
  const faults: string[] = [];
  if (found.type !== kind && !(found.type === "bigint" && kind === "integer"))
    faults.push(`${name} is a ${kind}, and its column ${column} holds a ${found.type}`);
  if (missing === "never" && !found.required) faults.push(`${name} is always there, and its column ${column} may be empty: add NOT NULL`);
  if (missing !== "never" && found.required) faults.push(`${name} may be missing, and its column ${column} may not be empty`);
  return faults;
}
