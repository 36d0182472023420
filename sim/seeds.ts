// Many seeds: in this process, or shared among several that each take the next few as they are done.

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { live } from "./day.ts";
import { planOf } from "./plan.ts";
import { liveOnPostgres } from "./postgres.ts";

export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface SeedOptions {
  readonly flows: number;
  /** Every so many seeds one lives on PostgreSQL as well; 0 is never. */
  readonly postgresEvery: number;
}

/** What became of one seed. */
export interface SeedReport {
  readonly seed: number;
  readonly on: "memory" | "PostgreSQL";
  readonly commits: number;
  readonly crashes: number;
  /** Undefined where it passed. */
  readonly reason?: string;
}

export async function liveSeeds({ from, to }: Range, options: SeedOptions, report: (report: SeedReport) => void): Promise<void> {
  for (let seed = from; seed <= to; seed++) {
    report(await liveSeed(seed, "memory", options));
    if (options.postgresEvery > 0 && seed % options.postgresEvery === 0) report(await liveSeed(seed, "PostgreSQL", options));
  }
}

async function liveSeed(seed: number, on: SeedReport["on"], { flows }: SeedOptions): Promise<SeedReport> {
  const plan = planOf(seed, flows);
  try {
    const { commits, crashes } = await (on === "memory" ? live(plan) : liveOnPostgres(plan));
    return { seed, on, commits, crashes };
  } catch (thrown) {
    return { seed, on, commits: 0, crashes: 0, reason: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) };
  }
}

/** Seeds that one process takes at a time: many, since a process that has just begun takes three times as long for each. */
const PORTION_MAX = 1_000;
const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

export async function shareSeeds(all: Range, jobs: number, options: SeedOptions, report: (report: SeedReport) => void): Promise<void> {
  const each = Math.min(PORTION_MAX, Math.ceil((all.to - all.from + 1) / jobs));
  let next = all.from;
  const work = async (): Promise<void> => {
    while (next <= all.to) {
      const portion = { from: next, to: Math.min(all.to, next + each - 1) };
      next = portion.to + 1;
      await delegated(portion, options, report);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

function delegated({ from, to }: Range, { flows, postgresEvery }: SeedOptions, report: (report: SeedReport) => void): Promise<void> {
  const flags = ["--seeds", `${from}..${to}`, "--flows", String(flows), "--postgres", `every=${postgresEvery}`, "--report"];
  const child: ChildProcess = fork(MAIN, flags, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  child.on("message", (message) => report(message as SeedReport));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`The process of seeds ${from}..${to} ended with ${code}.`))));
  });
}
