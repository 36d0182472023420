// The engine: one running flow as a machine over events. Pure: no await, clock, randomness, log or SQL; the state is
// changed in place, because a journal is long and is this machine's alone.
//
// Guarantees: an effect leaves only after the commit that contains it; a committed step is never performed again; what
// a flow sees depends on its code, its input and its journal alone; a flow whose replay asks otherwise is parked, and
// keeps its journal. One commit or one round of activations is in flight at a time; what happens meanwhile waits.

import { type Env, invariant, unreachable } from "@bowline/base";
import type { Delivery, Failure, FiberStart, Outcome } from "@bowline/sdk";
import { committed, compose, emptyDraft, reload } from "./commit.ts";
import type { Asked, Bundle, Carry, Effect, FiberState, FlowEvent, FlowState, Rules } from "./flow-state.ts";
import { absorb, diverged, exceed, heed, restore, take } from "./incoming.ts";
import { JOURNAL_BYTES_MAX, LEASE_MS } from "./limits.ts";
import { belowOf, replayed } from "./nested.ts";
import type { FlowSnapshot, FlowStart, JournalRow, RecordedStep, SessionMessage } from "./ports.ts";
import { canonicalSafely, encodeOutcome, isNested, replayGroups } from "./rows.ts";
import { endSession } from "./session-steps.ts";
import { loadedSession, received } from "./sessions.ts";
import { settleWaiting, takeUp, untilOf } from "./steps.ts";
import { delay, lookAgain } from "./trouble.ts";

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
    below: new Map(),
    starting: [],
    draft: emptyDraft(),
    pending: undefined,
    sealed: [],
    activating: 0,
    activation: snapshot.journal.reduce((highest, { activation }) => Math.max(highest, activation), 0) + 1,
    answeredAt: env.now,
    steps: 0,
    journalBytes: 0,
    volatile: [],
    refusals: new Map(carry.refusals),
    careful: carry.careful,
    caughtUp: row.status === "START_REQUESTED",
    parking: undefined,
    divergence: undefined,
    stack: undefined,
    over: false,
  };
  const out: Effect[] = [];
  if (row.outcome !== null || row.status === "PARKED") return { state, effects: stay(state, carry.messages, row.kill, env, out) };
  for (const message of snapshot.inbox) restore(state, message, env);
  for (const session of state.sessions.values()) session.told = received(session);
  take(state, carry.messages, env, out);
  if (row.kill) finish(state, "KILLED", { error: KILLED }, env, out);
  else {
    for (const { path, askedAt } of snapshot.journal) if (isNested(path)) belowOf(state, path, askedAt).committed = true;
    state.starting.push(state.recorded.size === 0 ? startOf(row, root) : { ...startOf(row, root), ...replayed(state, root) });
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
      for (const report of event.reports) absorb(rules, state, report, env.now, out);
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
      delay(rules, state, event, env, out);
      break;
    case "broken":
      state.parking ??= event.failure;
      break;
    case "committed":
      committed(state, event.outcome, out);
      break;
    case "time":
      lookAgain(rules, state, env.now, out);
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
  else if (rules.replayOnly) return;
  else if (finished !== undefined) finish(state, "error" in finished ? "FAILED" : "COMPLETED", finished, env, out);
  else goOn(rules, state, env, out);
}

function goOn(rules: Rules, state: FlowState, env: Env, out: Effect[]): void {
  state.caughtUp = true;
  if (state.sealed.length > 0) {
    activate(state, state.sealed.splice(0), out);
    return;
  }
  let blocked = false;
  for (const asked of state.asked.values()) {
    if (asked.phase === "new" && asked.outcome === undefined) blocked = takeUp(rules, state, asked, env, out) || blocked;
  }
  settleWaiting(rules, state, env.now);
  if (activateSettled(state, env, out)) return;
  if (isStuck(state)) finish(state, "FAILED", { error: STUCK }, env, out);
  else rest(state, blocked, env, out);
}

/** Children that the journal has rows of start as they are asked; then the next group settles as it once did. */
function replayNext(rules: Rules, state: FlowState, env: Env, out: Effect[]): void {
  for (const asked of state.asked.values()) {
    if (asked.phase === "new" && asked.call.kind === "platform" && asked.outcome === undefined) takeUp(rules, state, asked, env, out);
  }
  // What the journal does not know because its flow had passed: it is decided the same way by every replay.
  const passed: Settled[] = [];
  for (const { path, phase, call, outcome } of state.asked.values()) {
    if (phase === "new" && call.kind === "patched" && outcome !== undefined) passed.push({ path, outcome });
  }
  if (state.starting.length > 0 || passed.length > 0) {
    activate(state, passed, out);
    return;
  }
  const group = state.replay.shift() ?? [];
  const missing = group.find(({ path }) => state.asked.get(path)?.phase !== "recorded");
  if (state.root.finished !== undefined) diverged(state, group[0]?.path ?? "", "it ended before");
  else if (missing !== undefined) diverged(state, missing.path, `it did not ask ${missing.kind}`);
  if (state.parking !== undefined) park(state, state.parking, env, out);
  else {
    for (const { path } of group) state.recorded.delete(path);
    activate(state, group, out);
  }
}

function answer(state: FlowState, path: string, outcome: Outcome): void {
  const asked = state.asked.get(path);
  if (asked?.phase === "calling") asked.outcome = canonicalSafely(outcome);
}

/** Settles all steps that can be, each fiber's as one activation. False when there are none. */
function activateSettled(state: FlowState, env: Env, out: Effect[]): boolean {
  const rounds: Rounds = new Map();
  const rows: JournalRow[] = [];
  for (const asked of state.asked.values()) {
    if (asked.outcome !== undefined) rows.push(settledRow(state, asked, asked.outcome, rounds, env.now));
  }
  if (rows.length === 0 && state.starting.length === 0) return false;
  if (state.journalBytes > JOURNAL_BYTES_MAX) {
    exceed(state, { type: "flow.journalFull", message: `The steps of a flow have at most ${JOURNAL_BYTES_MAX} bytes in all.` });
  }
  state.answeredAt = env.now;
  state.draft.rows.push(...rows);
  activate(state, rows, out);
  return true;
}

/** The activation that settles steps of a fiber, and how many it settles. */
type Rounds = Map<FiberState, { readonly activation: number; ordinal: number }>;

function settledRow(state: FlowState, asked: Asked, outcome: Outcome, rounds: Rounds, at: number): JournalRow {
  const { path, call, hash, request, askedAt } = asked;
  let round = rounds.get(asked.fiber);
  if (round === undefined) {
    round = { activation: state.activation++, ordinal: 0 };
    rounds.set(asked.fiber, round);
  }
  const bytes = encodeOutcome(outcome).length;
  state.journalBytes += bytes;
  if (isNested(path)) belowOf(state, path, askedAt).bytes += bytes;
  const { activation } = round;
  return { path, kind: call.kind, requestHash: hash, request, outcome, activation, ordinal: round.ordinal++, askedAt, at };
}

type Settled = Pick<RecordedStep, "path" | "outcome">;

/** One round: fibers that start and fibers whose steps are settled, by bundle. */
function activate(state: FlowState, rows: readonly Settled[], out: Effect[]): void {
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

const STUCK: Failure = { type: "flow.stuck", message: "This flow waits for something that is no step: nothing would ever wake it." };

function isStuck(state: FlowState): boolean {
  const asking = new Set<FiberState>();
  for (const { fiber } of state.asked.values()) asking.add(fiber);
  return asking.size < state.fibers.size;
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
    seal(state, env.now);
    commit(state, "RUNNING", null, env, out);
    return;
  }
  if (!calling) heed(state, out);
  const at = Math.min(...steps.map((asked) => untilOf(state, asked) ?? Number.POSITIVE_INFINITY));
  if (Number.isFinite(at)) out.push({ kind: "wakeAt", at });
}

/** Checkpoints are rows of the commit that they ask for: who replays finds them settled exactly if it is in the database. */
function seal(state: FlowState, now: number): void {
  const rounds: Rounds = new Map();
  for (const asked of state.asked.values()) {
    if (asked.call.kind !== "checkpoint" || asked.phase !== "new") continue;
    asked.phase = "sealed";
    state.sealed.push(settledRow(state, asked, SEALED, rounds, now));
  }
  state.draft.rows.push(...state.sealed);
}

const SEALED: Outcome = { ok: null };

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
