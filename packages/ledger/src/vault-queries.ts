// Named queries over the states of a vault: what one asks for, decided here on values; carried out by `vault-queries.store.ts` and
// `vault.memory.ts`.
//
// What an author's code hands over is held against the query's description, which was checked when its package was uploaded.
// Pages are stable under every order: what a query is ordered by is part of the state's JSON form, which never changes, and the place
// at which the state came into the vault decides among equals. So a state that stands meanwhile is on one page and no other, whatever
// comes or goes.

import { badRequest, type Data, type Instant, type SecureHash } from "@bowline/base";
import type { AuthorSyscall, EntityCondition, EntityDescription, EntityProperty, StateRef } from "@bowline/sdk";
import type { StateField, StateQueryDescription } from "@bowline/sdk/queries";
import { bounded, type ConditionPlan, conditionPlans, cursorOf, placeOf } from "./conditions.ts";
import type { EntityDescriptions } from "./entities.ts";
import type { EntityValue } from "./entity-values.ts";
import { parseStateRef } from "./leaves.ts";
import { ORDERED_CHARACTERS, PAGE_STATES_DEFAULT, PAGE_STATES_MAX } from "./limits.ts";

export type StateQueryCall = Extract<AuthorSyscall, { kind: "vault.query" }>;

/** What a package says of queries and of the entities that they are joined to. */
export interface QueryDescriptions {
  readonly queries?: readonly StateQueryDescription[];
  readonly entities?: EntityDescriptions;
}

/** A property of what is joined. */
export type JoinedProperty = EntityProperty & { readonly join: number };
export type QueryProperty = StateField | JoinedProperty;

export interface JoinPlan {
  readonly entity: EntityDescription;
  /** The fields that its key equals, in the order of the key. */
  readonly fields: readonly StateField[];
  readonly optional: boolean;
}

export interface StateQueryPlan {
  readonly query: StateQueryDescription;
  readonly joins: readonly JoinPlan[];
  /** All must hold; of each, one. */
  readonly where: readonly (readonly ConditionPlan<QueryProperty>[])[];
  readonly order: readonly StateField[];
  /** The values of `order`, and the position, where the page before ended. */
  readonly after: readonly EntityValue[] | null;
  readonly refs: readonly { readonly transactionId: SecureHash; readonly index: number }[] | null;
  readonly createdUntil: Instant | null;
  readonly limit: number;
}

/** The last of every order. */
const POSITION = { name: "position", kind: "integer" } as const;

/** Throws `vault.queryUnknown`, `vault.badQuery`, `persistence.invalid`, `persistence.tooMany` or `persistence.badCursor`. */
export function stateQueryPlan(call: Omit<StateQueryCall, "kind">, descriptions: QueryDescriptions): StateQueryPlan {
  const query = queryNamed(descriptions, call.query);
  const { limit = PAGE_STATES_DEFAULT, refs, createdUntil = null } = call;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > PAGE_STATES_MAX)
    throw badRequest("vault.badQuery", `A page has 1 to ${PAGE_STATES_MAX} states, not ${limit}.`, { limit: String(limit) });
  if (createdUntil !== null && !Number.isSafeInteger(createdUntil))
    throw badRequest("vault.badQuery", "A moment is a whole number of milliseconds since 1970.", { createdUntil: String(createdUntil) });
  const joins = joinsOf(query, descriptions);
  const order = query.orderBy.map((name) => fieldOf(query, name));
  return {
    query,
    joins,
    where: conditionPlans(`query ${query.name}`, query.where, (name) => propertyOf(query, joins, name), call.parameters),
    order,
    after: placeOf(call.after, [...order, POSITION]),
    refs: refs === undefined ? null : bounded(refs).map((ref: StateRef) => parseStateRef(ref)),
    createdUntil,
    limit,
  };
}

export function joinsOf(query: StateQueryDescription, { entities = [] }: QueryDescriptions): readonly JoinPlan[] {
  return query.join.map(({ entity: name, on, optional }) => {
    const entity = entities.find((each) => each.name === name) as EntityDescription;
    return { entity, fields: entity.key.map((key) => fieldOf(query, on[key] as string)), optional };
  });
}

/** Throws `vault.queryUnknown`. */
export function queryNamed({ queries = [] }: QueryDescriptions, name: string): StateQueryDescription {
  const query = queries.find((each) => each.name === name);
  if (query !== undefined) return query;
  throw badRequest("vault.queryUnknown", `This package has no query ${name}: list it among the queries of its cordapp().`, {
    query: name,
  });
}

/** With some value or other for every parameter. */
export function samplePlan(query: StateQueryDescription, joins: readonly JoinPlan[]): StateQueryPlan {
  const sampled = ({ property: name, operator }: EntityCondition): ConditionPlan<QueryProperty> => {
    const property = propertyOf(query, joins, name);
    const value = EMPTY[property.kind];
    return { property, operator, value: operator === "in" ? [value] : value };
  };
  const where = query.where.map((each) => ("any" in each ? each.any : [each]).map(sampled));
  const order = query.orderBy.map((name) => fieldOf(query, name));
  return { query, joins, where, order, after: null, refs: null, createdUntil: null, limit: PAGE_STATES_DEFAULT };
}

/** A page as a flow is answered. `place` is that of the last state, where there are more. */
export const queryAnswer = (
  { order }: StateQueryPlan,
  found: readonly { readonly state: Data; readonly joined: readonly Data[] }[],
  place: readonly EntityValue[] | null,
): Data => ({
  states: found.map(({ state }) => state),
  joined: found.map(({ joined }) => joined),
  next: place === null ? null : cursorOf([...order, POSITION], place),
});

const fieldOf = ({ fields }: StateQueryDescription, name: string): StateField => fields.find((field) => field.name === name) as StateField;

function propertyOf(query: StateQueryDescription, joins: readonly JoinPlan[], name: string): QueryProperty {
  const field = query.fields.find((each) => each.name === name);
  if (field !== undefined) return field;
  const join = query.join.findIndex((each) => name.startsWith(`${each.name}.`));
  const property = joins[join]?.entity.properties.find((each) => `${query.join[join]?.name}.${each.name}` === name);
  return { ...(property as EntityProperty), join };
}

/** What a text is ordered by. */
export const beginningOf = (text: string): string =>
  text.length <= ORDERED_CHARACTERS ? text : [...text].slice(0, ORDERED_CHARACTERS).join("");

/** As many digits as `decimal` takes, whichever side of the point they are on. PostgreSQL reads both patterns too. */
export const DECIMAL = /^-?(0|[1-9][0-9]{0,29})([.][0-9]{1,30})?$/;
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What a required field counts as in the states that do not have it, as those of a package that did not know it yet. */
export const EMPTY: Readonly<Record<StateField["kind"], EntityValue>> = {
  text: "",
  integer: 0,
  bigint: "0",
  decimal: "0",
  instant: 0,
  uuid: "00000000-0000-0000-0000-000000000000",
  boolean: false,
  bytes: null,
  json: null,
};
