// JSON Schema in the dialect of OpenAPI 3.0, which knows neither `null` as a type nor `const`, tuples or references into
// the schema itself. What it cannot say is left out: the document then promises less, and never something else.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { [key: string]: Json };
type Schema = Readonly<Record<string, unknown>>;

/** Schemas nest no deeper in the document: below that anything is promised. */
const DEPTH_MAX = 32;

/** What both dialects say alike. */
const SHARED = [
  "description",
  "format",
  "default",
  "multipleOf",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties",
  "required",
  "readOnly",
  "writeOnly",
  "deprecated",
] as const;
const TYPES = ["string", "number", "integer", "boolean", "array", "object"];

/** `name` may put a schema elsewhere and answer a reference to it. */
export function openApiSchema(schema: unknown, name: (schema: Schema) => Json | undefined = () => undefined): Json {
  return convert(schema, 0);

  function convert(given: unknown, depth: number): Json {
    if (given === false) return { not: {} };
    if (!isSchema(given) || "$ref" in given || depth > DEPTH_MAX) return {};
    return name(given) ?? rewrite(given, depth + 1);
  }

  function rewrite(given: Schema, depth: number): Json {
    const result: JsonObject = {};
    for (const key of SHARED) if (isSaid(key, given[key])) result[key] = given[key] as Json;
    if (isSchema(given.not)) result.not = convert(given.not, depth);
    bounds(given, result);
    values(given, result);
    typed(given, result);
    objects(given, result, depth);
    arrays(given, result, depth);
    return combined(given, result, depth);
  }

  function objects(given: Schema, result: JsonObject, depth: number): void {
    const { properties, additionalProperties, patternProperties } = given;
    if (isSchema(properties))
      result.properties = Object.fromEntries(Object.entries(properties).map(([key, member]) => [key, convert(member, depth)]));
    if (typeof additionalProperties === "boolean") result.additionalProperties = additionalProperties;
    else if (isSchema(additionalProperties)) result.additionalProperties = convert(additionalProperties, depth);
    // A map of text to something: its one pattern says what the values are.
    const patterns = isSchema(patternProperties) ? Object.values(patternProperties) : [];
    if (patterns.length === 1) result.additionalProperties = convert(patterns[0], depth);
    else if (patterns.length > 1) delete result.additionalProperties;
  }

  function arrays(given: Schema, result: JsonObject, depth: number): void {
    const { items, prefixItems } = given;
    const tuple = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : undefined;
    if (tuple !== undefined) {
      result.type = "array";
      result.items = tuple.length === 0 ? {} : { anyOf: tuple.map((item) => convert(item, depth)) };
    } else if (isSchema(items)) result.items = convert(items, depth);
    else if (result.type === "array") result.items = {};
  }

  function combined(given: Schema, result: JsonObject, depth: number): Json {
    for (const key of ["anyOf", "oneOf", "allOf"] as const) {
      const members = given[key];
      if (!Array.isArray(members) || members.length === 0) continue;
      const others = members.filter((member) => !isNull(member));
      const converted = others.map((member) => convert(member, depth));
      const nullable = others.length < members.length && key !== "allOf";
      const [first] = converted;
      if (nullable) result.nullable = true;
      if (converted.length === 0) Object.assign(result, { enum: [null] });
      else if (converted.length === 1 && isSchema(first)) {
        if (!nullable && Object.keys(result).length === 0) return first as Json;
        // A reference takes no siblings.
        if ("$ref" in first) result.allOf = [first as Json];
        else Object.assign(result, first);
      } else result[key] = converted;
    }
    // Nullable says something of a type alone.
    if (result.nullable === true && result.type === undefined && result.allOf === undefined && result.anyOf === undefined)
      delete result.nullable;
    return result;
  }
}

const isSchema = (value: unknown): value is Schema => typeof value === "object" && value !== null && !Array.isArray(value);
const isNull = (value: unknown): boolean => isSchema(value) && (value.type === "null" || value.const === null);

/** A keyword with a value that it cannot have is an author's mistake, and must not spoil the document. */
function isSaid(key: (typeof SHARED)[number], value: unknown): boolean {
  if (value === undefined) return false;
  if (key === "required") return isListOfNames(value);
  if (key === "default") return true;
  if (key === "description" || key === "format" || key === "pattern") return typeof value === "string";
  if (key === "uniqueItems" || key === "readOnly" || key === "writeOnly" || key === "deprecated") return typeof value === "boolean";
  if (key === "multipleOf") return typeof value === "number" && value > 0;
  return Number.isInteger(value) && (value as number) >= 0;
}

const isListOfNames = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === "string") && new Set(value).size === value.length;

/** An exclusive bound is a number there, and a mark on the bound here. */
function bounds(given: Schema, result: JsonObject): void {
  for (const [bound, exclusive] of [
    ["minimum", "exclusiveMinimum"],
    ["maximum", "exclusiveMaximum"],
  ] as const) {
    if (typeof given[bound] === "number") result[bound] = given[bound];
    if (typeof given[exclusive] !== "number") continue;
    result[bound] = given[exclusive];
    result[exclusive] = true;
  }
}

function values(given: Schema, result: JsonObject): void {
  const { enum: listed, const: constant, examples } = given;
  if (Array.isArray(listed) && listed.length > 0)
    result.enum = [...new Map(listed.map((value) => [JSON.stringify(value), value as Json] as const)).values()];
  else if (constant !== undefined) result.enum = [constant as Json];
  if (Array.isArray(examples) && examples.length > 0) result.example = examples[0] as Json;
  if (Array.isArray(result.enum) && given.type === undefined) {
    const kinds = new Set(result.enum.map((value) => typeof value));
    const [kind] = kinds;
    if (kinds.size === 1 && (kind === "string" || kind === "number" || kind === "boolean")) result.type = kind;
  }
}

function typed(given: Schema, result: JsonObject): void {
  const types = (Array.isArray(given.type) ? given.type : [given.type]).filter((type) => typeof type === "string");
  const others = types.filter((type) => TYPES.includes(type));
  if (types.includes("null")) {
    if (others.length === 0) Object.assign(result, { nullable: true, type: "string", enum: [null] });
    else result.nullable = true;
  }
  if (others.length === 1) result.type = others[0] as string;
  else if (others.length > 1) result.anyOf = others.map((type) => (type === "array" ? { type, items: {} } : { type }));
}
