import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Data } from "@bowline/base";
import { type CordappDefinition, FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { responderFlowId } from "./messages.ts";
import { ALICE, BOB, digest, Trial } from "./trial.memory.ts";

const PING = { name: "ping", versions: [1, 2] };
const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });

describe("sessions", () => {
  const receiving = (me = BOB) =>
    flow({
      name: "Receiving",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(me);
        try {
          return { heard: await session.sendAndReceive("hello", Type.String()) };
        } catch (thrown) {
          assert.ok(thrown instanceof FlowError);
          return { type: thrown.type, why: thrown.details.type ?? null };
        }
      },
    });
  const outcomeOf = async (answering: CordappDefinition["flows"], me = BOB): Promise<Data> => {
    const trial = new Trial({ cordapp: app(receiving(me), ...answering) });
    await trial.worker();
    const { outcome } = await trial.finished(await trial.start("Receiving", {}));
    assert.ok(outcome !== null && "ok" in outcome);
    return outcome.ok;
  };
  const answering = (versions: readonly number[], call: Parameters<typeof responder>[0]["call"]) =>
    responder({ name: "Answering", answers: { name: "ping", versions }, call });

  test("nobody answers the protocol, or no version of it, or the counterparty is nobody", async () => {
    const refused = { type: "session.failed", why: "session.protocolUnknown" };
    assert.deepEqual(await outcomeOf([]), refused);
    assert.deepEqual(await outcomeOf([answering([3], async () => {})]), refused);
    const nobody = "O=Nobody, L=Rome, C=IT" as typeof BOB;
    assert.deepEqual(await outcomeOf([], nobody), { type: "session.failed", why: "session.counterpartyUnknown" });
  });

  test("the responder's failure, its end and what it should not have said reach the initiator", async () => {
    const fails = answering([1], async () => {
      throw new FlowError("bob.refuses", "Not with me.");
    });
    assert.deepEqual(await outcomeOf([fails]), { type: "session.failed", why: "bob.refuses" });
    const ends = answering([1], async (_ctx, session) => void (await session.receive(Type.String())));
    assert.deepEqual(await outcomeOf([ends]), { type: "session.closed", why: null });
    const says = answering([1], async (_ctx, session) => session.send(5));
    assert.deepEqual(await outcomeOf([says]), { type: "session.unexpectedPayload", why: null });
    const lastWord = answering([1], async (_ctx, session) => session.send("bye"));
    assert.deepEqual(await outcomeOf([lastWord]), { heard: "bye" });
  });

  test("a flow may talk to itself, in two flows of one virtual node", async () => {
    assert.deepEqual(await outcomeOf([answering([1], async (_ctx, session) => session.send("me"))], ALICE), { heard: "me" });
  });

  test("silence fails a session at both ends when its time is over", async () => {
    const silent = flow({
      name: "Silent",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB, { timeoutMs: 60_000 });
        await session.send("hello");
        return session.receive(Type.String());
      },
    });
    const sleeps = answering([1], async (ctx, session) => {
      await session.receive(Type.String());
      await ctx.sleep(120_000);
      await session.send("too late");
    });
    const trial = new Trial({ cordapp: app(silent, sleeps) });
    await trial.worker();
    const id = await trial.start("Silent", {});
    const { outcome, updatedAt, createdAt } = await trial.finished(id);
    assert.ok(outcome !== null && "error" in outcome);
    assert.equal(outcome.error.type, "session.expired");
    assert.ok(updatedAt - createdAt >= 60_000 && updatedAt - createdAt < 62_000);
    const responderRow = await trial.finished(responderFlowId(`${id}:1`, digest), BOB);
    assert.ok(responderRow.outcome !== null && "error" in responderRow.outcome);
    assert.equal(responderRow.outcome.error.details?.type, "session.expired");
  });

  test("receiving from several waits for all; where one is over the others' messages stay", async () => {
    const many = flow({
      name: "Many",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const sessions = [];
        for (const word of ["a", "fail", "c"]) {
          const session = await ctx.initiate(BOB);
          await session.send(word);
          sessions.push(session);
        }
        const [first, failing, third] = sessions;
        assert.ok(first && failing && third);
        const failure = await ctx.receiveAll([first, failing, third], Type.String()).catch((thrown) => thrown.details.type);
        return [failure, ...(await ctx.receiveAll([third, first], Type.String()))];
      },
    });
    const echo = answering([1], async (_ctx, session) => {
      const word = await session.receive(Type.String());
      if (word === "fail") throw new FlowError("asked.for", "You asked for it.");
      await session.send(`${word}!`);
    });
    const trial = new Trial({ cordapp: app(many, echo) });
    await trial.worker();
    assert.deepEqual((await trial.finished(await trial.start("Many", {}))).outcome, { ok: ["asked.for", "c!", "a!"] });
  });

  test("an initiating sub-flow's sessions end with it, and its steps are below the caller's", async () => {
    const inner = flow({
      name: "Inner",
      startable: false,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        await session.send("hello");
        return session.id;
      },
    });
    const outer = flow({
      name: "Outer",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        await ctx.now();
        const id = await ctx.subFlow(inner, {});
        await ctx.sleep(1_000);
        return id as string;
      },
    });
    const hears = answering([1], async (_ctx, session) => {
      await session.receive(Type.String());
      await session.receive(Type.String()).catch((thrown) => assert.equal(thrown.type, "session.closed"));
    });
    const trial = new Trial({ cordapp: app(outer, hears) });
    await trial.worker();
    const id = await trial.start("Outer", {});
    assert.deepEqual((await trial.finished(id)).outcome, { ok: `${id}:2.1` });
    assert.equal((await trial.row(responderFlowId(`${id}:2.1`, digest), BOB)).status, "COMPLETED");
  });

  test("what is too large for a message fails the step that sends it", async () => {
    const large = flow({
      name: "Large",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        return session.send(new Uint8Array(5_000_000)).catch((thrown) => thrown.type);
      },
    });
    const trial = new Trial({ cordapp: app(large) });
    await trial.worker();
    assert.deepEqual((await trial.finished(await trial.start("Large", {}))).outcome, { ok: "session.payloadTooLarge" });
  });
});
