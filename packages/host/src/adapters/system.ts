// What a process has of its own: clock, randomness and log.

import { randomBytes } from "node:crypto";
import type { Clock, Log } from "@bowline/base";
import pino from "pino";

/** The clock of this machine. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, work) {
    const timer = setTimeout(work, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

const POOL_BYTES = 4_096;
let pool = new Uint8Array(0);

/** A call to the system's source costs the same for few bytes as for many. */
export function systemRandom(length: number): Uint8Array {
  if (length > POOL_BYTES / 8) return new Uint8Array(randomBytes(length));
  if (pool.length < length) pool = new Uint8Array(randomBytes(POOL_BYTES));
  const taken = pool.slice(0, length);
  pool = pool.subarray(length);
  return taken;
}

/** One JSON line each: constant message, facts as fields. To `file`, or to standard error where none is given. */
export function createLog(options: { readonly level: string; readonly file?: string }): Log & { flush(): void } {
  const destination = pino.destination(
    options.file === undefined ? { dest: 2, sync: true } : { dest: options.file, sync: false, mkdir: true },
  );
  // A line that cannot be written (the disk is full) must not end the process whose line it is.
  destination.on("error", () => undefined);
  const logger = pino({ level: options.level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const line = (level: "error" | "warn" | "info" | "debug") => (message: string, facts?: Readonly<Record<string, unknown>>) =>
    facts === undefined ? logger[level](message) : logger[level](facts, message);
  const flush = (): void => {
    try {
      destination.flushSync();
    } catch {
      // What cannot be written now is lost.
    }
  };
  return { error: line("error"), warn: line("warn"), info: line("info"), debug: line("debug"), flush };
}
