// What can be known about processes that are not our children: who lives, since when, and who works in a folder.
// A process id alone says nothing, because ids are reused; with its start time it is one process for ever.

import { readdir, readFile, readlink } from "node:fs/promises";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to start, on Linux; elsewhere empty, and the id has to do. */
  readonly started: string;
}

/** Undefined when there is no such process, or only its zombie. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  if (process.platform !== "linux") return isSignallable(pid) ? { pid, started: "" } : undefined;
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses, and may hold anything; the third is the state, the 22nd the start.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, started] = [fields[0], fields[19]];
    return state === "Z" || state === "X" || started === undefined ? undefined : { pid, started };
  } catch {
    return undefined;
  }
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now !== undefined && now.started === identity.started;
}

/** Processes whose working directory is `folder`. Linux only; elsewhere none are found. */
export async function processesIn(folder: string): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(async (pid) => ((await workingDirectory(pid)) === folder ? pid : undefined)));
  const alive = await Promise.all(found.filter((pid) => pid !== undefined).map(identifyProcess));
  return alive.filter((identity) => identity !== undefined).map(({ pid }) => pid);
}

/** True when the process was there to receive it. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

async function workingDirectory(pid: number): Promise<string | undefined> {
  try {
    return await readlink(`/proc/${pid}/cwd`);
  } catch {
    return undefined; // Gone meanwhile, or another user's.
  }
}

function isSignallable(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
