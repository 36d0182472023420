// Payloads of any size, and senders that are ahead of their readers.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compareBytes, type Data } from "@bowline/base";
import { type CordappDefinition, flow, responder, type Session } from "@bowline/sdk";
import * as Type from "typebox";
import { INLINE_BYTES_MAX, PART_BYTES_MAX, PAYLOAD_BYTES_MAX, WINDOW_MESSAGES_MAX } from "./limits.ts";
import { decodeMessage, encodeMessage, responderFlowId, SESSION_TOPIC } from "./messages.ts";
import { BOB, digest, Trial } from "./trial.memory.ts";

const PING = { name: "ping", versions: [1, 2] };
const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });
const answering = (versions: readonly number[], call: Parameters<typeof responder>[0]["call"]) =>
  responder({ name: "Answering", answers: { name: "ping", versions }, call });

describe("large payloads", () => {
  const MANY_PARTS = (WINDOW_MESSAGES_MAX + 40) * PART_BYTES_MAX;
  const pattern = Uint8Array.from({ length: MANY_PARTS }, (_, index) => (index * 31 + (index >> 8)) & 255);
  const patterned = (size: number): Uint8Array => pattern.subarray(0, size);
  /** Sends payloads of these sizes, one after the other, and hears what came of them. */
  const large = (sizes: readonly number[]) =>
    flow({
      name: "Large",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        for (const size of sizes) await session.send(patterned(size));
        await session.send("end");
        return session.receive(Type.Array(Type.Integer()));
      },
    });
  const measures = answering([1], async (_ctx, session) => {
    const sizes: number[] = [];
    for (;;) {
      const payload = await session.receive(Type.Unknown());
      if (payload === "end") return session.send(sizes);
      assert.ok(payload instanceof Uint8Array);
      assert.equal(compareBytes(payload, patterned(payload.length)), 0);
      sizes.push(payload.length);
    }
  });

  test("travel in parts that fit any bus, of which each is sent once, and arrive whole", async () => {
    const sizes = [0, INLINE_BYTES_MAX - 5, INLINE_BYTES_MAX, PART_BYTES_MAX, 3 * PART_BYTES_MAX + 1, 7];
    const trial = new Trial({ cordapp: app(large(sizes), measures) });
    await trial.worker();
    const id = await trial.start("Large", {});
    assert.deepEqual((await trial.finished(id)).outcome, { ok: sizes });
    const sent = trial.published.filter(({ topic }) => topic === SESSION_TOPIC);
    assert.ok(Math.max(...sent.map(({ value }) => value.length)) < PART_BYTES_MAX + 2_000);
    const parts = sent.map(({ value }) => decodeMessage(value)).filter(({ body }) => body.kind === "part");
    assert.equal(parts.length, 1 + 2 + 4);
  });

  test("of more parts than a window takes go on as they are read, through losses and a change of workers", async () => {
    for (const faults of [{}, { drop: 0.2, repeat: 0.1, delayMs: 300 }]) {
      const trial = new Trial({ cordapp: app(large([MANY_PARTS, 10, MANY_PARTS]), measures), faults });
      let worker = await trial.worker();
      const id = await trial.start("Large", {});
      for (let count = 0; count < 3; count++) {
        await trial.run(2_500);
        worker.crash();
        worker = await trial.worker(`after ${count}`);
      }
      assert.deepEqual((await trial.finished(id)).outcome, { ok: [MANY_PARTS, 10, MANY_PARTS] });
      const parts = 2 * Math.ceil(MANY_PARTS / PART_BYTES_MAX) + 2;
      const sent = trial.published.filter(({ topic }) => topic === SESSION_TOPIC);
      assert.ok(sent.length < 4 * parts, `${sent.length} messages for ${parts}`);
    }
  });

  test("beyond what a session carries fail the step that sends them, and nothing of it leaves", async () => {
    const tooLarge = flow({
      name: "TooLarge",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const [one, two] = [await ctx.initiate(BOB), await ctx.initiate(BOB)];
        const sends = new Map<Session, Data>([
          [one, "small"],
          [two, new Uint8Array(PAYLOAD_BYTES_MAX)],
        ]);
        return ctx.sendAll(sends).catch((thrown) => thrown.type) as Promise<string>;
      },
    });
    const trial = new Trial({ cordapp: app(tooLarge) });
    await trial.worker();
    assert.deepEqual((await trial.finished(await trial.start("TooLarge", {}))).outcome, { ok: "session.payloadTooLarge" });
    assert.equal(trial.published.filter(({ topic }) => topic === SESSION_TOPIC).length, 0);
  });

  test("whose parts do not make a whole fail the session at both ends", async () => {
    const trial = new Trial({ cordapp: app(large([3 * PART_BYTES_MAX]), measures) });
    trial.onPublish = (record) => {
      if (record.topic !== SESSION_TOPIC) return record;
      const message = decodeMessage(record.value);
      if (message.body.kind !== "part" || message.body.index !== 1) return record;
      const bytes = message.body.bytes.slice();
      bytes[77] = (bytes[77] ?? 0) ^ 1;
      return { ...record, value: encodeMessage({ ...message, body: { ...message.body, bytes } }) };
    };
    await trial.worker();
    const id = await trial.start("Large", {});
    const { outcome } = await trial.finished(id);
    assert.ok(outcome !== null && "error" in outcome);
    assert.deepEqual([outcome.error.type, outcome.error.details?.type], ["session.failed", "session.payloadBroken"]);
  });
});

describe("the window of a session", () => {
  const COUNT = 3 * WINDOW_MESSAGES_MAX;
  const floods = (pauseMs: number) =>
    flow({
      name: "Floods",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        const begun = await ctx.now();
        for (let number = 0; number < COUNT; number++) {
          await session.send(number);
          if (pauseMs > 0) await ctx.sleep(pauseMs);
        }
        const took = (await ctx.now()) - begun;
        return [took, await session.receive(Type.Integer())];
      },
    });
  const slow = (delayMs: number) =>
    answering([1], async (ctx, session) => {
      await ctx.sleep(delayMs);
      for (let number = 0; number < COUNT; number++) assert.equal(await session.receive(Type.Integer()), number);
      await session.send(COUNT);
    });

  test("stops a sender that is ahead of its reader, whose inbox stays small, and loses nothing", async () => {
    const trial = new Trial({ cordapp: app(floods(0), slow(20_000)) });
    await trial.worker();
    const id = await trial.start("Floods", {});
    await trial.run(19_000);
    const inspection = await trial.stores.B0B000000000?.inspect(responderFlowId(`${id}:1`, digest));
    assert.equal(inspection?.inbox, WINDOW_MESSAGES_MAX);
    const { outcome } = await trial.finished(id);
    assert.ok(outcome !== null && "ok" in outcome && Array.isArray(outcome.ok));
    assert.equal(outcome.ok[1], COUNT);
    assert.ok(Number(outcome.ok[0]) >= 19_000 && Number(outcome.ok[0]) < 30_000, String(outcome.ok[0]));
  });

  test("does not stop one whose reader keeps up", async () => {
    const trial = new Trial({ cordapp: app(floods(50), slow(0)) });
    await trial.worker();
    const { outcome } = await trial.finished(await trial.start("Floods", {}));
    assert.ok(outcome !== null && "ok" in outcome && Array.isArray(outcome.ok));
    assert.ok(Number(outcome.ok[0]) < COUNT * 50 + 1_000, String(outcome.ok[0]));
  });

  test("never holds two for ever that both speak before they listen", async () => {
    const both = flow({
      name: "Both",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        return shout(session);
      },
    });
    const shout = async (session: Session): Promise<number> => {
      const numbers = Array.from({ length: WINDOW_MESSAGES_MAX + 20 }, (_, number) => number);
      await Promise.all(numbers.map((number) => session.send(number)));
      for (const number of numbers) assert.equal(await session.receive(Type.Integer()), number);
      return numbers.length;
    };
    const too = answering([1], async (_ctx, session) => void (await shout(session)));
    const trial = new Trial({ cordapp: app(both, too) });
    await trial.worker();
    assert.deepEqual((await trial.finished(await trial.start("Both", {}))).outcome, { ok: WINDOW_MESSAGES_MAX + 20 });
  });
});
