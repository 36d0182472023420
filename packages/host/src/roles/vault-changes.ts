// What waits for states to come and go in a vault. Commits of this process are told at once; those of others are found by
// looking again, ever less often. What is found is the store's to say: nothing is remembered here.

import type { Clock, Data, ShortHash } from "@bowline/base";
import type { PersistenceService } from "../services.ts";

const LOOK_FIRST_MS = 50;
const LOOK_MAX_MS = 2_000;

export interface VaultChanges {
  /** A commit of this process that may have changed the states of a vault. */
  committed(vnode: ShortHash): void;
  changes: PersistenceService["vaultChanges"];
}

export function createVaultChanges(clock: Clock, read: PersistenceService["read"]): VaultChanges {
  const waiting = new Map<ShortHash, Set<() => void>>();

  /** Until a commit here, and no longer than that. */
  function next(vnode: ShortHash, durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiters = waiting.get(vnode) ?? new Set();
      const end = () => {
        cancel();
        waiters.delete(end);
        if (waiters.size === 0) waiting.delete(vnode);
        resolve();
      };
      const cancel = clock.after(durationMs, end);
      waiting.set(vnode, waiters.add(end));
    });
  }

  return {
    committed(vnode) {
      for (const end of [...(waiting.get(vnode) ?? [])]) end();
    },
    async changes({ vnode, waitMs = 0, ...asked }) {
      const giveUpAt = clock.now() + waitMs;
      for (let pause = LOOK_FIRST_MS; ; pause = Math.min(pause * 2, LOOK_MAX_MS)) {
        const left = giveUpAt - clock.now();
        // Looked at after the wait is set up: a change in between is not missed.
        const news = left > 0 && asked.after !== null ? next(vnode, Math.min(pause, left)) : undefined;
        const found = (await read({ vnode, read: { kind: "changes", ...asked } })) as Data & { readonly changes: readonly Data[] };
        if (found.changes.length > 0 || news === undefined) return found as never;
        await news;
      }
    },
  };
}
