import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createNotaryQueue } from "./notary-queue.ts";
import { createQuota } from "./quota.ts";
import { quietLog } from "./test-cluster.ts";
import { readAllowForgetful, requireDurable } from "./uniqueness-database.ts";

describe("a notary's queue", () => {
  /** Batches as they were decided; each waits until it is let go. */
  function held(limits: { batchMax: number; flightsMax: number; waitingMax: number }) {
    const batches: (readonly number[])[] = [];
    const gates: (() => void)[] = [];
    const queue = createNotaryQueue<number, number>(limits, Date.now, async (batch) => {
      batches.push(batch);
      await new Promise<void>((go) => gates.push(go));
      if (batch.includes(13)) throw new Error("unlucky");
      return batch.map((n) => n * 10);
    });
    return { batches, queue, letGo: () => gates.shift()?.() };
  }

  test("asks at once for whoever comes alone, and together for those who come meanwhile", async () => {
    const { batches, queue, letGo } = held({ batchMax: 3, flightsMax: 1, waitingMax: 10 });
    const answers = [1, 2, 3, 4, 5].map((n) => queue.ask(n));
    assert.deepEqual(batches, [[1]]);
    for (let i = 0; i < 3; i++) {
      letGo();
      await new Promise((next) => setImmediate(next));
    }
    assert.deepEqual(await Promise.all(answers), [10, 20, 30, 40, 50]);
    assert.deepEqual(batches, [[1], [2, 3, 4], [5]]);
  });

  test("tells who comes to a full queue when to come again, and takes nothing of him", async () => {
    const { batches, queue, letGo } = held({ batchMax: 1, flightsMax: 1, waitingMax: 2 });
    const taken = [1, 2, 3].map((n) => queue.ask(n));
    assert.equal(queue.ask(4), undefined);
    assert.ok(queue.retryAfterMs >= 50 && queue.retryAfterMs <= 10_000);
    for (let i = 0; i < 3; i++) {
      letGo();
      await new Promise((next) => setImmediate(next));
    }
    await Promise.all(taken);
    assert.deepEqual(batches, [[1], [2], [3]]);
    const later = queue.ask(5);
    letGo();
    assert.equal(await later, 50);
  });

  test("fails those of a batch that fails, and no others", async () => {
    const { queue, letGo } = held({ batchMax: 2, flightsMax: 1, waitingMax: 10 });
    const answers = [13, 2].map((n) => queue.ask(n) as Promise<number>);
    letGo();
    await assert.rejects(answers[0] as Promise<number>, /unlucky/);
    letGo();
    assert.equal(await answers[1], 20);
  });
});

describe("a quota", () => {
  const of = { unitsPerSecond: 10, unitsAtOnce: 5 };

  test("is each one's own, is used up, and comes back with time", () => {
    const quota = createQuota();
    const alice = (units: number, now: number) => quota.take("alice", { units, of }, now);
    assert.deepEqual(
      [5, 1, 1].map((units) => alice(units, 1_000)),
      [0, 100, 100],
    );
    assert.equal(quota.take("bob", { units: 5, of }, 1_000), 0);
    assert.equal(alice(1, 1_050), 50);
    assert.equal(alice(1, 1_100), 0);
    assert.equal(alice(5, 60_000), 0);
    assert.equal(alice(1, 50_000), 100, "a clock that goes back gives nothing");
  });

  test("takes all for what is more than all, so that it is served once", () => {
    const quota = createQuota();
    assert.equal(quota.take("alice", { units: 100, of }, 0), 0);
    assert.equal(quota.take("alice", { units: 1, of }, 0), 100);
  });

  test("may be changed at any time", () => {
    const quota = createQuota();
    assert.equal(quota.take("alice", { units: 1, of }, 0), 0);
    assert.equal(quota.take("alice", { units: 4, of: { unitsPerSecond: 1, unitsAtOnce: 2 } }, 0), 0, "all that there is now");
    assert.equal(quota.take("alice", { units: 1, of: { unitsPerSecond: 1, unitsAtOnce: 2 } }, 0), 1_000);
    assert.equal(quota.take("alice", { units: 1, of }, 100), 0);
  });
});

test("what may forget is said strictly", () => {
  assert.equal(readAllowForgetful({}), false);
  assert.equal(readAllowForgetful({ BOWLINE_NOTARY_FORGETFUL_DATABASE: "allow" }), true);
  assert.throws(() => readAllowForgetful({ BOWLINE_NOTARY_FORGETFUL_DATABASE: "yes" }), { code: "notary.settingsInvalid" });
});

test("a server that may forget a commit is no notary's memory, unless that is allowed", async () => {
  const server = (...off: readonly string[]) =>
    ({ sql: { query: async () => off.map((name) => ({ name, setting: "off" })) } }) as unknown as Parameters<typeof requireDurable>[0];
  await requireDurable(server(), false, quietLog);
  await assert.rejects(requireDurable(server("fsync"), false, quietLog), { code: "notary.databaseForgetful", message: /fsync = off/ });
  await assert.rejects(requireDurable(server("full_page_writes"), false, quietLog), { code: "notary.databaseForgetful" });
  await requireDurable(server("fsync"), true, quietLog);
});
