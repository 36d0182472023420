// Conditions of named queries as SQL: every value is a parameter.

import type { Compared, ConditionPlan } from "./conditions.ts";
import type { EntityValue } from "./entity-values.ts";

/** Adds a parameter to a statement: how it is called there. */
export type Parameter<P> = (property: P, value: EntityValue | readonly EntityValue[], list?: "" | "[]") => string;

/** One of these. */
export const anySql = <P extends Compared>(
  any: readonly ConditionPlan<P>[],
  columnOf: (property: P) => string,
  parameter: Parameter<P>,
): string => `(${any.map((condition) => conditionSql(condition, columnOf(condition.property), parameter)).join(" OR ") || "false"})`;

function conditionSql<P extends Compared>(
  { property, operator, value }: ConditionPlan<P>,
  column: string,
  parameter: Parameter<P>,
): string {
  switch (operator) {
    case "isNull":
      return `${column} IS NULL`;
    case "isNotNull":
      return `${column} IS NOT NULL`;
    case "in":
      return `${column} = ANY (${parameter(property, value, "[]")})`;
    case "like":
      return `${column} LIKE ${parameter(property, value)}`;
    case "startsWith":
      return `starts_with(${column}, ${parameter(property, value)})`;
    case "contains":
      return `strpos(${column}, ${parameter(property, value)}) > 0`;
    default:
      return `${column} ${operator} ${parameter(property, value)}`;
  }
}
