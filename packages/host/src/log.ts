// Structured logs: one JSON line each, constant message, facts as fields.

import type { Log } from "@bowline/base";
import pino from "pino";

/** Writes to `file`, or to standard error where none is given. */
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
