// Time that passes only when nobody has anything left to do, and only while somebody waits for it.
//
// Everything of one instant happens before the next one begins, in the order in which it was asked; so the same code and the
// same chances give the same run. Where nothing has happened for so long that nobody can be about to do anything, time
// leaps to the next moment that a flow waits for: a year of sleep costs milliseconds.

import type { Clock, Instant } from "@bowline/base";

interface Timer {
  readonly at: Instant;
  readonly order: number;
  readonly work: () => void;
  cancelled: boolean;
}

interface Demand {
  readonly done: () => boolean;
  readonly until: Instant;
  readonly answer: (done: boolean) => void;
}

/** Longer than any resend, retry or lease: who has been silent for so long waits for time or for nothing. */
export const QUIET_MS = 150_000;

export class VirtualTime {
  /** The earliest moment that any flow waits for, or with `all` any row too; null where none does. */
  nextWake: (all: boolean) => Promise<Instant | null> = async () => null;
  readonly #timers: Timer[] = [];
  readonly #demands = new Set<Demand>();
  #now: Instant;
  #order = 0;
  #busy = 0;
  #stirred: Instant;
  #driving = false;

  constructor(now: Instant) {
    this.#now = now;
    this.#stirred = now;
  }

  get now(): Instant {
    return this.#now;
  }

  /** A clock whose timers do nothing once its owner is dead, and that may be wrong. */
  clock(isAlive: () => boolean, aheadMs = 0): Clock {
    return {
      now: () => this.#now + aheadMs,
      after: (delayMs, work) => this.#after(delayMs, () => isAlive() && work()),
    };
  }

  /** Something happened: nobody may leap over what follows from it. */
  stir(): void {
    this.#stirred = this.#now;
  }

  /** How long nothing has happened. */
  get quietMs(): number {
    return this.#now - this.#stirred;
  }

  /** What is under way outside of the event loop's own turns: time stands still until it is done. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work;
    } finally {
      this.#busy--;
    }
  }

  /** A turn of the event loop comes after every microtask. */
  turn(): Promise<void> {
    return this.track(new Promise<void>((turned) => setImmediate(turned)));
  }

  /** Lets time pass until `done`, or until that instant. False where it is not done then, or never will be. */
  wait(done: () => boolean, until: Instant = Number.POSITIVE_INFINITY): Promise<boolean> {
    return new Promise((answer) => {
      this.#demands.add({ done, until, answer });
      if (!this.#driving) void this.#drive();
    });
  }

  #after(delayMs: number, work: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, work, cancelled: false };
    let low = 0;
    for (let high = this.#timers.length; low < high; ) {
      const middle = (low + high) >>> 1;
      const other = this.#timers[middle] as Timer;
      // Latest first, so that the next one is popped.
      if (other.at > timer.at || (other.at === timer.at && other.order > timer.order)) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return () => {
      timer.cancelled = true;
    };
  }

  async #drive(): Promise<void> {
    this.#driving = true;
    for (;;) {
      await this.#settle();
      // Who was answered goes on at this same instant.
      if (this.#answerDemands()) continue;
      if (this.#demands.size === 0) break;
      await this.#step();
    }
    this.#driving = false;
  }

  /** Nothing is left to happen at this instant. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await new Promise<void>((turned) => setImmediate(turned));
      if (this.#busy > 0) quiet = -1;
    }
  }

  #answerDemands(): boolean {
    let answered = false;
    for (const demand of this.#demands) {
      const done = demand.done();
      if (!done && this.#now < demand.until) continue;
      this.#demands.delete(demand);
      demand.answer(done);
      answered = true;
    }
    return answered;
  }

  async #step(): Promise<void> {
    const limit = Math.min(...[...this.#demands].map(({ until }) => until));
    if (this.quietMs >= QUIET_MS && (await this.#leap(limit))) return;
    while (this.#timers.at(-1)?.cancelled) this.#timers.pop();
    const next = this.#timers.at(-1);
    if (next === undefined || next.at > limit) {
      if (Number.isFinite(limit)) this.#now = limit;
      else this.#giveUp();
      return;
    }
    this.#timers.pop();
    this.#now = Math.max(this.#now, next.at);
    next.work();
  }

  /** Timers that are overdue afterwards are late, as in a process that the system did not let run. */
  async #leap(limit: Instant): Promise<boolean> {
    // A transaction that nobody can decide is looked after for ever: that is no reason to wait for more.
    const wake = await this.nextWake(Number.isFinite(limit));
    const target = Math.min(wake ?? Number.POSITIVE_INFINITY, limit);
    if (target <= this.#now) {
      if (this.quietMs < HOPELESS_MS || Number.isFinite(limit)) return false;
    } else if (Number.isFinite(target)) {
      this.#now = target;
      this.stir();
      return true;
    }
    this.#giveUp();
    return true;
  }

  /** What is waited for will never be. */
  #giveUp(): void {
    for (const demand of this.#demands) {
      if (Number.isFinite(demand.until)) continue;
      this.#demands.delete(demand);
      demand.answer(demand.done());
    }
  }
}

/** A flow that is due for so long, and that nobody takes up, is nobody's. */
const HOPELESS_MS = 3_600_000;
