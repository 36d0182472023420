// Named queries over states in memory: for tests of CorDapps and for simulations.

import type { Data } from "@bowline/base";
import { decimal } from "@bowline/sdk";
import type { StateField } from "@bowline/sdk/queries";
import { holds } from "./conditions.ts";
import type { MemoryEntities } from "./entities.memory.ts";
import { dataOf, type EntityRow } from "./entities.ts";
import { compareValues, type EntityValue } from "./entity-values.ts";
import { stateRef } from "./leaves.ts";
import { PAGE_STATES_BYTES_MAX } from "./limits.ts";
import { stateAndRef } from "./transaction.ts";
import { beginningOf, DECIMAL, EMPTY, type QueryProperty, queryAnswer, type StateQueryPlan, UUID } from "./vault-queries.ts";
import type { OutputRow } from "./vault-reads.ts";

interface Found {
  readonly output: OutputRow;
  readonly joined: readonly (EntityRow | undefined)[];
  /** The values of the order, and the position. */
  readonly place: readonly EntityValue[];
}

export function statesInMemory(outputs: Iterable<OutputRow>, plan: StateQueryPlan, entities: MemoryEntities): Data {
  const { order, after, limit } = plan;
  const compare = (a: readonly EntityValue[], b: readonly EntityValue[]): number => {
    const kinds = [...order.map(({ kind }) => kind), "integer" as const];
    const differing = kinds.map((kind, i) => compareValues(kind, a[i] ?? null, b[i] ?? null)).find((compared) => compared !== 0);
    return (plan.query.descending ? -1 : 1) * (differing ?? 0);
  };
  const found = [...outputs]
    .filter((output) => isLookedAt(output, plan))
    .flatMap((output) => foundOf(output, plan, entities))
    .filter(({ place }) => after === null || compare(place, after) > 0)
    .sort((a, b) => compare(a.place, b.place));
  let size = 0;
  const page = found.slice(0, limit).filter(({ output }, i) => {
    size += output.data.length;
    return i === 0 || size <= PAGE_STATES_BYTES_MAX;
  });
  const items = page.map(({ output: { id, index, info, data }, joined }) => ({
    state: stateAndRef({ ref: stateRef(id, index), info, data }) as unknown as Data,
    joined: plan.joins.map(({ entity }, i) => (joined[i] === undefined ? null : dataOf(entity, joined[i]))),
  }));
  return queryAnswer(plan, items, page.length < found.length ? (page.at(-1)?.place ?? null) : null);
}

function isLookedAt({ type, consumed, created, id, index }: OutputRow, { query, refs, createdUntil }: StateQueryPlan): boolean {
  const isStanding = query.standing === "all" || (consumed === null) === (query.standing === "unconsumed");
  const isNamed = refs === null || refs.some((ref) => ref.transactionId === id && ref.index === index);
  return isStanding && isNamed && query.states.includes(type) && (createdUntil === null || created <= createdUntil);
}

function foundOf(output: OutputRow, plan: StateQueryPlan, entities: MemoryEntities): Found[] {
  const joined = plan.joins.map(({ entity, fields }) => {
    const key = fields.map((field) => fieldValue(field, output.json));
    return entities.row(entity, key);
  });
  if (plan.joins.some(({ optional }, i) => !optional && joined[i] === undefined)) return [];
  const comparedValue = (property: QueryProperty): EntityValue => {
    if (!("join" in property)) return fieldValue(property, output.json);
    const at = plan.joins[property.join]?.entity.properties.findIndex(({ name }) => name === property.name) ?? 0;
    return joined[property.join]?.[at] ?? null;
  };
  if (!plan.where.every((any) => any.some((condition) => holds(condition, comparedValue(condition.property))))) return [];
  const place = plan.order.map((field) => {
    const value = fieldValue(field, output.json);
    return typeof value === "string" && field.kind === "text" ? beginningOf(value) : value;
  });
  return [{ output, joined, place: [...place, output.position] }];
}

/** As `fieldSql` reads it. */
function fieldValue({ name, kind, missing }: StateField, json: Data): EntityValue {
  const member = name.split(".").reduce<Data | undefined>(memberOf, json);
  const value = member === undefined || member === null ? null : (READ[kind](member) ?? null);
  return value ?? (missing === "never" ? EMPTY[kind] : null);
}

function memberOf(map: Data | undefined, key: string): Data | undefined {
  if (map === null || typeof map !== "object" || Array.isArray(map) || map instanceof Uint8Array) return undefined;
  return Object.hasOwn(map, key) ? (map as { readonly [key: string]: Data })[key] : undefined;
}

const number = (member: Data): EntityValue => (typeof member === "number" ? member : null);
const text = (member: Data, pattern: RegExp): EntityValue => (typeof member === "string" && pattern.test(member) ? member : null);
const READ: Readonly<Record<StateField["kind"], (member: Data) => EntityValue>> = {
  text: (member) => (typeof member === "string" ? member : null),
  integer: number,
  instant: number,
  bigint(member) {
    const digits = typeof member === "number" ? String(member) : text(member, /^-?[0-9]{1,19}$/);
    return digits === null || BigInt.asIntN(64, BigInt(digits)) !== BigInt(digits) ? null : BigInt(digits).toString();
  },
  decimal(member) {
    const digits = typeof member === "number" ? String(member) : text(member, DECIMAL);
    return digits === null ? null : decimal.canonical(String(digits));
  },
  uuid: (member) => text(member, UUID),
  boolean: (member) => (typeof member === "boolean" ? member : null),
  bytes: (member) => JSON.stringify(member),
  json: (member) => JSON.stringify(member),
};
