// Who runs fibers outside of a worker: the platform's own in this process, and a recorded flow's while it is replayed.

import type { SecureHash } from "@bowline/base";
import type { CordappBundle } from "@bowline/sdk";
import type { Digest } from "./messages.ts";
import type { Fibers } from "./ports.ts";
import { type Replay, type ReplayedFlow, replay } from "./replay.ts";

export type { ReplayDivergence } from "./replay.ts";

/**
 * Runs a bundle's fibers in this process, for code that the platform itself brings. `drain` resolves when no microtask
 * is left that the deliveries caused: `() => new Promise(setImmediate)`.
 */
export const inProcessFibers = (bundle: CordappBundle, drain: () => Promise<void>): Fibers => ({
  async activate({ starts, deliveries }) {
    for (const start of starts) bundle.start(start);
    bundle.deliver(deliveries);
    await drain();
    return bundle.collect();
  },
  drop: (fiber) => bundle.drop(fiber),
});

/** Runs a flow again over its journal, in the code that `fibers` has for its bundle now. */
export async function replayJournal(options: {
  readonly flow: ReplayedFlow;
  readonly fibers: (bundle: SecureHash | "platform") => Promise<Fibers>;
  readonly digest: Digest;
}): Promise<Replay> {
  const replaying = replay(options.flow, options.digest);
  let next = replaying.next();
  while (!next.done) {
    const { bundle, starts, deliveries } = next.value;
    next = replaying.next(await (await options.fibers(bundle)).activate({ starts, deliveries }));
  }
  return next.value;
}
