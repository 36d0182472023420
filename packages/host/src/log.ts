// Structured logs: one JSON line each, constant message, facts as fields.

import type { Log } from "@bowline/base";
import pino from "pino";

/** Writes to `file`, or to standard error where none is given. */
export function createLog(options: { readonly level: string; readonly file?: string }): Log & { flush(): void } {
  const destination = pino.destination(
    options.file === undefined ? { dest: 2, sync: true } : { dest: options.file, sync: false, mkdir: true },
  );
  const logger = pino({ level: options.level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  const line = (level: "error" | "warn" | "info" | "debug") => (message: string, facts?: Readonly<Record<string, unknown>>) =>
    facts === undefined ? logger[level](message) : logger[level](facts, message);
  return { error: line("error"), warn: line("warn"), info: line("info"), debug: line("debug"), flush: () => destination.flushSync() };
}
