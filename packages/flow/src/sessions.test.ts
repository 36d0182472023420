import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Data } from "@bowline/base";
import { type CordappDefinition, FlowError, flow, responder, type Session, type SessionOptions } from "@bowline/sdk";
import type { TSchema } from "typebox";
import * as Type from "typebox";
import { responderFlowId } from "./messages.ts";
import type { SessionMessage } from "./ports.ts";
import { arrive, loadedSession, openedSession } from "./sessions.ts";
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

  describe("what was said before a failure", () => {
    const says = answering([1], async (_ctx, session) => {
      await session.receive(Type.String());
      await session.send("first");
      await session.send("last words");
      throw new FlowError("bob.fails", "So there.");
    });
    /** Looks only when all has long arrived. */
    const hears = flow({
      name: "Hears",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        await session.send("hello");
        await ctx.sleep(20_000);
        const heard: Data[] = [await session.receive(Type.String())];
        await session.send("who listens?");
        await ctx.sleep(20_000);
        heard.push(await session.receive(Type.String()));
        const failing = (work: Promise<unknown>) => work.catch((thrown: FlowError) => [thrown.type, thrown.details.type ?? ""]);
        return [...heard, await failing(session.send("still there?")), await failing(session.receive(Type.String()))] as Data;
      },
    });
    const HEARD = { ok: ["first", "last words", ["session.failed", "bob.fails"], ["session.failed", "bob.fails"]] };

    test("is read first, and then the failure, with its type, by what is sent or received", async () => {
      const trial = new Trial({ cordapp: app(hears, says) });
      await trial.worker();
      assert.deepEqual((await trial.finished(await trial.start("Hears", {}))).outcome, HEARD);
      await trial.run(60_000);
      for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 60_000, 100), []);
    });

    test("so it is where messages overtake each other, and workers die between any two commits", async () => {
      for (let crashAt = 1; crashAt <= 12; crashAt++) {
        const trial = new Trial({ cordapp: app(hears, says), seed: crashAt, faults: { drop: 0.2, repeat: 0.3, delayMs: 5_000 } });
        const first = await trial.worker();
        trial.onCommit = (count) => {
          if (count === crashAt) first.crash();
        };
        const id = await trial.start("Hears", {});
        await trial.run(15_000);
        await trial.worker("next");
        assert.deepEqual((await trial.finished(id)).outcome, HEARD, `after a crash at commit ${crashAt}`);
        trial.faults = { ...trial.faults, drop: 0 };
        await trial.run(300_000);
        for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 60_000, 100), []);
      }
    });
  });

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

  describe("who answers", () => {
    const informed = (requests: (session: Session) => Promise<Data>) =>
      flow({
        name: "Informed",
        startable: true,
        initiates: PING,
        input: Type.Object({}),
        call: async (ctx) => requests(await ctx.initiate(BOB)),
      });
    const info = async (session: Session): Promise<Data> => ({ ...(await session.counterpartyInfo()) });
    const asking = async (requests: (session: Session) => Promise<Data>, ...answers: CordappDefinition["flows"]) => {
      const trial = new Trial({ cordapp: app(informed(requests), ...answers) });
      await trial.worker();
      const id = await trial.start("Informed", {});
      const { outcome } = await trial.finished(id);
      await trial.run(60_000);
      for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 60_000, 100), []);
      return { outcome, trial, id };
    };

    test("is asked by a message that no flow sees, which starts the responder of the highest common version", async () => {
      const seen: unknown[] = [];
      const old = responder({ name: "Old", answers: { name: "ping", versions: [1] }, call: async () => assert.fail("too old") });
      const young = responder({
        name: "Young",
        answers: { name: "ping", versions: [2, 3] },
        async call(_ctx, session) {
          seen.push({ ...(await session.counterpartyInfo()) });
          seen.push(await session.receive(Type.String()));
          await session.send("bye");
        },
      });
      const requests = async (session: Session) => {
        const first = await info(session);
        return [first, await session.sendAndReceive("hello", Type.String()), await info(session)];
      };
      const ping = { protocol: "ping", version: 2 };
      assert.deepEqual((await asking(requests, old, young)).outcome, { ok: [ping, "bye", ping] });
      assert.deepEqual(seen, [ping, "hello"]);
    });

    test("is known while the responder is busy with an earlier message, and when it has ended", async () => {
      const busy = answering([1], async (ctx, session) => {
        await ctx.sleep(3_600_000);
        await session.receive(Type.String());
      });
      const sendThenAsk = async (session: Session) => {
        await session.send("hello");
        return info(session);
      };
      const { outcome, trial, id } = await asking(sendThenAsk, busy);
      assert.deepEqual(outcome, { ok: { protocol: "ping", version: 1 } });
      assert.equal((await trial.row(responderFlowId(`${id}:1`, digest), BOB)).status, "RUNNING");
      const ended = answering([2], async () => {});
      assert.deepEqual((await asking(info, ended)).outcome, { ok: { protocol: "ping", version: 2 } });
    });

    test("is nobody", async () => {
      const { outcome } = await asking(info);
      assert.ok(outcome !== null && "error" in outcome);
      assert.deepEqual([outcome.error.type, outcome.error.details?.type], ["session.failed", "session.protocolUnknown"]);
    });
  });

  describe("closing", () => {
    const closing = (options: SessionOptions, before: (session: Session) => Promise<unknown> = (session) => session.send("hello")) =>
      flow({
        name: "Closing",
        startable: true,
        initiates: PING,
        input: Type.Object({}),
        async call(ctx) {
          const session = await ctx.initiate(BOB, options);
          await before(session);
          await session.close();
          await session.close();
          const over = await session.send("more").catch((thrown) => thrown.type);
          const none = await session.receive(Type.String()).catch((thrown) => thrown.type);
          return [over, none, await ctx.now()];
        },
      });
    const sleeps = answering([1], async (ctx, session) => {
      await session.receive(Type.String());
      await ctx.sleep(10_000);
    });
    const closes = async (asked: ReturnType<typeof closing>, answer = sleeps) => {
      const trial = new Trial({ cordapp: app(asked, answer) });
      const first = await trial.worker();
      const id = await trial.start("Closing", {});
      await trial.run(5_000);
      first.crash();
      await trial.worker("second");
      const { outcome, createdAt } = await trial.finished(id);
      return { outcome, createdAt };
    };
    const tookMs = ({ outcome, createdAt }: Awaited<ReturnType<typeof closes>>): number => {
      assert.ok(outcome !== null && "ok" in outcome && Array.isArray(outcome.ok), JSON.stringify(outcome));
      assert.deepEqual(outcome.ok.slice(0, 2), ["session.closed", "session.closed"]);
      return Number(outcome.ok[2]) - createdAt;
    };

    test("waits for the responder's close where that is required, whoever takes the flow over; else it does not", async () => {
      assert.ok(tookMs(await closes(closing({}))) >= 10_000);
      assert.ok(tookMs(await closes(closing({ requireClose: false }))) < 1_000);
    });

    test("of a session that nobody heard of, or that the responder has closed, takes no time", async () => {
      assert.ok(tookMs(await closes(closing({}, async () => {}))) < 1_000);
      const first = answering([1], async (ctx, session) => {
        await session.send("bye");
        await session.close();
        await session.close();
        await ctx.sleep(10_000);
      });
      const hears = (session: Session) => session.sendAndReceive("hello", Type.String());
      assert.ok(tookMs(await closes(closing({}, hears), first)) < 1_000);
    });

    test("ends well where the responder only ended because of it, and fails with its failure or its silence", async () => {
      const loops = answering([1], async (_ctx, session) => {
        for (;;) await session.receive(Type.String());
      });
      assert.ok(tookMs(await closes(closing({}), loops)) < 5_000);
      const failed = async (answer: typeof sleeps, timeoutMs = 60_000) => {
        const { outcome } = await closes(closing({ timeoutMs }), answer);
        assert.ok(outcome !== null && "error" in outcome, JSON.stringify(outcome));
        return [outcome.error.type, outcome.error.details?.type];
      };
      const fails = answering([1], async (ctx) => {
        await ctx.sleep(10_000);
        throw new FlowError("bob.fails", "So there.");
      });
      assert.deepEqual(await failed(fails), ["session.failed", "bob.fails"]);
      assert.deepEqual(await failed(sleeps, 7_000), ["session.expired", undefined]);
      const talks = answering([1], (_ctx, session) => session.send("one more thing"));
      assert.deepEqual(await failed(talks), ["session.unread", undefined]);
    });

    test("by a responder is heard by who waits for it, though it was told of the close first", async () => {
      const polite = answering([1], async (ctx, session) => {
        await session.receive(Type.String());
        assert.equal(await session.receive(Type.String()).catch((thrown) => thrown.type), "session.closed");
        await ctx.sleep(10_000);
        await session.close();
        await ctx.sleep(60_000);
      });
      const took = tookMs(await closes(closing({}), polite));
      assert.ok(took >= 10_000 && took < 20_000);
    });
  });

  describe("properties", () => {
    const tells = answering([1], async (ctx, session) => {
      assert.throws(() => ctx.properties.set("corda.account", "bob"), { type: "properties.reserved" });
      ctx.properties.set("deeper", "yes");
      const child = await ctx.subFlow(reads, {});
      await session.send({ all: ctx.properties.all(), session: session.properties, child: child as Data });
    });
    const reads = flow({
      name: "Reads",
      startable: false,
      input: Type.Object({}),
      async call(ctx) {
        const all = { ...ctx.properties.all() };
        ctx.properties.set("deeper", "never seen above");
        return all;
      },
    });
    const told = flow({
      name: "Told",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        ctx.properties.set("mine", "1");
        const session = await ctx.initiate(BOB, { properties: { own: "2" } });
        ctx.properties.set("late", "3");
        const heard = await session.sendAndReceive("hello", Type.Unknown());
        return [heard, session.properties, ctx.properties.all(), ctx.properties.get("own") ?? null] as Data;
      },
    });

    test("travel down to sub-flows and to the flows that answer, and never up", async () => {
      const trial = new Trial({
        cordapp: app(told, tells),
        properties: { platform: { "corda.account": "admin" }, user: { from: "start" } },
      });
      const first = await trial.worker();
      const id = await trial.start("Told", {});
      first.crash();
      await trial.worker("second");
      const { outcome } = await trial.finished(id);
      const start = { "corda.account": "admin", from: "start" };
      const session = { ...start, mine: "1", own: "2" };
      const here = { ...session, deeper: "yes" };
      assert.deepEqual(outcome, {
        ok: [{ all: here, session, child: here }, session, { ...start, mine: "1", late: "3" }, null],
      });
    });

    test("that are the platform's, or too many, fail where they are said", async () => {
      const says = flow({
        name: "Says",
        startable: true,
        initiates: PING,
        input: Type.Object({}),
        async call(ctx) {
          const code = (thrown: FlowError) => thrown.type;
          const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, ""]));
          const asked = { kind: "session.open", counterparty: BOB, protocol: PING } as const;
          return [
            await ctx.initiate(BOB, { properties: { "corda.x": "1" } }).catch(code),
            await ctx.initiate(BOB, { properties: { told: "1" } }).catch(code),
            await ctx.initiate(BOB, { properties: many }).catch(code),
            await ctx.syscall({ ...asked, properties: { "corda.x": "1" } }).catch(code),
            await ctx.syscall({ ...asked, properties: many }).catch(code),
            await ctx.syscall({ kind: "platform", flow: "ledger.sign", input: null, properties: { told: "1" } }).catch(code),
          ] as Data;
        },
      });
      const trial = new Trial({ cordapp: app(says), properties: { platform: { told: "by the platform" }, user: {} } });
      await trial.worker();
      const { outcome } = await trial.finished(await trial.start("Says", {}));
      const [reserved, invalid] = ["properties.reserved", "properties.invalid"];
      assert.deepEqual(outcome, { ok: [reserved, reserved, invalid, reserved, "syscall.invalid", reserved] });
    });
  });

  test("many sessions in one step: to all the same, or to each its own, and of each its own kind", async () => {
    const many = flow({
      name: "Many",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const [one, two] = [await ctx.initiate(BOB), await ctx.initiate(BOB)];
        await ctx.sendAll([one, two], "same");
        const same = await ctx.receiveAll([one, two], Type.String());
        await ctx.sendAll(
          new Map<Session, Data>([
            [one, 1],
            [two, "b"],
          ]),
        );
        const kinds = new Map<Session, TSchema>([
          [two, Type.String()],
          [one, Type.Integer()],
        ]);
        const each = await ctx.receiveAll(kinds);
        await ctx.sendAll([one, two], 2);
        const wrong = await ctx.receiveAll(kinds).catch((thrown) => [thrown.type, thrown.details.field]);
        return [same, [each.get(one), each.get(two)], wrong] as Data;
      },
    });
    const echo = answering([1], async (_ctx, session) => {
      for (let round = 0; round < 3; round++) await session.send(await session.receive(Type.Union([Type.String(), Type.Integer()])));
    });
    const trial = new Trial({ cordapp: app(many, echo) });
    await trial.worker();
    const wrong = ["session.unexpectedPayload", `the message of ${BOB}`];
    assert.deepEqual((await trial.finished(await trial.start("Many", {}))).outcome, { ok: [["same", "same"], [1, "b"], wrong] });
  });
});

test("a session that ended before it heard of its responder stays as it is on disk, whatever still arrives", () => {
  const now = 1_000;
  const opened = { id: "flow:1", flowId: "flow", side: "initiator", counterparty: BOB, protocol: PING, properties: null } as const;
  const row = openedSession({ ...opened, version: null, timeoutMs: 1_000, openedAt: now });
  const session = loadedSession({ ...row, status: "failed", sent: 2 });
  const late: SessionMessage = {
    session: row.id,
    from: "responder",
    sequence: 1,
    source: BOB,
    destination: ALICE,
    groupId: "group",
    acknowledged: 1,
    body: { kind: "data", payload: "late" },
    version: 2,
    expiresAt: now + 1_000,
  };
  assert.deepEqual(arrive(session, late, now), { news: false, repeated: true, discarded: [] });
  assert.equal(session.dirty, false, "what is not to be written can be acknowledged");
});
