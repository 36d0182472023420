// `npm start -- --once --json`, as its own promise says it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { killEverything, processesOf, startProduct, temporaryHome } from "./product.ts";

const TIMEOUT_MS = 300_000;

interface Report {
  readonly transactions: number;
  readonly refused: number;
  readonly agrees: boolean | null;
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

test("a notary that verifies comes to the same positions, and stays what it is", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  const verifying = ["--once", "--json", "--notary-type", "contract-verifying", "--home", home];
  const run = await startProduct(verifying).ended;
  assert.equal(run.code, 0, run.text);
  const report = reportOf(run.out);
  assert.deepEqual([report.agrees, report.refused > 0], [true, true]);
  assert.match(await readFile(join(home, "group-policy.json"), "utf8"), /plugin\.contractverifying/);

  const other = await startProduct(["--once", "--notary-type", "non-validating", "--home", home]).ended;
  assert.equal(other.code, 2, other.text);
  assert.match(other.text, /The notary of this network is contract-verifying, and stays so/);
});

test("kill -9 of everything in the middle of the import: every row ends once", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  // Each round gets a little further before it is killed; the last one runs to its end.
  for (const rows of [40, 140]) {
    const run = startProduct(["--once", "--json", "--home", home]);
    await Promise.race([until(() => rowsDone(run.text()) >= rows), run.ended]);
    const killed = await killEverything(home);
    assert.ok(killed > 2, `${killed} processes were killed: ${run.text()}`);
    await run.ended;
  }
  const last = await startProduct(["--once", "--json", "--home", home]).ended;
  assert.equal(last.code, 0, last.text);

  const undisturbed = await startProduct(["--once", "--json", "--home", await temporaryHome(t)]).ended;
  assert.deepEqual(reportOf(last.out).positions, reportOf(undisturbed.out).positions);
});

/** As the progress of the import says it: `65 of 258`. */
const rowsDone = (text: string): number => Math.max(0, ...[...text.matchAll(/(\d+) of \d+/g)].map(([, count]) => Number(count)));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resume) => setTimeout(resume, 10));
}
