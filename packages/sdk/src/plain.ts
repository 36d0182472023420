// What crosses from an author's code to the platform: plain copies, and values that fit the author's own schemas.

import type { Data } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import { Check, Errors } from "typebox/schema";
import { FlowError } from "./failure.ts";

/** As deep as canonical bytes can say. */
const DEPTH_MAX = 32;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * A copy that shares nothing with `value`, of what canonical bytes can say; members that are undefined are left out.
 * Throws `data.unsupported`, at the author's own line, on anything else.
 */
export const plain = (value: unknown, what: string): Data => copy(value, what, 0);

function copy(value: unknown, where: string, depth: number): Data {
  if (depth > DEPTH_MAX) throw unsupported(where, `nests deeper than ${DEPTH_MAX} levels`);
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
      throw unsupported(where, `is ${value}: write fractions as text (see decimal), and integers beyond 2^53 as bigint`);
    case "bigint":
      return value <= SAFE && value >= -SAFE ? Number(value) : value;
    case "object":
      return copyObject(value, where, depth);
    default:
      throw unsupported(where, `is ${value === undefined ? "undefined" : `a ${typeof value}`}`);
  }
}

function copyObject(value: object | null, where: string, depth: number): Data {
  if (value === null) return null;
  if (value instanceof Uint8Array) return copyBytes(value, where);
  if (Array.isArray(value)) return value.map((item, index) => copy(item, `${where}[${index}]`, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) throw unsupported(where, "is an object with a class");
  const map: { [key: string]: Data } = {};
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue;
    const copied = copy(member, `${where}.${key}`, depth + 1);
    if (key === "__proto__") Object.defineProperty(map, key, { value: copied, enumerable: true, configurable: true, writable: true });
    else map[key] = copied;
  }
  return map;
}

function copyBytes(value: Uint8Array, where: string): Uint8Array {
  try {
    return value.slice();
  } catch (thrown) {
    // What is no typed array throws a TypeError.
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new FlowError("data.noRoom", `There is no room in the flow's memory for a copy of ${where}, which has ${value.length} bytes.`);
  }
}

const unsupported = (where: string, what: string): FlowError =>
  new FlowError("data.unsupported", `Only plain data leaves a flow: ${where} ${what}.`);

/** `value`, now known to fit `schema`; throws a FlowError of `type` that names the member and the reason. */
export function fitting<S extends TSchema>(schema: S, value: unknown, type: string, what: string): Static<S> {
  if (Check(schema, value)) return value as Static<S>;
  const [, [first]] = Errors(schema, value);
  const member = first === undefined || first.instancePath === "" ? what : `${what}${first.instancePath}`;
  const reason = first?.message ?? "does not fit its schema";
  throw new FlowError(type, `${member} ${reason}.`, { field: member, reason });
}

/** Freezes all of it. Bytes cannot be frozen: each holder of them has its own copy. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
