// Deletes a home folder and all that was made for it elsewhere (`bowline reset`). A home that a process serves is left
// alone. Standard output carries one JSON line: `removed`, or `failed` with the reason.

import { realpath, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { BowlineError } from "@bowline/base";
import { removePlace } from "./adapters/postgres-place.ts";
import { processesIn } from "./adapters/processes.ts";
import { Home } from "./home.ts";

/** The embedded server ends by itself when its Bowline does; this is how long it may take. */
const SERVER_STOP_MS = 20_000;
const POLL_MS = 100;

async function removeHome(path: string): Promise<void> {
  const home = Home.open(path);
  const claim = await home.claim();
  try {
    await serverStopped(home);
    await removePlace(home.path);
    await rm(home.path, { recursive: true, force: true });
  } finally {
    claim.release();
  }
}

async function serverStopped(home: Home): Promise<void> {
  const data = await realpath(home.file("postgres", "data")).catch(() => undefined);
  if (data === undefined) return;
  for (let waitedMs = 0; (await processesIn(data)).length > 0; waitedMs += POLL_MS) {
    if (waitedMs > SERVER_STOP_MS)
      throw new BowlineError("conflict", "home.inUse", `PostgreSQL still runs in ${data}. Stop it, then try again.`);
    await sleep(POLL_MS);
  }
}

const { values } = parseArgs({ options: { home: { type: "string" } } });
try {
  if (values.home === undefined) throw new BowlineError("badRequest", "home.missing", "Say which home to remove: --home DIR.");
  await removeHome(values.home);
  process.stdout.write(`${JSON.stringify({ event: "removed" })}\n`);
} catch (cause) {
  const code = cause instanceof BowlineError ? cause.code : "home.notRemoved";
  const message = cause instanceof Error ? cause.message : String(cause);
  process.stdout.write(`${JSON.stringify({ event: "failed", code, message })}\n`);
  process.exitCode = 1;
}
