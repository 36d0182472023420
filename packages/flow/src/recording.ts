// A flow and its journal as a JSON document: what `bowline flow journal --export` writes, what a replay reads, and what
// lies in this repository so that all later code replays it. The format has a version; a later one reads all before it.
//
// Nothing is lost: bytes are { "$bytes": hexadecimal }, integers beyond 2^53 { "$integer": text }, and a map with a key that
// begins with `$` is { "$map": [[key, value], …] }. The flow's seed stays behind: who knows it can tell random numbers
// that the flow has not drawn yet, and a replay needs only those that it has.

import { BowlineError, badRequest, type Data, type Decoder, decoder, fromHex, hex } from "@bowline/base";
import type { Outcome } from "@bowline/sdk";
import * as Type from "typebox";
import type { FlowRow, JournalRow } from "./ports.ts";
import type { ReplayedFlow } from "./replay.ts";
import { canonical } from "./rows.ts";

export const RECORDING_VERSION = 1;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The document, to be written with `JSON.stringify`. */
export function recordingOf({ row, journal }: ReplayedFlow): { readonly [key: string]: Json } {
  const { id, bundle, flowName, identity, origin, status, version, outcome, createdAt, updatedAt } = row;
  return {
    recording: RECORDING_VERSION,
    flow: {
      id,
      bundle,
      flowName,
      identity: toJson(identity as unknown as Data),
      origin: toJson(origin as unknown as Data),
      status,
      version,
      outcome: toJson(outcome as unknown as Data),
      createdAt,
      updatedAt,
    },
    steps: journal.map(({ path, kind, requestHash, request, outcome: settled, activation, ordinal, askedAt, at }) => ({
      path,
      kind,
      requestHash: hex(requestHash),
      request: request === null ? null : hex(request),
      outcome: toJson(settled as unknown as Data),
      activation,
      ordinal,
      askedAt,
      at,
    })),
  };
}

const Integer = Type.Integer();
const Recording = Type.Object({
  recording: Type.Literal(RECORDING_VERSION),
  flow: Type.Object({
    id: Type.String({ minLength: 1 }),
    bundle: Type.String(),
    flowName: Type.String(),
    identity: Type.Unknown(),
    origin: Type.Unknown(),
    status: Type.Enum(["START_REQUESTED", "RUNNING", "PARKED", "COMPLETED", "FAILED", "KILLED"]),
    version: Integer,
    outcome: Type.Unknown(),
    createdAt: Integer,
    updatedAt: Integer,
  }),
  steps: Type.Array(
    Type.Object({
      path: Type.String({ pattern: "^[0-9]+(\\.[0-9]+)*$" }),
      kind: Type.String(),
      requestHash: Type.String(),
      request: Type.Union([Type.String(), Type.Null()]),
      outcome: Type.Unknown(),
      activation: Integer,
      ordinal: Integer,
      askedAt: Integer,
      at: Integer,
    }),
  ),
});
const decodeRecording = decoder(Recording, "recording");
const decodeOutcome: Decoder<unknown> = decoder(
  Type.Union([
    Type.Object({ ok: Type.Unknown() }, { additionalProperties: false }),
    Type.Object({ error: Type.Object({ type: Type.String(), message: Type.String() }) }, { additionalProperties: false }),
  ]),
  "recorded outcome",
);
const decodeIdentity: Decoder<unknown> = decoder(
  Type.Object({ flowId: Type.String(), me: Type.String(), groupId: Type.String() }),
  "recorded identity",
);
const decodeOrigin: Decoder<unknown> = decoder(
  Type.Union([
    Type.Object({ kind: Type.Literal("client"), clientRequestId: Type.String(), startedBy: Type.String(), input: Type.Unknown() }),
    Type.Object({ kind: Type.Literal("session"), session: Type.String(), counterparty: Type.String(), version: Integer }),
  ]),
  "recorded origin",
);

/** From the parsed document. Throws `flow.recordingInvalid`. */
export function readRecording(document: unknown): ReplayedFlow {
  try {
    const { flow, steps } = decodeRecording(document);
    const row: FlowRow = {
      ...flow,
      bundle: flow.bundle as FlowRow["bundle"],
      identity: checked(decodeIdentity, flow.identity) as unknown as FlowRow["identity"],
      origin: checked(decodeOrigin, flow.origin) as unknown as FlowRow["origin"],
      outcome: flow.outcome === null ? null : outcomeOf(flow.outcome),
      seed: new Uint8Array(),
      commitId: "",
      kill: false,
      wakeAt: null,
      waiting: [],
    };
    const journal = steps.map((step) => ({
      ...step,
      kind: step.kind as JournalRow["kind"],
      requestHash: bytesOf(step.requestHash),
      request: step.request === null ? null : bytesOf(step.request),
      outcome: outcomeOf(step.outcome),
    }));
    return { row, journal };
  } catch (cause) {
    if (!(cause instanceof BowlineError)) throw cause;
    throw badRequest("flow.recordingInvalid", `This is no recording of a flow that this version reads: ${cause.message}`);
  }
}

const checked = (check: Decoder<unknown>, value: unknown): Data => {
  const data = fromJson(value);
  check(data);
  return data;
};

/** In its canonical form, as a store would give it. */
const outcomeOf = (value: unknown): Outcome => canonical(checked(decodeOutcome, value) as unknown as Outcome);

// --- Data as JSON ---

function toJson(value: Data): Json {
  if (typeof value === "bigint") return { $integer: value.toString() };
  if (value instanceof Uint8Array) return { $bytes: hex(value) };
  if (Array.isArray(value)) return (value as readonly Data[]).map(toJson);
  if (value === null || typeof value !== "object") return value;
  const members = Object.entries(value).map(([key, member]) => [key, toJson(member)] as const);
  return members.some(([key]) => key.startsWith("$")) ? { $map: members } : Object.fromEntries(members);
}

function fromJson(value: unknown): Data {
  if (Array.isArray(value)) return value.map(fromJson);
  if (value === null || typeof value !== "object") return value as Data;
  const members = Object.entries(value);
  const [only] = members;
  if (only?.[0].startsWith("$") && members.length === 1) return special(only[0], only[1]);
  return Object.fromEntries(members.map(([key, member]) => [key, fromJson(member)]));
}

function special(key: string, value: unknown): Data {
  if (key === "$bytes" && typeof value === "string") return bytesOf(value);
  if (key === "$integer" && typeof value === "string" && /^-?[0-9]{1,20}$/.test(value)) return BigInt(value);
  if (key === "$map" && Array.isArray(value)) {
    return Object.fromEntries(value.map((pair) => [String((pair as unknown[])[0]), fromJson((pair as unknown[])[1])]));
  }
  throw badRequest("codec.unsupported", `a member ${key} says nothing here`);
}

function bytesOf(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw badRequest("codec.malformed", "bytes are not hexadecimal digits");
  return bytes;
}
