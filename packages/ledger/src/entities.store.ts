// Entities in PostgreSQL: many rows to a statement, every value a parameter. The names of tables and columns come from
// descriptions that were checked at the upload, and are checked here once more.
//
// `apply` runs inside the step commit of the flows whose writes it is handed; `read` through a user who may only read.

import { BowlineError, badRequest, type Data, invariant, type Sql } from "@bowline/base";
import type { EntityDescription, EntityProperty } from "@bowline/sdk";
import { anySql, type Parameter } from "./conditions.store.ts";
import {
  alreadyThere,
  cursorAt,
  dataOf,
  type EntityRead,
  type EntityRow,
  type EntityRun,
  type EntityWrite,
  keyProperties,
  keysOf,
  keyText,
  planOf,
  type QueryPlan,
  runsOf,
} from "./entities.ts";
import type { EntityValue } from "./entity-values.ts";
import { PAGE_ENTITIES_BYTES_MAX } from "./limits.ts";

/**
 * The CorDapps' own rows of one virtual node: `testEntities` is its contract.
 *
 * - `apply` writes all or throws: `persistence.exists` for a key that is there, `persistence.refused` where a table's own
 *   constraints say no, `persistence.invalid` for what does not fit the entity.
 * - A page goes on where the one before ended, whatever came or went in between.
 */
export interface EntityStore {
  apply(sql: Sql, writes: readonly EntityWrite[]): Promise<void>;
  read(sql: Sql, read: EntityRead): Promise<Data>;
}

/** `schema` holds the tables of the CorDapps of one virtual node. */
export function entityStore(schema: string): EntityStore {
  const tableOf = ({ table }: EntityDescription): string => `${quoted(schema)}.${quoted(table)}`;
  return {
    apply: (sql, writes) => explained(apply(sql, tableOf, runsOf(writes))),
    read: (sql, read) => explained(read.kind === "find" ? find(sql, tableOf, read) : page(sql, tableOf, planOf(read))),
  };
}

type TableOf = (entity: EntityDescription) => string;

async function apply(sql: Sql, tableOf: TableOf, runs: readonly EntityRun[]): Promise<void> {
  const answers = runs.map((run) => {
    const columns = run.action === "remove" ? keyProperties(run.entity) : run.entity.properties;
    return sql.query<Selected>(
      statementOf(run, tableOf(run.entity), columns),
      columns.map(({ kind }, i) => run.rows.map((row) => parameterOf(kind, row[i] ?? null))),
    );
  });
  // All are on their way; the first that failed says why.
  for (const [i, answer] of answers.entries()) checkRun(runs[i] as EntityRun, await answer);
}

function checkRun({ entity, action, rows }: EntityRun, written: readonly Selected[]): void {
  if (action !== "persist" || written.length === rows.length) return;
  const there = new Set(written.map((row) => keyText(rowOf(keyProperties(entity), row))));
  const at = entity.key.map((name) => entity.properties.findIndex((property) => property.name === name));
  const keys = rows.map((row) => at.map((index) => row[index] ?? null));
  throw alreadyThere(entity, keys.find((key) => !there.has(keyText(key))) ?? []);
}

function statementOf({ entity, action }: EntityRun, table: string, columns: readonly EntityProperty[]): string {
  const given = `unnest(${columns.map(({ kind }, i) => `$${i + 1}::${PARAMETERS[kind]}[]`).join(", ")}) AS n (${names(columns)})`;
  const keys = keyProperties(entity);
  if (action === "remove")
    return `DELETE FROM ${table} AS t USING ${given} WHERE ${keys.map(({ column }) => `t.${quoted(column)} = n.${quoted(column)}`).join(" AND ")}`;
  const values = columns.map(({ column, kind }) => (kind === "json" ? `n.${quoted(column)}::jsonb` : `n.${quoted(column)}`)).join(", ");
  const others = columns.filter((column) => !keys.includes(column)).map(({ column }) => `${quoted(column)} = excluded.${quoted(column)}`);
  const conflict = action === "merge" && others.length > 0 ? `UPDATE SET ${others.join(", ")}` : "NOTHING";
  return `INSERT INTO ${table} AS t (${names(columns)}) SELECT ${values} FROM ${given}
    ON CONFLICT (${names(keys)}) DO ${conflict} RETURNING ${selection(keys)}`;
}

async function find(sql: Sql, tableOf: TableOf, { entity, keys }: Extract<EntityRead, { kind: "find" }>): Promise<Data> {
  const rows = keysOf(entity, keys);
  const properties = keyProperties(entity);
  const given = properties.map(({ kind }, i) => `$${i + 1}::${PARAMETERS[kind]}[]`).join(", ");
  const aliases = properties.map((_, i) => `k${i}`);
  const same = properties.map(({ column }, i) => `t.${quoted(column)} = n.k${i}`).join(" AND ");
  const found = await sql.query<Selected>(
    `SELECT ${selection(entity.properties)} FROM unnest(${given}) WITH ORDINALITY AS n (${aliases.join(", ")}, place)
     JOIN ${tableOf(entity)} AS t ON ${same} ORDER BY n.place`,
    properties.map(({ kind }, i) => rows.map((row) => parameterOf(kind, row[i] ?? null))),
  );
  return found.map((row) => dataOf(entity, rowOf(entity.properties, row)));
}

/** One row more than the page has tells whether there is another page; what is too much for one page does not leave the server. */
async function page(sql: Sql, tableOf: TableOf, plan: QueryPlan): Promise<Data> {
  const { entity, order, descending, limit, after } = plan;
  const values: unknown[] = [];
  const parameter = parametersInto(values);
  const where = plan.where.map((any) => anySql(any, ({ column }) => `t.${quoted(column)}`, parameter));
  if (after !== null) {
    const place = order.map((property, i) => parameter(property, after[i] ?? null)).join(", ");
    where.push(`(${names(order, "t")}) ${descending ? "<" : ">"} (${place})`);
  }
  const by = order.map(({ column }) => `t.${quoted(column)}${descending ? " DESC" : ""}`).join(", ");
  const rows = await sql.query<Selected & { fetched: number }>(
    `SELECT ${selection(entity.properties)}, fetched FROM (
       SELECT t.*, count(*) OVER () AS fetched, row_number() OVER (ORDER BY ${by}) AS place,
         sum(octet_length(t::text)) OVER (ORDER BY ${by} ROWS UNBOUNDED PRECEDING) AS size
       FROM (SELECT t.* FROM ${tableOf(entity)} AS t${where.length === 0 ? "" : ` WHERE ${where.join(" AND ")}`}
         ORDER BY ${by} LIMIT ${limit + 1}) AS t
     ) AS t WHERE place <= ${limit} AND (place = 1 OR size <= ${PAGE_ENTITIES_BYTES_MAX}) ORDER BY place`,
    values,
  );
  const items = rows.map((row) => rowOf(entity.properties, row));
  const last = items.at(-1);
  const more = last !== undefined && (rows[0]?.fetched ?? 0) > items.length;
  return { items: items.map((row) => dataOf(entity, row)), next: more ? cursorAt(plan, last) : null };
}

/** JSON travels as its text. */
const PARAMETERS: Readonly<Record<EntityProperty["kind"], string>> = {
  text: "text",
  integer: "bigint",
  bigint: "bigint",
  decimal: "numeric",
  instant: "timestamptz",
  uuid: "uuid",
  bytes: "bytea",
  boolean: "boolean",
  json: "text",
};

/** Gathers the parameters of a statement. */
export const parametersInto =
  (values: unknown[]): Parameter<Pick<EntityProperty, "kind">> =>
  ({ kind }, value, list = "") => {
    values.push(isList(value) ? value.map((each) => parameterOf(kind, each)) : parameterOf(kind, value));
    return `$${values.length}::${PARAMETERS[kind]}${list}`;
  };

const isList = (value: EntityValue | readonly EntityValue[]): value is readonly EntityValue[] => Array.isArray(value);

function parameterOf(kind: EntityProperty["kind"], value: EntityValue): EntityValue {
  if (value === null) return null;
  if (kind === "instant") return new Date(Number(value)).toISOString();
  return kind === "bytes" ? `\\x${value}` : value;
}

/** What makes of a column the one form of its value; of the others, the driver does. */
const SELECTED: Partial<Readonly<Record<EntityProperty["kind"], (column: string) => string>>> = {
  bigint: (column) => `${column}::text`,
  // A constant of a migration may end in zeros that say nothing.
  decimal: (column) => `trim_scale(${column})::text`,
  instant: (column) => `(extract(epoch FROM ${column}) * 1000)::bigint`,
  bytes: (column) => `upper(encode(${column}, 'hex'))`,
  json: (column) => `${column}::text`,
};

type Selected = Readonly<Record<string, EntityValue>>;
const selection = (properties: readonly EntityProperty[]): string => selectedColumns(properties, "t", "c").join(", ");
/** The columns of `table` in the form of `EntityValue`, called `prefix0`, … */
export const selectedColumns = (properties: readonly EntityProperty[], table: string, prefix: string): readonly string[] =>
  properties.map(({ column, kind }, i) => `${(SELECTED[kind] ?? String)(`${table}.${quoted(column)}`)} AS ${prefix}${i}`);
const rowOf = (properties: readonly EntityProperty[], row: Selected): EntityRow => properties.map((_, i) => row[`c${i}`] ?? null);

const names = (columns: readonly EntityProperty[], table?: string): string =>
  columns.map(({ column }) => (table === undefined ? quoted(column) : `${table}.${quoted(column)}`)).join(", ");

export function quoted(identifier: string): string {
  invariant(/^[a-z_][a-z0-9_]{0,62}$/.test(identifier), `a name of a table or column was checked: ${identifier}`);
  return `"${identifier}"`;
}

/** What the database says of the author's rows is the author's to hear; what it says of itself is the adapter's. */
export async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    const { code, message } = thrown as { readonly code?: unknown; readonly message?: string };
    if (thrown instanceof BowlineError || typeof code !== "string") throw thrown;
    if (code === QUERY_CANCELED)
      throw badRequest("persistence.timeout", "The database took too long: an index on what the query compares may help.", {});
    if (/^2[23]/.test(code)) throw badRequest("persistence.refused", `The database refuses this: ${message}.`, { sqlState: code });
    throw thrown;
  }
}
const QUERY_CANCELED = "57014";
