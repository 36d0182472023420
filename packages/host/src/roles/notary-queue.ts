// Requests of one notary that wait for their batch. What arrives while batches are in flight is the next one; there is no timer,
// so a lone request waits for nobody.
//
// Guarantees: at most `waitingMax` wait, and who comes then is told at once when to come again; each request is answered once.

import type { Instant } from "@bowline/base";

export interface BatchLimits {
  /** Requests of one batch. */
  readonly batchMax: number;
  /** Batches in flight at once. */
  readonly flightsMax: number;
  readonly waitingMax: number;
}

export interface NotaryQueue<Q, A> {
  /** Undefined where it is full; then `retryAfterMs` says when there may be room. */
  ask(request: Q): Promise<A> | undefined;
  readonly retryAfterMs: number;
}

const RETRY_AFTER_MIN_MS = 50;
const RETRY_AFTER_MAX_MS = 10_000;

export function createNotaryQueue<Q, A>(
  { batchMax, flightsMax, waitingMax }: BatchLimits,
  now: () => Instant,
  decide: (batch: readonly Q[]) => Promise<readonly A[]>,
): NotaryQueue<Q, A> {
  const waiting: { readonly request: Q; answer(answer: A): void; fail(cause: unknown): void }[] = [];
  let flights = 0;
  /** Of the last batch. */
  let msPerRequest = 1;

  async function fly(): Promise<void> {
    flights++;
    const started = now();
    const batch = waiting.splice(0, batchMax);
    try {
      const answers = await decide(batch.map(({ request }) => request));
      for (const [i, { answer }] of batch.entries()) answer(answers[i] as A);
    } catch (cause) {
      for (const { fail } of batch) fail(cause);
    }
    msPerRequest = Math.max(now() - started, 1) / batch.length / flightsMax;
    flights--;
    if (waiting.length > 0) void fly();
  }

  return {
    ask(request) {
      if (waiting.length >= waitingMax) return undefined;
      return new Promise((answer, fail) => {
        waiting.push({ request, answer, fail });
        if (flights < flightsMax) void fly();
      });
    },
    get retryAfterMs() {
      return Math.round(Math.min(Math.max(waiting.length * msPerRequest, RETRY_AFTER_MIN_MS), RETRY_AFTER_MAX_MS));
    },
  };
}
