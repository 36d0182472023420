import assert from "node:assert/strict";
import { test } from "node:test";
import { cordapp as bundle, responder } from "@bowline/sdk";
import { crashEverywhere, createNetwork, minutes, simulate } from "@bowline/testing";
import * as Type from "typebox";
import { cordapp } from "./index.ts";
import { Ping, PROTOCOL } from "./ping-pong.ts";

const CLUB = { cordapps: [cordapp], members: ["Alice", "Bob"], notary: false };
const BOB = "O=Bob, L=London, C=GB";

test("a match of three rounds has six strokes", async () => {
  const network = await createNetwork(CLUB);
  assert.deepEqual(await network.node("Alice").start(Ping, { opponent: BOB, rounds: 3 }), { strokes: 6, durationMs: 0 });
  assert.deepEqual(
    (await network.node("Bob").flows()).map(({ flowName, status }) => [flowName, status]),
    [["com.example.pingpong.Pong", "COMPLETED"]],
  );
});

test("a match with rests takes its time, through a power cut at both ends", async () => {
  const network = await createNetwork(CLUB);
  const match = network.node("Alice").start(Ping, { opponent: BOB, rounds: 4, restMs: minutes(5) });
  await network.advance(minutes(12));
  for (const name of ["Alice", "Bob"]) network.crash(name);
  await network.advance(minutes(20));
  for (const name of ["Alice", "Bob"]) await network.restart(name);
  const { strokes, durationMs } = await match;
  assert.equal(strokes, 8);
  assert.ok(durationMs >= minutes(32));
});

test("the count is right on every bad day", () =>
  simulate({ ...CLUB, seeds: 50 }, async (network) => {
    const alice = network.node("Alice");
    const matches = await Promise.all([1, 2, 5].map((rounds) => alice.start(Ping, { opponent: BOB, rounds })));
    assert.deepEqual(
      matches.map(({ strokes }) => strokes),
      [2, 4, 10],
    );
  }));

test("the count is right wherever one machine dies", () =>
  crashEverywhere(CLUB, async (network) => {
    assert.equal((await network.node("Alice").start(Ping, { opponent: BOB, rounds: 2, restMs: 100 })).strokes, 4);
  }));

test("who is not there cannot be played with", async () => {
  const network = await createNetwork(CLUB);
  await assert.rejects(network.node("Alice").start(Ping, { opponent: "O=Dora, L=Madrid, C=ES", rounds: 1 }), {
    type: "pingpong.opponentUnknown",
  });
});

test("a hostile player ends its own match, and no other", async () => {
  const network = await createNetwork(CLUB);
  const mallory = network.node("Alice");
  const play = (ball: { stroke: number; last: boolean } | string) =>
    mallory.run({ initiates: PROTOCOL }, async (context) =>
      (await context.initiate(BOB)).sendAndReceive(ball, Type.Object({ stroke: Type.Integer() })),
    );
  await assert.rejects(play("not a ball"), { message: /payload|ended the session/ });
  await assert.rejects(play({ stroke: 7, last: true }), { message: /Stroke 1 was to come, not 7/ });
  assert.deepEqual(await play({ stroke: 1, last: true }), { stroke: 2 });
});

test("an opponent that cheats is found out", async () => {
  const Cheat = responder({
    name: "com.example.Cheat",
    answers: PROTOCOL,
    async call(_context, session) {
      await session.receive(Type.Unknown());
      await session.send({ stroke: 100 });
    },
  });
  const members = ["Alice", { name: "Bob", cordapps: [bundle({ flows: [Cheat], states: [], contracts: [] })] }];
  const network = await createNetwork({ ...CLUB, members });
  await assert.rejects(network.node("Alice").start(Ping, { opponent: BOB, rounds: 1 }), { type: "pingpong.miscounted" });
});
