// Named queries over states in PostgreSQL: one statement a page. Its text is made of the query's description alone, and of nothing
// that a flow hands over: values are parameters. Names come from descriptions that were checked at the upload; they are checked here
// once more.
//
// What is read of a JSON form is an expression that never fails, whatever lies there: it is part of indexes too, and a state that an
// index refused could never be recorded. So indexes hold the beginning of a text alone, which every condition on it repeats.

import { type Data, invariant, type SecureHash, type Sql } from "@bowline/base";
import type { StateField, StateQueryDescription } from "@bowline/sdk/queries";
import { anySql, type Parameter } from "./conditions.store.ts";
import type { ConditionPlan } from "./conditions.ts";
import { explained, parametersInto, quoted, selectedColumns } from "./entities.store.ts";
import { dataOf } from "./entities.ts";
import type { EntityValue } from "./entity-values.ts";
import { stateRef } from "./leaves.ts";
import { ORDERED_CHARACTERS, PAGE_STATES_BYTES_MAX } from "./limits.ts";
import { stateAndRef } from "./transaction.ts";
import {
  beginningOf,
  DECIMAL,
  EMPTY,
  type JoinedProperty,
  type QueryProperty,
  queryAnswer,
  type StateQueryPlan,
  UUID,
} from "./vault-queries.ts";

/** By its own name, as an index must call it. */
const STATES = "utxo_visible_transaction_output";
const OF_STATE = ["transaction_id AS id", "leaf_idx AS index", "position", "info", "data"]
  .map((column) => `${STATES}.${column}`)
  .join(", ");

type FoundRow = Readonly<Record<string, EntityValue>> & {
  readonly id: SecureHash;
  readonly index: number;
  readonly position: number;
  readonly info: Uint8Array;
  readonly data: Uint8Array;
  readonly fetched: number;
};

/** A page of a query. `entities` is the schema of the CorDapps' own tables. */
export async function readStates(sql: Sql, plan: StateQueryPlan, entities: string): Promise<Data> {
  const { text, values } = statementOf(plan, entities);
  const rows = await explained(sql.query<FoundRow>(text, values));
  const last = rows.at(-1);
  const more = last !== undefined && (rows[0]?.fetched ?? 0) > rows.length;
  const found = rows.map((row) => ({
    state: stateAndRef({ ref: stateRef(row.id, row.index), info: row.info, data: row.data }) as unknown as Data,
    joined: plan.joins.map(({ entity }, j) => {
      const values = entity.properties.map((_, i) => row[`j${j}c${i}`] ?? null);
      const isThere = entity.key.every((key) => values[entity.properties.findIndex(({ name }) => name === key)] !== null);
      return isThere ? dataOf(entity, values) : null;
    }),
  }));
  return queryAnswer(plan, found, more ? [...plan.order.map((_, i) => last[`o${i}`] ?? null), last.position] : null);
}

/** One state more than the page has tells whether there is another page; what is too much for one page does not leave the server. */
export function statementOf(plan: StateQueryPlan, entities: string): { readonly text: string; readonly values: readonly unknown[] } {
  const { query, joins, order, after, limit } = plan;
  const values: unknown[] = [];
  const parameter = parameterInto(values);
  const where = [standingSql(query), ...plan.where.map((any) => anySql(any, columnOf, parameter))];
  where.push(...plan.where.flatMap((any) => indexedSql(query, any, parameter)));
  if (plan.refs !== null) {
    const refs = [plan.refs.map(({ transactionId }) => transactionId), plan.refs.map(({ index }) => index)];
    values.push(...refs);
    where.push(
      `(${STATES}.transaction_id, ${STATES}.leaf_idx) IN (SELECT * FROM unnest($${values.length - 1}::text[], $${values.length}::int[]))`,
    );
  }
  if (plan.createdUntil !== null) {
    values.push(plan.createdUntil + 1);
    where.push(`${STATES}.created < to_timestamp($${values.length}::bigint / 1000.0)`);
  }
  const keys = [...order.map(orderedSql), `${STATES}.position`];
  if (after !== null) {
    const place = [...order, { name: "position", kind: "integer" } as const].map((property, i) => parameter(property, after[i] ?? null));
    where.push(`(${keys.join(", ")}) ${query.descending ? "<" : ">"} (${place.join(", ")})`);
  }
  const direction = query.descending ? " DESC" : "";
  const joined = joins.flatMap(({ entity }, j) => selectedColumns(entity.properties, `j${j}`, `j${j}c`));
  const by = [...order.map((_, i) => `k${i}`), "position"].map((key) => `${key}${direction}`).join(", ");
  const columns = [...order.map((field, i) => `${orderedSql(field)} AS k${i}`), ...joined].map((column) => `, ${column}`).join("");
  const text = `SELECT id, index, position, info, data, fetched${order.map(({ kind }, i) => `, ${(SHOWN[kind] ?? String)(`k${i}`)} AS o${i}`).join("")}
      ${joined.map((column) => `, ${column.split(" AS ").at(-1)}`).join("")} FROM (
    SELECT page.*, count(*) OVER () AS fetched, row_number() OVER (ORDER BY ${by}) AS place,
      sum(octet_length(data)) OVER (ORDER BY ${by} ROWS UNBOUNDED PRECEDING) AS size
    FROM (SELECT ${OF_STATE}${columns}
      FROM ${STATES}${joins.map((join, j) => joinSql(join, j, entities)).join("")}
      WHERE ${where.join(" AND ")}
      ORDER BY ${keys.map((key) => `${key}${direction}`).join(", ")} LIMIT ${limit + 1}) AS page
    ) AS pages WHERE place <= ${limit} AND (place = 1 OR size <= ${PAGE_STATES_BYTES_MAX}) ORDER BY place`;
  return { text, values };
}

/** What a query's index holds, and of which states. Every page ends its order in the position, so every index does. */
export function indexedExpressions(query: StateQueryDescription): string {
  const fields = (query.index ?? []).map((name) => query.fields.find((field) => field.name === name) as StateField);
  return `(${[...fields.map((field) => `(${orderedSql(field)})`), "position"].join(", ")}) WHERE ${standingSql(query)}`;
}

/** The states that a query looks at: as its index says it too, so that the planner sees that the index has all of them. */
const standingSql = ({ states, standing }: StateQueryDescription): string =>
  `${STATES}.type IN (${states.map(literal).join(", ")})${STANDING[standing]}`;
const STANDING: Readonly<Record<StateQueryDescription["standing"], string>> = {
  unconsumed: ` AND ${STATES}.consumed IS NULL`,
  consumed: ` AND ${STATES}.consumed IS NOT NULL`,
  all: "",
};

const joinSql = ({ entity, fields, optional }: StateQueryPlan["joins"][number], j: number, schema: string): string => {
  const same = entity.key.map((key, i) => {
    const { column } = entity.properties.find(({ name }) => name === key) as JoinedProperty;
    const field = fields[i] as StateField;
    return `j${j}.${quoted(column)} = ${(JOINED[field.kind] ?? String)(fieldSql(field))}`;
  });
  return ` ${optional ? "LEFT " : ""}JOIN ${quoted(schema)}.${quoted(entity.table)} AS j${j} ON ${same.join(" AND ")}`;
};

const columnOf = (property: QueryProperty): string =>
  "join" in property ? `j${property.join}.${quoted(property.column)}` : fieldSql(property);

/** Follows from the condition, and is what the index has of the text. */
function indexedSql(
  query: StateQueryDescription,
  any: readonly ConditionPlan<QueryProperty>[],
  parameter: Parameter<QueryProperty>,
): string[] {
  const [condition, ...others] = any;
  if (condition === undefined || others.length > 0 || condition.property.kind !== "text" || "join" in condition.property) return [];
  const { property, operator, value } = condition;
  const looser = LOOSER[operator];
  if (looser === undefined || !(query.index ?? []).includes(property.name)) return [];
  const start = (text: EntityValue): EntityValue => beginningOf(String(text));
  if (operator !== "in") return [`${orderedSql(property)} ${looser} ${parameter(property, start(value as EntityValue))}`];
  return [`${orderedSql(property)} = ANY (${parameter(property, (value as readonly EntityValue[]).map(start), "[]")})`];
}
const LOOSER: Partial<Readonly<Record<ConditionPlan<QueryProperty>["operator"], string>>> = {
  "=": "=",
  in: "in",
  "<": "<=",
  "<=": "<=",
  ">": ">=",
  ">=": ">=",
};

const orderedSql = (field: StateField): string =>
  field.kind === "text" ? `left(${fieldSql(field)}, ${ORDERED_CHARACTERS})` : fieldSql(field);

/** What a member of the JSON form is as a value of its kind: nothing where it is of another. */
function fieldSql(field: StateField): string {
  const path = field.name.split(".").map(literal);
  const [last, ...above] = [path.pop(), `${STATES}.custom_representation`, ...path];
  const read = FIELDS[field.kind](`(${above.join(" -> ")} -> ${last})`, `(${above.join(" -> ")} ->> ${last})`);
  const empty = EMPTY[field.kind];
  return field.missing === "never" && empty !== null ? `COALESCE(${read}, ${literal(String(empty))})` : read;
}

const byType = (member: string, types: Readonly<Record<string, string>>): string =>
  `CASE jsonb_typeof(${member}) ${Object.entries(types)
    .map(([type, value]) => `WHEN '${type}' THEN ${value}`)
    .join(" ")} END`;
const FIELDS: Readonly<Record<StateField["kind"], (member: string, text: string) => string>> = {
  text: (member, text) => `(${byType(member, { string: text })}) COLLATE "C"`,
  integer: (member) => byType(member, { number: `${member}::bigint` }),
  instant: (member) => byType(member, { number: `${member}::bigint` }),
  bigint: (member, text) =>
    byType(member, {
      number: `${member}::bigint`,
      string: `CASE WHEN ${text} ~ '^-?[0-9]{1,19}$' THEN CASE WHEN ${text}::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN ${text}::bigint END END`,
    }),
  decimal: (member, text) =>
    byType(member, { number: `${member}::numeric`, string: `CASE WHEN ${text} ~ '${DECIMAL.source}' THEN ${text}::numeric END` }),
  uuid: (member, text) => byType(member, { string: `CASE WHEN ${text} ~ '${UUID.source}' THEN ${text}::uuid END` }),
  boolean: (member) => byType(member, { boolean: `${member}::boolean` }),
  bytes: (member) => `NULLIF(${member}, 'null')`,
  json: (member) => `NULLIF(${member}, 'null')`,
};
/** As the entity's column has it. */
const JOINED: Partial<Readonly<Record<StateField["kind"], (field: string) => string>>> = {
  instant: (field) => `to_timestamp(${field} / 1000.0)`,
};

/** The one form of a value, for where a page ended. */
const SHOWN: Partial<Readonly<Record<StateField["kind"], (key: string) => string>>> = {
  bigint: (key) => `${key}::text`,
  decimal: (key) => `trim_scale(${key})::text`,
};

const PARAMETERS: Readonly<Record<StateField["kind"], string>> = {
  text: "text",
  integer: "bigint",
  instant: "bigint",
  bigint: "bigint",
  decimal: "numeric",
  uuid: "uuid",
  boolean: "boolean",
  bytes: "text",
  json: "text",
};

/** Moments are numbers in a JSON form, and none in a column. */
function parameterInto(values: unknown[]): Parameter<QueryProperty | Pick<StateField, "name" | "kind">> {
  const ofColumn = parametersInto(values);
  return (property, value, list = "") => {
    if ("join" in property) return ofColumn(property, value, list);
    values.push(value);
    return `$${values.length}::${PARAMETERS[property.kind]}${list}`;
  };
}

/** Names of types and members, which have neither quotes nor backslashes. */
function literal(text: string): string {
  invariant(/^[A-Za-z0-9_.-]*$/.test(text), `a name was checked: ${text}`);
  return `'${text}'`;
}
