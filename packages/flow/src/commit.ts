// Step commits: composed from what happened since the last one, and what follows the answer. Pure; changes the state it is
// given.
//
// committed: messages leave, acknowledgements are owed, a flow that is over is forgotten.  fenced: memory is dropped.
// refused: the vault write that was refused becomes the error of its step, from the last commit on.

import { type Env, hex, type Instant, invariant } from "@bowline/base";
import type { Outcome, SessionId } from "@bowline/sdk";
import type { Draft, Effect, FlowState, Pending } from "./flow-state.ts";
import { acknowledgement } from "./incoming.ts";
import { WINDOW_NEWS_MESSAGES } from "./limits.ts";
import { belowOf } from "./nested.ts";
import type { Acknowledgement, CommitOutcome, FlowRow, SessionMessage, SessionRow, StepCommit, Waiting } from "./ports.ts";
import { isNested, leaseFrom } from "./rows.ts";
import { isInWindow, readOf, received } from "./sessions.ts";
import { untilOf } from "./steps.ts";

export const emptyDraft = (): Draft => ({ rows: [], collapsed: [], writes: [], outbox: [], consumed: [] });

const COMMIT_ID_BYTES = 12;

/** All of `state.draft`, every session that changed, and every message that arrived and would else be in memory only. */
export function compose(state: FlowState, status: FlowRow["status"], outcome: Outcome | null, env: Env): Pending {
  const { draft, row } = state;
  const sessions: SessionRow[] = [];
  const inboxAdded: SessionMessage[] = [];
  const outboxAcknowledged: Acknowledgement[] = [];
  const durable = new Map<SessionId, number>();
  const parked = status === "PARKED";
  for (const session of state.sessions.values()) {
    if (session.heard > session.heeded) {
      session.heeded = session.heard;
      outboxAcknowledged.push({ session: session.row.id, from: session.row.side, sequence: session.heard });
    }
    if (parked) continue;
    if (session.dirty) sessions.push(session.row);
    session.dirty = false;
    for (const [sequence, message] of session.inbox) {
      if (session.stored.has(sequence)) continue;
      session.stored.add(sequence);
      inboxAdded.push(message);
    }
    durable.set(session.row.id, received(session));
  }
  return {
    draft,
    durable,
    commit: {
      flowId: row.id,
      at: env.now,
      ...(state.start === undefined ? {} : { start: state.start }),
      expectedVersion: row.version,
      commitId: hex(env.random(COMMIT_ID_BYTES)),
      journal: draft.rows,
      collapsed: draft.collapsed,
      sessions,
      inboxAdded,
      inboxConsumed: draft.consumed,
      outboxAdded: draft.outbox,
      outboxAcknowledged,
      status,
      outcome,
      wakeAt: status === "RUNNING" ? wakeAt(state, env.now) : null,
      // What is tried again after an operator's word is tried anew.
      waiting: parked ? row.waiting.map(({ trouble: _, ...waiting }) => waiting) : waitingOf(state),
      vaultWrites: draft.writes.flatMap(({ writes }) => writes),
      ...(status === "FAILED" && state.stack !== undefined ? { stack: state.stack } : {}),
    },
  };
}

/** When the flow must be looked at again: what it waits for, or the lease of whoever runs it. */
function wakeAt(state: FlowState, now: Instant): Instant | null {
  let earliest = Number.POSITIVE_INFINITY;
  for (const asked of state.asked.values()) {
    const running = asked.phase !== "waiting" && asked.phase !== "child";
    earliest = Math.min(earliest, running ? leaseFrom(now) : (untilOf(state, asked) ?? Number.POSITIVE_INFINITY));
  }
  return Number.isFinite(earliest) ? earliest : null;
}

const waitingOf = (state: FlowState): readonly Waiting[] =>
  [...state.asked.values()].flatMap(({ path, call, phase, until, askedAt, trouble }) => {
    if (phase === "sealed") return [];
    const waiting = { path, kind: call.kind, until: phase === "waiting" ? (until ?? null) : null, since: askedAt };
    return [trouble === undefined ? waiting : { ...waiting, trouble }];
  });

// --- The answer ---

export function committed(state: FlowState, outcome: CommitOutcome, out: Effect[]): void {
  const { pending } = state;
  invariant(pending !== undefined, "a commit that is answered was asked");
  if (outcome.kind === "fenced") reload(state, out);
  else if (outcome.kind === "refused") refuse(state, outcome, out);
  else confirm(state, pending, out);
}

function confirm(state: FlowState, { commit, draft, durable }: Pending, out: Effect[]): void {
  const { commitId, status, wakeAt, waiting, at } = commit;
  state.pending = undefined;
  state.start = undefined;
  state.row = { ...state.row, status, version: state.row.version + 1, commitId, wakeAt, waiting, outcome: commit.outcome, updatedAt: at };
  for (const { path, askedAt } of draft.rows) if (isNested(path)) belowOf(state, path, askedAt).committed = true;
  const leaving = draft.outbox.filter((message) => !isHeld(state, message));
  if (leaving.length > 0) out.push({ kind: "publish", messages: leaving });
  oweWhatIsDurable(state, draft.outbox, durable, out);
  state.volatile = state.volatile.filter((message) => !isDurable(state, commit, message));
  if (status === "RUNNING") return;
  state.over = true;
  out.push(
    { kind: "dropFibers", fibers: [...state.fibers.values()] },
    { kind: "forget", why: status === "PARKED" ? "parked" : "finished" },
  );
}

/** Where the counterparty's window is closed a message waits for it to open; the outbox has it in any case. */
function isHeld(state: FlowState, message: SessionMessage): boolean {
  const session = state.sessions.get(message.session);
  if (session === undefined || isInWindow(session, message.sequence)) return false;
  session.held.push(message);
  return true;
}

/** Consumed, stored, or of a session that is over. */
function isDurable(state: FlowState, commit: StepCommit, { session: id, sequence, body }: SessionMessage): boolean {
  const session = state.sessions.get(id);
  if (body.kind === "failure" && !session?.inbox.has(sequence))
    return commit.sessions.some((row) => row.id === id && row.status !== "open");
  return session === undefined || !session.inbox.has(sequence) || session.stored.has(sequence);
}

/** An acknowledgement rides on a message of the same commit, or is owed. */
function oweWhatIsDurable(state: FlowState, sent: readonly SessionMessage[], durable: ReadonlyMap<string, number>, out: Effect[]): void {
  for (const { session, acknowledged } of sent) {
    const riding = state.sessions.get(session);
    if (riding === undefined) continue;
    riding.told = Math.max(riding.told, acknowledged);
    riding.toldRead = Math.max(riding.toldRead, acknowledged);
  }
  for (const [id, sequence] of durable) {
    const session = state.sessions.get(id);
    if (session === undefined) continue;
    const read = readOf(session);
    if (session.told >= sequence && read - session.toldRead < WINDOW_NEWS_MESSAGES) continue;
    session.told = sequence;
    session.toldRead = Math.min(read, sequence);
    out.push({ kind: "owe", message: acknowledgement(state, session, sequence) });
  }
}

/** The vault refused: the step that asked for it fails with the reason, from the last commit on. */
function refuse(state: FlowState, { code, message }: Extract<CommitOutcome, { kind: "refused" }>, out: Effect[]): void {
  const writes = state.pending?.draft.writes ?? [];
  const [first] = writes;
  if (first === undefined) {
    const facts = { type: code, reason: message };
    out.push({ kind: "log", level: "error", message: "flow commit refused", facts });
    const status = state.pending?.commit.status;
    state.pending = undefined;
    if (status === "PARKED" || status === "KILLED") {
      state.over = true;
      out.push({ kind: "dropFibers", fibers: [...state.fibers.values()] }, { kind: "forget", why: "parked" });
    } else state.parking = { type: code, message };
    return;
  }
  if (writes.length === 1) state.refusals.set(first.path, { type: code, message });
  else state.careful = true;
  reload(state, out);
}

/** Memory goes, with what is in no database yet handed on. */
export function reload(state: FlowState, out: Effect[]): void {
  state.over = true;
  out.push({ kind: "dropFibers", fibers: [...state.fibers.values()] });
  out.push({ kind: "reload", carry: { messages: state.volatile, refusals: state.refusals, careful: state.careful } });
}
