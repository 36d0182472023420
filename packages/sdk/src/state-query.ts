// Named queries over the states in a vault, by their JSON form. As those of entities they are data, not text: they run the same in
// memory and in PostgreSQL, and their pages are stable in any order, because what they are ordered by never changes of a state.
//
// What a query's own code does (`filter`, `map`, `collect`) runs in the flow, on what the step brought: so it runs again, and
// comes out the same, wherever the flow does.

import type { Data } from "@bowline/base";
import type { Static, TObject } from "typebox";
import type { CordappManifest, EntityDescription, StateField, StateQueryDescription } from "./activation.ts";
import type { ContractDefinition, StateDefinition } from "./definition.ts";
import { conditionsFault, type EntityQuery, isOrdered, propertiesOf } from "./entity.ts";
import { FlowError } from "./failure.ts";
import type { AnyEntity, EntityOf, PageOptions, QueryParameters } from "./persistence.ts";
import type { StateAndRef } from "./transaction.ts";

// biome-ignore lint/suspicious/noExplicitAny: any state; each checked its own schema.
type AnyState = StateDefinition<any>;
/** One type of state, several, or all of this CorDapp's under a contract. */
type Subject = AnyState | readonly AnyState[] | ContractDefinition;
type DataOf<O> = O extends readonly (infer D)[]
  ? DataOf<D>
  : O extends { readonly schema: infer S extends TObject }
    ? Static<S> & Data
    : Data;

/** How rows of an entity are joined to states. */
export interface StateJoin<F extends TObject, E extends AnyEntity = AnyEntity> {
  readonly entity: E;
  /** The properties of its key, each with the field that it equals. */
  readonly on: Readonly<Record<string, keyof Static<F> & string>>;
  /** States without such a row are found too. */
  readonly optional?: boolean;
}
type Joins<F extends TObject> = Readonly<Record<string, StateJoin<F>>>;
type Joined<J> = {
  readonly [A in keyof J]: J[A] extends { readonly entity: infer E extends AnyEntity }
    ? EntityOf<E> | (J[A] extends { readonly optional: true } ? undefined : never)
    : never;
};
type JoinedProperty<J> = {
  [A in keyof J & string]: J[A] extends { readonly entity: infer E extends AnyEntity } ? `${A}.${keyof EntityOf<E> & string}` : never;
}[keyof J & string];
/** Fields, and properties of what is joined, by the names that conditions know them by. */
type Compared<F extends TObject, J> = Static<F> & {
  [P in JoinedProperty<J>]: P extends `${infer A extends keyof J & string}.${infer Q}`
    ? J[A] extends { readonly entity: infer E extends AnyEntity }
      ? EntityOf<E>[Q & keyof EntityOf<E>]
      : never
    : never;
};

/** A state that a query finds, with the rows that are joined to it. */
export type FoundState<T extends Data = Data, J = unknown> = StateAndRef<T> & { readonly joined: Joined<J> };

export interface StateQueryPage extends PageOptions {
  /** Only those among these; at most 1,000. */
  readonly refs?: readonly string[];
  /** Milliseconds since 1970: states that came into the vault later are left out. */
  readonly createdUntil?: number;
}

/** `P` are its parameters, `R` is what it finds, `C` what that is collected into. */
export interface StateQueryDefinition<P, R, C> {
  readonly kind: "stateQuery";
  readonly name: string;
  readonly of: readonly AnyState[] | ContractDefinition;
  readonly joined: Readonly<Record<string, AnyEntity>>;
  readonly description: Omit<StateQueryDescription, "states">;
  /** Whether `keep` may leave something out. */
  readonly thins: boolean;
  /** What the query makes of a state; null where it leaves it out. */
  keep(found: FoundState, parameters: P): R | null;
  readonly collect?: Collect<R, C>;
}

interface Collect<R, C> {
  readonly first: C;
  add(collected: C, item: R): C;
}

// biome-ignore lint/suspicious/noExplicitAny: any query; each checked its own parts.
export type AnyStateQuery = StateQueryDefinition<any, any, any>;

/**
 * @example
 * const BondsOf = stateQuery({
 *   name: "com.example.BondsOf",
 *   of: Bond,
 *   fields: Type.Object({ owner: Type.String(), amount: Type.Integer() }),
 *   where: [{ property: "owner", operator: "=" }],
 *   orderBy: ["amount"],
 *   index: ["owner", "amount"],
 * });
 */
export function stateQuery<
  const O extends Subject,
  F extends TObject,
  const W extends EntityQuery<(keyof Static<F> & string) | JoinedProperty<J>>["where"],
  const J extends Joins<F> = Readonly<Record<never, StateJoin<F>>>,
  R = FoundState<DataOf<O>, J>,
  C = never,
>(definition: {
  /** Dotted, unique in the CPI. */
  readonly name: string;
  readonly of: O;
  /** Members of the JSON form by their paths (`owner.key`). A required one that a state does not have counts as "", 0 or false. */
  readonly fields: F;
  /** Rows of the CorDapp's own tables, by their key. */
  readonly join?: J;
  readonly where: W;
  /** Required fields; the order in which states came into the vault decides among equals. */
  readonly orderBy?: readonly (keyof Static<F> & string)[];
  readonly descending?: boolean;
  /** Which states are looked at; `unconsumed` where nothing is said. */
  readonly standing?: StateQueryDescription["standing"];
  /** An index that every vault with this CorDapp has: first what is compared by `=`, then what is ordered or compared otherwise. */
  readonly index?: readonly (keyof Static<F> & string)[];
  filter?(found: FoundState<DataOf<O>, J>, parameters: QueryParameters<Compared<F, J>, { where: W }>): boolean;
  /** What a page has instead of the state; null leaves it out. */
  map?(found: FoundState<DataOf<O>, J>, parameters: QueryParameters<Compared<F, J>, { where: W }>): R | null;
  readonly collect?: Collect<R, C>;
}): StateQueryDefinition<QueryParameters<Compared<F, J>, { where: W }>, R, C> {
  type Found = FoundState<DataOf<O>, J>;
  const { name, fields, where, orderBy = [], descending = false, standing = "unconsumed", index = null, filter, map, collect } = definition;
  const of = definition.of as Subject;
  const join: Joins<F> = definition.join ?? {};
  return {
    kind: "stateQuery",
    name,
    of: "kind" in of ? (of.kind === "contract" ? of : [of]) : of,
    joined: Object.fromEntries(Object.entries(join).map(([alias, { entity }]) => [alias, entity])),
    description: {
      name,
      standing,
      fields: propertiesOf(fields).map(({ name, kind, missing }) => ({ name, kind, missing })),
      where,
      orderBy,
      descending,
      index,
      join: Object.entries(join).map(([alias, { entity, on, optional = false }]) => ({ name: alias, entity: entity.name, on, optional })),
    },
    thins: filter !== undefined || map !== undefined,
    keep(found, parameters) {
      if (filter !== undefined && !filter(found as Found, parameters)) return null;
      return map === undefined ? (found as R) : map(found as Found, parameters);
    },
    ...(collect === undefined ? {} : { collect }),
  };
}

/** With the types of state that it is of. */
export function describeQuery({ of, description }: AnyStateQuery, states: readonly AnyState[]): StateQueryDescription {
  const subjects = "kind" in of ? states.filter(({ contract }) => contract === of.name) : of;
  return { ...description, states: subjects.map(({ name }) => name) };
}

/** Throws `query.invalid`. */
export function requireQueries({ queries = [], entities = [] }: CordappManifest): void {
  for (const query of queries) {
    const fault = stateQueryFault(query, entities);
    if (fault !== undefined) throw new FlowError("query.invalid", `Query ${query.name}: ${fault}.`);
  }
}

const PATH = /^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,7}$/;
const ALIAS = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const INDEX_FIELDS_MAX = 8;

/** What is wrong with a description, which may come from anywhere; undefined where nothing is. */
export function stateQueryFault(query: StateQueryDescription, entities: readonly EntityDescription[]): string | undefined {
  const { states, fields, where, orderBy, index } = query;
  if (states.length === 0) return "it is of no state of this CorDapp";
  const odd = fields.find(({ name }) => !PATH.test(name));
  if (odd !== undefined) return `"${odd.name}" is no path of a JSON form: names of letters, digits, _ and -, with dots between them`;
  const bytes = fields.find(({ kind }) => kind === "bytes");
  if (bytes !== undefined) return `${bytes.name} cannot be bytes: a JSON form has them as text in base64`;
  const byName = new Map<string, Pick<StateField, "kind" | "missing">>(fields.map((field) => [field.name, field]));
  if (byName.size !== fields.length) return "two fields have one name";
  const joins = joinFault(query, entities, byName);
  if (joins !== undefined) return joins;
  const loose = orderBy.find((name, i) => !isOrdered(fields.find((field) => field.name === name)) || orderBy.indexOf(name) !== i);
  if (loose !== undefined)
    return `it is ordered by ${loose}, which must be a required field, neither a boolean nor JSON, and be named once`;
  if (index !== null) {
    if (index.length === 0 || index.length > INDEX_FIELDS_MAX || new Set(index).size !== index.length)
      return `an index has 1 to ${INDEX_FIELDS_MAX} fields, each once`;
    const unknown = index.find((name) => !fields.some((field) => field.name === name && field.kind !== "json"));
    if (unknown !== undefined) return `its index has ${unknown}, which is no field that can be compared`;
  }
  return conditionsFault(where, byName);
}

/** Adds the properties of what is joined to the names that conditions may use. */
function joinFault(
  { fields, join }: StateQueryDescription,
  entities: readonly EntityDescription[],
  byName: Map<string, Pick<StateField, "kind" | "missing">>,
): string | undefined {
  for (const { name, entity, on } of join) {
    if (!ALIAS.test(name)) return `"${name}" is no name for what is joined: letters, digits and _`;
    const found = entities.find((each) => each.name === entity);
    if (found === undefined) return `the CorDapp has no entity ${entity}`;
    if ([...found.key].sort().join() !== Object.keys(on).sort().join())
      return `${name} is joined by ${Object.keys(on).join(", ") || "nothing"}, and the key of ${entity} is ${found.key.join(", ")}`;
    for (const property of found.properties) {
      if (byName.has(`${name}.${property.name}`)) return `${name}.${property.name} is a field too: call what is joined otherwise`;
      byName.set(`${name}.${property.name}`, property);
      const field = fields.find((each) => each.name === on[property.name]);
      if (Object.hasOwn(on, property.name) && field?.kind !== property.kind)
        return `${name}.${property.name} is a ${property.kind}, and ${on[property.name]} ${field === undefined ? "no field" : `a ${field.kind}`}`;
    }
  }
  return undefined;
}
