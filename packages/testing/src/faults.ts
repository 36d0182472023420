// What goes wrong in a network of the kit, and how often.

import type { Chance } from "./chance.ts";

/** Chances from 0 to 1, each time it may happen. Nothing of it may ever show in what a flow does. */
export interface Faults {
  /** A message is lost. */
  readonly loss: number;
  /** A message arrives twice. */
  readonly repeats: number;
  /** Longest delay of a message: what is delayed is overtaken. */
  readonly delayMs: number;
  /**
   * A process dies at a call to its database, to another role or to the bus, before the call takes effect or after it, and
   * starts again within half a minute. All that was in its memory is gone.
   */
  readonly crashes: number;
  /** Such a call fails as when the other side is away, before it takes effect or after it. */
  readonly outages: number;
  /** The heap that a CorDapp's flows run in is lost, and its flows run again from their journals. */
  readonly evictions: number;
}

export const NO_FAULTS: Faults = { loss: 0, repeats: 0, delayMs: 0, crashes: 0, outages: 0, evictions: 0 };

/** Days of every sort: most have some of these faults, few have all. */
export function randomFaults(chance: Chance): Faults {
  const often = (max: number): number => (chance() < 0.5 ? 0 : chance() * max);
  const delays = [0, 0, 20, 2_000] as const;
  return {
    loss: often(0.3),
    repeats: often(0.3),
    delayMs: delays[Math.floor(chance() * delays.length)] ?? 0,
    crashes: often(0.02),
    outages: often(0.1),
    evictions: often(0.1),
  };
}

/** Never asks for a number that cannot matter, so that a run without a fault is not changed by it. */
export const happens = (chance: Chance, likelihood: number): boolean => likelihood > 0 && chance() < likelihood;
