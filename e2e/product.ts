// The built product, as a user has it: a process, a folder, and what it prints.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BOOTSTRAP = fileURLToPath(new URL("../tools/bootstrap.mjs", import.meta.url));

export interface Run {
  readonly process: ChildProcess;
  /** All that was printed so far, both streams. */
  text(): string;
  /** Resolves with the exit code (null after a signal) and standard output. */
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly text: string }>;
}

/** `npm start -- …args` in effect: through the bootstrap, as the script of package.json does it. Calls between roles travel as bytes. */
export function startProduct(args: readonly string[], entry = "start"): Run {
  const child = spawn(process.execPath, [BOOTSTRAP, entry, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    env: { BOWLINE_CALLS: "bytes", ...process.env },
  });
  let out = "";
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
    text += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return { process: child, text: () => text, ended: once(child, "close").then(([code]) => ({ code: code as number | null, out, text })) };
}

/** A home folder that goes with the test. */
export async function temporaryHome(test: { after(work: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-e2e-"));
  await chmod(folder, 0o755); // PostgreSQL's own user passes through, so that the data stays in here.
  test.after(async () => {
    for (const pid of await processesOf(folder)) kill(pid);
    await rm(folder, { recursive: true, force: true });
  });
  return join(folder, ".bowline");
}

/** Every process whose command line or working folder is of this home, and all their descendants. */
export async function processesOf(home: string): Promise<readonly number[]> {
  const all = await Promise.all((await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map((name) => describe(Number(name))));
  const alive = all.filter((one) => one !== undefined && one.pid !== process.pid) as { pid: number; parent: number; about: string }[];
  const found = new Set(alive.filter(({ about }) => about.includes(home)).map(({ pid }) => pid));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const { pid, parent } of alive) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

/** kill -9 of everything at once: stopped first, so that nobody sees another die. */
export async function killEverything(home: string): Promise<number> {
  const pids = await processesOf(home);
  for (const pid of pids) kill(pid, "SIGSTOP");
  for (const pid of pids) kill(pid);
  return pids.length;
}

function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

async function describe(pid: number): Promise<{ pid: number; parent: number; about: string } | undefined> {
  try {
    const [stat, commandLine] = await Promise.all([readFile(`/proc/${pid}/stat`, "utf8"), readFile(`/proc/${pid}/cmdline`, "utf8")]);
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    return { pid, parent, about: commandLine };
  } catch {
    return undefined;
  }
}
