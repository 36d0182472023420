// How two flows find each other: ids that both sides can compute, and the records that travel on the bus.

import { type BusRecord, type Data, decode, decoder, encode, type ShortHash, utf8 } from "@bowline/base";
import type { SessionId } from "@bowline/sdk";
import * as Type from "typebox";
import { PART_BYTES_MAX, PAYLOAD_BYTES_MAX, PROPERTIES_MAX, PROPERTY_KEY_CHARS_MAX, PROPERTY_VALUE_CHARS_MAX } from "./limits.ts";
import type { FlowRow, Responder, SessionMessage } from "./ports.ts";

export const SESSION_TOPIC = "flow.session";
export const WAKE_TOPIC = "flow.wake";

/** SHA-256. */
export type Digest = (bytes: Uint8Array) => Uint8Array;
export type Side = SessionMessage["from"];

export const opposite = (side: Side): Side => (side === "initiator" ? "responder" : "initiator");

export const sessionIdOf = (flowId: string, path: string): SessionId => `${flowId}:${path}`;

/** The initiator's id travels in the session's; the responder's is a hash of it, in the form of a UUID (RFC 9562, version 8). */
export const flowIdOf = (session: SessionId, side: Side, digest: Digest): string =>
  side === "initiator" ? session.slice(0, session.indexOf(":")) : responderFlowId(session, digest);

export function responderFlowId(session: SessionId, digest: Digest): string {
  const bytes = digest(utf8(`responder ${session}`)).slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join("-");
}

/** Keyed by the flow that receives it. */
export const sessionRecord = (message: SessionMessage, digest: Digest): BusRecord => ({
  topic: SESSION_TOPIC,
  key: flowIdOf(message.session, opposite(message.from), digest),
  value: encodeMessage(message),
});

/** A message is stored and sent in the same bytes, so it is encoded once. */
const encoded = new WeakMap<SessionMessage, Uint8Array>();

export function encodeMessage(message: SessionMessage): Uint8Array {
  let bytes = encoded.get(message);
  if (bytes === undefined) {
    bytes = encode(message as unknown as Data);
    encoded.set(message, bytes);
  }
  return bytes;
}

const Positive = Type.Integer({ minimum: 1 });
const Protocol = Type.Object({ name: Type.String(), versions: Type.Array(Positive) });
const Bytes = Type.Refine(
  Type.Unsafe<Uint8Array>(Type.Unknown()),
  (value) => value instanceof Uint8Array,
  () => "must be bytes",
);
const PARTS_MAX = Math.ceil(PAYLOAD_BYTES_MAX / PART_BYTES_MAX);
const Yes = Type.Optional(Type.Literal(true));
const Pairs = Type.Record(Type.String({ maxLength: PROPERTY_KEY_CHARS_MAX }), Type.String({ maxLength: PROPERTY_VALUE_CHARS_MAX }), {
  maxProperties: PROPERTIES_MAX,
});
const Message = Type.Object(
  {
    session: Type.String({ pattern: "^[^:]+:[0-9.]+$", maxLength: 512 }),
    from: Type.Union([Type.Literal("initiator"), Type.Literal("responder")]),
    sequence: Type.Integer({ minimum: 0 }),
    source: Type.String(),
    destination: Type.String(),
    groupId: Type.String(),
    acknowledged: Type.Integer({ minimum: 0 }),
    read: Type.Optional(Type.Integer({ minimum: 0 })),
    body: Type.Union([
      Type.Object({ kind: Type.Literal("data"), payload: Type.Unknown(), last: Yes, awaited: Yes }, { additionalProperties: false }),
      Type.Object(
        {
          kind: Type.Literal("part"),
          hash: Bytes,
          index: Type.Integer({ minimum: 0, maximum: PARTS_MAX - 1 }),
          count: Type.Integer({ minimum: 1, maximum: PARTS_MAX }),
          bytes: Bytes,
          last: Yes,
          awaited: Yes,
        },
        { additionalProperties: false },
      ),
      Type.Object({ kind: Type.Literal("close"), awaited: Yes }, { additionalProperties: false }),
      Type.Object({ kind: Type.Literal("hello") }, { additionalProperties: false }),
      Type.Object({ kind: Type.Literal("failure"), type: Type.String(), message: Type.String() }, { additionalProperties: false }),
      Type.Object({ kind: Type.Literal("acknowledge") }, { additionalProperties: false }),
    ]),
    init: Type.Optional(
      Type.Object(
        {
          protocol: Protocol,
          initiatingFlow: Type.String(),
          timeoutMs: Positive,
          expiresAt: Positive,
          properties: Type.Optional(Type.Object({ platform: Pairs, user: Pairs }, { additionalProperties: false })),
        },
        { additionalProperties: false },
      ),
    ),
    version: Type.Optional(Positive),
    again: Yes,
    expiresAt: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);
const decodeFields = decoder(Message, "session message");

/** Throws `codec.malformed` or `input.invalid`. */
export function decodeMessage(bytes: Uint8Array): SessionMessage {
  // The schema leaves names and payload as they are; who may speak for a name is checked where the session is known.
  const message = decodeFields(decode(bytes)) as unknown as SessionMessage;
  encoded.set(message, bytes);
  return message;
}

/**
 * Says that a flow is new, or to be looked at again. With the row of a flow that was started just now nobody needs to load it;
 * where it `begins` that row is not in the database yet, and its first commit inserts it.
 */
export const wakeRecord = (vnode: ShortHash, flow: Pick<FlowRow, "id"> | FlowRow, begins = false): BusRecord =>
  new WakeRecord({ vnode, flowId: flow.id, row: "seed" in flow ? flow : null, begins });

export interface Wake {
  readonly vnode: ShortHash;
  readonly flowId: string;
  readonly row: FlowRow | null;
  readonly begins: boolean;
}

/** A wake-up whose bytes are made when they are asked for: on a bus that ends in this process nobody asks. */
class WakeRecord implements BusRecord {
  readonly topic = WAKE_TOPIC;
  readonly key: string;
  readonly wake: Wake;

  constructor(wake: Wake) {
    this.key = wake.flowId;
    this.wake = wake;
  }

  get value(): Uint8Array {
    return encode(this.wake as unknown as Data);
  }
}

const decodeWakeFields = decoder(
  Type.Object({ vnode: Type.String(), flowId: Type.String(), row: Type.Unknown(), begins: Type.Boolean() }),
  "wake-up",
);

/** From a worker of the same cluster, which wrote the row that it carries. */
export const decodeWake = (record: BusRecord): Wake =>
  record instanceof WakeRecord ? record.wake : (decodeWakeFields(decode(record.value)) as unknown as Wake);

/**
 * What a host answers where no flow can: it carries no sequence, and acknowledges what it answers. Who says that it has failed
 * hears no more than that. Undefined for what is itself an answer: two hosts would talk for ever.
 */
export function answerOfHost(message: SessionMessage, type: string, text: string): SessionMessage | undefined {
  const { kind } = message.body;
  if (kind === "acknowledge" || (kind === "failure" && message.sequence === 0)) return undefined;
  return {
    session: message.session,
    from: opposite(message.from),
    sequence: 0,
    source: message.destination,
    destination: message.source,
    groupId: message.groupId,
    acknowledged: message.sequence,
    body: kind === "failure" ? { kind: "acknowledge" } : { kind: "failure", type, message: text },
    expiresAt: message.expiresAt,
  };
}

/** The version that both speak, as high as can be, and the one of `responders` that speaks it. */
export function chooseResponder<R extends { readonly protocol: { readonly name: string; readonly versions: readonly number[] } }>(
  responders: readonly R[],
  asked: { readonly name: string; readonly versions: readonly number[] },
): { readonly responder: R; readonly version: number } | undefined {
  let best: { readonly responder: R; readonly version: number } | undefined;
  for (const responder of responders) {
    if (responder.protocol.name !== asked.name) continue;
    for (const version of responder.protocol.versions) {
      if (asked.versions.includes(version) && version > (best?.version ?? 0)) best = { responder, version };
    }
  }
  return best;
}

/** A session's first message, and who answers it here. */
export interface Opened {
  readonly opening: SessionMessage;
  readonly responder: Responder;
  readonly version: number;
}

/**
 * Undefined where it is a later message, or one that was sent before (its flow may have broken its isolate, and be parked),
 * or where nobody here answers: what the database holds then decides.
 */
export function openedBy(message: SessionMessage, responders: readonly Responder[], now: number): Opened | undefined {
  if (message.from !== "initiator" || message.sequence !== 1 || message.init === undefined || message.again) return undefined;
  if (message.init.expiresAt <= now) return undefined;
  const chosen = chooseResponder(responders, message.init.protocol);
  return chosen === undefined ? undefined : { opening: message, ...chosen };
}
