// The values of entities: what a column of each kind keeps, in one form per value, so that equal values are equal in memory
// and in PostgreSQL, as keys, in queries and where a page ended.

import { type BowlineError, badRequest, type Data, fromHex, hex, invariant, readJson, writeJson } from "@bowline/base";
import { decimal, type EntityProperty } from "@bowline/sdk";

/**
 * Comparable as it is, or with `compareValues`: JSON as its text, 64-bit integers and decimals as their canonical digits,
 * bytes in hexadecimal, instants in milliseconds.
 */
export type EntityValue = string | number | boolean | null;

/** Throws `persistence.invalid` for what a column of this kind does not keep exactly. */
export function columnValue(what: string, { name, kind, missing }: Omit<EntityProperty, "column">, data: Data | undefined): EntityValue {
  if (data === undefined || (data === null && (missing !== "never" || kind !== "json"))) {
    if (missing !== "never") return null;
    throw invalid(what, name, "is missing");
  }
  const { read, must } = KINDS[kind];
  const value = read(data);
  if (value === undefined) throw invalid(what, name, `must be ${must}`);
  return value;
}

/** As the author's code knows it. `what` names the property where what lies there is no JSON. */
export function dataOfValue(what: string, kind: EntityProperty["kind"], value: NonNullable<EntityValue>): Data {
  switch (kind) {
    case "json":
      return readJson(String(value), what);
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value);
    case "bytes": {
      const bytes = fromHex(String(value));
      invariant(bytes !== undefined, "bytes lie in hexadecimal");
      return bytes;
    }
    default:
      return value;
  }
}

/** Texts in the order of their characters, as in columns with the collation "C". */
export function compareValues(kind: EntityProperty["kind"], a: EntityValue, b: EntityValue): number {
  if (kind === "decimal") return decimal.compare(String(a), String(b));
  if (kind === "bigint") return BigInt(a ?? 0) < BigInt(b ?? 0) ? -1 : Number(a !== b);
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Number(a) - Number(b);
}

/** Characters of text, bytes of bytes. */
export function sizeOf(kind: EntityProperty["kind"], value: EntityValue): number {
  if (typeof value !== "string") return 8;
  return kind === "bytes" ? value.length / 2 : value.length;
}

export const invalid = (what: string, field: string, reason: string): BowlineError =>
  badRequest("persistence.invalid", `${field} of ${what} ${reason}.`, { field, reason });

interface Kind {
  /** Undefined where it is not of this kind. */
  readonly read: (data: Data) => EntityValue | undefined;
  readonly must: string;
}

const INT64_MAX = 2n ** 63n - 1n;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** The years 1 to 9999, which every calendar here writes alike. */
const INSTANT_MIN = Date.parse("0001-01-01T00:00:00.000Z");
const INSTANT_MAX = Date.parse("9999-12-31T23:59:59.999Z");

const KINDS: Readonly<Record<EntityProperty["kind"], Kind>> = {
  text: {
    read: (data) => (typeof data === "string" && !data.includes("\0") ? data : undefined),
    must: "a text without null characters",
  },
  integer: {
    read: (data) => (typeof data === "number" && Number.isSafeInteger(data) ? data : undefined),
    must: "an integer below 2^53",
  },
  bigint: {
    read(data) {
      if (typeof data !== "bigint" && !(typeof data === "number" && Number.isSafeInteger(data))) return undefined;
      const value = BigInt(data);
      return value <= INT64_MAX && value >= -INT64_MAX - 1n ? value.toString() : undefined;
    },
    must: "an integer of at most 64 bits",
  },
  decimal: {
    read(data) {
      if (typeof data !== "string") return undefined;
      try {
        return decimal.canonical(data);
      } catch {
        return undefined;
      }
    },
    must: "an exact decimal as text, with at most 60 digits and 30 of them behind the point",
  },
  instant: {
    read: (data) => (Number.isSafeInteger(data) && Number(data) >= INSTANT_MIN && Number(data) <= INSTANT_MAX ? Number(data) : undefined),
    must: "a moment of the years 1 to 9999 in milliseconds since 1970",
  },
  uuid: {
    read: (data) => (typeof data === "string" && UUID.test(data) ? data : undefined),
    must: "a UUID in lower case",
  },
  bytes: { read: (data) => (data instanceof Uint8Array ? hex(data) : undefined), must: "bytes" },
  boolean: { read: (data) => (typeof data === "boolean" ? data : undefined), must: "true or false" },
  json: {
    read: (data) => (isJson(data) ? writeJson(data) : undefined),
    must: "JSON: no bytes, no integers beyond 2^53, no null characters in its texts",
  },
};

function isJson(data: Data): boolean {
  if (typeof data === "string") return !data.includes("\0");
  if (data === null || typeof data === "number" || typeof data === "boolean") return true;
  if (typeof data === "bigint" || data instanceof Uint8Array) return false;
  if (Array.isArray(data)) return data.every(isJson);
  return Object.entries(data).every(([key, member]) => !key.includes("\0") && isJson(member));
}
