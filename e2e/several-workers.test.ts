// Several workers on one PostgreSQL: they die at every point at which a step can be cut in two, they are paused, they are
// stopped; and every flow ends once.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openWorkers, result, type WorkerProcess, type Workers, within } from "./workers.ts";

const TIMEOUT_MS = 120_000;
const TAKEOVER_MS_MAX = 10_000;

interface Started {
  readonly id: string;
  readonly flow: string;
  readonly input: Readonly<Record<string, unknown>>;
}

describe("several workers", { timeout: 4 * TIMEOUT_MS }, () => {
  let workers: Workers;
  let survivor: WorkerProcess;

  before(async () => {
    workers = await openWorkers();
    const [one, two] = await Promise.all([workers.start(), workers.start()]);
    survivor = one;
    await workers.prepare(two);
    two.signal("SIGTERM");
    assert.equal((await two.ended).signal, null, "it stops by itself");
  });
  after(() => workers.close());

  const talk = (more: object = {}): Started => ({ id: randomUUID(), flow: "e2e.Talk", input: { peer: workers.peer, rounds: 3, ...more } });
  const compute = (steps: number): Started => ({ id: randomUUID(), flow: "e2e.Compute", input: { steps } });
  const nap = (milliseconds: number, times: number): Started => ({ id: randomUUID(), flow: "e2e.Sleep", input: { milliseconds, times } });

  const start = ({ connection }: WorkerProcess, { id, flow, input }: Started) =>
    connection.call("startFlow", {
      params: { holdingidentityshorthash: workers.vnode() },
      body: { clientRequestId: id, flowClassName: flow, requestBody: input },
    });

  /** As a client does whose connection broke: the same again, elsewhere. */
  const startSomewhere = (worker: WorkerProcess, asked: Started) =>
    start(worker, asked).catch((thrown) => {
      refusals.set(worker, thrown);
      return start(survivor, asked);
    });
  const refusals = new Map<WorkerProcess, unknown>();

  const results = (asked: readonly Started[]) => Promise.all(asked.map(({ id }) => result(survivor.connection, workers.vnode(), id)));

  /** All of them ended as if nothing had happened, and each has one counterparty. */
  async function assertOnce(asked: readonly Started[]): Promise<void> {
    for (const [index, { status, output, error }] of (await results(asked)).entries()) {
      const { flow, input } = asked[index] as Started;
      assert.equal(status, "COMPLETED", `${flow} ${JSON.stringify(input)}: ${error}`);
      const expected =
        flow === "e2e.Talk"
          ? Array.from({ length: input["rounds"] as number }, (_, round) => round + 1)
          : (input["steps"] ?? input["times"]);
      assert.deepEqual(output, expected, flow);
    }
    await within(10_000, "each conversation has one answerer, and it ends", async () => {
      const talks = await workers.count("e2e.Talk");
      return (await workers.count("e2e.Answer", "COMPLETED")) + (await workers.count("e2e.Answer", "FAILED")) === talks;
    });
    assert.equal(await workers.count("e2e.Answer"), await workers.count("e2e.Talk"));
    assert.equal((await workers.count("e2e.Talk", "PARKED")) + (await workers.count("e2e.Answer", "PARKED")), 0, "nothing is parked");
  }

  /** Starts conversations at each of these workers until all are dead, or there are so many. */
  async function talkUntilDead(dying: readonly WorkerProcess[], most: number, more: object = {}): Promise<readonly Started[]> {
    const dead = new Set<WorkerProcess>();
    for (const worker of dying) void worker.ended.then(() => dead.add(worker));
    const asked: Started[] = [];
    while (dead.size < dying.length && asked.length < most) {
      const round = dying.filter((worker) => !dead.has(worker)).map((worker) => ({ worker, flow: talk(more) }));
      asked.push(...round.map(({ flow }) => flow));
      await Promise.all(round.map(({ worker, flow }) => startSomewhere(worker, flow)));
      await sleep(20);
    }
    return asked;
  }

  async function die(faults: readonly string[], more: object = {}): Promise<void> {
    const dying = await Promise.all(faults.map((fault) => workers.start(fault)));
    const asked = await talkUntilDead(dying, 200, more);
    for (const [index, worker] of dying.entries()) {
      const { signal } = await Promise.race([worker.ended, sleep(5_000, { signal: "it did not come to that" })]);
      assert.equal(signal, "SIGKILL", `${faults[index]}; of ${asked.length} starts it refused last: ${refusals.get(worker)}`);
    }
    await assertOnce(asked);
  }

  test("a flow that one worker ran is waited for, listed and answered at another", { timeout: TIMEOUT_MS }, async () => {
    const other = await workers.start();
    const asked = Array.from({ length: 12 }, () => compute(3));
    await Promise.all(asked.map((flow) => start(other, flow)));
    await assertOnce(asked);
    const answers = await Promise.all(asked.map(({ id }) => result(other.connection, workers.vnode(), id)));
    assert.ok(answers.every(({ status }) => status === "COMPLETED"));
    const again = await Promise.allSettled(asked.map((flow) => start(survivor, flow)));
    assert.ok(
      again.every(({ status }) => status === "fulfilled"),
      "the same request again starts nothing",
    );
    assert.equal(await workers.count("e2e.Compute"), asked.length);
    other.signal("SIGTERM");
    await other.ended;
  });

  test("kill -9 before and after a start's row is committed, and before a step is", { timeout: TIMEOUT_MS }, () =>
    die(["start.before:2", "start.after:2", "commit.before:3"]),
  );

  test("kill -9 after a step is committed and before its messages leave, and after they left", { timeout: TIMEOUT_MS }, () =>
    die(["commit.after:3", "relay.after:3"]),
  );

  test("kill -9 in the middle of large messages", { timeout: TIMEOUT_MS }, () =>
    die(["commit.after:2", "relay.after:4"], { characters: 200_000 }),
  );

  test("first messages that come twice, and closes that overtake what they close, change nothing", { timeout: TIMEOUT_MS }, async () => {
    const odd = await Promise.all([workers.start("init.twice"), workers.start("out-of-order")]);
    const asked = Array.from({ length: 24 }, () => talk());
    await Promise.all(asked.map((flow, index) => start(odd[index % 2] as WorkerProcess, flow)));
    await assertOnce(asked);
    for (const worker of odd) worker.signal("SIGTERM");
    await Promise.all(odd.map(({ ended }) => ended));
  });

  test("a counterparty that fails in the middle of large messages fails its conversation alone, and once", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const other = await workers.start();
    const fails = Array.from({ length: 4 }, () => talk({ characters: 200_000, failAt: 2 }));
    const fine = Array.from({ length: 4 }, () => talk({ characters: 200_000 }));
    await Promise.all([...fails, ...fine].map((flow, index) => start(index % 2 === 0 ? other : survivor, flow)));
    for (const { status, error } of await results(fails)) assert.deepEqual([status, /asked to fail/.test(error)], ["FAILED", true], error);
    await assertOnce(fine);
    other.signal("SIGTERM");
    await other.ended;
  });

  test("a first message that comes after all memory of its session is gone starts nothing", { timeout: TIMEOUT_MS }, async () => {
    const sender = await workers.start();
    const asked = Array.from({ length: 4 }, () => talk({ timeoutMs: 2_000 }));
    await Promise.all(asked.map((flow) => start(sender, flow)));
    await assertOnce(asked);
    await sleep(2_000);
    await workers.purge();
    sender.signal("SIGUSR2");
    await sleep(1_000);
    assert.equal(await workers.count("e2e.Answer"), 0);
    sender.signal("SIGTERM");
    await sender.ended;
  });

  test("a paused owner whose keys went to another stops silently at the fence", { timeout: TIMEOUT_MS }, async () => {
    const paused = await workers.start();
    const asked = [
      ...Array.from({ length: 20 }, () => talk({ rounds: 20, pauseMs: 100 })),
      ...Array.from({ length: 10 }, () => nap(100, 30)),
    ];
    await Promise.all(asked.map((flow, index) => start(index % 2 === 0 ? paused : survivor, flow)));
    await sleep(500);
    const [said, started] = [paused.log().length, performance.now()];
    paused.signal("SIGSTOP");
    await assertOnce(asked);
    const seconds = (performance.now() - started) / 1_000;
    assert.ok(seconds > 3, `${seconds.toFixed(1)} s: the survivor had to wait for the lease`);
    paused.signal("SIGCONT");
    const more = Array.from({ length: 10 }, () => talk());
    await Promise.all(more.map((flow) => start(paused, flow)));
    await assertOnce([...asked, ...more]);
    const complaints = paused
      .log()
      .slice(said)
      .filter((line) => /"level":50|flow parked|commit failed/.test(line));
    assert.deepEqual(complaints, []);
    paused.signal("SIGTERM");
    await paused.ended;
  });

  test("kill -9 of one of two with hundreds of running flows: the other ends them within ten seconds", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const dying = await workers.start();
    const asked = [
      ...Array.from({ length: 100 }, () => talk({ rounds: 4, pauseMs: 700 })),
      ...Array.from({ length: 60 }, () => nap(700, 5)),
      ...Array.from({ length: 40 }, () => compute(60)),
    ];
    await Promise.all(asked.map((flow, index) => start(index % 2 === 0 ? dying : survivor, flow)));
    dying.signal("SIGKILL");
    const killed = performance.now();
    await results(asked);
    const tookMs = performance.now() - killed;
    await assertOnce(asked);
    assert.ok(tookMs < TAKEOVER_MS_MAX, `${(tookMs / 1_000).toFixed(1)} s`);
  });

  test("a worker that is stopped hands its flows over, and nobody waits for a lease", { timeout: TIMEOUT_MS }, async () => {
    const leaving = await workers.start();
    const asked = [
      ...Array.from({ length: 20 }, () => talk({ rounds: 10, pauseMs: 100 })),
      ...Array.from({ length: 10 }, () => nap(100, 10)),
    ];
    await Promise.all(asked.map((flow, index) => start(index % 2 === 0 ? leaving : survivor, flow)));
    leaving.signal("SIGTERM");
    assert.equal((await leaving.ended).signal, null);
    const started = performance.now();
    await assertOnce(asked);
    const seconds = (performance.now() - started) / 1_000;
    assert.ok(seconds < 5, `${seconds.toFixed(1)} s after it had stopped`);
  });
});
