// Payloads far larger than a message, in the product: out of one isolate, through a session on PostgreSQL, into another, and back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startEmbedded } from "./embedded.ts";

const TIMEOUT_MS = 300_000;

test("a flow sends 20 MiB at once and has them back, and one that sends more than may leave at once is told so", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { run, peer } = await startEmbedded(t);
  assert.deepEqual(await run("e2e.Bulk", { peer, megabytes: 20 }), { kind: "completed", result: 20 * 2 ** 20 });
  const refused = await run("e2e.Bulk", { peer, megabytes: 5, asText: true });
  assert.deepEqual(refused, { kind: "completed", result: "sandbox.stepTooLarge" });
});
