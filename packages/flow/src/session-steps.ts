// The steps of sessions: open, exchange, ask who answers, close. Pure; changes the state it is given. A step that sends
// says so at once; whether it then waits is asked again whenever something arrives or time passes.

import { type Instant, parseName, type X500Name } from "@bowline/base";
import type { Failure, Outcome, SessionId, Syscall } from "@bowline/sdk";
import type { Asked, FlowState, Rules } from "./flow-state.ts";
import {
  FAILURE_MESSAGE_MAX,
  FAILURE_TYPE_MAX,
  INLINE_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  SESSION_TIMEOUT_MS,
  SESSIONS_MAX,
  WINDOW_WAIT_MS,
} from "./limits.ts";
import { opposite, sessionIdOf } from "./messages.ts";
import { bodiesOf } from "./parts.ts";
import type { SessionMessage } from "./ports.ts";
import {
  awaitsClose,
  close,
  consume,
  deliverable,
  end,
  expiry,
  infoOf,
  isFailureNext,
  isInWindow,
  isLive,
  loadedSession,
  meetFailure,
  openedSession,
  overOf,
  type SessionState,
  say,
  wasHeardOf,
} from "./sessions.ts";

type Call<K extends Syscall["kind"]> = Extract<Syscall, { kind: K }>;
type SessionCall = Call<"session.exchange" | "session.info" | "session.close">;

/** Undefined while the step waits. */
export function settleSessionStep(rules: Rules, state: FlowState, asked: Asked, call: SessionCall, now: Instant): Outcome | undefined {
  switch (call.kind) {
    case "session.exchange":
      return hasRoom(asked, now) ? receive(rules, state, call.receives, now) : undefined;
    case "session.info":
      return informed(state, call.session, now);
    case "session.close":
      return closed(state, call, now);
  }
}

/** When a step that waits is looked at though nothing arrives: a counterparty was silent, or its window closed, for too long. */
export function silenceOf(state: FlowState, { until }: Asked, call: SessionCall): Instant {
  const ids = call.kind === "session.exchange" ? call.receives : call.kind === "session.close" ? call.sessions : [call.session];
  const expiries = ids.map((id) => state.sessions.get(id)?.row.expiresAt ?? Number.POSITIVE_INFINITY);
  return Math.min(until ?? Number.POSITIVE_INFINITY, ...expiries);
}

// --- Open ---

export function openSession(state: FlowState, asked: Asked, call: Call<"session.open">, now: Instant): Outcome {
  if (state.sessions.size >= SESSIONS_MAX) return refused("session.tooMany", `A flow has at most ${SESSIONS_MAX} sessions.`);
  const counterparty = nameOrUndefined(call.counterparty);
  if (counterparty === undefined) return refused("name.invalid", `"${call.counterparty}" is not an X.500 name.`);
  const { id: flowId, identity } = state.row;
  const reserved = reservedKey(identity.properties.platform, call.properties ?? {});
  if (reserved !== undefined) return refused("properties.reserved", `The property ${reserved} is the platform's to set.`);
  const id = sessionIdOf(flowId, asked.path);
  const row = openedSession({
    id,
    flowId,
    side: "initiator",
    counterparty,
    protocol: call.protocol,
    version: null,
    properties: call.properties ?? null,
    timeoutMs: call.timeoutMs ?? SESSION_TIMEOUT_MS,
    openedAt: now,
  });
  state.sessions.set(id, { ...loadedSession(row), dirty: true });
  return { ok: id };
}

/** However the author wrote it, messages carry the canonical form. */
function nameOrUndefined(text: string): X500Name | undefined {
  try {
    return parseName(text);
  } catch {
    return undefined;
  }
}

/** The first key that a flow may not set. */
export const reservedKey = (platform: Readonly<Record<string, string>>, user: Readonly<Record<string, string>>): string | undefined =>
  Object.keys(user).find((key) => key.startsWith("corda.") || Object.hasOwn(platform, key));

// --- Exchange ---

/** Sends at once. What was sent by a committed exchange that still waited is not sent again. */
export function exchange(rules: Rules, state: FlowState, asked: Asked, call: Call<"session.exchange">, now: Instant): Outcome | undefined {
  meetFailures(state, [...call.sends.map(({ session }) => session), ...call.receives], now);
  const sentBefore = wasTakenUp(state, asked);
  const refusal = checkExchange(state, call, sentBefore) ?? (sentBefore ? undefined : sendAll(rules, state, asked, call, now));
  if (refusal !== undefined) return refusal;
  return hasRoom(asked, now) ? receive(rules, state, call.receives, now) : undefined;
}

/** All or none. Where a counterparty's window is closed the step is to wait: what it says is in the outbox meanwhile. */
function sendAll(
  { digest }: Rules,
  state: FlowState,
  asked: Asked,
  { sends }: Call<"session.exchange">,
  now: Instant,
): Outcome | undefined {
  // No payload is larger than the call that sends it.
  const letters = sends.map(({ payload }) =>
    asked.size <= INLINE_BYTES_MAX ? { bodies: [{ kind: "data", payload } as const], size: 0 } : bodiesOf(payload, digest),
  );
  const large = letters.find(({ size }) => size > PAYLOAD_BYTES_MAX);
  if (large !== undefined) {
    const text = `A payload has at most ${PAYLOAD_BYTES_MAX} bytes, and this one ${large.size}: send the data in pieces.`;
    return refused("session.payloadTooLarge", text);
  }
  sends.forEach(({ session: id }, index) => {
    const session = state.sessions.get(id);
    if (session === undefined) return;
    const sequence = session.row.sent + 1;
    if (!isInWindow(session, sequence)) {
      asked.room = [...asked.room, { session, sequence }];
      asked.until = now + WINDOW_WAIT_MS;
    }
    for (const body of letters[index]?.bodies ?? []) post(state, session, body, now);
  });
  return undefined;
}

/** Nobody waits for the window of a session that is over, nor for ever. */
function hasRoom(asked: Asked, now: Instant): boolean {
  const isFull = asked.room.some(({ session, sequence }) => session.row.status === "open" && !isInWindow(session, sequence));
  if (isFull && asked.until !== undefined && now < asked.until) return false;
  asked.room = [];
  asked.until = undefined;
  return true;
}

/** A step that a commit lists has done at once what it does at once. */
const wasTakenUp = (state: FlowState, { path }: Asked): boolean => state.row.waiting.some((waiting) => waiting.path === path);

function checkExchange(state: FlowState, { sends, receives }: Call<"session.exchange">, sentBefore: boolean): Outcome | undefined {
  const unknown = [...sends.map(({ session }) => session), ...receives].find((id) => !state.sessions.has(id));
  if (unknown !== undefined) return sessionUnknown(unknown);
  const twice = receives.find((id, index) => receives.indexOf(id) !== index);
  if (twice !== undefined) return refused("session.receivedTwice", `One step receives twice from session ${twice}: receive in two steps.`);
  if (sentBefore) return undefined;
  for (const { session: id } of sends) {
    const session = state.sessions.get(id);
    const over = session === undefined ? undefined : overOf(session);
    if (over !== undefined) return { error: over };
  }
  return undefined;
}

/**
 * Waits until every session has a message or is over. Where one is over the step fails with its reason, and the
 * messages of the others stay to be received.
 */
function receive({ digest }: Rules, state: FlowState, receives: readonly SessionId[], now: Instant): Outcome | undefined {
  meetFailures(state, receives, now);
  const sessions = receives.flatMap((id) => state.sessions.get(id) ?? []);
  let failure: Failure | undefined;
  for (const session of sessions) {
    const found = deliverable(session, digest);
    if (found?.kind === "message") continue;
    if (found === undefined) {
      if (now < session.row.expiresAt) return undefined;
      endSession(state, session, expiry(session), now);
    } else if (found.kind === "broken") endSession(state, session, found.failure, now);
    else if (session.row.status === "open") note(state, session, now);
    failure ??= overOf(session);
  }
  if (failure !== undefined) return { error: failure };
  const payloads = sessions.map((session) => {
    const found = deliverable(session, digest);
    note(state, session, now);
    return found?.kind === "message" ? found.payload : null;
  });
  return { ok: payloads };
}

/** Consumes the next message, in the draft too. */
const note = (state: FlowState, session: SessionState, now: Instant): void => discard(state, session, consume(session, now));

// --- Who answers ---

/** Where nobody has said it, a message that flows never see asks, and starts the flow that answers. */
export function askInfo(state: FlowState, asked: Asked, call: Call<"session.info">, now: Instant): Outcome | undefined {
  const session = state.sessions.get(call.session);
  if (session === undefined) return sessionUnknown(call.session);
  if (infoOf(session) === undefined && session.row.status === "open" && !wasTakenUp(state, asked)) {
    post(state, session, { kind: "hello" }, now);
  }
  return informed(state, call.session, now);
}

function informed(state: FlowState, id: SessionId, now: Instant): Outcome | undefined {
  meetFailures(state, [id], now);
  const session = state.sessions.get(id);
  if (session === undefined) return sessionUnknown(id);
  const info = infoOf(session);
  if (info !== undefined) return { ok: { ...info } };
  if (isLive(session) && now >= session.row.expiresAt) endSession(state, session, expiry(session), now);
  const over = overOf(session);
  return over === undefined ? undefined : { error: over };
}

// --- Close ---

export function closeSessions(state: FlowState, call: Call<"session.close">, now: Instant): Outcome | undefined {
  const unknown = call.sessions.find((id) => !state.sessions.has(id));
  if (unknown !== undefined) return sessionUnknown(unknown);
  for (const id of call.sessions) {
    const session = state.sessions.get(id);
    if (session === undefined || awaitsClose(session)) continue;
    const awaited = call.awaited === true && call.failure === undefined && session.row.side === "initiator";
    if (awaited && session.row.status === "open" && wasHeardOf(session)) {
      // Who has failed hears nothing any more: how it failed is for this step to tell.
      if (!isFailureNext(session)) sayClose(state, session, true, now);
      close(session);
    } else endSession(state, session, call.failure, now);
  }
  return closed(state, call, now);
}

/** Looks at all before it ends any, so that what one of them failed with is still there when the last one is over. */
function closed(state: FlowState, call: Call<"session.close">, now: Instant): Outcome | undefined {
  meetFailures(state, call.sessions, now);
  const closing = call.sessions.flatMap((id) => state.sessions.get(id) ?? []).filter(awaitsClose);
  const answered = ({ row, inbox }: SessionState) => row.failure !== null || inbox.has(row.consumed + 1) || now >= row.expiresAt;
  if (!closing.every(answered)) return undefined;
  let failure: Failure | undefined;
  for (const session of closing) {
    const { row } = session;
    const next = session.inbox.get(row.consumed + 1);
    if (row.failure !== null) discard(state, session, end(session, "failed", row.failure));
    else if (next?.body.kind === "close") note(state, session, now);
    else endSession(state, session, next === undefined ? expiry(session) : unread(row.counterparty), now);
    failure ??= session.row.failure ?? undefined;
  }
  return failure === undefined ? { ok: null } : { error: failure };
}

const unread = (counterparty: X500Name): Failure => ({
  type: "session.unread",
  message: `This flow closed its session with ${counterparty}, which had more to say.`,
  details: { counterparty },
});

/** Ends a session from our side and tells the counterparty, on the last message where that has not left yet. */
export function endSession(state: FlowState, session: SessionState, failure: Failure | undefined, now: Instant): void {
  if (!isLive(session)) return;
  if (failure !== undefined && wasHeardOf(session)) post(state, session, told(failure), now);
  else if (wasHeardOf(session) && !awaitsClose(session)) sayClose(state, session, false, now);
  discard(state, session, end(session, failure === undefined ? "closed" : "failed", failure ?? null));
}

const told = ({ type, message }: Failure): SessionMessage["body"] => ({
  kind: "failure",
  type: type.slice(0, FAILURE_TYPE_MAX).toWellFormed(),
  message: message.slice(0, FAILURE_MESSAGE_MAX).toWellFormed(),
});

function sayClose(state: FlowState, session: SessionState, isAwaited: boolean, now: Instant): void {
  const { outbox } = state.draft;
  const awaited = isAwaited ? { awaited: true as const } : {};
  const at = outbox.findLastIndex((message) => message.session === session.row.id && message.from === session.row.side);
  const message = outbox[at];
  if (message?.body.kind === "data" || message?.body.kind === "part")
    outbox[at] = { ...message, body: { ...message.body, last: true, ...awaited } };
  else post(state, session, { kind: "close", ...awaited }, now);
}

// --- Both ways ---

function post(state: FlowState, session: SessionState, body: SessionMessage["body"], now: Instant): void {
  const { identity, flowName } = state.row;
  state.draft.outbox.push(say(session, body, { identity, flowName }, now));
}

/** What a counterparty asked without its flow: who answers here, and in which version. */
export const answerHello = (state: FlowState, session: SessionState, now: Instant): void => {
  if (session.row.side === "responder" && session.row.status === "open") post(state, session, { kind: "hello" }, now);
};

/** Where all that came before is read. */
function meetFailures(state: FlowState, ids: readonly SessionId[], now: Instant): void {
  for (const id of ids) {
    const session = state.sessions.get(id);
    if (session !== undefined && isFailureNext(session)) discard(state, session, meetFailure(session, now));
  }
}

/** Inbox rows that nobody will read leave with the next commit. */
export function discard(state: FlowState, session: SessionState, sequences: readonly number[]): void {
  const from = opposite(session.row.side);
  for (const sequence of sequences) state.draft.consumed.push({ session: session.row.id, from, sequence });
}

const sessionUnknown = (id: SessionId): Outcome => refused("session.unknown", `This flow has no session ${id}.`);
const refused = (type: string, message: string): Outcome => ({ error: { type, message } });
