// Arrays as PostgreSQL reads them fastest: in its binary format (`array_recv` of src/backend/utils/adt/arrayfuncs.c). As text, bytes
// would be written as hexadecimal digits and read back, twice as long and at several times the cost.
//
// What a parameter is, a statement says itself: `$1::text[]`. An array that is not plainly of that type goes as text, as before.

import type { Statement } from "@bowline/base";

interface ElementType {
  readonly oid: number;
  /** Bytes that the value takes; undefined where it is not of this type. */
  sizeOf(value: unknown): number | undefined;
  write(into: Buffer, value: never, at: number): void;
}

const integerBetween =
  (min: number, max: number, size: number) =>
  (value: unknown): number | undefined =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? size : undefined;

const TEXT: ElementType = {
  oid: 25,
  sizeOf: (value) => (typeof value === "string" ? Buffer.byteLength(value) : undefined),
  write: (into, value: string, at) => into.write(value, at),
};
const BYTEA: ElementType = {
  oid: 17,
  sizeOf: (value) => (value instanceof Uint8Array ? value.length : undefined),
  write: (into, value: Uint8Array, at) => into.set(value, at),
};
const INTEGER: ElementType = {
  oid: 23,
  sizeOf: integerBetween(-(2 ** 31), 2 ** 31 - 1, 4),
  write: (into, value: number, at) => into.writeInt32BE(value, at),
};
const BIGINT: ElementType = {
  oid: 20,
  sizeOf: (value) => (typeof value === "bigint" && BigInt.asIntN(64, value) === value ? 8 : safeInteger(value)),
  write: (into, value: number | bigint, at) => into.writeBigInt64BE(BigInt(value), at),
};
const BOOLEAN: ElementType = {
  oid: 16,
  sizeOf: (value) => (typeof value === "boolean" ? 1 : undefined),
  write: (into, value: boolean, at) => into.writeUInt8(Number(value), at),
};
const safeInteger = integerBetween(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 8);

const TYPES: Readonly<Record<string, ElementType>> = {
  text: TEXT,
  bytea: BYTEA,
  int: INTEGER,
  int4: INTEGER,
  bigint: BIGINT,
  int8: BIGINT,
  bool: BOOLEAN,
  boolean: BOOLEAN,
};

/** A statement's values, in what forms they are sent. */
export function parametersOf(statement: Statement, values: readonly unknown[]): unknown[] {
  const types = typesOf(statement);
  return values.map((value, i) => {
    const type = types[i];
    return type !== undefined && Array.isArray(value) ? (binary(type, value) ?? value) : value;
  });
}

/** By name: the same name always has the same text. */
const known = new Map<string, readonly (ElementType | undefined)[]>();

/** By the parameter's place. The first cast of a parameter is what PostgreSQL takes its type from. */
function typesOf({ name, text }: Statement): readonly (ElementType | undefined)[] {
  const found = name === undefined ? undefined : known.get(name);
  if (found !== undefined) return found;
  const types: (ElementType | undefined)[] = [];
  for (const [, place, type] of text.matchAll(/\$(\d+)::(\w+)\[\]/g)) types[Number(place) - 1] ??= TYPES[type as string];
  if (name !== undefined) known.set(name, types);
  return types;
}

const HEADER_BYTES = 20;

function binary(type: ElementType, values: readonly unknown[]): Buffer | undefined {
  let size = HEADER_BYTES;
  for (const value of values) {
    const length = value === null ? 0 : type.sizeOf(value);
    if (length === undefined) return undefined;
    size += 4 + length;
  }
  const array = Buffer.allocUnsafe(size);
  array.writeInt32BE(values.length === 0 ? 0 : 1, 0); // dimensions
  array.writeInt32BE(values.includes(null) ? 1 : 0, 4);
  array.writeInt32BE(type.oid, 8);
  array.writeInt32BE(values.length, 12);
  array.writeInt32BE(1, 16); // the first index
  if (values.length === 0) return array.subarray(0, 12);
  let at = HEADER_BYTES;
  for (const value of values) {
    const length = value === null ? -1 : (type.sizeOf(value) as number);
    array.writeInt32BE(length, at);
    at += 4;
    if (length < 0) continue;
    type.write(array, value as never, at);
    at += length;
  }
  return array;
}
