/** A moment, in milliseconds since 1970 UTC. */
export type Instant = number;

/** The world as a decision may see it: it arrives as an argument, so that a whole network runs from one seed. */
export interface Env {
  readonly now: Instant;
  /** `length` unpredictable bytes (from a seed in a simulation). */
  random(length: number): Uint8Array;
}

export const isoInstant = (instant: Instant): string => new Date(instant).toISOString();
