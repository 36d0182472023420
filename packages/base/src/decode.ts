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
    throw schemaRefusal(compiled.Errors(value), what);
  };
}

/** A schema checker's complaint, as far as we read it. */
export interface SchemaComplaint {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

/** `input.invalid` with the field and the reason of the first complaint, in words for whoever wrote the input. */
export function schemaRefusal(complaints: Iterable<SchemaComplaint>, what: string) {
  const [first] = complaints;
  const { field, reason } = first === undefined ? { field: "", reason: "does not fit its schema" } : inWords(first);
  return badRequest("input.invalid", `${what}${field} ${reason}.`, { field: `${what}${field}`, reason });
}

function inWords({ keyword, instancePath, params, message }: SchemaComplaint): { readonly field: string; readonly reason: string } {
  const { requiredProperties, allowedValues } = params as { requiredProperties?: readonly string[]; allowedValues?: readonly unknown[] };
  if (keyword === "required" && requiredProperties?.[0] !== undefined)
    return { field: `${instancePath}/${requiredProperties[0]}`, reason: "is missing" };
  if (keyword === "boolean") return { field: instancePath, reason: "is not known here" };
  if (keyword === "enum" && allowedValues !== undefined)
    return { field: instancePath, reason: `must be one of ${allowedValues.join(", ")}` };
  return { field: instancePath, reason: message };
}
