// A recorded flow, run again over its journal in the code of today: whether it would do the same, and where it would not.
// Nothing is performed; what the journal does not settle is not settled.
//
// It is the engine itself that replays, so what is found here is what a takeover would find.

import { type Data, decode, encode, equalBytes } from "@bowline/base";
import type { FiberReport, Outcome, StepPath, Syscall } from "@bowline/sdk";
import { begin, step } from "./engine.ts";
import { type Divergence, type Effect, type FlowState, NOTHING_CARRIED, type Rules } from "./flow-state.ts";
import type { Digest } from "./messages.ts";
import type { FlowRow, JournalRow } from "./ports.ts";

/** What a replay needs of a flow: an inspection has it, and so has a recording. */
export interface ReplayedFlow {
  readonly row: FlowRow;
  readonly journal: readonly JournalRow[];
}

export interface Replay {
  /** Steps of the journal that were asked again as they were asked before. */
  readonly steps: number;
  /** Null where the code does what the journal says, to its end. */
  readonly divergence: ReplayDivergence | null;
}

export interface ReplayDivergence {
  /** The step where they part; empty for the end of the flow. */
  readonly path: StepPath;
  readonly message: string;
  /** What the code does now, and what it did. Null is nothing. */
  readonly asked: Deed | null;
  readonly recorded: Deed | null;
}

/** `request` is null where the journal keeps its hash alone. */
export type Deed = { readonly kind: Syscall["kind"]; readonly request: Data } | { readonly kind: "ended"; readonly outcome: Outcome };

export type Activation = Extract<Effect, { kind: "activate" }>;

/** Asks for activations, is told their reports, and returns what it has found. `replayJournal` (fibers.ts) drives it. */
export function* replay(flow: ReplayedFlow, digest: Digest): Generator<Activation, Replay, readonly FiberReport[]> {
  // Children whose steps the journal has run again; nothing else is taken up.
  const rules: Rules = { classify: ({ kind }) => (kind === "platform" ? "child" : "forbidden"), digest, replayOnly: true };
  const env = { now: flow.row.updatedAt, random: (length: number) => new Uint8Array(length) };
  // As if it were taken over from where its journal ends, whatever became of it later.
  const row: FlowRow = { ...flow.row, status: "RUNNING", outcome: null, kill: false };
  const snapshot = { row, journal: flow.journal, sessions: [], inbox: [] };
  const { state, effects } = begin(rules, { snapshot, carry: NOTHING_CARRIED }, env);
  for (let todo = activationsOf(effects); todo.length > 0; ) {
    const next: Effect[] = [];
    for (const activation of todo) next.push(...step(rules, state, { kind: "activated", reports: yield activation }, env));
    todo = activationsOf(next);
  }
  const divergence = state.divergence === undefined ? endDivergence(flow, state) : inFlight(flow, state, state.divergence);
  return { steps: flow.journal.length - state.recorded.size, divergence };
}

const activationsOf = (effects: readonly Effect[]) => effects.filter((effect) => effect.kind === "activate");

function inFlight({ journal }: ReplayedFlow, { root }: FlowState, { path, how, asked }: Divergence): ReplayDivergence {
  const recorded = journal.find((row) => row.path === path);
  const ended: Deed | null = root.finished === undefined ? null : { kind: "ended", outcome: root.finished };
  return {
    path,
    message: `At step ${path}, ${how}.`,
    asked: asked === null ? ended : deedOf(asked),
    recorded: recorded === undefined ? null : { kind: recorded.kind, request: requestIn(recorded) },
  };
}

/** The flow's end is compared where its code brought it about. What the engine or an operator ended might have gone on. */
function endDivergence({ row }: ReplayedFlow, { root, asked }: FlowState): ReplayDivergence | null {
  const { finished } = root;
  const recorded: Deed | null =
    row.outcome !== null && (row.status === "COMPLETED" || row.status === "FAILED") ? { kind: "ended", outcome: row.outcome } : null;
  const now: Deed | null = finished === undefined ? null : { kind: "ended", outcome: finished };
  if (recorded === null) {
    // What was killed or parked, or has not begun, did not go on.
    if (now === null || row.status !== "RUNNING") return null;
    return { path: "", message: "It ends where it went on.", asked: now, recorded };
  }
  if (finished !== undefined) {
    if (row.outcome !== null && sameOutcome(finished, row.outcome)) return null;
    return { path: "", message: "It ends with another result.", asked: now, recorded };
  }
  if (row.outcome !== null && "error" in row.outcome && ENGINE_ENDINGS.has(row.outcome.error.type)) return null;
  const [next] = asked.values();
  return { path: next?.path ?? "", message: "It goes on where it ended.", asked: next === undefined ? null : deedOf(next.call), recorded };
}

/** How the engine fails a flow whose code would have gone on. */
const ENGINE_ENDINGS: ReadonlySet<string> = new Set(["flow.stuck", "flow.tooManySteps", "flow.journalFull"]);

const sameOutcome = (a: Outcome, b: Outcome): boolean => equalBytes(encode(a as unknown as Data), encode(b as unknown as Data));

function deedOf(call: Syscall): Deed {
  const { kind, ...request } = call;
  return { kind, request: request as unknown as Data };
}

function requestIn({ request }: JournalRow): Data {
  if (request === null) return null;
  const { kind: _, ...rest } = decode(request) as { readonly [member: string]: Data };
  return rest;
}
