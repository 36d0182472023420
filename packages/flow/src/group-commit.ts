// Joins the commits of one virtual node: one group in flight, and what arrives meanwhile is the next. No timer: an idle
// virtual node commits at once, a busy one in groups.

import { GROUP_COMMITS_MAX } from "./limits.ts";
import type { CommitOutcome, FlowStore, StepCommit } from "./ports.ts";

interface Queued {
  readonly commit: StepCommit;
  readonly resolve: (outcome: CommitOutcome) => void;
  readonly reject: (cause: unknown) => void;
}

/** A store that is down rejects the whole group; whoever asked asks again with the same commit id. */
export function createGroupCommit(store: Pick<FlowStore, "commit">): (commit: StepCommit) => Promise<CommitOutcome> {
  const queue: Queued[] = [];
  let running = false;

  async function run(): Promise<void> {
    running = true;
    // What is asked in this same turn of the loop belongs to the first group.
    await Promise.resolve();
    while (queue.length > 0) await commitGroup(store, takeGroup(queue));
    running = false;
  }

  return (commit) =>
    new Promise((resolve, reject) => {
      queue.push({ commit, resolve, reject });
      if (!running) void run();
    });
}

async function commitGroup(store: Pick<FlowStore, "commit">, group: readonly Queued[]): Promise<void> {
  try {
    const outcomes = await store.commit(group.map(({ commit }) => commit));
    for (const [index, { resolve, reject }] of group.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) reject(new Error("a store answers every commit of a group"));
      else resolve(outcome);
    }
  } catch (cause) {
    for (const { reject } of group) reject(cause);
  }
}

/** At most one commit of each flow: two of one flow are a repeat, or two owners, and follow one another. */
function takeGroup(queue: Queued[]): readonly Queued[] {
  const flows = new Set<string>();
  let length = 0;
  for (const { commit } of queue) {
    if (length >= GROUP_COMMITS_MAX || flows.has(commit.flowId)) break;
    flows.add(commit.flowId);
    length++;
  }
  return queue.splice(0, length);
}
