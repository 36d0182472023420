// Everything from outside passes a decoder once, at the edge, and is a domain type from there on.

import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { badRequest } from "./errors.ts";

/** Parses or throws `input.invalid`, naming the field and the reason. */
export type Decoder<T> = (value: unknown) => T;

/**
 * A decoder from a schema. `what` names the input in messages ("request body").
 *
 * @example const decodeStart = decoder(Type.Object({ clientRequestId: Type.String() }), "request body");
 */
export function decoder<S extends TSchema>(schema: S, what: string): Decoder<Static<S>> {
  let compiled: ReturnType<typeof Compile<S>> | undefined;
  return (value) => {
    compiled ??= Compile(schema);
    if (compiled.Check(value)) return value as Static<S>;
    const [first] = compiled.Errors(value);
    const field = first === undefined || first.instancePath === "" ? what : `${what}${first.instancePath}`;
    const message = first?.message ?? "does not fit its schema";
    throw badRequest("input.invalid", `${field} ${message}.`, { field, reason: message });
  };
}
