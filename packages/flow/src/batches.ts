// Many flows, few calls: what is asked while one call is under way is the next batch. No timer: who is idle is served at
// once, who is busy in batches.
//
// Activations by bundle: one batch at a time; a fiber that its instance no longer has is reported lost, never activated;
// when a batch breaks its instance every flow of it may try again, alone, so that only the culprit is blamed.
// Commits and starts by virtual node: one transaction in flight, and the next group behind it. Where that group is large, and
// its commits touch nothing but their own flows, it does not wait: one writes while the other is flushed.

import { BowlineError, invariant } from "@bowline/base";
import type { Delivery, Failure, FiberReport, FiberStart } from "@bowline/sdk";
import type { Bundle } from "./flow-state.ts";
import { ACTIVATION_FLOWS_MAX, BESIDE_COMMITS_MIN, GROUP_COMMITS_MAX } from "./limits.ts";
import type { CommitOutcome, Fibers, FlowStart, FlowStore, StartOutcome, StepCommit } from "./ports.ts";
import { isLarge } from "./rows.ts";

// --- Activations ---

export interface ActivationRequest {
  readonly starts: readonly FiberStart[];
  readonly deliveries: readonly Delivery[];
  /** In a batch of its own. */
  readonly alone: boolean;
}

export type ActivationReply =
  | { readonly kind: "reports"; readonly reports: readonly FiberReport[] }
  /** Replay: `suspect` where this flow may have been what broke the instance, `down` why none could be had. */
  | { readonly kind: "lost"; readonly suspect: boolean; readonly down?: Failure }
  | { readonly kind: "failed"; readonly failure: Failure };

interface QueuedActivation {
  readonly request: ActivationRequest;
  readonly answer: (reply: ActivationReply) => void;
}

interface Lane {
  readonly queue: QueuedActivation[];
  running: boolean;
  instance: Fibers | undefined;
  readonly fibers: Set<string>;
}

export class Activations {
  readonly #source: (bundle: Bundle) => Promise<Fibers>;
  readonly #lanes = new Map<Bundle, Lane>();

  constructor(source: (bundle: Bundle) => Promise<Fibers>) {
    this.#source = source;
  }

  request(bundle: Bundle, request: ActivationRequest): Promise<ActivationReply> {
    let lane = this.#lanes.get(bundle);
    if (lane === undefined) {
      lane = { queue: [], running: false, instance: undefined, fibers: new Set() };
      this.#lanes.set(bundle, lane);
    }
    const running = lane;
    return new Promise((answer) => {
      running.queue.push({ request, answer });
      if (!running.running) void this.#run(bundle, running);
    });
  }

  drop(bundle: Bundle, fiber: string): void {
    const lane = this.#lanes.get(bundle);
    if (lane?.fibers.delete(fiber)) lane.instance?.drop(fiber);
  }

  async #run(bundle: Bundle, lane: Lane): Promise<void> {
    lane.running = true;
    // What is asked in this same turn of the loop belongs to the first batch.
    await Promise.resolve();
    while (lane.queue.length > 0) await this.#batch(bundle, lane, take(lane.queue));
    lane.running = false;
  }

  async #batch(bundle: Bundle, lane: Lane, batch: readonly QueuedActivation[]): Promise<void> {
    let runnable: readonly QueuedActivation[] = batch;
    try {
      const instance = await this.#source(bundle);
      if (instance !== lane.instance) {
        lane.instance = instance;
        lane.fibers.clear();
      }
      runnable = batch.filter((queued) => this.#hasFibers(lane, queued));
      if (runnable.length === 0) return;
      const starts = runnable.flatMap(({ request }) => request.starts);
      for (const { fiber } of starts) lane.fibers.add(fiber);
      const reports = await instance.activate({ starts, deliveries: runnable.flatMap(({ request }) => request.deliveries) });
      // A fiber that has ended is forgotten where it ran: nobody needs to drop it.
      for (const { fiber, finished } of reports) if (finished !== undefined) lane.fibers.delete(fiber);
      share(runnable, reports);
    } catch (cause) {
      lane.instance = undefined;
      lane.fibers.clear();
      const down = cause instanceof BowlineError && cause.kind === "unavailable";
      const guilty = !down && runnable.length === 1 ? failureOf(cause) : undefined;
      for (const { answer } of runnable) {
        if (guilty !== undefined) answer({ kind: "failed", failure: guilty });
        else answer(down ? { kind: "lost", suspect: false, down: failureOf(cause) } : { kind: "lost", suspect: true });
      }
    }
  }

  #hasFibers(lane: Lane, { request, answer }: QueuedActivation): boolean {
    const starting = new Set(request.starts.map(({ fiber }) => fiber));
    if (request.deliveries.every(({ fiber }) => lane.fibers.has(fiber) || starting.has(fiber))) return true;
    answer({ kind: "lost", suspect: false });
    return false;
  }
}

function take(queue: QueuedActivation[]): readonly QueuedActivation[] {
  const alone = queue.findIndex(({ request }) => request.alone);
  return queue.splice(0, alone === 0 ? 1 : Math.min(alone < 0 ? queue.length : alone, ACTIVATION_FLOWS_MAX));
}

function share(batch: readonly QueuedActivation[], reports: readonly FiberReport[]): void {
  const byFiber = new Map(reports.map((report) => [report.fiber, report]));
  for (const { request, answer } of batch) {
    const fibers = new Set([...request.starts, ...request.deliveries].map(({ fiber }) => fiber));
    answer({ kind: "reports", reports: [...fibers].flatMap((fiber) => byFiber.get(fiber) ?? []) });
  }
}

function failureOf(cause: unknown): Failure {
  if (cause instanceof BowlineError) return { type: cause.code, message: cause.message };
  return { type: "flow.activationFailed", message: cause instanceof Error ? cause.message : String(cause) };
}

// --- Commits and starts ---

/** A store that is down rejects the whole group; whoever asked asks again with the same commit id. */
export const createGroupCommit = (store: Pick<FlowStore, "commit">): ((commit: StepCommit) => Promise<CommitOutcome>) =>
  joined(
    (commits) => store.commit(commits),
    (commit) => commit.flowId,
    isPlain,
  );

/** It touches its flow and its journal, and nothing that another flow reads or writes. */
export const isPlain = (commit: StepCommit): boolean =>
  commit.start?.session === undefined &&
  commit.stack === undefined &&
  commit.vaultWrites.length +
    commit.collapsed.length +
    commit.sessions.length +
    commit.inboxConsumed.length +
    commit.inboxAdded.length +
    commit.outboxAdded.length +
    commit.outboxAcknowledged.length ===
    0 &&
  !commit.journal.some(isLarge);

export const createGroupStart = (store: Pick<FlowStore, "start">): ((start: FlowStart) => Promise<StartOutcome>) =>
  joined(
    (starts) => store.start(starts),
    (start) => start.row.id,
  );

interface Queued<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * At most one item of each key is in flight: two of one flow are a repeat, or two owners, and follow one another. While a group
 * is in flight, one more may be beside it, of items that `mayGoBeside`, once there are enough of them.
 */
function joined<T, R>(
  run: (group: readonly T[]) => Promise<readonly R[]>,
  keyOf: (item: T) => string,
  mayGoBeside: (item: T) => boolean = () => false,
): (item: T) => Promise<R> {
  let queue: Queued<T, R>[] = [];
  const inFlight = new Set<string>();
  let running = false;
  let beside = false;

  function take(may: (item: T) => boolean): readonly Queued<T, R>[] {
    const group: Queued<T, R>[] = [];
    const left: Queued<T, R>[] = [];
    const held = new Set(inFlight);
    for (const queued of queue) {
      const key = keyOf(queued.item);
      const goes = group.length < GROUP_COMMITS_MAX && !held.has(key) && may(queued.item);
      (goes ? group : left).push(queued);
      held.add(key);
    }
    queue = left;
    return group;
  }

  async function carry(group: readonly Queued<T, R>[]): Promise<void> {
    for (const { item } of group) inFlight.add(keyOf(item));
    await runGroup(run, group);
    for (const { item } of group) inFlight.delete(keyOf(item));
  }

  async function serve(): Promise<void> {
    running = true;
    // What is asked in this same turn of the loop belongs to the first group.
    await Promise.resolve();
    for (let group = take(() => true); group.length > 0; group = take(() => true)) await carry(group);
    running = false;
  }

  const besides = (): number => queue.filter(({ item }) => mayGoBeside(item) && !inFlight.has(keyOf(item))).length;

  async function serveBeside(): Promise<void> {
    beside = true;
    await Promise.resolve();
    while (running && besides() >= BESIDE_COMMITS_MIN) await carry(take(mayGoBeside));
    beside = false;
    // What waited for one of this group's keys alone.
    if (!running && queue.length > 0) await serve();
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      if (!running) void serve();
      else if (!beside && queue.length >= BESIDE_COMMITS_MIN) void serveBeside();
    });
}

async function runGroup<T, R>(run: (group: readonly T[]) => Promise<readonly R[]>, group: readonly Queued<T, R>[]): Promise<void> {
  try {
    const results = await run(group.map(({ item }) => item));
    invariant(results.length === group.length, "a store answers every member of a group");
    group.forEach(({ resolve }, index) => {
      resolve(results[index] as R);
    });
  } catch (cause) {
    for (const { reject } of group) reject(cause);
  }
}
