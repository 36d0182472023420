// Requests that arrive while others are worked on are the next batch. No timer: who is idle is served at once, who is busy in batches.

interface Waiting<Q, A> {
  readonly request: Q;
  answer(answer: A): void;
  fail(cause: unknown): void;
}

/** One batch at a time for each key. `work` answers in the order of its requests; where it fails, all of its batch have failed. */
export function createBatches<K, Q, A>(
  sizeMax: number,
  work: (key: K, requests: readonly Q[]) => Promise<readonly A[]>,
): (key: K, request: Q) => Promise<A> {
  const lanes = new Map<K, Waiting<Q, A>[]>();

  async function drain(key: K, lane: Waiting<Q, A>[]): Promise<void> {
    // What is asked in this same turn of the loop belongs to the first batch.
    await Promise.resolve();
    while (lane.length > 0) {
      const batch = lane.splice(0, sizeMax);
      try {
        const answers = await work(
          key,
          batch.map(({ request }) => request),
        );
        for (const [i, { answer }] of batch.entries()) answer(answers[i] as A);
      } catch (cause) {
        for (const { fail } of batch) fail(cause);
      }
    }
    lanes.delete(key);
  }

  return (key, request) =>
    new Promise((answer, fail) => {
      const lane = lanes.get(key);
      if (lane !== undefined) {
        lane.push({ request, answer, fail });
        return;
      }
      const opened = [{ request, answer, fail }];
      lanes.set(key, opened);
      void drain(key, opened);
    });
}
