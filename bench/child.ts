// A measured process and the channel to it: see `serve.mjs` for its other end.

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { treePssMb } from "../packages/cli/src/memory.ts";
import type { Measured } from "./measure.ts";

/** As our own worker runs; the peers' processes run so as well. */
export const RUNTIME_FLAGS: readonly string[] = [
  "--no-node-snapshot",
  "--max-semi-space-size=16",
  "--no-parallel-scavenge",
  "--disable-warning=ExperimentalWarning",
];

export interface Child {
  /** What it said when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  readonly pid: number;
  measure(work: string, inFlight: number, durationMs: number): Promise<Measured>;
  /** Of it and all that it started. */
  pssMb(): number;
  close(): Promise<void>;
}

export async function startChild(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Child> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = fork(path, [...args], { execArgv: [...RUNTIME_FLAGS], env: environment, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const answers = new Map<number, (message: Answer) => void>();
  let asked = 0;
  const ready = await new Promise<Child["ready"]>((resolve, reject) => {
    child.once("exit", (code) => {
      reject(new Error(`${file} ended before it was ready: exit code ${code}`));
      for (const answer of answers.values()) answer({ failure: `${file} ended: exit code ${code}` });
    });
    child.on("message", (message: Answer & { readonly ready?: Child["ready"] }) => {
      if (message.ready !== undefined) resolve(message.ready);
      else answers.get(message.id ?? 0)?.(message);
    });
  });
  return {
    ready,
    pid: child.pid ?? 0,
    measure: (work, inFlight, durationMs) =>
      new Promise((resolve, reject) => {
        const id = ++asked;
        answers.set(id, ({ measured, failure }) => {
          answers.delete(id);
          if (measured === undefined) reject(new Error(failure));
          else resolve(measured);
        });
        child.send({ id, work, inFlight, durationMs });
      }),
    pssMb: () => treePssMb(child.pid ?? 0, "/nowhere") ?? Number.NaN,
    close: () => stop(child),
  };
}

interface Answer {
  readonly id?: number;
  readonly measured?: Measured;
  readonly failure?: string;
}

const STOP_MS = 15_000;

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.send({ work: "close" });
  const force = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(force);
}
