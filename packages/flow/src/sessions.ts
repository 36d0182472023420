// One session as one of its two flows sees it. Pure: changes the state it is given and says what to send.
//
// open -our close, or theirs consumed-> closed.  open -failure of either side, or expiry-> failed.
// Where the initiator waits for the responder's close: open -initiator's close, at both-> closing -responder's close-> closed.
// Guarantees: payloads reach the flow in the order of their sequence, without gap, each once, and before the close or the failure
// that comes after them; what is acknowledged is consumed or stored in the commit that the acknowledgement follows.
//
// So the invariant holds that user code sees of a session a prefix of what the peer sent, without gap or repetition. What tries
// to break it: sessions.test.ts and parcels.property.test.ts, which lose, repeat and reorder messages and kill workers between
// commits, and the simulator's flows, which compare all that they hear (sim/day.test.ts takes the inbox away).
// No more than a window of messages lies unread at the receiver, whoever sends. A sender keeps as much in its outbox; one that
// was just taken over does not know how far it was read, and may keep one window more until it hears.

import type { Data, Instant, X500Name } from "@bowline/base";
import type { CounterpartyInfo, Failure, FlowIdentity, Protocol, SessionId } from "@bowline/sdk";
import { WINDOW_MESSAGES_MAX, WINDOW_NEWS_MESSAGES } from "./limits.ts";
import { type Digest, opposite } from "./messages.ts";
import { assemble } from "./parts.ts";
import type { SessionMessage, SessionRow } from "./ports.ts";

export interface SessionState {
  row: SessionRow;
  /** The row differs from the committed one. */
  dirty: boolean;
  /** Arrived and not consumed, by sequence. */
  readonly inbox: Map<number, SessionMessage>;
  /** Sequences of `inbox` that the inbox table holds. */
  readonly stored: Set<number>;
  /** What the counterparty was last told that we have, and what it last told us that it has. */
  told: number;
  heard: number;
  /** What the counterparty was last told that we have read, and what it last told us that it has. */
  toldRead: number;
  read: number;
  /** Committed, and not sent because the counterparty's window is closed; in their order. */
  readonly held: SessionMessage[];
  /** The payload that is next, put together from its parts. */
  assembled: { readonly sequence: number; readonly payload: Data } | undefined;
  /** Up to here our outbox was told, or is being told, what was heard. */
  heeded: number;
}

export const loadedSession = (row: SessionRow): SessionState => ({
  row,
  dirty: false,
  inbox: new Map(),
  stored: new Set(),
  told: row.consumed,
  heard: 0,
  toldRead: row.consumed,
  // Nobody remembers more: at worst the counterparty leaves what is beyond its window to our outbox.
  read: row.sent,
  held: [],
  assembled: undefined,
  heeded: 0,
});

export function openedSession(opening: {
  readonly id: SessionId;
  readonly flowId: string;
  readonly side: SessionRow["side"];
  readonly counterparty: X500Name;
  readonly protocol: Protocol;
  readonly version: number | null;
  readonly properties: SessionRow["properties"];
  readonly timeoutMs: number;
  readonly openedAt: Instant;
}): SessionRow {
  return { ...opening, status: "open", failure: null, sent: 0, consumed: 0, expiresAt: opening.openedAt + opening.timeoutMs };
}

/** What a receive would find. */
export type Deliverable =
  | { readonly kind: "message"; readonly payload: Data }
  | { readonly kind: "over"; readonly failure: Failure }
  /** The session is to end because of it. */
  | { readonly kind: "broken"; readonly failure: Failure }
  | undefined;

/** Undefined while there is nothing yet. An end, close or failure, is seen only when all before it is consumed. */
export function deliverable(session: SessionState, digest: Digest): Deliverable {
  const over = overOf(session);
  if (over !== undefined) return { kind: "over", failure: over };
  const next = session.inbox.get(session.row.consumed + 1);
  if (next === undefined) return undefined;
  if (next.body.kind === "data") return { kind: "message", payload: next.body.payload };
  if (next.body.kind === "part") return assembled(session, next.body.count, digest);
  return { kind: "over", failure: closedBy(session.row.counterparty) };
}

/** Of a payload in parts, when the last of them is there. */
function assembled(session: SessionState, count: number, digest: Digest): Deliverable {
  const { row } = session;
  if (partsOf(session) < count) return undefined;
  const sequence = row.consumed + 1;
  if (session.assembled?.sequence !== sequence) {
    const parts = Array.from({ length: count }, (_, at) => session.inbox.get(sequence + at)?.body);
    const found = assemble(
      parts.filter((body) => body?.kind === "part"),
      digest,
    );
    if (found === undefined) return { kind: "broken", failure: brokenBy(row.counterparty) };
    session.assembled = { sequence, ...found };
  }
  return { kind: "message", payload: session.assembled.payload };
}

const brokenBy = (counterparty: X500Name): Failure => ({
  type: "session.payloadBroken",
  message: `What ${counterparty} sent in parts is not what it had cut up.`,
  details: { counterparty },
});

/** How many messages of those that are there belong to the payload that is next and comes in parts. */
function partsOf({ row, inbox }: SessionState): number {
  const first = inbox.get(row.consumed + 1)?.body;
  if (first?.kind !== "part") return 0;
  let parts = 1;
  while (parts < first.count && inbox.get(row.consumed + 1 + parts)?.body.kind === "part") parts++;
  return parts;
}

/** Up to here the window does not count: it is consumed, or waits for no more than the rest of its payload. */
export const readOf = (session: SessionState): number => session.row.consumed + partsOf(session);

/** Whether the counterparty takes our message of that sequence now. */
export const isInWindow = (session: SessionState, sequence: number): boolean => sequence <= session.read + WINDOW_MESSAGES_MAX;

/** So much was said that its flow must know how far the counterparty has read. */
export const isTalkative = (session: SessionState | undefined): boolean =>
  session !== undefined && session.row.sent - session.read >= WINDOW_NEWS_MESSAGES;

/** Held messages that may go now. */
export function released(session: SessionState): readonly SessionMessage[] {
  const count = session.held.findIndex(({ sequence }) => !isInWindow(session, sequence));
  return session.held.splice(0, count < 0 ? session.held.length : count);
}

/** Why nothing can be sent or received any more; undefined while the session is open. */
export function overOf({ row }: SessionState): Failure | undefined {
  if (row.status === "open") return undefined;
  return row.failure ?? closedBy(row.counterparty);
}

/** Neither closed nor failed: the counterparty may still hear of its end. */
export const isLive = ({ row }: SessionState): boolean => row.status === "open" || row.status === "closing";

/** We have closed and wait for the responder to do so. */
export const awaitsClose = ({ row }: SessionState): boolean => row.status === "closing" && row.side === "initiator";

export const close = (session: SessionState): void => change(session, { status: "closing" });

/** Who answers, where it is known. */
export const infoOf = ({ row: { protocol, version } }: SessionState): CounterpartyInfo | undefined =>
  version === null ? undefined : { protocol: protocol.name, version };

const closedBy = (counterparty: X500Name): Failure => ({
  type: "session.closed",
  message: `The session with ${counterparty} is closed.`,
  details: { counterparty },
});

/** Takes the next payload or close. The result is what the inbox table holds of it. */
export function consume(session: SessionState, now: Instant): readonly number[] {
  const { row } = session;
  const consumed = row.consumed + Math.max(1, partsOf(session));
  const body = session.inbox.get(consumed)?.body;
  const ends = body?.kind === "close" || ((body?.kind === "data" || body?.kind === "part") && body.last === true);
  const awaited = ends && row.side === "responder" && (body.awaited ?? false);
  const discarded: number[] = [];
  for (let sequence = row.consumed + 1; sequence <= consumed; sequence++) discarded.push(...take(session, sequence));
  session.assembled = undefined;
  change(session, { consumed, expiresAt: now + row.timeoutMs, ...(ends ? { status: awaited ? "closing" : "closed" } : {}) });
  return [...discarded, ...skipHellos(session)];
}

function take(session: SessionState, sequence: number): readonly number[] {
  session.inbox.delete(sequence);
  return session.stored.delete(sequence) ? [sequence] : [];
}

/** What flows never see is consumed as its turn comes. */
function skipHellos(session: SessionState): readonly number[] {
  const discarded: number[] = [];
  for (let next = session.row.consumed + 1; session.inbox.get(next)?.body.kind === "hello"; next++) {
    change(session, { consumed: next });
    discarded.push(...take(session, next));
  }
  return discarded;
}

/** What an arriving message did: whether the flow may go on because of it, and whether it is to be acknowledged again. */
export interface Arrival {
  readonly news: boolean;
  readonly repeated: boolean;
  /** Rows of the inbox table that no one will read any more. */
  readonly discarded: readonly number[];
}

const NOTHING: Arrival = { news: false, repeated: false, discarded: [] };
const NEWS = { news: true, repeated: false } as const;
const REPEATED: Arrival = { news: false, repeated: true, discarded: [] };

export function arrive(session: SessionState, message: SessionMessage, now: Instant): Arrival {
  const { row } = session;
  if (message.source !== row.counterparty || message.from !== opposite(row.side)) return NOTHING;
  if (message.acknowledged > session.heard) session.heard = Math.min(message.acknowledged, row.sent);
  session.read = Math.max(session.read, Math.min(message.read ?? message.acknowledged, row.sent));
  if (message.body.kind === "acknowledge") return NOTHING;
  if (isLive(session) && row.version === null && message.version !== undefined) change(session, { version: message.version });
  const isFailure = message.body.kind === "failure";
  const isWaitedFor = isFailure ? isLive(session) && row.failure === null : row.status === "open" || awaitsClose(session);
  // Of a host that has no flow for this session: nothing comes before it.
  if (isFailure && message.sequence === 0) return isWaitedFor ? { ...NEWS, discarded: fail(session, message, now) } : NOTHING;
  // Nobody will read it; only its sender waits to hear that it arrived.
  if (!isWaitedFor) return REPEATED;
  if (message.sequence <= row.consumed || session.inbox.has(message.sequence)) return REPEATED;
  // Its sender is to hear how far we have read: what is beyond stays in its outbox.
  if (message.sequence > readOf(session) + WINDOW_MESSAGES_MAX) return REPEATED;
  session.inbox.set(message.sequence, message);
  return { ...NEWS, discarded: skipHellos(session) };
}

/** Nothing is left to be read of what the counterparty said before it failed. */
export const isFailureNext = ({ row, inbox }: SessionState): boolean => inbox.get(row.consumed + 1)?.body.kind === "failure";

/** What the counterparty failed with is met by the next operation on the session, which fails with it. */
export function meetFailure(session: SessionState, now: Instant): readonly number[] {
  const next = session.inbox.get(session.row.consumed + 1);
  return next !== undefined && isFailureNext(session) && isLive(session) ? fail(session, next, now) : [];
}

function fail(session: SessionState, message: SessionMessage, now: Instant): readonly number[] {
  const { row } = session;
  const { body } = message;
  if (body.kind !== "failure") return [];
  const discarded = discardInbox(session);
  const failure: Failure = {
    type: "session.failed",
    message: `${row.counterparty} ended the session: ${body.message}`,
    details: { counterparty: row.counterparty, type: body.type, message: body.message },
  };
  const consumed = Math.max(row.consumed, message.sequence);
  // A responder that only failed because we had closed has closed. What else it failed with waits for the step that closes.
  const ended = !awaitsClose(session) ? "failed" : body.type === "session.closed" ? "closed" : "closing";
  change(session, { status: ended, failure: ended === "closed" ? null : failure, consumed, expiresAt: now + row.timeoutMs });
  return discarded;
}

/** The next message of this side. `init` rides until the responder has answered. */
export function say(session: SessionState, body: SessionMessage["body"], speaker: Speaker, now: Instant): SessionMessage {
  const { row } = session;
  const expiresAt = now + row.timeoutMs;
  change(session, { sent: row.sent + 1, expiresAt });
  return {
    session: row.id,
    from: row.side,
    sequence: row.sent + 1,
    source: speaker.identity.me,
    destination: row.counterparty,
    groupId: speaker.identity.groupId,
    acknowledged: row.consumed,
    body,
    ...(row.side === "initiator" && row.version === null ? { init: initOf(row, speaker) } : {}),
    ...(row.side === "responder" && row.version !== null ? { version: row.version } : {}),
    expiresAt,
  };
}

function initOf(row: SessionRow, { identity, flowName }: Speaker): NonNullable<SessionMessage["init"]> {
  const { protocol, timeoutMs, openedAt } = row;
  const { platform } = identity.properties;
  const user = row.properties ?? {};
  const told = Object.keys(platform).length + Object.keys(user).length > 0;
  return {
    protocol,
    initiatingFlow: flowName,
    timeoutMs,
    expiresAt: openedAt + timeoutMs,
    ...(told ? { properties: { platform, user } } : {}),
  };
}

export interface Speaker {
  readonly identity: FlowIdentity;
  readonly flowName: string;
}

/** A counterparty that never heard of the session need not hear of its end. */
export const wasHeardOf = ({ row }: SessionState): boolean => row.side === "responder" || row.sent > 0;

/** Our end of the session. The result lists the rows of the inbox table that no one will read any more. */
export function end(session: SessionState, status: "closed" | "failed", failure: Failure | null): readonly number[] {
  change(session, { status, failure });
  return discardInbox(session);
}

function discardInbox(session: SessionState): readonly number[] {
  const discarded = [...session.stored];
  session.inbox.clear();
  session.stored.clear();
  session.assembled = undefined;
  return discarded;
}

/** The highest sequence up to which all is consumed or arrived: what may be acknowledged once it is committed. */
export function received({ row, inbox }: SessionState): number {
  let sequence = row.consumed;
  while (inbox.has(sequence + 1)) sequence++;
  return sequence;
}

export const expiry = ({ row }: SessionState): Failure => ({
  type: "session.expired",
  message: `${row.counterparty} was silent for ${row.timeoutMs / 1_000} s.`,
  details: { counterparty: row.counterparty },
});

function change(session: SessionState, changes: Partial<SessionRow>): void {
  session.row = { ...session.row, ...changes };
  session.dirty = true;
}
