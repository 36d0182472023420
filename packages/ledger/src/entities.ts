// Entities: rows of a CorDapp's own tables, decided here on values; carried out by `entities.store.ts` and `entities.memory.ts`.
//
// What comes from an author's code is held against the entity's description, which was checked when its package was
// uploaded: a value of another kind, an unknown property or an unknown parameter goes no further than this file.

import { BowlineError, badRequest, type Data, type SecureHash } from "@bowline/base";
import type { AuthorSyscall, EntityDescription, EntityProperty, EntityQuery } from "@bowline/sdk";
import { bounded, type ConditionPlan, conditionPlans, cursorOf, mapOf, placeOf } from "./conditions.ts";
import { columnValue, dataOfValue, type EntityValue, invalid, sizeOf } from "./entity-values.ts";
import { ENTITY_BYTES_MAX, PAGE_ENTITIES_DEFAULT, PAGE_ENTITIES_MAX } from "./limits.ts";

export interface EntityWrite {
  readonly entity: EntityDescription;
  readonly action: "persist" | "merge" | "remove";
  /** Of `remove`, keys. */
  readonly rows: readonly Data[];
}

export type EntityRead =
  | { readonly kind: "find"; readonly entity: EntityDescription; readonly keys: readonly Data[] } // -> Data[]
  | {
      readonly kind: "query"; // -> { items: Data[], next: string | null }
      readonly entity: EntityDescription;
      /** All rows where it is null. */
      readonly query: string | null;
      readonly parameters: Data;
      readonly limit?: number;
      readonly after?: string;
    };

// --- What flows ask, by the names of their own package ---

export type EntityDescriptions = readonly EntityDescription[];
export type EntityCall = Extract<AuthorSyscall, { kind: "entity.find" | "entity.query" }>;

/** Among the vault writes of a step commit: an author's `entity.write` with the package of the flow, which the engine stamps. */
export type BundleEntityWrite = Omit<Extract<AuthorSyscall, { kind: "entity.write" }>, "kind"> & {
  readonly kind: "entities";
  readonly bundle: SecureHash;
};

export const isEntityWrite = (write: Data): write is Data & BundleEntityWrite =>
  write !== null && typeof write === "object" && "kind" in write && write.kind === "entities";

/** Throws `persistence.entityUnknown`. */
export const entityWritesOf = (
  writes: readonly BundleEntityWrite[],
  entitiesOf: (bundle: SecureHash) => EntityDescriptions,
): readonly EntityWrite[] =>
  writes.map(({ bundle, entity, action, rows }) => ({ entity: entityNamed(entitiesOf(bundle), entity), action, rows }));

/** Throws `persistence.entityUnknown`. */
export function entityReadOf(entities: EntityDescriptions, call: EntityCall): EntityRead {
  const entity = entityNamed(entities, call.entity);
  return call.kind === "entity.find" ? { ...call, kind: "find", entity } : { ...call, kind: "query", entity };
}

function entityNamed(entities: EntityDescriptions, name: string): EntityDescription {
  const entity = entities.find((each) => each.name === name);
  if (entity !== undefined) return entity;
  throw badRequest("persistence.entityUnknown", `This package has no entity ${name}: list it among the entities of its cordapp().`, {
    entity: name,
  });
}

/** In the order of the properties. */
export type EntityRow = readonly EntityValue[];

/** Rows that one statement can write: one table, one action, no key twice. */
export interface EntityRun {
  readonly entity: EntityDescription;
  readonly action: EntityWrite["action"];
  /** Values in the order of the properties; of `remove`, in the order of the key. */
  readonly rows: EntityRow[];
}

/** In order. Throws `persistence.invalid`, `persistence.tooMany` or `persistence.tooLarge`. */
export function runsOf(writes: readonly EntityWrite[]): readonly EntityRun[] {
  const runs: (EntityRun & { readonly keys: Set<string> })[] = [];
  for (const { entity, action, rows } of writes) {
    bounded(rows);
    for (const data of rows) {
      const row = action === "remove" ? keyRow(entity, data) : entityRow(entity, data);
      const key = keyText(action === "remove" ? row : keyOf(entity, row));
      let run = runs.at(-1);
      if (run === undefined || run.entity !== entity || run.action !== action || run.keys.has(key)) {
        run = { entity, action, rows: [], keys: new Set() };
        runs.push(run);
      }
      run.keys.add(key);
      run.rows.push(row);
    }
  }
  return runs;
}

export const keyProperties = ({ key, properties }: EntityDescription): readonly EntityProperty[] =>
  key.map((name) => properties.find((property) => property.name === name) as EntityProperty);

export const keyOf = ({ key, properties }: EntityDescription, row: EntityRow): EntityRow =>
  key.map((name) => row[properties.findIndex((property) => property.name === name)] ?? null);

export const keyText = (key: EntityRow): string => JSON.stringify(key);

/** Throws as `runsOf`. */
export const keysOf = (entity: EntityDescription, keys: readonly Data[]): readonly EntityRow[] =>
  bounded(keys).map((key) => keyRow(entity, key));

/** A row as the author's code knows it. */
export function dataOf({ name, properties }: EntityDescription, row: EntityRow): Data {
  const data: { [property: string]: Data } = Object.create(null);
  for (const [i, { name: property, kind, missing }] of properties.entries()) {
    const value = row[i] ?? null;
    if (value !== null) data[property] = dataOfValue(`${name}.${property}`, kind, value);
    else if (missing !== "omitted") data[property] = null;
  }
  return data;
}

export const alreadyThere = ({ name }: EntityDescription, key: EntityRow): BowlineError =>
  new BowlineError("conflict", "persistence.exists", `There is an entity ${name} with the key ${key.join(", ")} already.`, {
    entity: name,
  });

// --- Queries ---

export interface QueryPlan {
  readonly entity: EntityDescription;
  /** All must hold; of each, one. */
  readonly where: readonly (readonly ConditionPlan<EntityProperty>[])[];
  /** Ends in the key: no two rows are equal in it. */
  readonly order: readonly EntityProperty[];
  readonly descending: boolean;
  readonly limit: number;
  /** The values of `order` where the page before ended. */
  readonly after: EntityRow | null;
}

const ALL: EntityQuery = { where: [] };

/** Throws `persistence.queryUnknown`, `persistence.invalid`, `persistence.badLimit` or `persistence.badCursor`. */
export function planOf(read: Extract<EntityRead, { kind: "query" }>): QueryPlan {
  const { entity, query: name, limit = PAGE_ENTITIES_DEFAULT } = read;
  const query = name === null ? ALL : Object.hasOwn(entity.queries, name) ? entity.queries[name] : undefined;
  if (query === undefined)
    throw badRequest("persistence.queryUnknown", `Entity ${entity.name} has no query ${name}.`, { query: `${name}` });
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > PAGE_ENTITIES_MAX)
    throw badRequest("persistence.badLimit", `A page has 1 to ${PAGE_ENTITIES_MAX} entities, not ${limit}.`, { limit: String(limit) });
  const where = conditionPlans(`query ${name}`, query.where, (property) => propertyOf(entity, property), read.parameters);
  const names = [...new Set([...(query.orderBy ?? []), ...entity.key])];
  const order = names.map((property) => propertyOf(entity, property));
  return { entity, where, order, descending: query.descending === true, limit, after: placeOf(read.after, order) };
}

export const cursorAt = ({ entity, order }: QueryPlan, row: EntityRow): string =>
  cursorOf(
    order,
    order.map(({ name }) => row[entity.properties.findIndex((each) => each.name === name)] ?? ""),
  );

const propertyOf = ({ properties }: EntityDescription, name: string): EntityProperty =>
  properties.find((property) => property.name === name) as EntityProperty;

// --- Values ---

function entityRow({ name, properties }: EntityDescription, data: Data): EntityRow {
  const given = mapOf(data, name);
  const row = properties.map((property) =>
    columnValue(name, property, Object.hasOwn(given, property.name) ? given[property.name] : undefined),
  );
  const unknown = Object.keys(given).find((key) => !properties.some((property) => property.name === key));
  if (unknown !== undefined) throw invalid(name, unknown, "is no property of it");
  const size = row.reduce<number>((sum, value, i) => sum + sizeOf((properties[i] as EntityProperty).kind, value), 0);
  if (size > ENTITY_BYTES_MAX)
    throw new BowlineError("tooLarge", "persistence.tooLarge", `An entity ${name} has at most ${ENTITY_BYTES_MAX} characters.`, {
      entity: name,
    });
  return row;
}

function keyRow(entity: EntityDescription, data: Data): EntityRow {
  const given = mapOf(data, `a key of ${entity.name}`);
  return keyProperties(entity).map((property) =>
    columnValue(entity.name, property, Object.hasOwn(given, property.name) ? given[property.name] : undefined),
  );
}
