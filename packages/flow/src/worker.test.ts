import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Data } from "@bowline/base";
import { BowlineError, unavailable } from "@bowline/base";
import { type CordappDefinition, FlowError, flow, type PlatformFlowName, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { responderFlowId } from "./messages.ts";
import { ALICE, BOB, digest, Trial } from "./trial.memory.ts";

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

describe("a flow worker", () => {
  test("runs an empty flow in one commit", async () => {
    const trial = new Trial({ cordapp: app(Empty) });
    await trial.worker();
    const row = await trial.finished(await trial.start("Empty", {}));
    assert.deepEqual([row.status, row.outcome, trial.commits], ["COMPLETED", { ok: "done" }, 1]);
  });

  test("a conversation costs one commit for each wait, and leaves nothing behind", async () => {
    const trial = new Trial({ cordapp: app(Ping, Pong) });
    await trial.worker();
    const id = await trial.start("Ping", { rounds: 3 });
    assert.deepEqual((await trial.finished(id)).outcome, { ok: [12, 22, 32] });
    const answering = responderFlowId(`${id}:1`, digest);
    assert.equal((await trial.finished(answering, BOB)).status, "COMPLETED");
    assert.equal(trial.commits, 4 + 4);
    await trial.run(1_000);
    for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 60_000, 100), []);
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
    assert.match(parked.outcome.error.message, /Step 2 \(service\): x is not a function/);
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

describe("the platform's flows", () => {
  const sign: PlatformFlowName = "ledger.sign";
  const caller = flow({
    name: "Caller",
    startable: true,
    input: Type.Object({}),
    async call(ctx) {
      await ctx.sleep(1);
      const first = await ctx
        .syscall({ kind: "platform", flow: sign, input: { n: 1 } })
        .catch((thrown) => `${thrown.type}: ${thrown.message}`);
      const second = await ctx
        .syscall({ kind: "platform", flow: sign, input: { n: 2 } })
        .catch((thrown) => `${thrown.type}: ${thrown.message}`);
      return [first, second];
    },
  });
  const child = flow({
    name: sign,
    startable: false,
    input: Type.Object({ n: Type.Integer() }),
    async call(ctx, { n }) {
      await ctx.syscall(service("look.up", n));
      await ctx.syscall({ kind: "vault.write", writes: [{ n, part: 1 }] });
      await ctx.syscall({ kind: "vault.write", writes: [{ n, part: 2 }] });
      await ctx.syscall(service("mark.it", n));
      await ctx.sleep(5);
      return `signed ${n}`;
    },
  });

  test("a child runs below its step and is one row when it has ended", async () => {
    const trial = new Trial({ cordapp: app(caller), platform: app(child) });
    await trial.worker();
    const id = await trial.start("Caller", {});
    assert.deepEqual((await trial.finished(id)).outcome, { ok: ["signed 1", "signed 2"] });
    const [snapshot] = (await trial.stores.A11CE0000000?.load([id])) ?? [];
    assert.deepEqual(snapshot?.journal.map(({ path }) => path).sort(), ["1", "2", "3"]);
    assert.deepEqual(
      trial.calls.map(({ key }) => key),
      [`${id}/2.1`, `${id}/2.4`, `${id}/3.1`, `${id}/3.4`],
    );
    assert.deepEqual(
      trial.vault.map(({ write }) => write),
      [
        { n: 1, part: 1 },
        { n: 1, part: 2 },
        { n: 2, part: 1 },
        { n: 2, part: 2 },
      ],
    );
  });

  test("a crash at any commit changes nothing, and a call that leaves a mark comes after all before it is committed", async () => {
    const quiet = new Trial({ cordapp: app(caller), platform: app(child) });
    await quiet.worker();
    await quiet.finished(await quiet.start("Caller", {}));
    for (let crashAt = 1; crashAt <= quiet.commits; crashAt++) {
      const trial: Trial = new Trial({
        cordapp: app(caller),
        platform: app(child),
        services: {
          "mark.it": (n) => {
            assert.ok(trial.vault.some(({ write }) => (write as { n: Data }).n === n));
            return { ok: null };
          },
        },
      });
      const first = await trial.worker();
      trial.onCommit = (count) => {
        if (count === crashAt) first.crash();
      };
      const id = await trial.start("Caller", {});
      await trial.run(1_000);
      trial.onCommit = undefined;
      await trial.worker("second");
      assert.deepEqual((await trial.finished(id)).outcome, { ok: ["signed 1", "signed 2"] }, `crash at commit ${crashAt}`);
      assert.deepEqual(
        trial.vault.map(({ write }) => write),
        quiet.vault.map(({ write }) => write),
      );
      for (const { key, request } of trial.calls) assert.ok(quiet.calls.some((call) => call.key === key && call.request === request));
    }
  });

  test("a vault write that is refused is the error of its step, and what was before it stands", async () => {
    const cautious = flow({
      name: sign,
      startable: false,
      input: Type.Object({ n: Type.Integer() }),
      async call(ctx, { n }) {
        const write = (part: number) =>
          ctx.syscall({ kind: "vault.write", writes: [{ n, part }] }).then(
            () => `${part} written`,
            (thrown) => `${part} ${thrown.type}`,
          );
        return [await write(1), await write(2), await write(3)].join();
      },
    });
    const trial = new Trial({
      cordapp: app(caller),
      platform: app(cautious),
      applyVaultWrites(_flowId, writes) {
        for (const write of writes) {
          if ((write as { part: number }).part === 2) throw new BowlineError("conflict", "vault.conflict", "No.");
        }
      },
    });
    await trial.worker();
    const { outcome } = await trial.finished(await trial.start("Caller", {}));
    assert.deepEqual(outcome, { ok: ["1 written,2 vault.conflict,3 written", "1 written,2 vault.conflict,3 written"] });
    assert.deepEqual(
      trial.vault.map(({ write }) => (write as { part: number }).part),
      [1, 3, 1, 3],
    );
  });

  test("a read sees the writes before it", async () => {
    const seen: number[] = [];
    const reads = flow({
      name: sign,
      startable: false,
      input: Type.Object({ n: Type.Integer() }),
      async call(ctx, { n }) {
        await ctx.syscall({ kind: "vault.write", writes: [n] });
        await ctx.syscall(service("read.vault"));
        return "read";
      },
    });
    const trial: Trial = new Trial({
      cordapp: app(caller),
      platform: app(reads),
      services: {
        "read.vault": () => {
          seen.push(trial.vault.length);
          return { ok: null };
        },
      },
    });
    await trial.worker();
    await trial.finished(await trial.start("Caller", {}));
    assert.deepEqual(seen, [1, 2]);
  });

  test("a child's failure is the caller's error, and author code may not write the vault", async () => {
    const fails = flow({
      name: sign,
      startable: false,
      input: Type.Object({ n: Type.Integer({ maximum: 1 }) }),
      async call() {
        throw new FlowError("ledger.refused", "No.");
      },
    });
    const writer = flow({
      name: "Writer",
      startable: true,
      input: Type.Object({}),
      call: (ctx) => ctx.syscall({ kind: "vault.write", writes: [1] }).catch((thrown) => thrown.type),
    });
    const trial = new Trial({ cordapp: app(caller, writer), platform: app(fails) });
    await trial.worker();
    const { outcome } = await trial.finished(await trial.start("Caller", {}));
    assert.ok(outcome !== null && "ok" in outcome && Array.isArray(outcome.ok));
    assert.equal(outcome.ok[0], "ledger.refused: No.");
    assert.match(String(outcome.ok[1]), /^flow\.invalidInput: input\/n/);
    assert.deepEqual((await trial.finished(await trial.start("Writer", {}))).outcome, { ok: "syscall.forbidden" });
    assert.deepEqual(trial.vault, []);
  });
});
