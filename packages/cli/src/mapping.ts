// How the columns of a file become the input of a flow.

import { usage } from "./terminal.ts";

/** `field` may be a path (`amount.currency`): the input then nests. */
export interface FieldMapping {
  readonly field: readonly string[];
  readonly source: { readonly column: string } | { readonly value: unknown };
  readonly type: FieldType;
}

const TYPES = ["text", "number", "boolean", "json"] as const;
type FieldType = (typeof TYPES)[number];

/** `field=column` or `field:type=column`. */
export function parseMap(text: string): FieldMapping {
  const { field, type, right } = parseOption(text, "--map");
  return { field, source: { column: right }, type };
}

/** `field=value` or `field:type=value`: the same in every row. */
export function parseSet(text: string): FieldMapping {
  const { field, type, right } = parseOption(text, "--set");
  const typed = convert(right, type);
  if ("problem" in typed) throw usage("mapping", `"${text}": the value ${typed.problem}.`);
  return { field, source: { value: typed.value }, type };
}

/** Every column is the field of its own name. */
export const mapByHeader = (columns: readonly string[]): readonly FieldMapping[] =>
  columns.map((column) => ({ field: fieldPath(column, column), source: { column }, type: "text" }));

/** The flow's input, or why the row makes none. Empty cells are left out, so that optional fields may stay empty. */
export function inputOf(
  values: Readonly<Record<string, unknown>>,
  mappings: readonly FieldMapping[],
): { readonly input: Readonly<Record<string, unknown>> } | { readonly problem: string } {
  const input: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const { field, source, type } of mappings) {
    if ("value" in source) {
      place(input, field, source.value);
      continue;
    }
    const raw = Object.hasOwn(values, source.column) ? values[source.column] : undefined;
    if (raw === undefined || raw === "") continue;
    const typed = typeof raw === "string" ? convert(raw, type) : { value: raw };
    if ("problem" in typed) return { problem: `${field.join(".")} ${typed.problem}` };
    place(input, field, typed.value);
  }
  return { input };
}

function convert(text: string, type: FieldType): { readonly value: unknown } | { readonly problem: string } {
  if (type === "text") return { value: text };
  if (type === "number") {
    const value = Number(text);
    return Number.isFinite(value) ? { value } : { problem: `is "${text}", which is not a number` };
  }
  if (type === "boolean") {
    if (/^(true|yes|1)$/i.test(text)) return { value: true };
    if (/^(false|no|0)$/i.test(text)) return { value: false };
    return { problem: `is "${text}", which is neither true nor false` };
  }
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { problem: `is "${text}", which is not JSON` };
  }
}

function place(input: Record<string, unknown>, field: readonly string[], value: unknown): void {
  let at = input;
  for (const part of field.slice(0, -1)) {
    const next = at[part];
    const inner = isObject(next) ? next : (Object.create(null) as Record<string, unknown>);
    at[part] = inner;
    at = inner;
  }
  at[field.at(-1) as string] = value;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function fieldPath(name: string, text: string): readonly string[] {
  const path = name.trim().split(".");
  if (path.some((part) => part === ""))
    throw usage("mapping", `"${text}": "${name}" is not a field, or a path of fields such as amount.currency.`);
  return path;
}

function parseOption(text: string, option: "--map" | "--set") {
  const equals = text.indexOf("=");
  if (equals <= 0) throw usage("mapping", `${option} takes FIELD=${option === "--map" ? "COLUMN" : "VALUE"}, and not "${text}".`);
  const left = text.slice(0, equals);
  const colon = left.lastIndexOf(":");
  const name = colon < 0 ? left : left.slice(0, colon);
  const type = TYPES.find((known) => known === (colon < 0 ? "text" : left.slice(colon + 1)));
  if (type === undefined) throw usage("mapping", `"${text}": the type after the colon is one of ${TYPES.join(", ")}.`);
  return { field: fieldPath(name, text), type, right: text.slice(equals + 1) };
}
