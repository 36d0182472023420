// JSON as other systems write and read it, against the author's schema and without loss.
//
// Guarantees: a property that the schema does not name is refused, and so is one that stands twice; a number is taken with all its digits
// or not at all. What plain data has no JSON for is written in the form that the schema names by its `format`: the platform's own
// below, and the author's by name.

import { type Data, parseName } from "@bowline/base";
import { fromBase64, toBase64 } from "@bowline/base/base64";
import { readJsonExactly } from "@bowline/base/edge";
import * as Type from "typebox";
import { Check } from "typebox/schema";
import { decimal } from "./decimal.ts";
import { FlowError } from "./failure.ts";
import { fitting, plain } from "./plain.ts";
import { refusable } from "./refusals.ts";

/** How a value of one format is written in JSON, and what is made of it when it is read. Throwing refuses it, with the reason. */
export interface JsonForm {
  write(value: Data): Data;
  read(json: Data): Data;
}

/** By the `format` of the schema where it is used. */
export type JsonForms = Readonly<Record<string, JsonForm>>;

/** Schemas of the forms that are built in, which say as well in which column of an entity they lie. */
export const jsonTypes = /* @__PURE__ */ Object.freeze({
  /** Text that `decimal` reckons with; a number in JSON, exactly. */
  decimal: () => Type.String({ format: "decimal", pattern: decimal.pattern }),
  /** Milliseconds since 1970; ISO 8601 in JSON. */
  instant: () => Type.Integer({ format: "instant" }),
  /** An integer of at most 64 bits: a bigint beyond 2^53, as in all plain data; digits in JSON. */
  int64: () => refined<number | bigint>("int64", isInt64, "must be an integer of at most 64 bits"),
  /** In lower case, as `context.uuid()` makes them. */
  uuid: () => Type.String({ format: "uuid", pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" }),
  /** Base64 in JSON. */
  bytes: () => refined<Uint8Array>("bytes", (value) => value instanceof Uint8Array, "must be bytes"),
  /** An X.500 name; in its canonical form once it is read. */
  name: () => Type.String({ format: "x500-name" }),
} as const);

/** What JSON Schema has no word for. */
const refined = <T>(format: string, check: (value: unknown) => boolean, message: string) =>
  Type.Unsafe<T>(Type.Refine(Type.Unknown({ format }), check, () => message));

function isInt64(value: unknown): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value);
  return typeof value === "bigint" && BigInt.asIntN(64, value) === value;
}

export const json = /* @__PURE__ */ Object.freeze({
  /** Throws `json.mismatch` where the value does not fit its schema. */
  format<S extends Type.TSchema>(schema: S, value: Type.Static<S>, forms: JsonForms = {}): string {
    const data = plain(fitting(schema, value, "json.mismatch", "the value"), "the value");
    return text(convert({ schema, value: data, where: "the value" }, formsOf(forms), "write"));
  },

  /** Throws `json.invalid` on what is no JSON, `json.propertyUnknown`, and `json.mismatch` on a value that does not fit `schema`. */
  parse<S extends Type.TSchema>(schema: S, source: string, forms: JsonForms = {}): Type.Static<S> {
    const read = refusable(() => readJsonExactly(source, "the JSON", (literal) => new Literal(literal) as unknown as Data));
    return fitting(schema, convert({ schema, value: read, where: "the JSON" }, formsOf(forms), "read"), "json.mismatch", "the JSON");
  },
} as const);

/** A number as it is written, until its place in the schema says what it is. */
class Literal {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }
}

// --- Forms ---

const BUILT_IN: JsonForms = {
  decimal: {
    write: (value) => new Literal(decimal.canonical(String(value))) as unknown as Data,
    read: (json) => decimal.canonical(json instanceof Literal ? withoutExponent(json.digits) : String(json)),
  },
  instant: {
    write: (value) => new Date(Number(value)).toISOString(),
    read(json) {
      const moment = typeof json === "string" && /^\d{4}-\d\d-\d\dT/.test(json) ? Date.parse(json) : Number.NaN;
      if (Number.isNaN(moment)) throw new Error("is no ISO 8601 date and time");
      return moment;
    },
  },
  bytes: {
    write: (value) => toBase64(value as Uint8Array),
    read(json) {
      const bytes = typeof json === "string" ? fromBase64(json) : undefined;
      if (bytes === undefined) throw new Error("is no base64");
      return bytes;
    },
  },
  "x500-name": { write: (value) => parseName(String(value)), read: (json) => parseName(String(json)) },
};

const formsOf = (own: JsonForms): JsonForms => ({ ...BUILT_IN, ...own });

function withoutExponent(digits: string): string {
  const [, sign, whole = "", fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(digits) ?? [];
  const shift = Number(exponent);
  if (Math.abs(shift) > EXPONENT_MAX) throw new Error("has too large an exponent");
  const all = `${"0".repeat(Math.max(0, -shift))}${whole}${fraction}${"0".repeat(Math.max(0, shift))}`;
  const point = all.length - fraction.length - Math.max(0, shift) + shift;
  return `${sign}${all.slice(0, point).replace(/^0+(?=\d)/, "") || "0"}${point < all.length ? `.${all.slice(point)}` : ""}`;
}
const EXPONENT_MAX = 60;

// --- Along the schema ---

interface Shape {
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | boolean;
  readonly items?: Shape | readonly Shape[];
  readonly anyOf?: readonly Shape[];
  readonly allOf?: readonly Shape[];
}

interface Place {
  readonly schema: Shape;
  readonly value: Data;
  readonly where: string;
}

type Direction = "read" | "write";

function convert({ schema, value, where }: Place, forms: JsonForms, direction: Direction): Data {
  const form = schema.format === undefined || !Object.hasOwn(forms, schema.format) ? undefined : forms[schema.format];
  if (form !== undefined) return reformed(form, value, where, direction);
  if (schema.anyOf !== undefined) return convertUnion({ schema, value, where }, schema.anyOf, forms, direction);
  if (schema.allOf !== undefined) return convert({ schema: merged(schema.allOf), value, where }, forms, direction);
  if (value instanceof Literal) return numberOf(value, where);
  if (Array.isArray(value))
    return value.map((item: Data, index) =>
      convert({ schema: itemShape(schema, index), value: item, where: `${where}/${index}` }, forms, direction),
    );
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const place = `${where}/${key}`;
      const shape = propertyShape(schema, key);
      if (shape === undefined) throw new FlowError("json.propertyUnknown", `${place} is not known here.`, { field: place });
      return [key, convert({ schema: shape, value: member as Data, where: place }, forms, direction)];
    }),
  );
}

function reformed(form: JsonForm, value: Data, where: string, direction: Direction): Data {
  try {
    return form[direction](value);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new FlowError("json.mismatch", `${where} cannot be ${direction === "read" ? "read" : "written"}: it ${reason}.`, {
      field: where,
      reason,
    });
  }
}

/** The first that takes it. Where none does, the first one's reason is told. */
function convertUnion({ value, where }: Place, choices: readonly Shape[], forms: JsonForms, direction: Direction): Data {
  let refusal: unknown;
  for (const schema of choices) {
    try {
      if (direction === "write" && !Check(schema as Type.TSchema, value)) continue;
      const converted = convert({ schema, value, where }, forms, direction);
      if (direction === "write" || Check(schema as Type.TSchema, converted)) return converted;
    } catch (thrown) {
      refusal ??= thrown;
    }
  }
  throw refusal ?? new FlowError("json.mismatch", `${where} fits none of the forms that it may have.`, { field: where });
}

const merged = (parts: readonly Shape[]): Shape => ({
  properties: Object.assign({}, ...parts.map(({ properties }) => properties ?? {})) as Readonly<Record<string, Shape>>,
});

/** No schema says more than that anything may stand there. */
const ANYTHING: Shape = { additionalProperties: true };

function itemShape({ items }: Shape, index: number): Shape {
  if (Array.isArray(items)) return (items as readonly Shape[])[index] ?? ANYTHING;
  return (items as Shape | undefined) ?? ANYTHING;
}

/** Undefined where the schema does not know the property. What it says nothing at all of, it leaves open. */
function propertyShape({ properties, patternProperties, additionalProperties }: Shape, key: string): Shape | undefined {
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key];
  for (const [pattern, shape] of Object.entries(patternProperties ?? {})) if (new RegExp(pattern).test(key)) return shape;
  if (additionalProperties === true) return ANYTHING;
  if (typeof additionalProperties === "object") return additionalProperties;
  return properties === undefined && patternProperties === undefined && additionalProperties === undefined ? ANYTHING : undefined;
}

/** Where no decimal is wanted: an integer, of any size. */
function numberOf({ digits }: Literal, where: string): Data {
  if (!/^-?\d+$/.test(digits))
    throw new FlowError("json.mismatch", `${where} is ${digits}, a fraction, and its schema is not that of an exact decimal.`, {
      field: where,
    });
  const value = BigInt(digits);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

// --- Text ---

function text(value: unknown): string {
  if (value instanceof Literal) return value.digits;
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return JSON.stringify(toBase64(value));
  if (Array.isArray(value)) return `[${value.map(text).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}:${text(member)}`)
    .join(",")}}`;
}
