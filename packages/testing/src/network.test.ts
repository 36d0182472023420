import assert from "node:assert/strict";
import { test } from "node:test";
import { cordapp, FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { createNetwork, days, hours } from "./index.ts";

const PING = { name: "ping", versions: [1] };
const Ping = flow({
  name: "Ping",
  startable: true,
  initiates: PING,
  input: Type.Object({ to: Type.String(), times: Type.Integer() }),
  output: Type.Array(Type.Integer()),
  async call(context, { to, times }) {
    const session = await context.initiate(to);
    const heard: number[] = [];
    for (let n = 0; n < times; n++) heard.push(await session.sendAndReceive(n, Type.Integer()));
    return heard;
  },
});
const Pong = responder({
  name: "Pong",
  answers: PING,
  async call(_context, session) {
    for (;;) await session.send((await session.receive(Type.Integer())) * 2);
  },
});
const Sleeper = flow({
  name: "Sleeper",
  startable: true,
  input: Type.Object({ ms: Type.Integer() }),
  async call(context, { ms }) {
    await context.sleep(ms);
    return context.now();
  },
});
const Failing = flow({
  name: "Failing",
  startable: true,
  input: Type.Null(),
  async call() {
    throw new FlowError("example.refused", "It is refused.", { why: "so" });
  },
});
const app = cordapp({ flows: [Ping, Pong, Sleeper, Failing], states: [], contracts: [] });

test("a flow talks to another member's, and its result is what a test awaits", async () => {
  const network = await createNetwork({ cordapps: [app], members: ["Alice", "Bob"] });
  const alice = network.node("Alice");
  assert.deepEqual(await alice.start(Ping, { to: network.node("Bob").name, times: 3 }), [0, 2, 4]);
});

test("what leaves the network is there for the test, once, whatever crashes; a channel that is not declared is refused by the member", async () => {
  const Announce = flow({
    name: "Announce",
    startable: true,
    input: Type.Object({ channel: Type.String() }),
    async call(context, { channel }) {
      await context.externalMessaging.send("prices", "one");
      await context.sleep(1_000);
      await context.syscall({ kind: "external.send", channel, id: "mine", message: "two" });
      await context.checkpoint();
    },
  });
  const cordapps = [cordapp({ flows: [Announce], states: [], contracts: [], channels: [{ name: "prices", type: "SEND" }] })];
  const network = await createNetwork({ cordapps, members: ["Alice"], faults: { crashes: 0.05 } });
  const alice = network.node("Alice");
  await alice.start(Announce, { channel: "prices" });
  const sent = alice.externalMessages;
  assert.deepEqual(
    sent.map(({ channel, message }) => [channel, message]),
    [
      ["prices", "one"],
      ["prices", "two"],
    ],
  );
  assert.equal(sent[1]?.id, "mine");
  await assert.rejects(alice.start(Announce, { channel: "other" }), { type: "external.channelUnknown" });
  assert.equal(alice.externalMessages.length, 3);
});

test("a failure is the author's error", async () => {
  const network = await createNetwork({ cordapps: [app], members: ["Alice"] });
  await assert.rejects(network.node("Alice").start(Failing, null), {
    type: "example.refused",
    message: "It is refused.",
    details: { why: "so" },
  });
});

test("time passes while somebody waits, and a year costs nothing", async () => {
  const network = await createNetwork({ cordapps: [app], members: ["Alice"] });
  const sleeping = network.node("Alice").start(Sleeper, { ms: days(365) });
  const before = network.now;
  await network.advance(hours(2));
  assert.equal(await sleeping.status(), "RUNNING");
  assert.equal(network.now, before + hours(2));
  const at = await sleeping;
  assert.equal(at, before + days(365));
});

test("a member that is down is waited for, and what it missed is repeated", async () => {
  const network = await createNetwork({ cordapps: [app], members: ["Alice", "Bob"] });
  network.crash("Bob");
  const running = network.node("Alice").start(Ping, { to: network.node("Bob").name, times: 2 });
  await network.advance(20_000);
  assert.equal(await running.status(), "RUNNING");
  await network.restart("Bob");
  assert.deepEqual(await running, [0, 2]);
});
