// Entities: rows of a CorDapp's own tables, in the vault of each virtual node. The tables are made by the CorDapp's
// migrations (`migration/0001-name.sql`); an entity says how its properties lie in one.
//
// Named queries are data, not text: they run the same in memory and in PostgreSQL, their pages are stable, and there is
// nothing in them that could reach anything but the entity's own table.

import type { Static, TObject } from "typebox";
import type { EntityDescription, EntityProperty } from "./activation.ts";
import { FlowError } from "./failure.ts";

/** Of `like`, `%` stands for any characters, `_` for one, and a backslash takes away what the next one means. */
export type EntityOperator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "like" | "startsWith" | "contains" | "isNull" | "isNotNull";

/** Compares a property with a parameter of the query, which is called like the property where nothing else is said. */
export interface EntityCondition<P extends string = string> {
  readonly property: P;
  readonly operator: EntityOperator;
  readonly parameter?: string;
}

/** All of `where` must hold; of `any`, one. */
export interface EntityQuery<P extends string = string> {
  readonly where: readonly (EntityCondition<P> | { readonly any: readonly EntityCondition<P>[] })[];
  /** What has an order and is always there; the key decides among equals. */
  readonly orderBy?: readonly P[];
  readonly descending?: boolean;
}

export interface EntityDefinition<
  S extends TObject = TObject,
  K extends string = string,
  Q extends Readonly<Record<string, EntityQuery>> = Readonly<Record<string, EntityQuery>>,
  Single extends boolean = boolean,
> {
  readonly kind: "entity";
  readonly name: string;
  readonly schema: S;
  readonly key: readonly K[];
  /** Whether the key is one property, and so a key one value. */
  readonly single: Single;
  readonly queries: Q;
  /** What the platform knows of it. */
  readonly description: EntityDescription;
}

type PropertyOf<S extends TObject> = keyof Static<S> & string;
type NoQueries = Readonly<Record<never, EntityQuery>>;

/**
 * @example
 * const Contact = entity({
 *   name: "com.example.registry.Contact",
 *   schema: Type.Object({ id: Type.String(), name: Type.String(), country: Type.String(), email: Type.Optional(Type.String()) }),
 *   key: "id",
 *   queries: { inCountry: { where: [{ property: "country", operator: "=" }], orderBy: ["name"] } },
 * });
 */
export function entity<
  S extends TObject,
  const K extends PropertyOf<S> | readonly PropertyOf<S>[],
  const Q extends Readonly<Record<string, EntityQuery<PropertyOf<S>>>> = NoQueries,
>(definition: {
  /** Dotted, unique in the CorDapp. */
  readonly name: string;
  /** The last part of the name in snake case where nothing is said; columns are the properties in snake case. */
  readonly table?: string;
  readonly schema: S;
  readonly key: K;
  readonly queries?: Q;
}): EntityDefinition<S, K extends readonly (infer P extends string)[] ? P : K & string, Q, K extends string ? true : false> {
  const { name, schema, key, queries = {} as Q } = definition;
  const keys = typeof key === "string" ? [key] : [...key];
  const table = definition.table ?? snakeCase(name.split(".").at(-1) ?? name);
  const description: EntityDescription = { name, table, key: keys, properties: propertiesOf(schema), queries };
  const fault = entityFault(description);
  if (fault !== undefined) throw new FlowError("entity.invalid", `Entity ${name}: ${fault}.`);
  return { kind: "entity", name, schema, key: keys as never, single: (typeof key === "string") as never, queries, description };
}

/** How the members of a schema lie in columns. */
export function propertiesOf(schema: TObject): readonly EntityProperty[] {
  const required = new Set<string>((schema as { readonly required?: readonly string[] }).required ?? []);
  return Object.entries(schema.properties).map(([name, property]) => {
    const kinds = new Set(alternatives(property as JsonSchema));
    const nullable = kinds.delete("null");
    const [kind = "json"] = kinds;
    return {
      name,
      column: snakeCase(name),
      kind: kinds.size === 1 && kind !== "null" ? kind : "json",
      missing: required.has(name) ? (nullable ? "null" : "never") : "omitted",
    };
  });
}

interface JsonSchema {
  readonly type?: unknown;
  readonly format?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
}

/** How the values of a schema lie in a column, `null` among them. */
function alternatives(schema: JsonSchema): readonly (EntityProperty["kind"] | "null")[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(alternatives);
  if (schema.enum !== undefined) return schema.enum.map((value) => SCALARS[value === null ? "null" : typeof value] ?? "json");
  const form = FORMS[`${schema.format} ${schema.type}`];
  return [form ?? SCALARS["const" in schema ? typeof schema.const : String(schema.type)] ?? "json"];
}

/** The schemas of `jsonTypes`, by format and type. */
const FORMS: Readonly<Record<string, EntityProperty["kind"]>> = {
  "int64 undefined": "bigint",
  "decimal string": "decimal",
  "instant integer": "instant",
  "uuid string": "uuid",
  "bytes undefined": "bytes",
};

const SCALARS: Readonly<Record<string, EntityProperty["kind"] | "null">> = {
  string: "text",
  integer: "integer",
  number: "integer", // Fractions are no plain data: what arrives here is an integer.
  boolean: "boolean",
  null: "null",
};

const snakeCase = (name: string): string => name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();

const IDENTIFIER = /^[a-z_][a-z0-9_]{0,62}$/;
const ORDERED: readonly EntityProperty["kind"][] = ["text", "integer", "bigint", "decimal", "instant", "uuid", "bytes"];
const EQUATED: readonly EntityProperty["kind"][] = [...ORDERED, "boolean"];
const ANY: readonly EntityProperty["kind"][] = [...EQUATED, "json"];
const COMPARED: Readonly<Record<EntityOperator, readonly EntityProperty["kind"][]>> = {
  "=": EQUATED,
  "!=": EQUATED,
  in: EQUATED,
  "<": ORDERED,
  "<=": ORDERED,
  ">": ORDERED,
  ">=": ORDERED,
  like: ["text"],
  startsWith: ["text"],
  contains: ["text"],
  isNull: ANY,
  isNotNull: ANY,
};

/** What is wrong with a description, which may come from anywhere; undefined where nothing is. */
export function entityFault({ table, key, properties, queries }: EntityDescription): string | undefined {
  if (!IDENTIFIER.test(table)) return `"${table}" is no table name: lower case letters, digits and underscores`;
  const byName = new Map(properties.map((property) => [property.name, property]));
  if (byName.size !== properties.length) return "two properties have one name";
  if (new Set(properties.map(({ column }) => column)).size !== properties.length) return "two properties have one column";
  const odd = properties.find(({ column }) => !IDENTIFIER.test(column));
  if (odd !== undefined) return `property ${odd.name} makes no column name: letters and digits only`;
  if (key.length === 0 || new Set(key).size !== key.length) return "a key is one property or several, each once";
  const ordered = (name: string): boolean => isOrdered(byName.get(name));
  const unordered = key.find((name) => !ordered(name));
  if (unordered !== undefined) return `the key's ${unordered} must be required, and neither a boolean nor JSON`;
  for (const [name, query] of Object.entries(queries)) {
    const loose = (query.orderBy ?? []).find((property) => !ordered(property));
    if (loose !== undefined) return `query ${name} is ordered by ${loose}, which must be required, and neither a boolean nor JSON`;
    const fault = conditionsFault(query.where, byName);
    if (fault !== undefined) return `query ${name}: ${fault}`;
  }
  return undefined;
}

/** Whether rows may be put in order by it. */
export const isOrdered = (property: Pick<EntityProperty, "kind" | "missing"> | undefined): boolean =>
  property !== undefined && property.missing === "never" && ORDERED.includes(property.kind);

/** What is wrong with conditions on these properties; undefined where nothing is. */
export function conditionsFault(
  where: EntityQuery["where"],
  byName: ReadonlyMap<string, Pick<EntityProperty, "kind">>,
): string | undefined {
  const kinds = new Map<string, string>();
  for (const condition of where.flatMap((each) => ("any" in each ? each.any : [each]))) {
    const fault = conditionFault(condition, byName, kinds);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function conditionFault(
  { property: name, operator, parameter = name }: EntityCondition,
  byName: ReadonlyMap<string, Pick<EntityProperty, "kind">>,
  kinds: Map<string, string>,
): string | undefined {
  const property = byName.get(name);
  if (property === undefined) return `there is no property ${name}`;
  if (!COMPARED[operator].includes(property.kind)) return `${operator} does not compare a ${property.kind} (${name})`;
  if (operator === "isNull" || operator === "isNotNull") return undefined;
  const kind = operator === "in" ? `list of ${property.kind}` : property.kind;
  const before = kinds.get(parameter) ?? kind;
  kinds.set(parameter, before);
  return before === kind ? undefined : `parameter ${parameter} would be a ${before} and a ${kind}`;
}
