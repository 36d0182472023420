// What flow code does with its CorDapp's own tables. Writes go into the flow's next step commit, so once and only once,
// together with all else that the flow did; reads see the flow's own writes before them. What comes back has passed the
// author's schema.

import type { Data } from "@bowline/base";
import type { Static } from "typebox";
import { decimal } from "./decimal.ts";
import type { EntityDefinition, EntityQuery } from "./entity.ts";
import { FlowError } from "./failure.ts";
import { fitting, plain } from "./plain.ts";
import type { Syscall } from "./syscalls.ts";

// biome-ignore lint/suspicious/noExplicitAny: any entity; each checked its own schema, key and queries.
export type AnyEntity = EntityDefinition<any, any, any, any>;

export type EntityOf<E extends AnyEntity> = Static<E["schema"]>;
type KeyProperties<E extends AnyEntity> =
  E extends EntityDefinition<infer S, infer K, infer _Q, infer _Single> ? Pick<Static<S>, K & keyof Static<S>> : never;
/** One value, or a map of the key's properties where it has several. */
export type EntityKey<E extends AnyEntity> = E["single"] extends true ? KeyProperties<E>[keyof KeyProperties<E>] : KeyProperties<E>;

type NullTest = { readonly operator: "isNull" | "isNotNull" };
type Compared<Q extends EntityQuery> = Q["where"][number] extends infer C
  ? Exclude<C extends { readonly any: readonly (infer A)[] } ? A : C, NullTest>
  : never;
type ParameterName<C> = C extends { readonly parameter: infer P extends string }
  ? P
  : C extends { readonly property: infer P extends string }
    ? P
    : never;
type ParameterValue<T, C> = C extends { readonly property: infer P extends keyof T; readonly operator: infer O }
  ? O extends "in"
    ? readonly NonNullable<T[P]>[]
    : NonNullable<T[P]>
  : never;
/** What a named query is given, by the properties that it compares. */
export type QueryParameters<T, Q extends EntityQuery> = { readonly [C in Compared<Q> as ParameterName<C>]: ParameterValue<T, C> };

export interface EntityPage<T> {
  readonly items: readonly T[];
  /** Where this page ended; undefined on the last. */
  readonly next: string | undefined;
}

export interface PageOptions {
  /** At most 1,000; 100 where nothing is said. A page of large entities may be shorter. */
  readonly limit?: number;
  /** Where the page before ended. Rows that come or go meanwhile move no other from page to page. */
  readonly after?: string;
}

export interface Persistence {
  /** New rows, all or none. The step fails with `persistence.exists` where a key is there. */
  persist<E extends AnyEntity>(entity: E, rows: EntityOf<E> | readonly EntityOf<E>[]): Promise<void>;
  /** New or not: what is there is replaced. */
  merge<E extends AnyEntity, R extends EntityOf<E> | readonly EntityOf<E>[]>(entity: E, rows: R): Promise<R>;
  /** Entities, or as much of them as their key. Those that are not there stay away. */
  remove<E extends AnyEntity>(entity: E, rows: KeyProperties<E> | readonly KeyProperties<E>[]): Promise<void>;
  find<E extends AnyEntity>(entity: E, key: EntityKey<E>): Promise<EntityOf<E> | undefined>;
  /** Those that are there, in the order of `keys`. */
  findMany<E extends AnyEntity>(entity: E, keys: readonly EntityKey<E>[]): Promise<readonly EntityOf<E>[]>;
  /** In the order of the key. */
  findAll<E extends AnyEntity>(entity: E, page?: PageOptions): Promise<EntityPage<EntityOf<E>>>;
  query<E extends AnyEntity, N extends keyof E["queries"] & string>(
    entity: E,
    name: N,
    parameters: QueryParameters<EntityOf<E>, E["queries"][N]>,
    page?: PageOptions,
  ): Promise<EntityPage<EntityOf<E>>>;
}

/** Rows of one call. */
const ROWS_MAX = 1_000;

type Row = Readonly<Record<string, Data>>;
type Rows = readonly Readonly<Record<string, unknown>>[];

export function persistenceOf(ask: (call: Syscall) => Promise<Data>): Persistence {
  const write = (entity: AnyEntity, action: "persist" | "merge" | "remove", rows: Data) =>
    ask({ kind: "entity.write", entity: entity.name, action, rows: rows as readonly Data[] });
  const page = async (entity: AnyEntity, query: string | null, parameters: unknown, { limit, after }: PageOptions) => {
    const answer = (await ask({
      kind: "entity.query",
      entity: entity.name,
      query,
      parameters: plain(parameters, "the parameters"),
      ...(limit === undefined ? {} : { limit: plain(limit, "the limit") as number }),
      ...(after === undefined ? {} : { after }),
    })) as { readonly items: readonly Data[]; readonly next: string | null };
    return { items: answer.items.map((row) => readRow(entity, row)), next: answer.next ?? undefined };
  };
  const findMany = async (entity: AnyEntity, keys: readonly unknown[]) => {
    const asked = keys.map((key) => keyMap(entity, entity.single ? { [String(entity.key[0])]: key } : key));
    const found = (await ask({ kind: "entity.find", entity: entity.name, keys: bounded(asked) as Data[] })) as readonly Data[];
    return found.map((row) => readRow(entity, row));
  };
  const persistence = {
    async persist(entity: AnyEntity, rows: unknown) {
      await write(entity, "persist", checkedRows(entity, rows));
    },
    async merge(entity: AnyEntity, rows: unknown) {
      const checked = checkedRows(entity, rows);
      await write(entity, "merge", checked);
      const merged = (checked as readonly Data[]).map((row) => readRow(entity, plain(row, "an entity")));
      return Array.isArray(rows) ? merged : merged[0];
    },
    async remove(entity: AnyEntity, rows: unknown) {
      await write(entity, "remove", bounded(listOf(rows).map((row) => keyMap(entity, row))) as Data);
    },
    findMany,
    find: async (entity: AnyEntity, key: unknown) => (await findMany(entity, [key]))[0],
    findAll: (entity: AnyEntity, options: PageOptions = {}) => page(entity, null, {}, options),
    query: (entity: AnyEntity, name: string, parameters: unknown, options: PageOptions = {}) => page(entity, name, parameters, options),
  };
  // The types of an entity are its definition's: what is returned has passed its schema.
  return persistence as unknown as Persistence;
}

const listOf = (rows: unknown): Rows => (Array.isArray(rows) ? rows : [rows]) as Rows;

function bounded<T>(rows: readonly T[]): readonly T[] {
  if (rows.length <= ROWS_MAX) return rows;
  throw new FlowError("persistence.tooMany", `One call takes at most ${ROWS_MAX} entities or keys: do it in parts.`);
}

function checkedRows({ name, schema, description }: AnyEntity, rows: unknown): Data {
  const decimals = description.properties.filter(({ kind }) => kind === "decimal").map((property) => property.name);
  return bounded(listOf(rows)).map((row) => {
    const checked = fitting(schema, plain(row, `an entity ${name}`), "persistence.invalid", `an entity ${name}`) as Row;
    const given = decimals.filter((property) => typeof checked[property] === "string");
    // In the form in which they will be read.
    return { ...checked, ...Object.fromEntries(given.map((property) => [property, decimal.canonical(String(checked[property]))])) };
  });
}

function keyMap({ key, name }: AnyEntity, row: unknown): Data {
  const given = plain(row, `a key of ${name}`) as Readonly<Record<string, Data>> | null;
  return Object.fromEntries((key as readonly string[]).map((property) => [property, given?.[property] ?? null]));
}

export const readRow = ({ name, schema }: AnyEntity, row: Data) =>
  fitting(schema, row, "persistence.unexpectedRow", `a row of ${name}`) as Data;
