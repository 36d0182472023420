import type { Measured } from "./measure.ts";

type Operation = (index: number) => Promise<unknown>;

export function serve(
  works: Readonly<Record<string, Operation>>,
  of: {
    measure(how: { durationMs: number; inFlight: number }, operation: Operation): Promise<Measured>;
    ready?: unknown;
    close(): Promise<unknown>;
  },
): void;
