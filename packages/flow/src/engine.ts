// The engine: one running flow as a machine over events. Pure: no await, clock, randomness, log or SQL; the state is
// changed in place, because a journal is long and is this machine's alone.
//
// Guarantees: an effect leaves only after the commit that contains it; a committed step is never performed again; what
// a flow sees depends on its code, its input and its journal alone; a flow whose replay asks otherwise is parked, and
// keeps its journal. One commit or one round of activations is in flight at a time; what happens meanwhile waits.

import { BowlineError, type Env, invariant, unreachable } from "@bowline/base";
import type { Delivery, Failure, FiberReport, FiberStart, Outcome, Syscall } from "@bowline/sdk";
import { compose } from "./commit.ts";
import {
  type Asked,
  type Bundle,
  type Carry,
  type Effect,
  emptyDraft,
  type FiberState,
  type FlowEvent,
  type FlowState,
  type Pending,
  type Rules,
} from "./flow-state.ts";
import { canonical, encodeOutcome, isBelow, replayGroups, requestOf } from "./journal.ts";
import { JOURNAL_BYTES_MAX, LEASE_MS, RETRY_FIRST_MS, RETRY_MAX_MS, STEPS_MAX } from "./limits.ts";
import { opposite } from "./messages.ts";
import type { CommitOutcome, FlowSnapshot, FlowStart, JournalRow, SessionMessage, StepCommit } from "./ports.ts";
import { arrive, loadedSession, received, type SessionState } from "./sessions.ts";
import { discard, endSession, performing, settleWaiting, takeUp, untilOf } from "./steps.ts";

/** A flow as the database holds it, taken into memory: from its first step, or from wherever its journal ends. */
export function begin(
  rules: Rules,
  { snapshot, start, carry }: { readonly snapshot: FlowSnapshot; readonly start?: FlowStart; readonly carry: Carry },
  env: Env,
): { readonly state: FlowState; readonly effects: readonly Effect[] } {
  const { row } = snapshot;
  const root: FiberState = { id: `${row.id}/`, bundle: row.bundle, trusted: row.bundle === "platform", path: "", finished: undefined };
  const state: FlowState = {
    row,
    start,
    root,
    fibers: new Map([[root.id, root]]),
    asked: new Map(),
    sessions: new Map(snapshot.sessions.map((session) => [session.id, loadedSession(session)])),
    recorded: new Map(snapshot.journal.map((step) => [step.path, step])),
    replay: replayGroups(snapshot.journal),
    committedPaths: new Set(snapshot.journal.map(({ path }) => path)),
    starting: [],
    draft: emptyDraft(),
    pending: undefined,
    activating: 0,
    activation: snapshot.journal.reduce((highest, { activation }) => Math.max(highest, activation), 0) + 1,
    steps: 0,
    journalBytes: 0,
    volatile: [],
    refusals: new Map(carry.refusals),
    careful: carry.careful,
    caughtUp: row.status === "START_REQUESTED",
    parking: undefined,
    over: false,
  };
  const out: Effect[] = [];
  if (row.outcome !== null || row.status === "PARKED") return { state, effects: stay(state, carry.messages, row.kill, env, out) };
  for (const message of snapshot.inbox) restore(state, message, env);
  for (const session of state.sessions.values()) session.told = received(session);
  take(state, carry.messages, env, out);
  if (row.kill) finish(state, "KILLED", { error: KILLED }, env, out);
  else {
    state.starting.push(startOf(row, root));
    advance(rules, state, env, out);
  }
  return { state, effects: out };
}

const KILLED: Failure = { type: "flow.killed", message: "An operator ended this flow." };

/** What the world did, and what is to be done because of it. */
export function step(rules: Rules, state: FlowState, event: FlowEvent, env: Env): readonly Effect[] {
  const out: Effect[] = [];
  if (state.over) return out;
  switch (event.kind) {
    case "activated":
      state.activating--;
      for (const report of event.reports) absorb(rules, state, report, out);
      break;
    case "activationFailed":
      state.activating--;
      state.parking ??= event.failure;
      break;
    case "fibersLost":
      reload(state, out);
      return out;
    case "arrived":
      take(state, event.messages, env, out);
      break;
    case "answered":
      answer(state, event.path, event.outcome);
      break;
    case "delayed":
      delay(state, event.path, env, out);
      break;
    case "broken":
      state.parking ??= event.failure;
      break;
    case "committed":
      committed(state, event.outcome, out);
      break;
    case "time":
      repeatDelayed(state, env.now, out);
      break;
    default:
      unreachable(event);
  }
  advance(rules, state, env, out);
  return out;
}

/** Whether nothing happens until something arrives or time passes, and all of it is in the database: memory may go. */
export function isResting(state: FlowState): boolean {
  if (state.over) return true;
  if (state.activating > 0 || state.pending !== undefined || state.starting.length > 0) return false;
  for (const { phase } of state.asked.values()) if (phase !== "waiting" && phase !== "child") return false;
  return state.volatile.length === 0;
}

/** Goes on as far as it can without hearing of the world. */
function advance(rules: Rules, state: FlowState, env: Env, out: Effect[]): void {
  if (state.over || state.pending !== undefined || state.activating > 0) return;
  const { finished } = state.root;
  if (state.parking !== undefined) park(state, state.parking, env, out);
  else if (state.replay.length > 0 || state.starting.length > 0) replayNext(rules, state, env, out);
  else if (finished !== undefined) finish(state, "error" in finished ? "FAILED" : "COMPLETED", finished, env, out);
  else goOn(rules, state, env, out);
}

function goOn(rules: Rules, state: FlowState, env: Env, out: Effect[]): void {
  state.caughtUp = true;
  let blocked = false;
  for (const asked of state.asked.values()) {
    if (asked.phase === "new" && asked.outcome === undefined) blocked = takeUp(rules, state, asked, env, out) || blocked;
  }
  settleWaiting(state, env.now);
  if (activateSettled(state, env, out)) return;
  if (isStuck(state)) finish(state, "FAILED", { error: STUCK }, env, out);
  else rest(state, blocked, env, out);
}

/** Children that the journal has rows of start as they are asked; then the next group settles as it once did. */
function replayNext(rules: Rules, state: FlowState, env: Env, out: Effect[]): void {
  for (const asked of state.asked.values()) {
    if (asked.phase === "new" && asked.call.kind === "platform" && asked.outcome === undefined) takeUp(rules, state, asked, env, out);
  }
  if (state.starting.length > 0) {
    activate(state, [], out);
    return;
  }
  const group = state.replay.shift() ?? [];
  const missing = group.find(({ path }) => state.asked.get(path)?.phase !== "recorded");
  if (state.root.finished !== undefined) diverged(state, `it ended before step ${group[0]?.path} of its journal`, env, out);
  else if (missing !== undefined) diverged(state, `it did not ask step ${missing.path} (${missing.kind}) of its journal`, env, out);
  else {
    for (const { path } of group) state.recorded.delete(path);
    activate(state, group, out);
  }
}

function diverged(state: FlowState, how: string, env: Env, out: Effect[]): void {
  park(state, { type: "flow.nonDeterminism", message: `Run again, this flow did not do what it had done: ${how}.` }, env, out);
}

/** One fiber's news. */
function absorb(rules: Rules, state: FlowState, report: FiberReport, out: Effect[]): void {
  const fiber = state.fibers.get(report.fiber);
  if (fiber === undefined) return;
  // What a replay says was said before.
  if (state.caughtUp) {
    for (const { level, message, facts } of report.logs) out.push({ kind: "log", level, message, facts });
  }
  for (const { path, call } of report.syscalls) ask(rules, state, fiber, path, call);
  fiber.finished = report.finished;
  if (report.finished !== undefined && fiber.path !== "") endChild(state, fiber, report.finished, out);
}

const STUCK: Failure = { type: "flow.stuck", message: "This flow waits for something that is no step: nothing would ever wake it." };

function isStuck(state: FlowState): boolean {
  const asking = new Set<FiberState>();
  for (const { fiber } of state.asked.values()) asking.add(fiber);
  return asking.size < state.fibers.size;
}

function ask(rules: Rules, state: FlowState, fiber: FiberState, path: string, call: Syscall): void {
  const request = requestSafely(rules, call);
  const recorded = state.recorded.get(path);
  if (recorded !== undefined && (recorded.kind !== call.kind || !sameHash(recorded.requestHash, request.hash))) {
    const how = recorded.kind === call.kind ? `another request of ${call.kind}` : `${call.kind} where the journal has ${recorded.kind}`;
    state.parking ??= { type: "flow.nonDeterminism", message: `Run again, this flow asked otherwise at step ${path}: ${how}.` };
  }
  if (++state.steps > STEPS_MAX) exceed(state, { type: "flow.tooManySteps", message: `A flow has at most ${STEPS_MAX} steps.` });
  state.journalBytes += request.size;
  state.asked.set(path, {
    path,
    fiber,
    call,
    hash: request.hash,
    size: request.size,
    phase: recorded === undefined ? "new" : "recorded",
    outcome: request.refusal,
    until: undefined,
    attempts: 0,
  });
}

/** A call that canonical bytes cannot say fails its step; it fails the same way whenever it is replayed. */
function requestSafely(rules: Rules, call: Syscall): { hash: Uint8Array; size: number; refusal: Outcome | undefined } {
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
function exceed(state: FlowState, failure: Failure): void {
  state.root.finished ??= { error: failure };
}

/** The child is one row now: what it did step by step nobody replays again. */
function endChild(state: FlowState, child: FiberState, outcome: Outcome, out: Effect[]): void {
  const parent = state.asked.get(child.path);
  if (parent !== undefined) parent.outcome = canonicalSafely(outcome);
  const { draft } = state;
  const kept = draft.rows.filter(({ path }) => !isBelow(path, child.path));
  draft.rows.splice(0, draft.rows.length, ...kept);
  for (const path of state.committedPaths) {
    if (!isBelow(path, child.path)) continue;
    state.committedPaths.delete(path);
    if (draft.collapsed.at(-1) !== child.path) draft.collapsed.push(child.path);
  }
  for (const { path } of state.asked.values()) if (isBelow(path, child.path)) state.asked.delete(path);
  const gone: FiberState[] = [];
  for (const fiber of state.fibers.values()) if (fiber !== child && isBelow(fiber.path, child.path)) gone.push(fiber);
  for (const fiber of [child, ...gone]) state.fibers.delete(fiber.id);
  if (gone.length > 0) out.push({ kind: "dropFibers", fibers: gone });
}

function canonicalSafely(outcome: Outcome): Outcome {
  try {
    return canonical(outcome);
  } catch (cause) {
    if (cause instanceof BowlineError) return { error: { type: cause.code, message: cause.message } };
    throw cause;
  }
}

function answer(state: FlowState, path: string, outcome: Outcome): void {
  const asked = state.asked.get(path);
  if (asked?.phase === "calling") asked.outcome = canonicalSafely(outcome);
}

/** Backs off this flow alone; half of the delay is chance, so that those who failed together do not return together. */
function delay(state: FlowState, path: string, env: Env, out: Effect[]): void {
  const asked = state.asked.get(path);
  if (asked?.phase !== "calling") return;
  const longest = Math.min(RETRY_FIRST_MS * 2 ** asked.attempts, RETRY_MAX_MS);
  const chance = (env.random(1)[0] ?? 0) / 255;
  asked.phase = "delayed";
  asked.attempts++;
  asked.until = env.now + Math.round((longest / 2) * (1 + chance));
  out.push({ kind: "wakeAt", at: asked.until });
}

function repeatDelayed(state: FlowState, now: number, out: Effect[]): void {
  for (const asked of state.asked.values()) {
    if (asked.phase !== "delayed" || asked.until === undefined || now < asked.until) continue;
    asked.phase = "calling";
    out.push(performing(state, asked));
  }
}

/** Settles all steps that can be, each fiber's as one activation. False when there are none. */
function activateSettled(state: FlowState, env: Env, out: Effect[]): boolean {
  const rounds = new Map<FiberState, { readonly activation: number; ordinal: number }>();
  const rows: JournalRow[] = [];
  for (const asked of state.asked.values()) {
    if (asked.outcome === undefined) continue;
    let round = rounds.get(asked.fiber);
    if (round === undefined) {
      round = { activation: state.activation++, ordinal: 0 };
      rounds.set(asked.fiber, round);
    }
    rows.push(rowOf(asked, asked.outcome, round.activation, round.ordinal++, env.now));
    state.journalBytes += encodeOutcome(asked.outcome).length;
  }
  if (rows.length === 0 && state.starting.length === 0) return false;
  if (state.journalBytes > JOURNAL_BYTES_MAX) {
    exceed(state, { type: "flow.journalFull", message: `The steps of a flow have at most ${JOURNAL_BYTES_MAX} bytes in all.` });
  }
  state.draft.rows.push(...rows);
  activate(state, rows, out);
  return true;
}

const rowOf = ({ path, call, hash }: Asked, outcome: Outcome, activation: number, ordinal: number, at: number): JournalRow => ({
  path,
  kind: call.kind,
  requestHash: hash,
  outcome,
  activation,
  ordinal,
  at,
});

/** One round: fibers that start and fibers whose steps are settled, by bundle. */
function activate(state: FlowState, rows: readonly JournalRow[], out: Effect[]): void {
  const byBundle = new Map<Bundle, { readonly starts: FiberStart[]; readonly deliveries: Delivery[] }>();
  const of = ({ bundle }: FiberState) => {
    const known = byBundle.get(bundle);
    if (known !== undefined) return known;
    const fresh = { starts: [], deliveries: [] };
    byBundle.set(bundle, fresh);
    return fresh;
  };
  for (const start of state.starting.splice(0)) {
    const fiber = state.fibers.get(start.fiber);
    invariant(fiber !== undefined, "a fiber that starts is known");
    of(fiber).starts.push(start);
  }
  for (const { path, outcome } of rows) {
    const asked = state.asked.get(path);
    invariant(asked !== undefined, "a step that is settled was asked");
    state.asked.delete(path);
    of(asked.fiber).deliveries.push({ fiber: asked.fiber.id, path, outcome });
  }
  state.activating = byBundle.size;
  for (const [bundle, round] of byBundle) out.push({ kind: "activate", bundle, ...round });
}

/**
 * Nothing more can be settled now. A flow that waits commits; one whose calls are under way does so only where a step
 * needs it, or where counterparties wait for what it says, or where its lease runs out.
 */
function rest(state: FlowState, blocked: boolean, env: Env, out: Effect[]): void {
  const steps = [...state.asked.values()];
  const calling = steps.some(({ phase }) => phase === "calling" || phase === "delayed");
  const waiting = steps.some(({ phase }) => phase === "waiting");
  const due = calling
    ? (waiting && state.draft.outbox.length > 0) || (state.row.wakeAt !== null && state.row.wakeAt - env.now < LEASE_MS / 2)
    : isChanged(state, steps);
  if (blocked || due) {
    commit(state, "RUNNING", null, env, out);
    return;
  }
  if (!calling) heed(state, out);
  const at = Math.min(...steps.map((asked) => untilOf(state, asked) ?? Number.POSITIVE_INFINITY));
  if (Number.isFinite(at)) out.push({ kind: "wakeAt", at });
}

function isChanged(state: FlowState, steps: readonly Asked[]): boolean {
  const { draft, row } = state;
  return (
    state.start !== undefined ||
    draft.rows.length + draft.outbox.length + draft.writes.length + draft.consumed.length + draft.collapsed.length > 0 ||
    state.volatile.length > 0 ||
    row.waiting.length !== steps.length ||
    steps.some(({ path }, index) => row.waiting[index]?.path !== path)
  );
}

function commit(state: FlowState, status: FlowState["row"]["status"], outcome: Outcome | null, env: Env, out: Effect[]): void {
  state.pending = compose(state, status, outcome, env);
  state.draft = emptyDraft();
  out.push({ kind: "commit", commit: state.pending.commit });
}

/** Sessions end with their flow, in the same commit as its result. */
function finish(state: FlowState, status: "COMPLETED" | "FAILED" | "KILLED", outcome: Outcome, env: Env, out: Effect[]): void {
  const failure = "error" in outcome ? outcome.error : undefined;
  for (const session of state.sessions.values()) endSession(state, session, failure, env.now);
  state.asked.clear();
  commit(state, status, canonicalSafely(outcome), env, out);
}

/** Keeps what is committed, and nothing else, with the reason for an operator. */
function park(state: FlowState, failure: Failure, env: Env, out: Effect[]): void {
  state.draft = emptyDraft();
  for (const session of state.sessions.values()) session.dirty = false;
  out.push({ kind: "log", level: "error", message: "flow parked", facts: { type: failure.type, reason: failure.message } });
  commit(state, "PARKED", { error: failure }, env, out);
}

function committed(state: FlowState, outcome: CommitOutcome, out: Effect[]): void {
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
  for (const { path } of draft.rows) state.committedPaths.add(path);
  if (draft.outbox.length > 0) out.push({ kind: "publish", messages: draft.outbox });
  oweWhatIsDurable(state, draft.outbox, durable, out);
  state.volatile = state.volatile.filter((message) => !isDurable(state, commit, message));
  if (status === "RUNNING") return;
  state.over = true;
  out.push(
    { kind: "dropFibers", fibers: [...state.fibers.values()] },
    { kind: "forget", why: status === "PARKED" ? "parked" : "finished" },
  );
}

/** Consumed, stored, or of a session that is over. */
function isDurable(state: FlowState, commit: StepCommit, { session: id, sequence, body }: SessionMessage): boolean {
  const session = state.sessions.get(id);
  if (body.kind === "failure") return commit.sessions.some((row) => row.id === id && row.status !== "open");
  return session === undefined || !session.inbox.has(sequence) || session.stored.has(sequence);
}

/** An acknowledgement rides on a message of the same commit, or is owed. */
function oweWhatIsDurable(state: FlowState, sent: readonly SessionMessage[], durable: ReadonlyMap<string, number>, out: Effect[]): void {
  for (const { session, acknowledged } of sent) {
    const riding = state.sessions.get(session);
    if (riding !== undefined) riding.told = Math.max(riding.told, acknowledged);
  }
  for (const [id, sequence] of durable) {
    const session = state.sessions.get(id);
    if (session === undefined || session.told >= sequence) continue;
    session.told = sequence;
    out.push({ kind: "owe", message: acknowledgement(state, session, sequence) });
  }
}

const acknowledgement = ({ row }: FlowState, session: SessionState, sequence: number): SessionMessage => ({
  session: session.row.id,
  from: session.row.side,
  sequence: 0,
  source: row.identity.me,
  destination: session.row.counterparty,
  groupId: row.identity.groupId,
  acknowledged: sequence,
  body: { kind: "acknowledge" },
  ...(session.row.side === "responder" && session.row.version !== null ? { version: session.row.version } : {}),
  expiresAt: session.row.expiresAt,
});

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

function reload(state: FlowState, out: Effect[]): void {
  state.over = true;
  out.push({ kind: "dropFibers", fibers: [...state.fibers.values()] });
  out.push({ kind: "reload", carry: { messages: state.volatile, refusals: state.refusals, careful: state.careful } });
}

/** What arrived goes to its session; what arrived before is acknowledged again. */
function take(state: FlowState, messages: readonly SessionMessage[], env: Env, out: Effect[]): void {
  for (const message of messages) {
    const session = state.sessions.get(message.session);
    if (session === undefined || session.row.side === message.from) continue;
    const { news, repeated, discarded } = arrive(session, message, env.now);
    discard(state, session, discarded);
    if (news) state.volatile.push(message);
    if (!repeated) continue;
    const sequence = session.row.status === "open" ? Math.min(received(session), session.told) : message.sequence;
    if (sequence > 0) out.push({ kind: "owe", message: acknowledgement(state, session, sequence) });
  }
}

/** No commit is coming that would carry what counterparties said they have. */
function heed(state: FlowState, out: Effect[]): void {
  const acknowledgements = [];
  for (const session of state.sessions.values()) {
    if (session.heard <= session.heeded) continue;
    session.heeded = session.heard;
    acknowledgements.push({ session: session.row.id, from: session.row.side, sequence: session.heard });
  }
  if (acknowledgements.length > 0) out.push({ kind: "acknowledged", acknowledgements });
}

/** From the inbox table: it is durable already. */
function restore(state: FlowState, message: SessionMessage, env: Env): void {
  const session = state.sessions.get(message.session);
  if (session === undefined || message.from !== opposite(session.row.side)) return;
  if (arrive(session, message, env.now).news) session.stored.add(message.sequence);
}

/** A flow that does not run: late messages are acknowledged, unless an operator may still let it go on. */
function stay(state: FlowState, messages: readonly SessionMessage[], kill: boolean, env: Env, out: Effect[]): readonly Effect[] {
  if (state.row.status === "PARKED" && kill) {
    finish(state, "KILLED", { error: KILLED }, env, out);
    return out;
  }
  if (state.row.status !== "PARKED") {
    take(state, messages, env, out);
    heed(state, out);
  }
  state.over = true;
  out.push({ kind: "forget", why: state.row.status === "PARKED" ? "parked" : "finished" });
  return out;
}

const startOf = (row: FlowSnapshot["row"], fiber: FiberState): FiberStart => {
  const common = { fiber: fiber.id, path: "", flow: row.flowName, identity: row.identity };
  if (row.origin.kind === "client") return { ...common, kind: "called", input: row.origin.input };
  const { session, counterparty, version } = row.origin;
  return { ...common, kind: "initiated", session, counterparty, version };
};
