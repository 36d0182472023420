// Whatever is lost, repeated, overtaken or killed: user code sees each message once and in order, each step happens once,
// and every flow ends. One number is one bad day: what a seed breaks can be run again.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data } from "@bowline/base";
import { type CordappDefinition, flow, responder } from "@bowline/sdk";
import fc from "fast-check";
import * as Type from "typebox";
import { responderFlowId } from "./messages.ts";
import { BOB, digest, type Faults, seeded, Trial } from "./trial.memory.ts";

const TALK = { name: "talk", versions: [1] };
const sign = "ledger.sign" as const;

/** Sends 0, 1, 2, … in bursts, hears each burst's sum, and lets the platform note it. */
const Talker = flow({
  name: "Talker",
  startable: true,
  initiates: TALK,
  input: Type.Object({ bursts: Type.Array(Type.Integer()), pauseMs: Type.Integer() }),
  async call(ctx, { bursts, pauseMs }) {
    const [one, other] = [await ctx.initiate(BOB), await ctx.initiate(BOB)];
    const heard: number[] = [];
    let next = 0;
    for (const burst of bursts) {
      const numbers = Array.from({ length: burst }, () => next++);
      for (const number of numbers) await one.send(number);
      await ctx.sendAll([
        { session: one, payload: "sum" },
        { session: other, payload: burst },
      ]);
      const [sum, echo] = await ctx.receiveAll([one, other], Type.Integer());
      heard.push(sum ?? -1, echo ?? -1);
      if (pauseMs > 0) await ctx.sleep(pauseMs);
      await Promise.all([ctx.checkpoint(), ctx.now(), ctx.checkpoint()]);
      await ctx.syscall({ kind: "platform", flow: sign, input: { burst, sum: sum ?? -1 } });
    }
    const [all] = await Promise.all([one.sendAndReceive("end", Type.Array(Type.Integer())), ctx.sleep(1)]);
    const [refused] = await Promise.all([other.sendAndReceive("end", Type.Array(Type.Integer())), other.send(-1)]);
    return { heard, all, refused };
  },
});

const Listener = responder({
  name: "Listener",
  answers: TALK,
  async call(ctx, session) {
    const seen: number[] = [];
    let sum = 0;
    for (;;) {
      const message = await session.receive(Type.Union([Type.Integer(), Type.Literal("sum"), Type.Literal("end")]));
      if (message === -1) return;
      if (message === "end") {
        await session.send(seen);
        if (session.id.endsWith(":1")) return;
        continue;
      }
      if (message === "sum") {
        await session.send(sum);
        sum = 0;
        continue;
      }
      // The second session is an echo; its first message says so by being no part of the count.
      if (message !== seen.length || session.id.endsWith(":2")) {
        await session.send(message);
        continue;
      }
      seen.push(message);
      sum += message;
      await ctx.now();
    }
  },
});

const Noting = flow({
  name: sign,
  startable: false,
  input: Type.Object({ burst: Type.Integer(), sum: Type.Integer() }),
  async call(ctx, input) {
    await ctx.syscall({ kind: "vault.write", writes: [input] });
    await ctx.checkpoint();
    await ctx.syscall({ kind: "service", service: "mark.note", request: input });
    return input;
  },
});

const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });

interface Day {
  readonly seed: number;
  readonly bursts: readonly number[];
  readonly flows: number;
  readonly pauseMs: number;
  readonly workers: number;
  readonly crashEvery: number;
  readonly hotFlowsMax: number;
  readonly faults: Partial<Faults>;
}

async function live(day: Day): Promise<void> {
  const marks = new Map<string, Data>();
  const trial = new Trial({
    seed: day.seed,
    cordapp: app(Talker, Listener),
    platform: app(Noting),
    faults: day.faults,
    hotFlowsMax: day.hotFlowsMax,
    services: {
      "mark.note": (request, { identity, path }) => {
        const key = `${identity.flowId}/${path}`;
        assert.deepEqual(marks.get(key) ?? request, request, "one key, one request");
        marks.set(key, request);
        return { ok: null };
      },
    },
  });
  const chance = seeded(day.seed + 1);
  const workers = await Promise.all(Array.from({ length: day.workers }, (_, index) => trial.worker(`w${index}`)));
  trial.onCommit = (count) => {
    if (day.crashEvery === 0 || count % day.crashEvery !== 0) return;
    const victim = workers.splice(Math.floor(chance() * workers.length), 1)[0];
    victim?.crash();
    void trial.worker(`after ${count}`).then((worker) => workers.push(worker));
  };
  const ids: string[] = [];
  for (let index = 0; index < day.flows; index++) {
    ids.push(await trial.start("Talker", { bursts: day.bursts, pauseMs: day.pauseMs }));
    if (chance() < 0.5) await trial.run(500);
  }
  const total = day.bursts.reduce((sum, burst) => sum + burst, 0);
  let next = 0;
  const heard = day.bursts.flatMap((burst) => {
    const numbers = Array.from({ length: burst }, () => next++);
    return [numbers.reduce((sum, number) => sum + number, 0), burst];
  });
  const all = Array.from({ length: total }, (_, index) => index);
  for (const id of ids) {
    const { status, outcome } = await trial.finished(id);
    assert.deepEqual(outcome, { ok: { heard, all, refused: [] } }, `${id} ${status}`);
    for (const path of ["1", "2"]) {
      const row = await trial.finished(responderFlowId(`${id}:${path}`, digest), BOB);
      assert.deepEqual([row.status, row.outcome], ["COMPLETED", { ok: null }]);
    }
    const written = trial.vault.filter(({ flowId }) => flowId === id).map(({ write }) => write);
    assert.deepEqual(
      written,
      day.bursts.map((burst, index) => ({ burst, sum: heard[2 * index] })),
      "each vault write once, in order",
    );
  }
  assert.equal(marks.size, day.flows * day.bursts.length);
  await endsClean(trial);
}

/** Once nothing is lost any more every outbox runs empty: all that was sent is acknowledged. */
async function endsClean(trial: Trial): Promise<void> {
  trial.onCommit = undefined;
  trial.faults = { ...trial.faults, drop: 0, fibersLost: 0, commitAnswerLost: 0, commitUnavailable: 0, callUnavailable: 0 };
  await trial.run(300_000);
  for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 120_000, 100), []);
  for (const store of Object.values(trial.stores)) {
    const flows = await store.load((await store.list({ limit: 1_000 })).rows.map(({ id }) => id));
    assert.deepEqual(
      flows.flatMap(({ inbox }) => inbox),
      [],
      "nothing lies in an inbox that nobody will read",
    );
  }
  const errors = trial.logs.filter(({ level }) => level === "error");
  assert.deepEqual(errors, []);
}

const chanceOf = (max: number) => fc.double({ min: 0, max, noNaN: true });
const days: fc.Arbitrary<Day> = fc.record({
  seed: fc.nat(),
  bursts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  flows: fc.integer({ min: 1, max: 4 }),
  pauseMs: fc.constantFrom(0, 0, 5, 2_000),
  workers: fc.integer({ min: 1, max: 3 }),
  crashEvery: fc.constantFrom(0, 3, 5, 9),
  hotFlowsMax: fc.constantFrom(1, 3, 1_000),
  faults: fc.record({
    drop: chanceOf(0.3),
    repeat: chanceOf(0.3),
    delayMs: fc.constantFrom(0, 50, 2_000),
    commitUnavailable: chanceOf(0.2),
    commitAnswerLost: chanceOf(0.2),
    callUnavailable: chanceOf(0.3),
    fibersLost: chanceOf(0.1),
  }),
});

/** Days on which something broke once. */
const REMEMBERED: [Day][] = [
  // A flow's last commit was retried while its counterparty closed; that was acknowledged, and then the worker died.
  [
    {
      seed: 17,
      bursts: [2, 2, 4],
      flows: 4,
      pauseMs: 2_000,
      workers: 2,
      crashEvery: 9,
      hotFlowsMax: 3,
      faults: {
        drop: 1e-9,
        repeat: 1e-9,
        delayMs: 50,
        commitUnavailable: 0.2,
        commitAnswerLost: 1e-9,
        callUnavailable: 1e-9,
        fibersLost: 1e-9,
      },
    },
  ],
];

const RUNS = Number(process.env.BOWLINE_PROPERTY_RUNS ?? 40);

test("on a bad day everything happens once, in order, and ends", async () => {
  await fc.assert(
    fc.asyncProperty(days, (day) => live(day)),
    { numRuns: RUNS, endOnFailure: true, examples: REMEMBERED },
  );
});

test("a crash at each commit in turn, with another worker taking over", async () => {
  for (let crashEvery = 1; crashEvery <= 12; crashEvery++) {
    await live({
      seed: crashEvery,
      bursts: [2, 1],
      flows: 1,
      pauseMs: 5,
      workers: 1,
      crashEvery: crashEvery + 1,
      hotFlowsMax: 100,
      faults: {},
    });
  }
});

test("two workers that each believe to own every flow do everything once", async () => {
  await live({
    seed: 7,
    bursts: [3, 1, 2],
    flows: 6,
    pauseMs: 0,
    workers: 2,
    crashEvery: 0,
    hotFlowsMax: 100,
    faults: { delayMs: 30, repeat: 0.5 },
  });
});
