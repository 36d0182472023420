// The worker process that `bowline dev` and `bowline worker` run: started, listened to, stopped. It has a process group of its own, so that
// Ctrl-C reaches us alone, and it is told to end in good order.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { WORKER_LOG } from "./logs.ts";
import { usage } from "./terminal.ts";

const STOP_MS = 30_000;
/**
 * Isolates need `--no-node-snapshot`. What a flow leaves behind is collected by the thread that made it: V8's four helpers cost
 * 14% of all processor time here, and saved none. A nursery of 16 MB in place of 8 gives 13% more flows, one of 32 no more.
 */
const RUNTIME_FLAGS = ["--no-node-snapshot", "--max-semi-space-size=16", "--no-parallel-scavenge"];
/** The platform is a program beside this one: it is started, never loaded. */
const ENTRY = fileURLToPath(import.meta.resolve("@bowline/host/main"));

export interface WorkerReady {
  readonly url: string;
  readonly caFile: string;
  readonly user: string;
}

export interface Worker {
  readonly pid: number;
  /** Rejects when the worker ends before REST answers, with its own words. */
  readonly ready: Promise<WorkerReady>;
  /** Resolves when the process has ended, however it ended, with its last words where it had any. */
  readonly ended: Promise<string | undefined>;
  /** In good order; by force when that takes too long. */
  stop(): Promise<void>;
}

export interface WorkerOptions {
  readonly home: string;
  readonly port?: number;
  /** How it meets other processes of its cluster; alone where nothing is said. */
  readonly bus?: "memory" | "postgres";
  readonly environment: Readonly<Record<string, string | undefined>>;
  onProgress(text: string): void;
}

export function startWorker(options: WorkerOptions): Worker {
  const child = spawnWorker(options);
  let failure: string | undefined;
  const ended = new Promise<string | undefined>((end) => child.once("close", (_, signal) => end(failure ?? killedBy(signal))));
  const ready = new Promise<WorkerReady>((resolve, reject) => {
    createInterface({ input: child.stdout as NonNullable<ChildProcess["stdout"]> }).on("line", (text) => {
      const line = readLine(text);
      if (line.event === "progress") options.onProgress(String(line.text));
      else if (line.event === "failed") failure = String(line.message);
      else if (line.event === "ready") resolve({ url: String(line.url), caFile: String(line.caFile), user: String(line.user) });
    });
    child.once("error", (error) => reject(usage("worker", `The worker cannot be started: ${error.message}.`)));
    child.once("close", (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal;
      reject(usage("worker", failure ?? `The worker ended before it was ready (${how}). See why: bowline logs.`));
    });
  });
  ready.catch(() => {}); // Whoever starts a worker may stop it before it looks.
  return { pid: child.pid ?? 0, ready, ended, stop: () => stopWorker(child, ended) };
}

function spawnWorker({ home, port, bus = "memory", environment }: WorkerOptions): ChildProcess {
  const logFile = join(home, WORKER_LOG);
  mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
  const log = openSync(logFile, "a", 0o600);
  try {
    return spawn(
      process.execPath,
      [...RUNTIME_FLAGS, ENTRY, "--roles", "all", "--home", home, "--bus", bus, ...(port === undefined ? [] : ["--port", String(port)])],
      { stdio: ["ignore", "pipe", log], detached: true, env: { ...environment, BOWLINE_PARENT_PID: String(process.pid) } },
    );
  } finally {
    closeSync(log);
  }
}

const killedBy = (signal: string | null): string | undefined =>
  signal === null ? undefined : `The worker was ended by ${signal}. Start again: nothing is lost.`;

async function stopWorker(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const group = -child.pid;
  child.kill("SIGTERM");
  const timer = setTimeout(() => {
    try {
      process.kill(group, "SIGKILL");
    } catch {
      // Gone in this moment.
    }
  }, STOP_MS);
  await ended;
  clearTimeout(timer);
}

function readLine(text: string): Record<string, unknown> {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === "object" && line !== null ? (line as Record<string, unknown>) : {};
  } catch {
    return {}; // Not ours: some library printed it.
  }
}
