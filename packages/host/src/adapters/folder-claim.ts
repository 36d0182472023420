// One process at a time works in a folder. The claim is a file that names the process, so that a claim whose holder was
// killed is taken over at once, and a living holder is never disturbed.

import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { BowlineError, invariant } from "@bowline/base";
import { identifyProcess, isAlive, type ProcessIdentity } from "./processes.ts";

export interface FolderClaim {
  release(): Promise<void>;
}

const ATTEMPTS_MAX = 10;

/** Throws `folder.inUse` while another living process holds `path`. `what` names the folder in that message. */
export async function claimFolder(path: string, what: string): Promise<FolderClaim> {
  const self = await identifyProcess(process.pid);
  invariant(self !== undefined, "this process lives");
  const mine = `${path}.${self.pid}`;
  await writeFile(mine, JSON.stringify(self), { mode: 0o600, flush: true });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (await linked(mine, path)) return { release: () => releaseClaim(path, self) };
      const holder = await holderOf(path);
      if (holder !== undefined && (await isAlive(holder))) throw inUse(what, holder);
      await discard(path, `${mine}.stale`);
    }
  } finally {
    await rm(mine, { force: true });
  }
  throw new BowlineError("conflict", "folder.inUse", `${what} is being claimed by several processes at once. Try again.`);
}

/** Linking is atomic: of two processes that try, one succeeds. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function holderOf(path: string): Promise<ProcessIdentity | undefined> {
  try {
    const { pid, started }: { pid?: unknown; started?: unknown } = JSON.parse(await readFile(path, "utf8"));
    return typeof pid === "number" && typeof started === "string" ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}

/** Moves a dead claim aside. If it was replaced by a living one meanwhile, that one is put back. */
async function discard(path: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch {
    return; // Another process was faster.
  }
  const moved = await holderOf(aside);
  if (moved !== undefined && (await isAlive(moved))) await linked(aside, path);
  await rm(aside, { force: true });
}

async function releaseClaim(path: string, self: ProcessIdentity): Promise<void> {
  const holder = await holderOf(path);
  if (holder?.pid === self.pid && holder.started === self.started) await rm(path, { force: true });
}

const inUse = (what: string, { pid }: ProcessIdentity) =>
  new BowlineError("conflict", "folder.inUse", `${what} is in use by process ${pid}. Stop that process, or use another folder.`, {
    pid: String(pid),
  });
