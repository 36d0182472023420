import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { cordapp, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { crashEverywhere, createNetwork, type Network, simulate } from "./index.ts";

const PROTOCOL = { name: "com.example.count", versions: [1] };
const Counting = flow({
  name: "com.example.Counting",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ to: Type.String() }),
  output: Type.Integer(),
  async call(context, { to }) {
    const session = await context.initiate(to);
    let sum = 0;
    for (let n = 1; n <= 5; n++) sum = await session.sendAndReceive(n, Type.Integer());
    return sum;
  },
});

/** Adds up what it hears: in a variable of its own, or, wrongly, in one of the package. */
function adding(how: "rightly" | "wrongly") {
  let packageSum = 0;
  const Adding = responder({
    name: "com.example.Adding",
    answers: PROTOCOL,
    async call(_context, session) {
      let sum = 0;
      for (let heard = 1; heard <= 5; heard++) {
        const n = await session.receive(Type.Integer());
        sum += n;
        packageSum += n;
        await session.send(how === "rightly" ? sum : packageSum);
      }
    },
  });
  return cordapp({ flows: [Counting, Adding], states: [], contracts: [] });
}

const BOB = "O=Bob, L=London, C=GB";
const MEMBERS = { members: ["Alice", "Bob"], notary: false };

afterEach(() => {
  delete process.env.BOWLINE_SEED;
});

test("what is right is right on every day", () =>
  simulate({ ...MEMBERS, cordapps: [adding("rightly")], seeds: 40 }, async (network) => {
    assert.equal(await network.node("Alice").start(Counting, { to: BOB }), 15);
  }));

test("a flow that remembers outside of itself is found out, by a seed that finds it again", async () => {
  const scenario = (days: number[]) =>
    simulate({ ...MEMBERS, cordapps: [adding("wrongly")], seeds: 40, faults: { crashes: 0.02 } }, async (network) => {
      days.push(0);
      const alice = network.node("Alice");
      const before = await alice.start(Counting, { to: BOB });
      assert.equal((await alice.start(Counting, { to: BOB })) - before, 15);
    });
  const days: number[] = [];
  const failure = await scenario(days).then(
    () => assert.fail("nothing was found"),
    (thrown: Error) => thrown,
  );
  const [, seed] = /^Seed (\d+) fails: .*\nRun it again with BOWLINE_SEED=\d+/s.exec(failure.message) ?? [];
  assert.equal(Number(seed), days.length);
  process.env.BOWLINE_SEED = seed;
  const again: number[] = [];
  await assert.rejects(scenario(again), { message: failure.message });
  assert.equal(again.length, 1, "one day, and no other");
});

test("a crash is tried at every moment, and the moment that is too much is named", async () => {
  const crashes: number[] = [];
  const scenario = async (network: Network) => {
    const total = await network.node("Alice").start(Counting, { to: BOB });
    crashes.push(network.moments);
    assert.equal(total, 15);
  };
  await crashEverywhere({ ...MEMBERS, cordapps: [adding("rightly")] }, scenario);
  assert.equal(crashes.length, (crashes[0] ?? 0) + 1);
  const wrongly = crashEverywhere({ ...MEMBERS, cordapps: [adding("wrongly")] }, async (network) => {
    const alice = network.node("Alice");
    const before = await alice.start(Counting, { to: BOB });
    assert.equal((await alice.start(Counting, { to: BOB })) - before, 15);
  });
  await assert.rejects(wrongly, /^Error: A crash at moment \d+ is too much: [\s\S]*BOWLINE_CRASH=\d+/);
});

test("one seed is one run, to the millisecond", async () => {
  const faults = { loss: 0.2, repeats: 0.2, delayMs: 900, crashes: 0.01, outages: 0.1, evictions: 0.1 };
  const live = async (seed: number) => {
    const network = await createNetwork({ ...MEMBERS, cordapps: [adding("rightly")], seed, faults });
    const running = network.node("Alice").start(Counting, { to: BOB });
    await running;
    return { journal: await network.node("Alice").journal(running), logs: network.node("Bob").logs, now: network.now };
  };
  assert.deepEqual(await live(7), await live(7));
  assert.notDeepEqual((await live(7)).now, (await live(8)).now);
});
