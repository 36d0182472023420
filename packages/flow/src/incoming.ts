// What comes in for a flow: the steps that its fibers ask and how children end, messages that counterparties sent, and what
// both sides say they have. Pure; changes the state it is given.

import { BowlineError, type Env, type Instant } from "@bowline/base";
import type { Failure, FiberReport, Outcome, StepPath, Syscall } from "@bowline/sdk";
import type { Effect, FiberState, FlowState, Rules } from "./flow-state.ts";
import { REQUEST_KEPT_BYTES_MAX, STEPS_MAX } from "./limits.ts";
import { opposite } from "./messages.ts";
import { belowOf, endChild } from "./nested.ts";
import type { SessionMessage } from "./ports.ts";
import { isNested, type Request, requestOf } from "./rows.ts";
import { answerHello, discard } from "./session-steps.ts";
import { arrive, awaitsClose, readOf, received, released, type SessionState } from "./sessions.ts";

// --- Reports of fibers ---

/** One fiber's news. */
export function absorb(rules: Rules, state: FlowState, report: FiberReport, now: Instant, out: Effect[]): void {
  const fiber = state.fibers.get(report.fiber);
  if (fiber === undefined) return;
  // What a replay says was said before.
  if (state.caughtUp) {
    for (const { level, message, facts } of report.logs) out.push({ kind: "log", level, message, facts });
  }
  for (const { path, call, refused } of report.syscalls) ask(rules, state, { fiber, path, call, refused, now });
  if (fiber.finished === undefined && fiber.path === "") state.stack = report.stack;
  fiber.finished ??= report.finished;
  if (report.finished !== undefined && fiber.path !== "") endChild(state, fiber, report.finished, out);
}

interface Question {
  readonly fiber: FiberState;
  readonly path: StepPath;
  readonly call: Syscall;
  /** Where it was asked. */
  readonly refused: Failure | undefined;
  readonly now: Instant;
}

function ask(rules: Rules, state: FlowState, { fiber, path, call, refused, now }: Question): void {
  const request = requestSafely(rules, call);
  const recorded = state.recorded.get(path);
  if (recorded !== undefined && (recorded.kind !== call.kind || !sameHash(recorded.requestHash, request.hash))) {
    diverged(state, path, recorded.kind === call.kind ? `${call.kind} asks otherwise` : `${call.kind} instead of ${recorded.kind}`, call);
  }
  if (++state.steps > STEPS_MAX) exceed(state, { type: "flow.tooManySteps", message: `A flow has at most ${STEPS_MAX} steps.` });
  const { hash, bytes } = request;
  const refusal = refused === undefined ? request.refusal : { error: refused };
  // A step that waited when its flow was taken over was asked before.
  const before = state.row.waiting.find((waiting) => waiting.path === path);
  const askedAt = recorded?.askedAt ?? before?.since ?? now;
  const isKept = bytes.length <= REQUEST_KEPT_BYTES_MAX;
  const size = isKept ? bytes.length : 0;
  state.journalBytes += size;
  if (isNested(path)) {
    const below = belowOf(state, path, askedAt);
    below.steps++;
    below.bytes += size;
  }
  state.asked.set(path, {
    path,
    fiber,
    call,
    hash,
    size: bytes.length,
    request: isKept ? bytes : null,
    askedAt,
    phase: recorded === undefined ? "new" : "recorded",
    outcome: refusal ?? (call.kind === "patched" && recorded === undefined && isPast(state) ? NOT_PATCHED : undefined),
    until: undefined,
    room: [],
    trouble: before?.trouble,
  });
}

const NOT_PATCHED: Outcome = { ok: false };

/** Whether the flow did more, in another code or another life, than it has now done again. */
const isPast = ({ caughtUp, replay, row, asked }: FlowState): boolean =>
  !caughtUp && (replay.length > 0 || row.waiting.some(({ path }) => !asked.has(path)));

/** The first divergence is the one that says something: what follows it, follows from it. */
export function diverged(state: FlowState, path: StepPath, how: string, asked: Syscall | null = null): void {
  if (state.divergence !== undefined) return;
  state.divergence = { path, how, asked };
  const message = `Run again, this flow did not do what its journal says: at step ${path}, ${how}.`;
  state.parking ??= { type: "flow.nonDeterminism", message, details: { step: path } };
}

/** A call that canonical bytes cannot say fails its step; it fails the same way whenever it is replayed. */
function requestSafely(rules: Rules, call: Syscall): Request & { readonly refusal: Outcome | undefined } {
  try {
    return { ...requestOf(call, rules.digest), refusal: undefined };
  } catch (cause) {
    if (!(cause instanceof BowlineError)) throw cause;
    const stand = { kind: "service", service: call.kind, request: cause.message } as const;
    return { ...requestOf(stand, rules.digest), refusal: { error: { type: cause.code, message: cause.message } } };
  }
}

function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** A bound that an author's code broke ends the flow, with the bound as its reason. */
export function exceed(state: FlowState, failure: Failure): void {
  state.root.finished ??= { error: failure };
}

// --- Messages ---

/** What arrived goes to its session; what arrived before is acknowledged again. */
export function take(state: FlowState, messages: readonly SessionMessage[], env: Env, out: Effect[]): void {
  for (const message of messages) {
    const session = state.sessions.get(message.session);
    if (session === undefined || session.row.side === message.from) continue;
    const { news, repeated, discarded } = arrive(session, message, env.now);
    discard(state, session, discarded);
    const letGo = released(session);
    if (letGo.length > 0) out.push({ kind: "publish", messages: letGo });
    if (news) state.volatile.push(message);
    if (news && message.body.kind === "hello") answerHello(state, session, env.now);
    if (!repeated) continue;
    const sequence = isOverForGood(state, session) ? message.sequence : Math.min(received(session), session.told);
    if (sequence > 0) out.push({ kind: "owe", message: acknowledgement(state, session, sequence, message.expiresAt) });
  }
}

/** Its end is in the database: until then nothing may be acknowledged that a crash would make this flow wait for again. */
function isOverForGood({ pending }: FlowState, session: SessionState): boolean {
  const { row, dirty } = session;
  if (row.status === "open" || awaitsClose(session) || dirty) return false;
  if (pending === undefined) return true;
  const { status, sessions } = pending.commit;
  return status !== "PARKED" && !sessions.some(({ id, side }) => id === row.id && side === row.side);
}

/** No commit is coming that would carry what counterparties said they have. */
export function heed(state: FlowState, out: Effect[]): void {
  const acknowledgements = [];
  for (const session of state.sessions.values()) {
    if (session.heard <= session.heeded) continue;
    session.heeded = session.heard;
    acknowledgements.push({ session: session.row.id, from: session.row.side, sequence: session.heard });
  }
  if (acknowledgements.length > 0) out.push({ kind: "acknowledged", acknowledgements });
}

/** From the inbox table: it is durable already. */
export function restore(state: FlowState, message: SessionMessage, env: Env): void {
  const session = state.sessions.get(message.session);
  if (session === undefined || message.from !== opposite(session.row.side)) return;
  const { news, discarded } = arrive(session, message, env.now);
  discard(state, session, discarded);
  if (!news) return;
  if (session.inbox.has(message.sequence)) session.stored.add(message.sequence);
  else discard(state, session, [message.sequence]);
}

function readAlso(session: SessionState, acknowledged: number): { readonly read?: number } {
  const read = readOf(session);
  return read < acknowledged ? { read } : {};
}

/**
 * All of the session up to `sequence` is committed here. It is good for as long as what it acknowledges: that may come
 * after this side of the session has long ended.
 */
export const acknowledgement = ({ row }: FlowState, session: SessionState, sequence: number, until: Instant = 0): SessionMessage => ({
  session: session.row.id,
  from: session.row.side,
  sequence: 0,
  source: row.identity.me,
  destination: session.row.counterparty,
  groupId: row.identity.groupId,
  acknowledged: sequence,
  ...readAlso(session, sequence),
  body: { kind: "acknowledge" },
  ...(session.row.side === "responder" && session.row.version !== null ? { version: session.row.version } : {}),
  expiresAt: Math.max(session.row.expiresAt, until),
});
