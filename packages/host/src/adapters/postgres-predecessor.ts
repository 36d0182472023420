// What a killed Bowline left behind in a data folder.

import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processesIn, signal } from "./processes.ts";

const POLL_MS = 20;
const STOP_TIMEOUT_MS = 20_000;
const KILL_TIMEOUT_MS = 5_000;
const OTHER_SYSTEM_WAIT_MS = 500;

/**
 * Stops the server that serves `data`, and removes its lock file. It is stopped and not adopted: recovery takes
 * milliseconds, and the next server is one that we watch. Call it only while holding the claim on the home folder.
 */
export async function clearPredecessor(data: string): Promise<void> {
  const pidFile = join(data, "postmaster.pid");
  const postmaster = Number((await readFile(pidFile, "utf8").catch(() => "")).split("\n")[0]);
  if (process.platform !== "linux") {
    // Whose process it is cannot be seen here; PostgreSQL's own interlock decides.
    if (postmaster > 0 && signal(postmaster, "SIGINT")) await sleep(OTHER_SYSTEM_WAIT_MS);
    return;
  }
  if ((await processesIn(data)).includes(postmaster)) {
    signal(postmaster, "SIGINT");
    await emptied(data, STOP_TIMEOUT_MS);
  }
  for (const name of ["SIGQUIT", "SIGKILL"] as const) {
    for (const pid of await processesIn(data)) signal(pid, name);
    await emptied(data, KILL_TIMEOUT_MS);
  }
  // Nobody works here any more, so a lock file can only name a stranger who got the same process id.
  await rm(pidFile, { force: true });
}

async function emptied(data: string, timeoutMs: number): Promise<void> {
  for (const giveUpAt = performance.now() + timeoutMs; performance.now() < giveUpAt; await sleep(POLL_MS)) {
    if ((await processesIn(data)).length === 0) return;
  }
}
