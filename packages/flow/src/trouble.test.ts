import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Data, unavailable } from "@bowline/base";
import { type CordappDefinition, flow, type Outcome } from "@bowline/sdk";
import * as Type from "typebox";
import { IDLE_MS, RETRY_FOR_MS, RETRY_MAX_MS } from "./limits.ts";
import type { FlowInspection } from "./ports.ts";
import { ALICE, Trial, type TrialOptions, vnodeOf } from "./trial.memory.ts";

const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });
const service = (name: string, request: Data = null) => ({ kind: "service", service: name, request }) as const;

/** Asks each service in turn. */
const Asks = flow({
  name: "Asks",
  startable: true,
  input: Type.Array(Type.String()),
  async call(ctx, names) {
    const heard: Data[] = [];
    for (const name of names) heard.push(await ctx.syscall(service(name)));
    return heard;
  },
});
const Sleeps = flow({
  name: "Sleeps",
  startable: true,
  input: Type.Integer(),
  async call(ctx, durationMs) {
    await ctx.sleep(durationMs);
    return "awake";
  },
});

async function begun(services: TrialOptions["services"] = {}): Promise<Trial> {
  const trial = new Trial({ cordapp: app(Asks, Sleeps), services });
  await trial.worker();
  return trial;
}

async function seen(trial: Trial, flowId: string): Promise<FlowInspection> {
  const inspection = await trial.stores[vnodeOf(ALICE)]?.inspect(flowId);
  assert.ok(inspection !== undefined);
  return inspection;
}

const never = (): Promise<Outcome> => new Promise(() => {});

describe("a flow that gets nowhere", () => {
  test("is tried ever more rarely, shows what holds it up, and is parked when that has lasted too long", async () => {
    let isUp = false;
    let tries = 0;
    const trial = await begun({
      "pure.first": () => ({ ok: "first" }),
      "pure.away": () => {
        tries++;
        if (!isUp) throw unavailable("trial.away", "It is away.");
        return { ok: "back" };
      },
    });
    const began = trial.now;
    const id = await trial.start("Asks", ["pure.first", "pure.away"]);
    const other = await trial.start("Asks", ["pure.first"]);
    await trial.run(5 * 60_000);
    assert.equal((await trial.row(other)).status, "COMPLETED");
    const meanwhile = await seen(trial, id);
    assert.equal(meanwhile.row.status, "RUNNING");
    assert.ok(meanwhile.attempts > 5 && meanwhile.attempts <= tries);
    assert.deepEqual({ ...meanwhile.lastError, since: 0 }, { type: "trial.away", message: "It is away.", step: "2", since: 0 });

    await trial.run(25 * 60_000);
    const { updatedAt } = await trial.finished(id);
    const parked = await seen(trial, id);
    assert.equal(parked.row.status, "PARKED");
    assert.deepEqual([parked.lastError?.type, parked.lastError?.step, parked.attempts], ["trial.away", "2", tries]);
    assert.ok(updatedAt - began >= RETRY_FOR_MS && updatedAt - began <= RETRY_FOR_MS + RETRY_MAX_MS + 1_000);
    assert.ok(tries > RETRY_FOR_MS / RETRY_MAX_MS && tries < (3 * RETRY_FOR_MS) / RETRY_MAX_MS);
    await trial.run(60 * 60_000);
    assert.equal((await seen(trial, id)).attempts, tries);

    // Tried anew, and not parked by the first refusal.
    await trial.stores[vnodeOf(ALICE)]?.requestRetry(id, trial.now);
    await trial.run(60_000);
    assert.equal((await trial.row(id)).status, "RUNNING");
    isUp = true;
    assert.deepEqual((await trial.finished(id)).outcome, { ok: ["first", "back"] });
    assert.equal(trial.calls.filter((call) => call.service === "pure.first").length, 2);
  });

  test("goes on counting under another owner", async () => {
    const trial = new Trial({
      cordapp: app(Asks),
      services: {
        "pure.away": () => {
          throw unavailable("trial.away", "It is away.");
        },
      },
    });
    const began = trial.now;
    const first = await trial.worker();
    const id = await trial.start("Asks", ["pure.away"]);
    await trial.run(RETRY_FOR_MS / 2);
    first.crash();
    await trial.worker("next");
    await trial.run(RETRY_FOR_MS / 2 + 2 * RETRY_MAX_MS);
    const { row, lastError } = await seen(trial, id);
    assert.equal(row.status, "PARKED");
    assert.ok(lastError !== null && lastError.since < began + 60_000);
  });

  test("has failed when a call is not answered, and a sleep is no such thing", async () => {
    const trial = await begun({ "pure.dumb": never });
    const id = await trial.start("Asks", ["pure.dumb"]);
    const sleeping = await trial.start("Sleeps", 10 * IDLE_MS);
    await trial.run(IDLE_MS - 2_000);
    assert.equal((await trial.row(id)).status, "RUNNING");
    await trial.run(4_000);
    const { status, outcome } = await trial.row(id);
    assert.equal(status, "FAILED");
    assert.ok(outcome !== null && "error" in outcome && outcome.error.type === "flow.idle");
    assert.match(outcome.error.message, /step 1 \(pure\.dumb\)/);
    await trial.run(8 * IDLE_MS);
    assert.equal((await trial.row(sleeping)).status, "RUNNING");
    await trial.run(2 * IDLE_MS);
    assert.equal((await trial.row(sleeping)).status, "COMPLETED");
  });

  test("is parked with the stack of what was thrown", async () => {
    const trial = await begun({
      "pure.broken": () => {
        throw new TypeError("that is a bug");
      },
    });
    const id = await trial.start("Asks", ["pure.broken"]);
    await trial.finished(id);
    const { lastError } = await seen(trial, id);
    assert.deepEqual(
      [lastError?.type, lastError?.message, lastError?.step],
      ["flow.callFailed", "Step 1 (pure.broken): that is a bug", "1"],
    );
    assert.match(lastError?.stack ?? "", /TypeError: that is a bug\n +at .*trouble\.test\.ts/);
  });
});

describe("a flow that an operator kills", () => {
  for (const [what, name, input] of [
    ["calls", "Asks", ["pure.dumb"]],
    ["is delayed", "Asks", ["pure.away"]],
    ["is parked", "Asks", ["pure.broken"]],
    ["sleeps", "Sleeps", 1e9],
  ] as const) {
    test(`ends at once though it ${what}`, async () => {
      const trial = await begun({
        "pure.dumb": never,
        "pure.away": () => {
          throw unavailable("trial.away", "It is away.");
        },
        "pure.broken": () => {
          throw new TypeError("that is a bug");
        },
      });
      const id = await trial.start(name, input);
      await trial.run(10_000);
      await trial.stores[vnodeOf(ALICE)]?.requestKill(id, trial.now);
      await trial.wake(id);
      await trial.run(10);
      const { status, outcome } = await trial.row(id);
      assert.deepEqual([status, outcome], ["KILLED", { error: { type: "flow.killed", message: "An operator ended this flow." } }]);
    });
  }

  test("ends at once though a commit was in flight that was faster", async () => {
    const trial = await begun();
    const store = trial.stores[vnodeOf(ALICE)];
    const id = await trial.start("Sleeps", 1e9);
    // When the commit is done, and before its answer is back.
    trial.onCommit = () => {
      trial.onCommit = undefined;
      void store?.requestKill(id, trial.now).then(() => trial.wake(id));
    };
    await trial.run(10);
    assert.equal((await trial.row(id)).status, "KILLED");
  });
});
