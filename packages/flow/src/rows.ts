// What a flow's rows hold: those with which it begins, and its journal, which is how it is replayed. Pure.
//
// Same code and same journal give the same state, because all that a step brings into a flow is in its row: results are
// made canonical before a flow sees them, so that it sees the same value live and replayed, to the order of keys.

import { BowlineError, concat, type Data, decode, encode, type Instant, u32, utf8 } from "@bowline/base";
import { type FlowIdentity, type FlowProperties, NO_PROPERTIES, type Outcome, type StepPath, type Syscall } from "@bowline/sdk";
import type { Bundle } from "./flow-state.ts";
import { INLINE_BYTES_MAX, LEASE_MS, LEASE_STEP_MS } from "./limits.ts";
import type { Digest } from "./messages.ts";
import type { FlowOrigin, FlowRow, FlowStart, RecordedStep, Responder, SessionMessage, SessionRow } from "./ports.ts";
import { openedSession } from "./sessions.ts";

// --- The first rows ---

/** When the lease of whoever runs a flow ends. */
export const leaseFrom = (now: Instant): Instant => now + LEASE_MS - (now % LEASE_STEP_MS);

/** A flow that a client starts. If whoever wakes it dies, its lease runs out and another finds it. */
export const clientStart = (flow: {
  readonly id: string;
  /** 32 unpredictable bytes. */
  readonly seed: Uint8Array;
  readonly bundle: Bundle;
  readonly flowName: string;
  readonly identity: Pick<FlowIdentity, "me" | "groupId">;
  readonly properties?: FlowProperties;
  readonly clientRequestId: string;
  readonly startedBy: string;
  readonly input: Data;
  readonly now: Instant;
}): FlowStart => ({
  row: {
    id: flow.id,
    bundle: flow.bundle,
    flowName: flow.flowName,
    identity: { ...flow.identity, flowId: flow.id, properties: flow.properties ?? NO_PROPERTIES },
    origin: { kind: "client", clientRequestId: flow.clientRequestId, startedBy: flow.startedBy, input: flow.input },
    seed: flow.seed,
    wakeAt: leaseFrom(flow.now),
    createdAt: flow.now,
  },
});

/** A flow that a counterparty's first message starts, with its side of the session. Its first commit inserts both. */
export function responderStart(start: {
  readonly opening: SessionMessage;
  readonly responder: Responder;
  readonly version: number;
  readonly flowId: string;
  readonly seed: Uint8Array;
  readonly now: Instant;
}): { readonly row: FlowRow; readonly session: SessionRow } {
  const { opening, responder, version, flowId, seed, now } = start;
  const { session: id, source: counterparty, destination: me, groupId, init } = opening;
  const origin: FlowOrigin = { kind: "session", session: id, counterparty, version };
  const timeoutMs = Math.max(1, init?.timeoutMs ?? opening.expiresAt - now);
  const begun: FlowStart["row"] = {
    id: flowId,
    bundle: responder.bundle,
    flowName: responder.flowName,
    identity: { flowId, me, groupId, properties: init?.properties ?? NO_PROPERTIES },
    origin,
    seed,
    wakeAt: null,
    createdAt: now,
  };
  return {
    row: startedRow({ row: begun }),
    session: openedSession({
      id,
      flowId,
      side: "responder",
      counterparty,
      protocol: init?.protocol ?? responder.protocol,
      version,
      properties: null,
      timeoutMs,
      openedAt: now,
    }),
  };
}

/** The row as it is when nothing has happened yet. */
export const startedRow = ({ row }: FlowStart): FlowRow => ({
  ...row,
  status: "START_REQUESTED",
  version: 0,
  commitId: "",
  kill: false,
  waiting: [],
  outcome: null,
  updatedAt: row.createdAt,
});

// --- The journal ---

/** What a step asked, as canonical bytes, with their hash. */
export interface Request {
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
}

export function requestOf(call: Syscall, digest: Digest): Request {
  // How a sub-flow ended is an answer: a replay asks for it.
  const { outcome: _, ...asked } = call.kind === "subFlow" ? call : { ...call, outcome: undefined };
  const bytes = encode(asked as unknown as Data);
  return { hash: digest(bytes), bytes };
}

/** An outcome that canonical bytes cannot say is a failure to say it. */
export function canonicalSafely(outcome: Outcome): Outcome {
  try {
    return canonical(outcome);
  } catch (cause) {
    if (cause instanceof BowlineError) return { error: { type: cause.code, message: cause.message } };
    throw cause;
  }
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

/** Whether its answer lies apart from its row. */
export const isLarge = ({ outcome }: RecordedStep): boolean => encodeOutcome(outcome).length > INLINE_BYTES_MAX;

/** Rows that were settled together, oldest first, each group in its order. */
export function replayGroups(rows: readonly RecordedStep[]): RecordedStep[][] {
  const groups: RecordedStep[][] = [];
  let activation: number | undefined;
  for (const row of [...rows].sort((a, b) => a.activation - b.activation || a.ordinal - b.ordinal)) {
    if (row.activation !== activation) groups.push([]);
    activation = row.activation;
    groups.at(-1)?.push(row);
  }
  return groups;
}

/** The step below which `path` lies; empty for a step of the flow's own function. */
export const parentOf = (path: StepPath): StepPath => path.slice(0, Math.max(0, path.lastIndexOf(".")));

/** Whether it is the step of a child, or of a sub-flow. */
export const isNested = (path: StepPath): boolean => path.includes(".");

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
