// A notary that two processes run over one database. One of them is killed in the middle of a batch, or after it has decided and
// before it has said so; coins are spent twice, at both at once. An auditor says afterwards what was spent.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startProduct } from "./product.ts";
import { type End, openWorkers, result, type WorkerProcess, type Workers } from "./workers.ts";

const TIMEOUT_MS = 180_000;
const PROJECT = fileURLToPath(new URL("spending", import.meta.url));
const COINS = 12;
/** By when all that spend one coin have signed. */
const SIGNED_MS = 4_000;

interface Audited {
  readonly entries: number;
  readonly head: string;
  readonly accepted: number;
  readonly refused: number;
  readonly unspent: number;
}

describe("a notary of two processes", { timeout: 3 * TIMEOUT_MS }, () => {
  let workers: Workers;
  let survivor: WorkerProcess;

  before(async () => {
    workers = await openWorkers({ durable: true });
    survivor = await workers.start();
    process.env["BOWLINE_PASSWORD"] = survivor.password;
    await workers.prepare(survivor, { project: PROJECT, notarised: true });
  });
  after(() => workers.close());

  async function start(worker: WorkerProcess, flowClassName: string, requestBody: object): Promise<string> {
    const clientRequestId = randomUUID();
    const body = { clientRequestId, flowClassName, requestBody };
    const request = { params: { holdingidentityshorthash: workers.vnode() }, body };
    // As a client does whose connection broke: the same again, elsewhere.
    await worker.connection.call("startFlow", request).catch(() => survivor.connection.call("startFlow", request));
    return clientRequestId;
  }
  const ended = (id: string): Promise<End> => result(survivor.connection, workers.vnode(), id);

  async function issue(count: number): Promise<readonly string[]> {
    const { output, error } = await ended(await start(survivor, "e2e.Issue", { count }));
    assert.equal(error, "");
    return Array.from({ length: count }, (_, index) => `${output}:${index}`);
  }

  const audit = (...args: readonly string[]) => startProduct(["audit", ...args, "--json", ...survivor.target], "cli").ended;

  async function audited(): Promise<Audited> {
    const { code, out, text } = await audit("history", "Bench Notary", "--states");
    assert.equal(code, 0, text);
    return JSON.parse(out) as Audited;
  }

  /** Two flows for each coin, one at each process, and a third that only shows it, with a coin of its own. */
  async function spendTwice(faulty: WorkerProcess): Promise<void> {
    const before = await audited();
    const [coins, others] = [await issue(COINS), await issue(COINS)];
    const spend = (at: number, coin: string, shows: readonly string[] = []) =>
      start([survivor, faulty][at % 2] as WorkerProcess, "e2e.Spend", { coin, shows, waitMs: SIGNED_MS });
    const rounds = await Promise.all(
      coins.map((coin, i) => Promise.all([spend(0, coin), spend(1, coin), spend(i, others[i] as string, [coin])])),
    );
    let shown = 0;
    for (const round of rounds) {
      const [one, other, showing] = (await Promise.all(round.map(ended))) as [End, End, End];
      assert.deepEqual([one.status, other.status].sort(), ["COMPLETED", "FAILED"], `${one.error} / ${other.error}`);
      assert.match(`${one.error}${other.error}`, /Consumed by another transaction/);
      if (showing.status === "COMPLETED") shown++;
      else assert.match(showing.error, /Referred to, and consumed by another transaction/);
    }
    const { accepted, refused, unspent } = await audited();
    assert.deepEqual(
      [accepted - before.accepted, refused - before.refused, unspent - before.unspent],
      [2 + COINS + shown, COINS + (COINS - shown), COINS - shown],
    );
  }

  for (const [fault, when] of [
    ["notary.sealing:3", "in the middle of a batch"],
    ["notary.answering:3", "between its decision and its answer"],
  ] as const)
    test(`kill -9 of one ${when}: every coin is spent once, and the other process says which`, { timeout: TIMEOUT_MS }, async () => {
      const faulty = await workers.start(fault);
      await spendTwice(faulty);
      const { signal } = await Promise.race([faulty.ended, sleep(1_000, { signal: "it did not come to that" })]);
      assert.equal(signal, "SIGKILL");
    });

  test("who confirms the history names its end, and no other", { timeout: TIMEOUT_MS }, async () => {
    const { entries, head } = await audited();
    const [wrong, right] = [
      await audit("confirm", "Bench Notary", `${entries - 1}:${head}`),
      await audit("confirm", "Bench Notary", `${entries}:${head}`),
    ];
    assert.deepEqual([wrong.code, right.code], [1, 0], `${wrong.text}\n${right.text}`);
    assert.match(wrong.text, new RegExp(`The log ends with ${entries}:${head}`));
    await issue(1);
  });
});
