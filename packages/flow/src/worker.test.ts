import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Data } from "@bowline/base";
import { badRequest, unavailable } from "@bowline/base";
import { type CordappDefinition, FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { responderFlowId, SESSION_TOPIC } from "./messages.ts";
import { ALICE, BOB, digest, Trial, vnodeOf } from "./trial.memory.ts";

const PING = { name: "ping", versions: [1, 2] };
const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });
const service = (name: string, request: Data = null) => ({ kind: "service", service: name, request }) as const;

const Empty = flow({ name: "Empty", startable: true, input: Type.Object({}), call: async () => "done" });
const Ping = flow({
  name: "Ping",
  startable: true,
  initiates: PING,
  input: Type.Object({ rounds: Type.Integer() }),
  async call(ctx, { rounds }) {
    const session = await ctx.initiate(BOB);
    const heard: number[] = [];
    for (let round = 1; round <= rounds; round++) heard.push(await session.sendAndReceive(round, Type.Integer()));
    await session.send(0);
    return heard;
  },
});
const Pong = responder({
  name: "Pong",
  answers: { name: "ping", versions: [2, 3] },
  async call(_ctx, session) {
    for (;;) {
      const heard = await session.receive(Type.Integer());
      if (heard === 0) return;
      await session.send(heard * 10 + (session.version ?? 0));
    }
  },
});

const Noting = responder({
  name: "Noting",
  answers: PING,
  async call(ctx, session) {
    await session.send((await session.receive(Type.Integer())) + 1);
    await ctx.syscall(service("mark.note"));
    await session.receive(Type.Integer());
  },
});

describe("a flow worker", () => {
  test("runs an empty flow in one commit", async () => {
    const trial = new Trial({ cordapp: app(Empty) });
    await trial.worker();
    const row = await trial.finished(await trial.start("Empty", {}));
    assert.deepEqual([row.status, row.outcome, trial.commits], ["COMPLETED", { ok: "done" }, 1]);
  });

  test("a checkpoint is one commit, and no crash repeats what came before it", async () => {
    const Dear = flow({
      name: "Dear",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        for (const step of [1, 2, 3]) {
          await ctx.syscall(service("pure.dear", step));
          await ctx.checkpoint({ step });
        }
        return ctx.now();
      },
    });
    const trial = new Trial({ cordapp: app(Dear) });
    const first = await trial.worker();
    let crashed = false;
    trial.onCommit = (count) => {
      if (count !== 2) return;
      crashed = true;
      first.crash();
      void trial.worker("next");
    };
    const row = await trial.finished(await trial.start("Dear", {}));
    assert.deepEqual([row.status, crashed, trial.commits], ["COMPLETED", true, 4]);
    const asked = trial.calls.map(({ request }) => request);
    assert.deepEqual(asked, [1, 2, 3]);
  });

  test("a conversation costs one commit for each wait, and leaves nothing behind", async () => {
    const trial = new Trial({ cordapp: app(Ping, Pong) });
    await trial.worker();
    const id = await trial.start("Ping", { rounds: 3 });
    assert.deepEqual((await trial.finished(id)).outcome, { ok: [12, 22, 32] });
    const answering = responderFlowId(`${id}:1`, digest);
    assert.equal((await trial.finished(answering, BOB)).status, "COMPLETED");
    assert.deepEqual([trial.commits, trial.loads], [4 + 4, 0]);
    await trial.run(1_000);
    for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 60_000, 100), []);
  });

  test("a first message that comes twice begins one flow, even when that is over", async () => {
    const trial = new Trial({ cordapp: app(Ping, Noting) });
    await trial.worker();
    const id = await trial.start("Ping", { rounds: 1 });
    await trial.finished(id);
    const noting = responderFlowId(`${id}:1`, digest);
    const before = await trial.finished(noting, BOB);
    const [first] = trial.published.filter(({ topic, key }) => topic === SESSION_TOPIC && key === noting);
    assert.ok(first);
    await trial.repeat(first);
    await trial.run(1_000);
    assert.deepEqual([await trial.row(noting, BOB), trial.loads], [before, 1]);
    assert.deepEqual(
      trial.calls.map(({ service }) => service),
      ["mark.note"],
    );
  });

  test("a parked flow does not run again because its counterparty sends again", async () => {
    const bug = () => {
      throw new TypeError("a bug");
    };
    const Broken = responder({ name: "Broken", answers: PING, call: async (ctx) => void (await ctx.syscall(service("pure.broken"))) });
    const trial = new Trial({ cordapp: app(Ping, Broken), services: { "pure.broken": bug } });
    await trial.worker();
    const broken = responderFlowId(`${await trial.start("Ping", { rounds: 1 })}:1`, digest);
    await trial.until(() => trial.logs.some(({ message }) => message === "flow parked"));
    await trial.run(20_000);
    assert.equal((await trial.row(broken, BOB)).status, "PARKED");
    const sent = trial.published.filter(({ topic, key }) => topic === SESSION_TOPIC && key === broken);
    assert.ok(sent.length > 1, "the message came again");
    assert.equal(trial.calls.length, 1);
  });

  test("a client's input that does not fit fails the flow and names the member", async () => {
    const trial = new Trial({ cordapp: app(Ping) });
    await trial.worker();
    const { status, outcome } = await trial.finished(await trial.start("Ping", { rounds: "three" }));
    assert.equal(status, "FAILED");
    assert.ok(outcome !== null && "error" in outcome);
    assert.deepEqual([outcome.error.type, outcome.error.details?.field], ["flow.invalidInput", "input/rounds"]);
  });

  test("a stopped worker has committed what it began; the next one goes on", async () => {
    const trial = new Trial({ cordapp: app(Ping, Pong) });
    const { worker } = await trial.worker();
    const ids = await Promise.all([1, 2, 3].map((rounds) => trial.start("Ping", { rounds })));
    const stopping = worker.stop();
    await trial.run(6_000);
    await stopping;
    await trial.worker("next");
    for (const id of ids) assert.equal((await trial.finished(id)).status, "COMPLETED");
  });

  test("memory is bounded: flows that wait are forgotten and replayed", async () => {
    const trial = new Trial({ cordapp: app(Ping, Pong), hotFlowsMax: 1 });
    await trial.worker();
    const ids = await Promise.all([2, 3, 4].map((rounds) => trial.start("Ping", { rounds })));
    for (const id of ids) assert.equal((await trial.finished(id)).status, "COMPLETED");
  });
});

describe("time, chance and faults", () => {
  const dice = flow({
    name: "Dice",
    startable: true,
    input: Type.Object({}),
    async call(ctx) {
      const before = [await ctx.now(), await ctx.uuid(), (await ctx.random(40)).join()];
      await ctx.sleep(60_000);
      const after = await ctx.now();
      return [...before, after, before.at(0) === after];
    },
  });

  test("a sleeping flow survives its worker, wakes when it should, and remembers what it saw", async () => {
    const trial = new Trial({ cordapp: app(dice) });
    const first = await trial.worker();
    const id = await trial.start("Dice", {});
    await trial.run(30_000);
    const [snapshot] = (await trial.stores.A11CE0000000?.load([id])) ?? [];
    first.crash();
    await trial.worker("second");
    const { outcome, updatedAt, createdAt } = await trial.finished(id);
    assert.ok(updatedAt - createdAt >= 60_000 && updatedAt - createdAt < 62_000);
    assert.ok(outcome !== null && "ok" in outcome && Array.isArray(outcome.ok));
    const steps = snapshot?.journal.map((step) => ("ok" in step.outcome ? step.outcome.ok : null)) ?? [];
    assert.deepEqual([outcome.ok[0], outcome.ok[4]], [steps[0], false]);
    assert.match(String(outcome.ok[1]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(outcome.ok[2], (steps[2] as Uint8Array).join());
  });

  test("with a dead worker's keys come its flows, long before their leases run out", async () => {
    const Steps = flow({
      name: "Steps",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        for (let step = 0; step < 4; step++) await ctx.syscall(service("mark.note", step));
        return "done";
      },
    });
    const trial = new Trial({ cordapp: app(Steps) });
    const first = await trial.worker("first");
    const second = await trial.worker("second");
    await first.takeAll();
    trial.onCommit = (count) => count === 2 && first.crash();
    const flowId = await trial.start("Steps", {});
    await trial.run(1_000);
    assert.equal((await trial.row(flowId)).status, "RUNNING", "nobody else knows of it");
    await second.takeAll();
    await trial.run(1_000);
    const row = await trial.row(flowId);
    assert.deepEqual([row.status, row.outcome], ["COMPLETED", { ok: "done" }]);
    assert.deepEqual(new Set(trial.calls.map(({ request }) => request)), new Set([0, 1, 2, 3]));
  });

  test("a worker that gives its keys away ends the commit in flight, and leaves the rest to the next owner", async () => {
    const trial = new Trial({ cordapp: app(Ping, Pong) });
    const first = await trial.worker("first");
    const second = await trial.worker("second");
    await first.takeAll();
    const flowId = await trial.start("Ping", { rounds: 30 });
    await trial.until(() => trial.commits >= 6);
    await second.takeAll();
    const loads = trial.loads;
    const row = await trial.finished(flowId);
    assert.deepEqual(row.outcome, { ok: Array.from({ length: 30 }, (_, index) => (index + 1) * 10 + 2) });
    assert.ok(trial.loads - loads <= 4, `${trial.loads - loads} loads: each flow is loaded once, by its new owner`);
    assert.equal(trial.published.length - new Set(trial.published).size, 0);
  });

  test("an owner that was overtaken stops silently at the fence", async () => {
    const trial = new Trial({ cordapp: app(Ping, Pong) });
    const first = await trial.worker("first");
    const second = await trial.worker("second");
    await first.takeAll();
    const asleep = trial.start("Ping", { rounds: 8 });
    await trial.until(() => trial.commits >= 4);
    // As after a pause: the first has heard of nothing, and still believes that it runs these flows.
    await second.takeAll({ heard: false });
    const row = await trial.finished(await asleep);
    assert.equal(row.status, "COMPLETED");
    assert.deepEqual(
      trial.logs.filter(({ level }) => level === "error" || level === "warn"),
      [],
    );
  });

  test("a flow that is taken over while it waits for an answer does not ask its counterparty again", async () => {
    const asks = flow({
      name: "Asks",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        return [await session.sendAndReceive(1, Type.Integer()), await session.sendAndReceive(2, Type.Integer())];
      },
    });
    const counts = responder({
      name: "Counts",
      answers: PING,
      async call(ctx, session) {
        for (let count = 1; count <= 2; count++) {
          const heard = await session.receive(Type.Integer());
          await ctx.sleep(10_000);
          await session.send(heard * 10 + count);
        }
      },
    });
    const trial = new Trial({ cordapp: app(asks, counts) });
    const first = await trial.worker();
    const id = await trial.start("Asks", {});
    await trial.run(5_000);
    first.crash();
    await trial.worker("second");
    // Whoever reads the journal of a flow that waits wakes it too.
    await trial.wake(id);
    assert.deepEqual((await trial.finished(id)).outcome, { ok: [11, 22] });
  });

  test("a call that finds the world down is made again, later and later, and other flows go on", async () => {
    let failures = 5;
    const times: number[] = [];
    const calls = flow({
      name: "Calls",
      startable: true,
      input: Type.Object({}),
      call: async (ctx) => (await ctx.syscall(service("look.up"))) as string,
    });
    const trial: Trial = new Trial({
      cordapp: app(calls, Empty),
      services: {
        "look.up": () => {
          times.push(trial.now);
          if (failures-- > 0) throw unavailable("trial.down", "Away.");
          return { ok: "there" };
        },
      },
    });
    await trial.worker();
    const id = await trial.start("Calls", {});
    await trial.run(200);
    const other = await trial.start("Empty", {});
    await trial.run(200);
    assert.equal((await trial.row(other)).status, "COMPLETED");
    assert.deepEqual((await trial.finished(id)).outcome, { ok: "there" });
    assert.equal(times.length, 6);
    assert.ok((times[5] ?? 0) - (times[4] ?? 0) > 2 * ((times[1] ?? 0) - (times[0] ?? 0)));
  });

  test("a bug in a call parks the flow with its journal; an operator lets it go on", async () => {
    let broken = true;
    const calls = flow({
      name: "Calls",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        await ctx.sleep(10);
        return (await ctx.syscall(service("look.up"))) as string;
      },
    });
    const trial = new Trial({
      cordapp: app(calls),
      services: {
        "look.up": () => {
          if (broken) throw new TypeError("x is not a function");
          return { ok: "fixed" };
        },
      },
    });
    await trial.worker();
    const id = await trial.start("Calls", {});
    const parked = await trial.finished(id);
    assert.equal(parked.status, "PARKED");
    assert.ok(parked.outcome !== null && "error" in parked.outcome);
    assert.match(parked.outcome.error.message, /Step 2 \(look.up\): x is not a function/);
    await trial.run(120_000);
    assert.equal((await trial.row(id)).status, "PARKED");
    broken = false;
    assert.equal(await trial.stores.A11CE0000000?.requestRetry(id, trial.now), true);
    await trial.wake(id);
    assert.deepEqual((await trial.finished(id)).outcome, { ok: "fixed" });
  });

  test("code that asks otherwise when it is replayed parks its flow, and the journal stays", async () => {
    let steps = ["a", "b"];
    const fickle = flow({
      name: "Fickle",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        for (const step of steps) await ctx.syscall(service("look.up", step));
        await ctx.sleep(60_000);
        return null;
      },
    });
    for (const change of [["a", "c"], ["a"], ["a", "b"]]) {
      steps = ["a", "b"];
      const trial = new Trial({ cordapp: app(fickle) });
      const first = await trial.worker();
      const id = await trial.start("Fickle", {});
      await trial.run(1_000);
      first.crash();
      steps = change;
      await trial.worker("second");
      const { status, outcome } = await trial.finished(id);
      if (change.join() === "a,b") assert.equal(status, "COMPLETED");
      else {
        assert.equal(status, "PARKED");
        assert.ok(outcome !== null && "error" in outcome);
        assert.equal(outcome.error.type, "flow.nonDeterminism");
        const [snapshot] = (await trial.stores.A11CE0000000?.load([id])) ?? [];
        assert.equal(snapshot?.journal.length, 2);
      }
    }
  });

  test("a journal that grows past its bound ends its flow, and says so", async () => {
    const hoards = flow({
      name: "Hoards",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        for (;;) await ctx.syscall(service("look.up")).catch(() => null);
      },
    });
    const trial = new Trial({ cordapp: app(hoards), services: { "look.up": () => ({ ok: new Uint8Array(18_000_000) }) } });
    await trial.worker();
    const { status, outcome } = await trial.finished(await trial.start("Hoards", {}));
    assert.ok(outcome !== null && "error" in outcome);
    assert.deepEqual([status, outcome.error.type, trial.calls.length], ["FAILED", "flow.journalFull", 8]);
  });

  test("a failure is told to the counterparty in bounded, well-formed words", async () => {
    const fails = flow({
      name: "Fails",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate("C=FR, L=Paris, O=Bob" as typeof BOB);
        await session.sendAndReceive("hello", Type.String());
        throw new FlowError("alice.fails", `${"long ".repeat(2_000)}\ud800`);
      },
    });
    const hears = responder({
      name: "Hears",
      answers: PING,
      async call(_ctx, session) {
        await session.sendAndReceive("hello", Type.String());
        await session.receive(Type.String());
      },
    });
    const trial = new Trial({ cordapp: app(fails, hears) });
    await trial.worker();
    const id = await trial.start("Fails", {});
    assert.equal((await trial.finished(id)).status, "FAILED");
    const { outcome } = await trial.finished(responderFlowId(`${id}:1`, digest), BOB);
    assert.ok(outcome !== null && "error" in outcome);
    assert.deepEqual([outcome.error.details?.type, outcome.error.details?.message?.length], ["alice.fails", 4_096]);
  });

  test("a flow that is taken over logs, draws and reads the clock as if nothing had been", async () => {
    const chatty = flow({
      name: "Chatty",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        const [at, id, bytes] = [await ctx.now(), await ctx.uuid(), await ctx.random(8)];
        ctx.log.info("before", { id });
        await ctx.sleep(60_000);
        ctx.log.info("after", { id });
        return [at, id, bytes, (await ctx.now()) - at >= 60_000];
      },
    });
    const trial = new Trial({ cordapp: app(chatty) });
    const first = await trial.worker("first");
    const id = await trial.start("Chatty", {});
    await trial.run(1_000);
    const startedAt = trial.now;
    first.crash();
    await trial.worker("second");
    const { outcome } = await trial.finished(id);
    assert.ok(outcome !== null && "ok" in outcome);
    const [at, uuid, , slept] = outcome.ok as [number, string, Uint8Array, boolean];
    assert.ok(at <= startedAt && slept);
    const said = trial.logs.filter(({ level }) => level === "info").map(({ message, facts }) => ({ message, facts }));
    const who = { flowId: id, flow: "Chatty", vnode: vnodeOf(ALICE), clientRequestId: "r1" };
    assert.deepEqual(said, [
      { message: "before", facts: { ...who, facts: { id: uuid } } },
      { message: "after", facts: { ...who, facts: { id: uuid } } },
    ]);
  });

  test("an external message is written in the step commit, under an id that a replay makes again; a refusal is the step's error", async () => {
    const sends = flow({
      name: "Sends",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        await ctx.externalMessaging.send("prices", "one");
        await ctx.externalMessaging.send("prices", "mine", "two");
        return ctx.externalMessaging.send("shut", "three").catch((refused: unknown) => (refused instanceof FlowError ? refused.type : "?"));
      },
    });
    const applyVaultWrites = (_flow: string, writes: readonly Data[]): void => {
      if (writes.some((write) => (write as { readonly channel?: string }).channel === "shut"))
        throw badRequest("external.routeInactive", "shut");
    };
    const channels = ["prices", "shut"].map((name) => ({ name, type: "SEND" as const }));
    const trial = new Trial({ cordapp: { ...app(sends), channels }, applyVaultWrites });
    await trial.worker();
    const id = await trial.start("Sends", {});
    assert.deepEqual((await trial.finished(id)).outcome, { ok: "external.routeInactive" });
    assert.deepEqual(
      trial.vault.map(({ write }) => write),
      [
        { kind: "external.send", id: `${id}/1`, bundle: "SHA-256:AUTHOR", channel: "prices", message: "one" },
        { kind: "external.send", id: "mine", bundle: "SHA-256:AUTHOR", channel: "prices", message: "two" },
      ],
    );
  });

  test("a flow that waits for nothing that is a step fails at once", async () => {
    const stuck = flow({ name: "Stuck", startable: true, input: Type.Object({}), call: () => new Promise<never>(() => {}) });
    const half = flow({
      name: "Half",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        await ctx.now();
        await new Promise<never>(() => {});
        return null;
      },
    });
    const trial = new Trial({ cordapp: app(stuck, half) });
    await trial.worker();
    for (const name of ["Stuck", "Half"]) {
      const { outcome } = await trial.finished(await trial.start(name, {}));
      assert.ok(outcome !== null && "error" in outcome);
      assert.equal(outcome.error.type, "flow.stuck", name);
    }
  });

  test("a killed flow ends wherever it waits, and its counterparty hears of it", async () => {
    const waits = flow({
      name: "Waits",
      startable: true,
      initiates: PING,
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        return session.sendAndReceive("hello", Type.String());
      },
    });
    const answers = responder({
      name: "Answers",
      answers: PING,
      async call(_ctx, session) {
        await session.receive(Type.String());
        await session.receive(Type.String());
      },
    });
    for (const told of [true, false]) {
      const trial = new Trial({ cordapp: app(waits, answers) });
      await trial.worker();
      const id = await trial.start("Waits", {});
      await trial.run(1_000);
      await trial.stores.A11CE0000000?.requestKill(id, trial.now);
      // Without the wake-up the sweep finds it.
      if (told) await trial.wake(id);
      assert.equal((await trial.finished(id)).status, "KILLED");
      const { outcome } = await trial.finished(responderFlowId(`${id}:1`, digest), BOB);
      assert.ok(outcome !== null && "error" in outcome);
      assert.equal(outcome.error.details?.type, "flow.killed");
    }
  });
});
