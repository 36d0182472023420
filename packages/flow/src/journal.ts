// What a journal holds and how it is replayed. Pure.
//
// Same code and same journal give the same state, because all that a step brings into a flow is in its row: results are
// made canonical before a flow sees them, so that it sees the same value live and replayed, to the order of keys.

import { concat, type Data, decode, encode, u32, utf8 } from "@bowline/base";
import type { Outcome, StepPath, Syscall } from "@bowline/sdk";
import type { Digest } from "./messages.ts";
import type { JournalRow } from "./ports.ts";

/** What a step asked, as bytes, with their hash. */
export interface Request {
  readonly hash: Uint8Array;
  readonly size: number;
}

export function requestOf(call: Syscall, digest: Digest): Request {
  const bytes = encode(call as unknown as Data);
  return { hash: digest(bytes), size: bytes.length };
}

const encodedOutcomes = new WeakMap<Outcome, Uint8Array>();

/** The same value as it will be read back, and its bytes kept for the store. Throws `codec.unsupported`. */
export function canonical(outcome: Outcome): Outcome {
  const bytes = encode(outcome as unknown as Data);
  const value = decode(bytes) as unknown as Outcome;
  encodedOutcomes.set(value, bytes);
  return value;
}

/** Canonical bytes of an outcome, made at most once. */
export function encodeOutcome(outcome: Outcome): Uint8Array {
  let bytes = encodedOutcomes.get(outcome);
  if (bytes === undefined) {
    bytes = encode(outcome as unknown as Data);
    encodedOutcomes.set(outcome, bytes);
  }
  return bytes;
}

/** Rows that were settled together, oldest first, each group in its order. */
export function replayGroups(rows: readonly JournalRow[]): JournalRow[][] {
  const groups: JournalRow[][] = [];
  let activation: number | undefined;
  for (const row of [...rows].sort((a, b) => a.activation - b.activation || a.ordinal - b.ordinal)) {
    if (row.activation !== activation) groups.push([]);
    activation = row.activation;
    groups.at(-1)?.push(row);
  }
  return groups;
}

/** Whether `path` is a step of the child that step `parent` runs. */
export const isBelow = (path: StepPath, parent: StepPath): boolean => path.startsWith(`${parent}.`);

/** `length` bytes that only who knows `seed` can tell: the same for one step, whoever replays it. */
export function deriveRandom(seed: Uint8Array, path: StepPath, length: number, digest: Digest): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let block = 0; block * 32 < length; block++) {
    const part = digest(concat(seed, u32(block), utf8(path)));
    bytes.set(part.subarray(0, Math.min(32, length - block * 32)), block * 32);
  }
  return bytes;
}
