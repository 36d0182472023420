// This machine's clock and randomness.

import { randomBytes } from "node:crypto";
import type { Clock } from "@bowline/base";

/** Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, work) {
    const timer = setTimeout(work, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
