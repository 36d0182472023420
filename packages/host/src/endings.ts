// Who waits for a flow to end. Endings that this process commits are told at once; those of other processes are found by
// looking again, ever less often.

import type { Clock } from "@bowline/base";

const LOOK_FIRST_MS = 250;
const LOOK_MAX_MS = 2_000;

export interface Endings {
  over(flowId: string): void;
  /** Resolves when the flow is over, or after `waitMs`. */
  wait(flowId: string, waitMs: number, isOver: () => Promise<boolean>): Promise<void>;
}

export function createEndings(clock: Clock): Endings {
  const waiting = new Map<string, Set<() => void>>();
  return {
    over(flowId) {
      for (const resume of waiting.get(flowId) ?? []) resume();
    },
    async wait(flowId, waitMs, isOver) {
      const giveUpAt = clock.now() + waitMs;
      for (let pause = LOOK_FIRST_MS; clock.now() < giveUpAt; pause = Math.min(pause * 2, LOOK_MAX_MS)) {
        const told = listen(flowId, Math.min(pause, giveUpAt - clock.now()));
        // Looked at after the wait is set up: an ending in between is not missed.
        if ((await isOver()) || (await told)) return;
      }
    },
  };

  /** True when it was told, false when the time was up. */
  function listen(flowId: string, durationMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiters = waiting.get(flowId) ?? new Set();
      const end = (told: boolean) => {
        cancel();
        waiters.delete(tell);
        if (waiters.size === 0) waiting.delete(flowId);
        resolve(told);
      };
      const tell = () => end(true);
      const cancel = clock.after(durationMs, () => end(false));
      waiting.set(flowId, waiters.add(tell));
    });
  }
}
