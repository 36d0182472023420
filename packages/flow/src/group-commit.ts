// Joins what many flows of one virtual node ask of its store: one transaction in flight, and what arrives meanwhile is
// the next group. No timer: an idle virtual node is served at once, a busy one in groups.

import { invariant } from "@bowline/base";
import { GROUP_COMMITS_MAX } from "./limits.ts";
import type { CommitOutcome, FlowStart, FlowStore, StartOutcome, StepCommit } from "./ports.ts";

/** A store that is down rejects the whole group; whoever asked asks again with the same commit id. */
export const createGroupCommit = (store: Pick<FlowStore, "commit">): ((commit: StepCommit) => Promise<CommitOutcome>) =>
  joined(
    (commits) => store.commit(commits),
    (commit) => commit.flowId,
  );

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

/** At most one item of each key in a group: two of one flow are a repeat, or two owners, and follow one another. */
function joined<T, R>(run: (group: readonly T[]) => Promise<readonly R[]>, keyOf: (item: T) => string): (item: T) => Promise<R> {
  const queue: Queued<T, R>[] = [];
  let running = false;

  async function serve(): Promise<void> {
    running = true;
    // What is asked in this same turn of the loop belongs to the first group.
    await Promise.resolve();
    while (queue.length > 0) await runGroup(run, takeGroup(queue, keyOf));
    running = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      if (!running) void serve();
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

function takeGroup<T, R>(queue: Queued<T, R>[], keyOf: (item: T) => string): readonly Queued<T, R>[] {
  const keys = new Set<string>();
  while (keys.size < Math.min(queue.length, GROUP_COMMITS_MAX)) {
    const next = queue[keys.size];
    if (next === undefined || keys.has(keyOf(next.item))) break;
    keys.add(keyOf(next.item));
  }
  return queue.splice(0, keys.size);
}
