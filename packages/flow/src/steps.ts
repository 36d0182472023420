// The steps that the engine settles by itself: sessions, time, randomness, vault writes, platform children. Pure.

import { BowlineError, decoder, type Env, type Instant, parseName, type X500Name } from "@bowline/base";
import type { Failure, FiberStart, Outcome, SessionId, Syscall } from "@bowline/sdk";
import * as Type from "typebox";
import type { Asked, Effect, FiberState, FlowState, Rules } from "./flow-state.ts";
import {
  FAILURE_MESSAGE_MAX,
  FAILURE_TYPE_MAX,
  PAYLOAD_BYTES_MAX,
  RANDOM_BYTES_MAX,
  SESSION_TIMEOUT_MAX_MS,
  SESSION_TIMEOUT_MIN_MS,
  SESSION_TIMEOUT_MS,
  SESSIONS_MAX,
  SLEEP_MS_MAX,
} from "./limits.ts";
import { opposite, sessionIdOf } from "./messages.ts";
import type { SessionMessage } from "./ports.ts";
import { canonical, deriveRandom } from "./rows.ts";
import { consume, deliverable, end, expiry, loadedSession, openedSession, overOf, type SessionState, say, wasHeardOf } from "./sessions.ts";

/**
 * Takes up a step that was asked: settles it, starts it, or leaves it new where a commit must come first.
 * The result says whether it waits for that commit.
 */
export function takeUp(rules: Rules, state: FlowState, asked: Asked, env: Env, out: Effect[]): boolean {
  const { call } = asked;
  const malformed = shapeOf(call);
  if (malformed !== undefined) return settle(asked, malformed);
  switch (call.kind) {
    case "clock.now":
      return settle(asked, { ok: env.now });
    case "clock.sleep":
      return takeUpSleep(state, asked, call.durationMs, env.now);
    case "checkpoint":
      return true;
    case "random":
      return settle(asked, { ok: deriveRandom(state.row.seed, asked.path, call.length, rules.digest) });
    case "session.open":
      return settle(asked, openSession(state, asked, call, env.now));
    case "session.close":
      return settle(asked, closeSessions(state, call, env.now));
    case "session.exchange":
      return takeUpExchange(state, asked, call, env.now);
    default:
      return takeUpCall(rules, state, asked, out);
  }
}

/** Settles exchanges whose messages are there or will not come, and sleeps that are over. */
export function settleWaiting(state: FlowState, now: Instant): void {
  for (const asked of state.asked.values()) {
    if (asked.phase !== "waiting" || asked.outcome !== undefined) continue;
    if (asked.call.kind === "session.exchange") asked.outcome = receive(state, asked.call.receives, now);
    else if (asked.until !== undefined && now >= asked.until) asked.outcome = { ok: null };
  }
}

/** When a step that waits must be looked at though nothing arrives. */
export function untilOf(state: FlowState, asked: Asked): Instant | undefined {
  if (asked.call.kind !== "session.exchange") return asked.until;
  const expiries = asked.call.receives.map((id) => state.sessions.get(id)?.row.expiresAt ?? Number.POSITIVE_INFINITY);
  return Math.min(...expiries);
}

/** Ends a session from our side and tells the counterparty, on the last message where that has not left yet. */
export function endSession(state: FlowState, session: SessionState, failure: Failure | undefined, now: Instant): void {
  if (session.row.status !== "open") return;
  if (wasHeardOf(session)) {
    if (failure !== undefined) {
      state.draft.outbox.push(say(session, told(failure), speakerOf(state), now));
    } else if (!closeOnLast(state.draft.outbox, session)) {
      state.draft.outbox.push(say(session, { kind: "close" }, speakerOf(state), now));
    }
  }
  discard(state, session, end(session, failure === undefined ? "closed" : "failed", failure ?? null));
}

const told = ({ type, message }: Failure): SessionMessage["body"] => ({
  kind: "failure",
  type: type.slice(0, FAILURE_TYPE_MAX).toWellFormed(),
  message: message.slice(0, FAILURE_MESSAGE_MAX).toWellFormed(),
});

/** Inbox rows that nobody will read leave with the next commit. */
export function discard(state: FlowState, session: SessionState, sequences: readonly number[]): void {
  const from = opposite(session.row.side);
  for (const sequence of sequences) state.draft.consumed.push({ session: session.row.id, from, sequence });
}

function closeOnLast(outbox: SessionMessage[], session: SessionState): boolean {
  const at = outbox.findLastIndex((message) => message.session === session.row.id);
  const message = outbox[at];
  if (message?.body.kind !== "data") return false;
  outbox[at] = { ...message, body: { ...message.body, last: true } };
  return true;
}

function takeUpSleep(state: FlowState, asked: Asked, durationMs: number, now: Instant): false {
  // A sleep that was committed goes on where it was, whoever takes the flow over.
  const until = state.row.waiting.find(({ path }) => path === asked.path)?.until;
  asked.until = until ?? now + durationMs;
  asked.phase = "waiting";
  return false;
}

function openSession(state: FlowState, asked: Asked, call: Extract<Syscall, { kind: "session.open" }>, now: Instant): Outcome {
  if (state.sessions.size >= SESSIONS_MAX) return refused("session.tooMany", `A flow has at most ${SESSIONS_MAX} sessions.`);
  const counterparty = nameOrUndefined(call.counterparty);
  if (counterparty === undefined) return refused("name.invalid", `"${call.counterparty}" is not an X.500 name.`);
  const flowId = state.row.id;
  const id = sessionIdOf(flowId, asked.path);
  const row = openedSession({
    id,
    flowId,
    side: "initiator",
    counterparty,
    protocol: call.protocol,
    version: null,
    timeoutMs: call.timeoutMs ?? SESSION_TIMEOUT_MS,
    now,
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

function closeSessions(state: FlowState, call: Extract<Syscall, { kind: "session.close" }>, now: Instant): Outcome {
  const unknown = call.sessions.find((id) => !state.sessions.has(id));
  if (unknown !== undefined) return sessionUnknown(unknown);
  for (const id of call.sessions) {
    const session = state.sessions.get(id);
    if (session !== undefined) endSession(state, session, call.failure, now);
  }
  return { ok: null };
}

/** Sends at once. What was sent by a committed exchange that still waited is not sent again. */
function takeUpExchange(state: FlowState, asked: Asked, call: Extract<Syscall, { kind: "session.exchange" }>, now: Instant): false {
  const sentBefore = state.row.waiting.some(({ path }) => path === asked.path);
  const refusal = checkExchange(state, call, sentBefore);
  if (refusal !== undefined) return settle(asked, refusal);
  if (!sentBefore) {
    if (asked.size > PAYLOAD_BYTES_MAX) {
      return settle(asked, refused("session.payloadTooLarge", `One step may send ${PAYLOAD_BYTES_MAX} bytes: send the data in parts.`));
    }
    for (const { session: id, payload } of call.sends) {
      const session = state.sessions.get(id);
      if (session !== undefined) state.draft.outbox.push(say(session, { kind: "data", payload }, speakerOf(state), now));
    }
  }
  if (call.receives.length === 0) return settle(asked, { ok: [] });
  asked.phase = "waiting";
  return false;
}

function checkExchange(
  state: FlowState,
  { sends, receives }: Extract<Syscall, { kind: "session.exchange" }>,
  sentBefore: boolean,
): Outcome | undefined {
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
function receive(state: FlowState, receives: readonly SessionId[], now: Instant): Outcome | undefined {
  const sessions = receives.flatMap((id) => state.sessions.get(id) ?? []);
  let failure: Failure | undefined;
  for (const session of sessions) {
    const found = deliverable(session);
    if (found?.kind === "message") continue;
    if (found === undefined) {
      if (now < session.row.expiresAt) return undefined;
      endSession(state, session, expiry(session), now);
    } else if (session.row.status === "open") note(state, session, now);
    failure ??= overOf(session);
  }
  if (failure !== undefined) return { error: failure };
  const payloads = sessions.map((session) => {
    const found = deliverable(session);
    note(state, session, now);
    return found?.kind === "message" ? found.payload : null;
  });
  return { ok: payloads };
}

/** Consumes the next message, in the draft too. */
function note(state: FlowState, session: SessionState, now: Instant): void {
  const { sequence, stored } = consume(session, now);
  if (stored) discard(state, session, [sequence]);
}

function takeUpCall(rules: Rules, state: FlowState, asked: Asked, out: Effect[]): boolean {
  const { call, fiber } = asked;
  const refusal = state.refusals.get(asked.path);
  if (refusal !== undefined) return settle(asked, { error: refusal });
  switch (rules.classify(call, fiber.trusted)) {
    case "forbidden":
      return settle(asked, refused("syscall.forbidden", `This flow may not ask ${nameOf(call)}.`));
    case "child":
      return startChild(state, asked);
    case "write":
      if (state.careful && state.draft.writes.length > 0) return true;
      if (call.kind === "vault.write") state.draft.writes.push({ path: asked.path, writes: call.writes });
      return settle(asked, { ok: null });
    case "read":
      if (state.draft.writes.length > 0) return true;
      break;
    case "mark":
      if (state.start !== undefined || state.draft.rows.length > 0 || state.draft.writes.length > 0) return true;
      break;
    case "pure":
      break;
  }
  asked.phase = "calling";
  out.push(performing(state, asked));
  return false;
}

export const performing = (state: FlowState, { path, call, fiber }: Asked): Effect => ({
  kind: "perform",
  path,
  call,
  context: { identity: state.row.identity, path, bundle: fiber.bundle, trusted: fiber.trusted },
});

function startChild(state: FlowState, asked: Asked): false {
  const { call, path } = asked;
  if (call.kind !== "platform") return settle(asked, refused("syscall.forbidden", `${nameOf(call)} runs no child.`));
  const fiber: FiberState = { id: `${state.row.id}/${path}`, bundle: "platform", trusted: true, path, finished: undefined };
  const start: FiberStart = {
    kind: "called",
    fiber: fiber.id,
    path,
    flow: call.flow,
    identity: state.row.identity,
    input: canonicalInput(call.input),
  };
  state.fibers.set(fiber.id, fiber);
  state.starting.push(start);
  asked.phase = "child";
  return false;
}

/** The child takes canonical bytes, as its replay will. */
function canonicalInput(input: Extract<Syscall, { kind: "platform" }>["input"]): typeof input {
  const { ok } = canonical({ ok: input }) as { readonly ok: typeof input };
  return ok;
}

function settle(asked: Asked, outcome: Outcome): false {
  asked.outcome = outcome;
  return false;
}

const speakerOf = ({ row }: FlowState) => ({ identity: row.identity, flowName: row.flowName });
const nameOf = (call: Syscall): string => (call.kind === "service" ? call.service : call.kind);
const sessionUnknown = (id: SessionId): Outcome => refused("session.unknown", `This flow has no session ${id}.`);
const refused = (type: string, message: string): Outcome => ({ error: { type, message } });

const Name = Type.String({ minLength: 1, maxLength: 1_024 });
const Protocol = Type.Object({ name: Name, versions: Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, maxItems: 64 }) });
const Sessions = Type.Array(Type.String(), { maxItems: SESSIONS_MAX });
const SHAPES: Partial<Record<Syscall["kind"], (value: unknown) => unknown>> = {
  "session.open": decoder(
    Type.Object({
      kind: Type.String(),
      counterparty: Name,
      protocol: Protocol,
      timeoutMs: Type.Optional(Type.Integer({ minimum: SESSION_TIMEOUT_MIN_MS, maximum: SESSION_TIMEOUT_MAX_MS })),
    }),
    "session.open",
  ),
  "session.exchange": decoder(
    Type.Object({
      kind: Type.String(),
      sends: Type.Array(Type.Object({ session: Type.String(), payload: Type.Unknown() }), { maxItems: SESSIONS_MAX }),
      receives: Sessions,
    }),
    "session.exchange",
  ),
  "session.close": decoder(
    Type.Object({
      kind: Type.String(),
      sessions: Sessions,
      failure: Type.Optional(Type.Object({ type: Type.String(), message: Type.String() })),
    }),
    "session.close",
  ),
  "clock.sleep": decoder(
    Type.Object({ kind: Type.String(), durationMs: Type.Integer({ minimum: 0, maximum: SLEEP_MS_MAX }) }),
    "clock.sleep",
  ),
  random: decoder(Type.Object({ kind: Type.String(), length: Type.Integer({ minimum: 1, maximum: RANDOM_BYTES_MAX }) }), "random"),
};

/** What is wrong with a call that comes from code which may say anything. */
function shapeOf(call: Syscall): Outcome | undefined {
  try {
    SHAPES[call.kind]?.(call);
    return undefined;
  } catch (cause) {
    if (cause instanceof BowlineError) return refused("syscall.invalid", cause.message);
    throw cause;
  }
}
