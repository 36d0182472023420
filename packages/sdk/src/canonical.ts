// Canonical bytes of an author's data, and data that outlives the code that wrote it.
//
// The bytes are those of the platform itself (deterministic CBOR, see `base`): equal values are equal bytes, and only one form of each value
// is read. What changes compatibly, without a new version: a property is added as optional; a bound is widened; a value is added
// to an enumeration that every reader may meet. Everything else is a new version with an `upgrade` from the one before.

import { type Data, decode, encode } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import { FlowError } from "./failure.ts";
import { fitting, plain } from "./plain.ts";
import { refusable } from "./refusals.ts";

export const canonical = /* @__PURE__ */ Object.freeze({
  /** Throws `data.unsupported` on what is no plain data. */
  encode: (value: unknown): Uint8Array => refusable(() => encode(plain(value, "the value"))),
  /** Throws `codec.malformed` on bytes that are not canonical, and `canonical.mismatch` on a value that does not fit `schema`. */
  decode: <S extends TSchema>(schema: S, bytes: Uint8Array): Static<S> =>
    fitting(
      schema,
      refusable(() => decode(bytes)),
      "canonical.mismatch",
      "the value",
    ),
} as const);

/** A type of data whose bytes say its name and version. */
export interface Versioned<S extends TSchema> {
  readonly name: string;
  readonly version: number;
  encode(value: Static<S>): Uint8Array;
  /**
   * Of any version up to this one, in the form of this one. Throws `canonical.otherType`, `canonical.versionUnknown`, `canonical.mismatch` or
   * `codec.malformed`.
   */
  decode(bytes: Uint8Array): Static<S>;
}

/** What the data once was. `upgrade` makes it what the next version is. */
export interface OlderVersion<S extends TSchema = TSchema> {
  readonly schema: S;
  upgrade(value: Static<S>): Data;
}

/**
 * @example
 * const Order = versioned({
 *   name: "com.example.Order",
 *   schema: OrderWithNote,
 *   older: [older(OrderWithoutNote, (order) => ({ ...order, note: "" }))],
 * });
 */
export function versioned<S extends TSchema>(definition: {
  readonly name: string;
  readonly schema: S;
  /** Version 1 first. */
  readonly older?: readonly OlderVersion[];
}): Versioned<S> {
  const { name, schema, older = [] } = definition;
  const version = older.length + 1;
  return {
    name,
    version,
    encode: (value) => canonical.encode({ name, version, data: fitting(schema, value, "canonical.mismatch", name) }),
    decode(bytes) {
      const written = headOf(refusable(() => decode(bytes)));
      if (written?.name !== name)
        throw new FlowError("canonical.otherType", `These bytes hold ${written?.name ?? "no versioned data"}, and not ${name}.`);
      if (written.version > version)
        throw new FlowError("canonical.versionUnknown", `${name} was written in version ${written.version}; this code knows ${version}.`);
      let data = written.data;
      for (const [index, { schema: before, upgrade }] of older.entries()) {
        if (index + 1 < written.version) continue;
        data = plain(upgrade(fitting(before, data, "canonical.mismatch", `${name} of version ${index + 1}`)), `the upgrade of ${name}`);
      }
      return fitting(schema, data, "canonical.mismatch", `${name} of version ${version}`);
    },
  };
}

/** Gives the compiler the schema's type. */
export const older = <S extends TSchema>(schema: S, upgrade: (value: Static<S>) => Data): OlderVersion => ({
  schema,
  upgrade: upgrade as (value: unknown) => Data,
});

function headOf(value: Data): { readonly name: string; readonly version: number; readonly data: Data } | undefined {
  if (value === null || typeof value !== "object" || Array.isArray(value) || value instanceof Uint8Array) return undefined;
  const { name, version, data } = value as { readonly [key: string]: Data };
  if (typeof name !== "string" || typeof version !== "number" || version < 1 || data === undefined) return undefined;
  return { name, version, data };
}
