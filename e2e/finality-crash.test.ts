// Two members hand over what both sign for, in flows of several processes, one of which is killed at each point at which a finality or a
// claim of tokens can be cut in two. Every payment happens once: nothing is lost, nothing is made, and nothing stays claimed.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type End, openWorkers, result, type WorkerProcess, type Workers, within } from "./workers.ts";

const TIMEOUT_MS = 180_000;
const PROJECT = fileURLToPath(new URL("handing", import.meta.url));
const NOTES = 16;
const NOTE = 10;
const PAYMENTS = 12;

interface Balance {
  readonly total: string;
  readonly available: string;
}

describe("finality in several processes", { timeout: 6 * TIMEOUT_MS }, () => {
  let workers: Workers;
  let survivor: WorkerProcess;
  let peer = "";

  before(async () => {
    workers = await openWorkers({ durable: true });
    survivor = await workers.start();
    await workers.prepare(survivor, { project: PROJECT, notarised: true });
    peer = (await survivor.connection.virtualNodes()).find(({ x500Name }) => x500Name === workers.peer)?.shortHash ?? "";
  });
  after(() => workers.close());

  async function start(worker: WorkerProcess, flowClassName: string, requestBody: object, vnode = workers.vnode()): Promise<string> {
    const clientRequestId = randomUUID();
    const request = {
      params: { holdingidentityshorthash: vnode },
      body: { clientRequestId, flowClassName, requestBody },
    };
    // As a client does whose connection broke: the same again, elsewhere.
    await worker.connection.call("startFlow", request).catch(() => survivor.connection.call("startFlow", request));
    return clientRequestId;
  }
  const ended = (id: string, vnode = workers.vnode()): Promise<End> => result(survivor.connection, vnode, id);

  async function balances(): Promise<readonly number[]> {
    const of = async (vnode: string): Promise<number> => {
      const { output, error } = await ended(await start(survivor, "e2e.Balance", {}, vnode), vnode);
      const { total, available } = output as Balance;
      assert.equal(available, total, `nothing stays claimed ${error}`);
      return Number(total);
    };
    return Promise.all([of(workers.vnode()), of(peer)]);
  }

  /** Payments at both processes at once; `meanwhile` something happens to one of them. */
  async function pay(faulty: WorkerProcess, meanwhile: () => Promise<void>): Promise<void> {
    const [ours, theirs] = (await balances()) as [number, number];
    const issue = await ended(await start(survivor, "e2e.IssueCash", { count: NOTES, amount: String(NOTE) }));
    assert.equal(issue.error, "");
    const asked = await Promise.all(
      Array.from({ length: PAYMENTS }, (_, i) =>
        start(i % 2 === 0 ? faulty : survivor, "e2e.Hand", { to: workers.peer, amount: String(i + 1) }),
      ),
    );
    await meanwhile();
    for (const { status, error } of await Promise.all(asked.map((id) => ended(id)))) assert.equal(status, "COMPLETED", error);
    const paid = (PAYMENTS * (PAYMENTS + 1)) / 2;
    await within(30_000, "every payee knows", async () => (await workers.count("e2e.Take", "RUNNING")) === 0);
    assert.deepEqual(await balances(), [ours + NOTES * NOTE - paid, theirs + paid]);
    assert.equal((await workers.count("e2e.Hand", "PARKED")) + (await workers.count("e2e.Take", "PARKED")), 0, "nothing is parked");
  }

  for (const [fault, when] of [
    ["unverified.after:3", "after a transaction is written, unverified, and before anybody hears of it"],
    ["signatures.sent:3", "after signatures were sent"],
    ["notary.answering:3", "after the notary's commit, whose answer is lost"],
    ["verified.after:3", "after it is verified here, and before the others are told"],
    ["claim.answering:3", "after a claim's commit, whose answer is lost"],
  ] as const)
    test(`kill -9 ${when}`, { timeout: TIMEOUT_MS }, async () => {
      const faulty = await workers.start(fault);
      await pay(faulty, async () => {
        const { signal } = await Promise.race([faulty.ended, sleep(60_000, { signal: "it did not come to that" })]);
        assert.equal(signal, "SIGKILL");
      });
    });

  test("an owner that is paused in the middle, and goes on beside another, changes nothing", { timeout: TIMEOUT_MS }, async () => {
    const paused = await workers.start();
    await pay(paused, async () => {
      paused.signal("SIGSTOP");
      await within(90_000, "the other takes its flows over", async () => (await workers.count("e2e.Hand", "RUNNING")) === 0);
      paused.signal("SIGCONT");
    });
    paused.signal("SIGTERM");
    await paused.ended;
  });
});
