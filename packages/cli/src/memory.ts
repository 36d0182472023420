// The memory of a process tree as its proportional set size: pages that processes share are counted once.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
}

/**
 * In megabytes, over `root`, all that it started (and what these started), and the database server of `home`, which may
 * be a child of nobody. Undefined where the system does not say (anything but Linux).
 */
export function treePssMb(root: number, home: string): number | undefined {
  const processes = listProcesses();
  if (processes.length === 0) return undefined;
  const tree = new Set([root, ...serverOf(home)]);
  for (let before = 0; before < tree.size; ) {
    before = tree.size;
    for (const { pid, parent } of processes) if (tree.has(parent)) tree.add(pid);
  }
  const kilobytes = [...tree].reduce((sum, pid) => sum + pssKb(pid), 0);
  return Math.round(kilobytes / 102.4) / 10;
}

function listProcesses(): readonly ProcessEntry[] {
  try {
    return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (readProcess(Number(name)) ?? []) : []));
  } catch {
    return [];
  }
}

function readProcess(pid: number): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything, parentheses too.
    const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { pid, parent: Number(parent) };
  } catch {
    return undefined; // It ended in this moment.
  }
}

function serverOf(home: string): readonly number[] {
  try {
    const pid = Number(readFileSync(join(home, "postgres", "data", "postmaster.pid"), "utf8").split("\n")[0]);
    return pid > 0 ? [pid] : [];
  } catch {
    return []; // Another server than the embedded one.
  }
}

function pssKb(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
