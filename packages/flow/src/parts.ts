// Payloads that are too large for one message: as parts, each a message of its own, of canonical bytes that have one hash.

import { BowlineError, compareBytes, concat, type Data, decode, encode } from "@bowline/base";
import { INLINE_BYTES_MAX, PART_BYTES_MAX } from "./limits.ts";
import type { Digest } from "./messages.ts";
import type { SessionMessage } from "./ports.ts";

type Body = SessionMessage["body"];
export type Part = Extract<Body, { kind: "part" }>;

/** The messages that carry a payload, and its size. Throws `codec.unsupported`. */
export function bodiesOf(payload: Data, digest: Digest): { readonly bodies: readonly Body[]; readonly size: number } {
  const bytes = encode(payload);
  const size = bytes.length;
  if (size <= INLINE_BYTES_MAX) return { bodies: [{ kind: "data", payload }], size };
  const hash = digest(bytes);
  const count = Math.ceil(size / PART_BYTES_MAX);
  const bodies = Array.from({ length: count }, (_, index): Part => {
    return { kind: "part", hash, index, count, bytes: bytes.slice(index * PART_BYTES_MAX, (index + 1) * PART_BYTES_MAX) };
  });
  return { bodies, size };
}

/** Undefined where the parts are not what one payload was cut into. */
export function assemble(parts: readonly Part[], digest: Digest): { readonly payload: Data } | undefined {
  const [first] = parts;
  const isOne = parts.every(({ index, count, hash }, at) => index === at && count === parts.length && isSame(hash, first?.hash));
  if (first === undefined || !isOne) return undefined;
  const bytes = concat(...parts.map((part) => part.bytes));
  if (!isSame(digest(bytes), first.hash)) return undefined;
  try {
    return { payload: decode(bytes) };
  } catch (cause) {
    if (cause instanceof BowlineError) return undefined;
    throw cause;
  }
}

const isSame = (a: Uint8Array, b: Uint8Array | undefined): boolean => b !== undefined && compareBytes(a, b) === 0;
