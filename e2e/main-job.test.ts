// `npm start -- --once --json`, as its own promise says it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { killEverything, processesOf, startProduct, temporaryHome } from "./product.ts";

const TIMEOUT_MS = 300_000;

interface Report {
  readonly transactions: number;
  readonly refused: number;
  readonly positions: unknown;
  readonly pss_mb: number;
  readonly ready_seconds: number;
}

const reportOf = (out: string): Report => JSON.parse(out.trimEnd().split("\n").at(-1) ?? "") as Report;

test("the main job ends with positions that agree with the file, and leaves nothing running", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  const first = await startProduct(["--once", "--json", "--home", home]).ended;
  assert.equal(first.code, 0, first.text);
  const report = reportOf(first.out);
  assert.ok(report.transactions >= 200, `${report.transactions} transactions`);
  assert.ok(report.refused > 0, "the file has bad rows");
  assert.deepEqual(await processesOf(home), []);

  const second = await startProduct(["--once", "--json", "--home", home]).ended;
  assert.equal(second.code, 0, second.text);
  assert.deepEqual(reportOf(second.out).positions, report.positions, "a second start continues, and repeats nothing");
});

test("kill -9 of everything in the middle of the import: every row ends once", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  const killedAt: number[] = [];
  // Each round gets a little further before it is killed; the last one runs to its end.
  for (const progress of [/import\D*\b\d\d\b/i, /import\D*\b1\d\d\b/i]) {
    const run = startProduct(["--once", "--json", "--home", home]);
    await Promise.race([until(() => progress.test(run.text())), run.ended]);
    killedAt.push(await killEverything(home));
    await run.ended;
  }
  assert.ok(
    killedAt.every((count) => count > 2),
    `processes killed: ${killedAt.join(", ")}`,
  );
  const last = await startProduct(["--once", "--json", "--home", home]).ended;
  assert.equal(last.code, 0, last.text);

  const undisturbed = await startProduct(["--once", "--json", "--home", await temporaryHome(t)]).ended;
  assert.deepEqual(reportOf(last.out).positions, reportOf(undisturbed.out).positions);
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resume) => setTimeout(resume, 10));
}
