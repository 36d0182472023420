// What named queries have in common, whether they are over entities or over states: conditions with the values that they compare
// with, and where a page ended.

import { BowlineError, badRequest, type Data, decode, encode, fromHex, hex } from "@bowline/base";
import type { EntityCondition, EntityProperty, EntityQuery } from "@bowline/sdk";
import { columnValue, compareValues, dataOfValue, type EntityValue, invalid } from "./entity-values.ts";
import { ENTITIES_PER_CALL_MAX } from "./limits.ts";

/** What is compared: a column, or a member of a JSON form. */
export type Compared = Pick<EntityProperty, "name" | "kind">;

export interface ConditionPlan<P extends Compared> {
  readonly property: P;
  readonly operator: EntityCondition["operator"];
  /** A list for `in`; null for tests that take none. */
  readonly value: EntityValue | readonly EntityValue[];
}

/** All must hold; of each, one. Throws `persistence.invalid` or `persistence.tooMany`. */
export function conditionPlans<P extends Compared>(
  what: string,
  where: EntityQuery["where"],
  propertyOf: (name: string) => P,
  parameters: Data,
): readonly (readonly ConditionPlan<P>[])[] {
  const given = mapOf(parameters, `the parameters of ${what}`);
  const taken = new Set<string>();
  const plan = ({ property: name, operator, parameter = name }: EntityCondition): ConditionPlan<P> => {
    const property = propertyOf(name);
    if (operator === "isNull" || operator === "isNotNull") return { property, operator, value: null };
    taken.add(parameter);
    const compared = { name: parameter, kind: property.kind, missing: "never" } as const;
    const value = Object.hasOwn(given, parameter) ? given[parameter] : undefined;
    if (operator === "like" && typeof value === "string" && /(^|[^\\])(\\\\)*\\$/.test(value))
      throw invalid(what, parameter, "ends in a backslash with nothing after it");
    if (operator !== "in") return { property, operator, value: columnValue(what, compared, value) };
    if (!Array.isArray(value)) throw invalid(what, parameter, "must be a list");
    return { property, operator, value: bounded(value as readonly Data[]).map((item) => columnValue(what, compared, item)) };
  };
  const plans = where.map((each) => ("any" in each ? each.any.map(plan) : [plan(each)]));
  const unknown = Object.keys(given).find((parameter) => !taken.has(parameter));
  if (unknown !== undefined) throw invalid(what, unknown, "is no parameter of it");
  return plans;
}

/** As SQL has it: of nothing nothing holds but that it is nothing. */
export function holds({ property, operator, value: wanted }: ConditionPlan<Compared>, value: EntityValue): boolean {
  if (operator === "isNull" || operator === "isNotNull") return (value === null) === (operator === "isNull");
  if (value === null) return false;
  if (operator === "in") return (wanted as readonly EntityValue[]).includes(value);
  const compared = compareValues(property.kind, value, wanted as EntityValue);
  switch (operator) {
    case "=":
      return compared === 0;
    case "!=":
      return compared !== 0;
    case "<":
      return compared < 0;
    case "<=":
      return compared <= 0;
    case ">":
      return compared > 0;
    case ">=":
      return compared >= 0;
    case "like":
      return isLike(String(value), String(wanted));
    case "startsWith":
      return String(value).startsWith(String(wanted));
    case "contains":
      return String(value).includes(String(wanted));
  }
}

/** SQL's `LIKE`. */
function isLike(text: string, pattern: string): boolean {
  const tokens = pattern.match(/\\?./gsu) ?? [];
  const literal = (token: string): string => token.replace(/^\\/u, "").replaceAll(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
  const source = tokens.map((token) => (token === "%" ? ".*" : token === "_" ? "." : literal(token))).join("");
  return new RegExp(`^${source}$`, "su").test(text);
}

/** Where a page ended, as text: the values of what it is ordered by. */
export const cursorOf = (order: readonly Compared[], place: readonly EntityValue[]): string =>
  hex(encode(order.map(({ name, kind }, i) => dataOfValue(name, kind, place[i] ?? ""))));

/** Null where nothing is said. Throws `persistence.badCursor`. */
export function placeOf(text: string | undefined, order: readonly Compared[]): readonly EntityValue[] | null {
  if (text === undefined) return null;
  const refusal = badRequest("persistence.badCursor", "This is not where a page of this query ended.", {});
  const bytes = typeof text === "string" ? fromHex(text) : undefined;
  if (bytes === undefined) throw refusal;
  try {
    const values = decode(bytes);
    if (!Array.isArray(values) || values.length !== order.length) throw refusal;
    return order.map(({ name, kind }, i) => columnValue("a cursor", { name, kind, missing: "never" }, values[i] as Data));
  } catch (thrown) {
    throw thrown instanceof BowlineError ? refusal : thrown;
  }
}

/** Throws `persistence.invalid`. */
export function mapOf(data: Data, what: string): Readonly<Record<string, Data>> {
  if (data !== null && typeof data === "object" && !Array.isArray(data) && !(data instanceof Uint8Array))
    return data as Readonly<Record<string, Data>>;
  throw badRequest("persistence.invalid", `What is given for ${what} is no map of properties.`, {});
}

/** Throws `persistence.tooMany`. */
export function bounded<T>(rows: readonly T[]): readonly T[] {
  if (Array.isArray(rows) && rows.length <= ENTITIES_PER_CALL_MAX) return rows;
  throw badRequest("persistence.tooMany", `One call takes at most ${ENTITIES_PER_CALL_MAX} entities, keys or values: do it in parts.`, {});
}
