// Measuring: so many operations with so many in flight, each timed.

export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `operation` for `durationMs`, `inFlight` at a time, after a tenth of that time to warm up. */
export async function measure(
  { durationMs, inFlight }: { readonly durationMs: number; readonly inFlight: number },
  operation: (index: number) => Promise<unknown>,
): Promise<Measured> {
  let index = 0;
  const run = async (untilMs: number): Promise<number[]> => {
    const times: number[] = [];
    const one = async (): Promise<void> => {
      while (performance.now() < untilMs) {
        const started = performance.now();
        await operation(index++);
        times.push(performance.now() - started);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
    return times;
  };
  await run(performance.now() + durationMs / 10);
  const started = performance.now();
  const times = (await run(started + durationMs)).sort((a, b) => a - b);
  const seconds = (performance.now() - started) / 1_000;
  return { perSecond: times.length / seconds, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
