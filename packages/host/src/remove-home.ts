// Deletes a home folder and all that was made for it elsewhere (`bowline reset`). A home that a process serves is left
// alone. Standard output carries one JSON line: `removed`, or `failed` with the reason.

import { realpath, rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { BowlineError } from "@bowline/base";
import { removePlace } from "./adapters/postgres-place.ts";
import { clearPredecessor } from "./adapters/postgres-predecessor.ts";
import { Home } from "./home.ts";

async function removeHome(path: string): Promise<void> {
  const home = Home.open(path);
  const claim = await home.claim();
  try {
    // The claim is ours, so a server that still runs there serves nobody.
    const data = await realpath(home.file("postgres", "data")).catch(() => undefined);
    if (data !== undefined) await clearPredecessor(data);
    await removePlace(home.path);
    await rm(home.path, { recursive: true, force: true });
  } finally {
    claim.release();
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
