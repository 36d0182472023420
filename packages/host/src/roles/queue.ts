// Work that goes on after its request was answered: one piece after the other, so that what is heavy on the database
// never runs twice at once.

import type { Log } from "@bowline/base";

export interface Queue {
  add(work: () => Promise<void>): void;
  /** Finishes the piece in hand and drops the rest: it is in the database, and taken up at the next start. */
  close(): Promise<void>;
}

export function createQueue(log: Log): Queue {
  let tail = Promise.resolve();
  let closed = false;
  return {
    add(work) {
      tail = tail.then(async () => {
        if (closed) return;
        try {
          await work();
        } catch (error) {
          log.error("background work broke", { cause: error instanceof Error ? (error.stack ?? error.message) : String(error) });
        }
      });
    },
    close() {
      closed = true;
      return tail;
    },
  };
}
