// How often a password may be guessed. Three counts: of one name from one source, of one source, and of one name from
// everywhere. Past its limit each refuses for a while that doubles with every further failure; refused is before any
// derivation, and alike for names that exist and names that do not.
//
// Whoever has logged in from a source is not held up there by what others try elsewhere under his name: nobody locks an
// administrator out by guessing at him.

import type { Instant } from "@bowline/base";

interface Limit {
  /** Failures that cost nothing. */
  readonly free: number;
  readonly firstWaitMs: number;
}

const LIMITS = {
  pair: { free: 5, firstWaitMs: 1_000 },
  source: { free: 50, firstWaitMs: 1_000 },
  name: { free: 50, firstWaitMs: 1_000 },
} as const satisfies Readonly<Record<string, Limit>>;
const WAIT_MAX_MS = 15 * 60_000;
/** After so long without a failure all is forgotten. */
const FORGOTTEN_MS = 60 * 60_000;
/** No user's name is longer: of what somebody makes up no more is kept. */
const NAME_KEPT_MAX = 255;
const COUNTED_MAX = 20_000;
const PROVEN_MAX = 20_000;

interface Count {
  failures: number;
  last: Instant;
  until: Instant;
}

export interface Attempt {
  readonly login: string;
  readonly source: string;
}

export class LoginLimits {
  readonly #counts = new Map<string, Count>();
  readonly #proven = new Set<string>();

  /** For how long this attempt must wait, in milliseconds; 0 where it need not. */
  wait(attempt: Attempt, now: Instant): number {
    return Math.max(0, ...this.#keys(attempt).map(([key]) => (this.#counts.get(key)?.until ?? now) - now));
  }

  failed(attempt: Attempt, now: Instant): void {
    for (const [key, { free, firstWaitMs }] of this.#keys(attempt)) {
      const old = this.#counts.get(key);
      const failures = old === undefined || now - old.last >= FORGOTTEN_MS ? 1 : old.failures + 1;
      const wait = failures <= free ? 0 : Math.min(WAIT_MAX_MS, firstWaitMs * 2 ** Math.min(failures - free - 1, 30));
      // What failed last stands last: the longest quiet is dropped when there are too many.
      this.#counts.delete(key);
      this.#counts.set(key, { failures, last: now, until: now + wait });
      dropOldest(this.#counts, COUNTED_MAX);
    }
  }

  succeeded(attempt: Attempt): void {
    const pair = pairOf(attempt);
    this.#counts.delete(pair);
    this.#proven.delete(pair);
    this.#proven.add(pair);
    dropOldest(this.#proven, PROVEN_MAX);
  }

  #keys(attempt: Attempt): (readonly [key: string, limit: Limit])[] {
    const pair = pairOf(attempt);
    const own = [[pair, LIMITS.pair]] as const;
    if (this.#proven.has(pair)) return [...own];
    return [...own, [`source ${attempt.source}`, LIMITS.source], [`name ${nameOf(attempt)}`, LIMITS.name]];
  }
}

const nameOf = ({ login }: Attempt): string => login.slice(0, NAME_KEPT_MAX);
const pairOf = (attempt: Attempt): string => `pair ${attempt.source} ${nameOf(attempt)}`;

function dropOldest(kept: Map<string, Count> | Set<string>, most: number): void {
  const [oldest] = kept.keys();
  if (kept.size > most && oldest !== undefined) kept.delete(oldest);
}
