// Steps that have steps of their own below them: platform flows that run as children, and sub-flows. Pure; changes the state it
// is given.
//
// Guarantee: when such a step is settled its row is all that the journal keeps of it, from the same commit on. That is enough:
// what ran below it took plain data, has returned plain data, and will not run again; what else it did is in the rows of sessions
// and of the vault.

import type { Instant } from "@bowline/base";
import type { FiberStart, Outcome, StepPath, Syscall } from "@bowline/sdk";
import type { Asked, Below, Effect, FiberState, FlowState } from "./flow-state.ts";
import { sessionIdOf } from "./messages.ts";
import { canonicalSafely, isBelow, parentOf } from "./rows.ts";
import { endSession } from "./session-steps.ts";

/** A platform flow that ran as a child is over. */
export function endChild(state: FlowState, child: FiberState, outcome: Outcome, out: Effect[]): void {
  const parent = state.asked.get(child.path);
  if (parent !== undefined) parent.outcome = canonicalSafely(outcome);
  state.fibers.delete(child.id);
  collapse(state, child.path, out);
}

/** The sessions of an initiating sub-flow end with it. Its journal row is of the time that it took. */
export function endSubFlow(state: FlowState, asked: Asked, call: Extract<Syscall, { kind: "subFlow" }>, now: Instant, out: Effect[]): void {
  const outcome = canonicalSafely(call.outcome ?? { ok: null });
  const prefix = sessionIdOf(state.row.id, `${asked.path}.`);
  for (const session of call.initiating ? state.sessions.values() : []) {
    if (session.row.id.startsWith(prefix)) endSession(state, session, "error" in outcome ? outcome.error : undefined, now);
  }
  asked.askedAt = collapse(state, asked.path, out) ?? asked.askedAt;
  asked.outcome = outcome;
}

/** The step is one row now: what lies below it nobody replays again, and what it left running ends. Says since when it ran. */
function collapse(state: FlowState, parent: StepPath, out: Effect[]): Instant | undefined {
  const { draft } = state;
  let since: Instant | undefined;
  for (const [path, below] of state.below) {
    if (path !== parent && !isBelow(path, parent)) continue;
    state.below.delete(path);
    state.steps -= below.steps;
    state.journalBytes -= below.bytes;
    since = Math.min(since ?? below.since, below.since);
    if (below.committed && draft.collapsed.at(-1) !== parent) draft.collapsed.push(parent);
  }
  const kept = draft.rows.filter(({ path }) => !isBelow(path, parent));
  draft.rows.splice(0, draft.rows.length, ...kept);
  for (const { path } of state.asked.values()) if (isBelow(path, parent)) state.asked.delete(path);
  const gone = [...state.fibers.values()].filter(({ path }) => isBelow(path, parent));
  for (const fiber of gone) state.fibers.delete(fiber.id);
  const starting = state.starting.filter(({ fiber }) => state.fibers.has(fiber));
  state.starting.splice(0, state.starting.length, ...starting);
  if (gone.length > 0) out.push({ kind: "dropFibers", fibers: gone });
  return since;
}

/** What a nested step has in common with all below the same step. */
export function belowOf(state: FlowState, path: StepPath, since: Instant): Below {
  const parent = parentOf(path);
  const below = state.below.get(parent) ?? { steps: 0, bytes: 0, since, committed: false };
  below.since = Math.min(below.since, since);
  state.below.set(parent, below);
  return below;
}

/**
 * What a fiber is told that runs over its journal again, and that has sub-flows behind it. Code that is in them does not ask for the
 * decisions that it once asked for: those wait to be settled from the start.
 */
export function replayed(state: FlowState, fiber: FiberState): Pick<FiberStart, "replayed"> {
  const subFlows: StepPath[] = [];
  const decisions: StepPath[] = [];
  const own = [...state.recorded.values()].filter(({ path }) => fiber.path === "" || isBelow(path, fiber.path));
  for (const { path, kind } of own) if (kind === "subFlow") subFlows.push(path);
  if (subFlows.length === 0) return {};
  for (const { path, kind, requestHash, askedAt } of own) {
    if (kind !== "patched" || parentOf(path) !== fiber.path) continue;
    decisions.push(path);
    const foreseen = { call: { kind, name: "" }, hash: requestHash, size: 0, request: null, phase: "recorded" } as const;
    state.asked.set(path, { path, fiber, ...foreseen, askedAt, outcome: undefined, until: undefined, room: [], trouble: undefined });
  }
  return { replayed: { subFlows, decisions } };
}
