// A worker process: argv and environment to `compose`, signals to its end. Standard output carries JSON lines for whoever
// started it (`progress`, `ready`, `failed`), standard error the log.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { BowlineError } from "@bowline/base";
import { createLog } from "./adapters/system.ts";
import { compose, ROLES_HERE, type Worker } from "./compose.ts";
import type { RoleName } from "./services.ts";

const say = (line: Readonly<Record<string, unknown>>): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      roles: { type: "string", default: "all" },
      home: { type: "string", default: ".bowline" },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string" },
      bus: { type: "string", default: "memory" },
      "log-level": { type: "string", default: "info" },
    },
  });
  const log = createLog({ level: values["log-level"] });
  const stop = stopOnce(log);
  const worker = await compose({
    roles: rolesOf(values.roles),
    home: values.home,
    listen: { host: values.host, ...(values.port === undefined ? {} : { port: portOf(values.port) }) },
    bus: busOf(values.bus),
    environment: process.env,
    log,
    progress: (text) => say({ event: "progress", text }),
    onUnstoppable: () =>
      stop.afterFailure("worker.unstoppable", "A flow or a contract holds a thread that nothing can stop. Start again: all else goes on."),
    onDatabaseLost: () =>
      stop.afterFailure(
        "postgres.ended",
        `PostgreSQL has ended unexpectedly; ${join(values.home, "logs", "postgres.log")} may say why: a full disk is the usual reason. Start again: nothing is lost.`,
      ),
  });
  stop.arm(worker);
  say({ event: "ready", url: worker.url, caFile: worker.caFile, user: worker.user });
}

/** How long what is in hand may take when no supervisor asked, so that none counts the seconds. */
const DRAIN_AFTER_FAILURE_MS = 30_000;

/** SIGINT, SIGTERM, the end of whoever started us, or a failure that only a new process gets over: one clean shutdown. */
function stopOnce(log: ReturnType<typeof createLog>) {
  let worker: Worker | undefined;
  let asked = false;
  let exitCode = 0;
  const stop = async (): Promise<void> => {
    asked = true;
    if (worker === undefined) return; // `arm` will see it.
    const stopping = worker;
    worker = undefined;
    try {
      await stopping.stop();
      log.flush();
      process.exit(exitCode);
    } catch (cause) {
      log.error("shutdown failed", { cause: String(cause) });
      log.flush();
      process.exit(1);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop());
  // The reader of our lines is gone (killed): nobody would stop us later.
  process.stdout.on("error", () => void stop());
  watchParent(process.env["BOWLINE_PARENT_PID"], () => void stop());
  return {
    arm(started: Worker): void {
      worker = started;
      if (asked) void stop();
    },
    /** Ends with an exit code that lets a supervisor start the next process. */
    afterFailure(code: string, message: string): void {
      if (asked) return;
      log.error("this process stops, to be started anew", { code, reason: message });
      say({ event: "failed", code, message });
      exitCode = 1;
      setTimeout(() => process.exit(exitCode), DRAIN_AFTER_FAILURE_MS).unref();
      void stop();
    },
  };
}

const PARENT_WATCH_MS = 1_000;

function watchParent(parent: string | undefined, gone: () => void): void {
  if (parent === undefined) return;
  const timer = setInterval(() => {
    if (String(process.ppid) === parent) return;
    clearInterval(timer);
    gone();
  }, PARENT_WATCH_MS);
  timer.unref();
}

function rolesOf(text: string): readonly RoleName[] {
  if (text === "all") return ROLES_HERE;
  return text.split(",").map((part) => {
    const role = ROLES_HERE.find((known) => known === part.trim());
    if (role === undefined)
      throw new BowlineError(
        "badRequest",
        "worker.unknownRole",
        `"${part.trim()}" is no role. Give --roles all, or some of ${ROLES_HERE.join(", ")}.`,
      );
    return role;
  });
}

function busOf(text: string): "memory" | "postgres" {
  if (text === "memory" || text === "postgres") return text;
  throw new BowlineError(
    "badRequest",
    "bus.unknown",
    `"${text}" is no bus. Give --bus memory for one process, or --bus postgres for several.`,
  );
}

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new BowlineError("badRequest", "port.invalid", `--port ${text} is no port. Give a number from 1 to 65535.`);
}

main().catch((cause: unknown) => {
  const code = cause instanceof BowlineError ? cause.code : "worker.failed";
  const message = cause instanceof Error ? cause.message : String(cause);
  say({ event: "failed", code, message });
  if (!(cause instanceof BowlineError)) process.stderr.write(`${cause instanceof Error ? (cause.stack ?? message) : message}\n`);
  // Exit only after the line is out.
  process.stdout.write("", () => process.exit(1));
});
