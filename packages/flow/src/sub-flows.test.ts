import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Data, decode } from "@bowline/base";
import { type CordappDefinition, cordapp, FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { inProcessFibers, replayJournal } from "./fibers.ts";
import type { FlowInspection } from "./ports.ts";
import { ALICE, BOB, digest, Trial, vnodeOf } from "./trial.memory.ts";

const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });
const PING = { name: "ping", versions: [1] };
const service = (name: string) => ({ kind: "service", service: name, request: null }) as const;
const main = (call: Parameters<typeof flow>[0]["call"]) => flow({ name: "Main", startable: true, input: Type.Object({}), call });

async function inspected(trial: Trial, id: string): Promise<FlowInspection> {
  const inspection = await trial.stores[vnodeOf(ALICE)]?.inspect(id);
  assert.ok(inspection !== undefined);
  return inspection;
}

const pathsOf = ({ journal }: FlowInspection): string[] => journal.map(({ path }) => path);

/** Waits three times, and says how it was called. */
const Work = flow({
  name: "Work",
  startable: false,
  input: Type.Object({ n: Type.Integer(), fails: Type.Optional(Type.Boolean()) }),
  async call(ctx, { n, fails }) {
    await ctx.sleep(1_000);
    await ctx.syscall(service("pure.work"));
    await ctx.sleep(1_000);
    if (fails) throw new FlowError("work.failed", `Number ${n} fails.`, { n: String(n) });
    return [n];
  },
});

describe("a sub-flow that is over", () => {
  test("is one row of the journal, with what it was called with, what it returned, and how long it took", async () => {
    const trial = new Trial({ cordapp: app(main(async (ctx) => [await ctx.subFlow(Work, { n: 7 }), await ctx.now()])) });
    await trial.worker();
    const id = await trial.start("Main", {});
    await trial.run(1_500);
    assert.deepEqual(pathsOf(await inspected(trial, id)), ["1.1", "1.2"]);
    await trial.finished(id);
    const inspection = await inspected(trial, id);
    const [row] = inspection.journal;
    assert.ok(row !== undefined);
    assert.deepEqual(pathsOf(inspection), ["1", "2"]);
    assert.deepEqual(row.request && decode(row.request), { kind: "subFlow", flow: "Work", input: { n: 7 } });
    assert.deepEqual(row.outcome, { ok: [7] });
    assert.equal(row.at - row.askedAt, 2_000);
  });

  test("fails in its caller as it failed, live and replayed", async () => {
    const caught = (thrown: FlowError) => ({
      is: thrown instanceof FlowError,
      type: thrown.type,
      message: thrown.message,
      ...thrown.details,
    });
    const failing = main(async (ctx) => {
      const failure = await ctx.subFlow(Work, { n: 7, fails: true }).catch(caught);
      await ctx.sleep(10_000);
      return failure as Data;
    });
    for (const crashes of [false, true]) {
      const trial = new Trial({ cordapp: app(failing) });
      const first = await trial.worker();
      const id = await trial.start("Main", {});
      await trial.run(5_000);
      if (crashes) {
        first.crash();
        await trial.worker("next");
      }
      const { outcome } = await trial.finished(id);
      assert.deepEqual(outcome, { ok: { is: true, type: "work.failed", message: "Number 7 fails.", n: "7" } });
    }
  });

  test("does not run again when its caller does", async () => {
    let runs = 0;
    const counted = flow({
      name: "Counted",
      startable: false,
      input: Type.Object({}),
      async call(ctx) {
        runs++;
        return ctx.now();
      },
    });
    const calls = main(async (ctx) => {
      const at = await ctx.subFlow(counted, {});
      await ctx.sleep(10_000);
      return at === (await ctx.now()) - 10_000;
    });
    const trial = new Trial({ cordapp: app(calls) });
    const first = await trial.worker();
    const id = await trial.start("Main", {});
    await trial.run(1_000);
    first.crash();
    await trial.worker("next");
    await trial.finished(id);
    assert.equal(runs, 1);
  });

  test("leaves nothing running: neither steps, nor platform flows, nor code that somebody else wakes", async () => {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const hasty = flow({
      name: "Hasty",
      startable: false,
      input: Type.Object({}),
      async call(ctx) {
        void ctx.sleep(500).then(() => ctx.syscall(service("pure.slept")));
        void ctx.syscall({ kind: "platform", flow: "ledger.sign", input: null });
        void gate.then(() => ctx.syscall(service("pure.woken")));
        void ctx.subFlow(Work, { n: 1 });
        return null;
      },
    });
    const calls = main(async (ctx) => {
      await ctx.subFlow(hasty, {});
      open();
      await ctx.sleep(10_000);
      return null;
    });
    const child = flow({
      name: "ledger.sign",
      startable: false,
      input: Type.Null(),
      call: async (ctx) => ctx.syscall(service("pure.signed")),
    });
    const trial = new Trial({ cordapp: app(calls), platform: app(child) });
    await trial.worker();
    const id = await trial.start("Main", {});
    assert.deepEqual((await trial.finished(id)).outcome, { ok: null });
    assert.deepEqual(trial.calls, []);
    assert.deepEqual(pathsOf(await inspected(trial, id)), ["1", "2"]);
  });

  test("keeps the journal of a long loop short", async () => {
    const round = flow({
      name: "Round",
      startable: false,
      input: Type.Object({}),
      async call(ctx) {
        for (let n = 0; n < 20; n++) await ctx.subFlow(Work, { n });
        return null;
      },
    });
    const loops = main(async (ctx) => {
      for (let n = 0; n < 5; n++) await ctx.subFlow(round, {});
      return null;
    });
    const trial = new Trial({ cordapp: app(loops) });
    await trial.worker();
    const id = await trial.start("Main", {});
    let longest = 0;
    await trial.until(async () => {
      longest = Math.max(longest, (await inspected(trial, id)).journal.length);
      return (await trial.row(id)).status === "COMPLETED";
    });
    assert.ok(longest <= 5 + 20 + 3, `${longest} rows at once`);
    assert.equal((await inspected(trial, id)).journal.length, 5);
  });

  test("dies with its flow when that is killed", async () => {
    const trial = new Trial({ cordapp: app(main(async (ctx) => ctx.subFlow(Work, { n: 1 }))) });
    await trial.worker();
    const id = await trial.start("Main", {});
    await trial.run(1_500);
    await trial.stores[vnodeOf(ALICE)]?.requestKill(id, trial.now);
    await trial.wake(id);
    assert.equal((await trial.finished(id)).status, "KILLED");
    assert.deepEqual(pathsOf(await inspected(trial, id)), ["1.1", "1.2"]);
  });
});

describe("sub-flows whose worker dies", () => {
  const echo = responder({
    name: "Echo",
    answers: PING,
    async call(_ctx, session) {
      await session.send(await session.receive(Type.Integer()));
      await session.receive(Type.Integer()).catch((thrown) => assert.match(thrown.type, /^session\.(closed|failed)$/));
    },
  });
  const opening = flow({
    name: "Opening",
    startable: false,
    input: Type.Object({}),
    async call(ctx) {
      const session = await ctx.initiate(BOB, { protocol: PING });
      return session.sendAndReceive(1, Type.Integer());
    },
  });
  /** Opens a session itself and another inline; fails where it is told to. */
  const Talk = flow({
    name: "Talk",
    startable: false,
    initiates: PING,
    input: Type.Object({ fails: Type.Boolean() }),
    async call(ctx, { fails }) {
      const inline = await ctx.subFlow(opening, {});
      const session = await ctx.initiate(BOB);
      const answer = await session.sendAndReceive(2, Type.Integer());
      const fixed = await ctx.patched("fix");
      await ctx.sleep(100);
      if (fails) throw new FlowError("talk.failed", "As asked.");
      return [inline, answer, fixed];
    },
  });
  const all = main(async (ctx) => {
    const talk = (fails: boolean) => ctx.subFlow(Talk, { fails }).catch((thrown) => thrown.type);
    const first = await Promise.all([talk(false), ctx.subFlow(Work, { n: 1 }), talk(true), ctx.sleep(1_500).then(() => ctx.now())]);
    const [talked, worked, failed] = first;
    await ctx.sleep(1_000);
    return [talked, worked, failed, await ctx.patched("fix"), await ctx.subFlow(Work, { n: 2 })] as Data;
  });
  const OUTCOME = { ok: [[1, 2, true], [1], "talk.failed", true, [2]] };

  test("take with them the sessions that they opened, themselves or inline: closed, or failed as they did", async () => {
    const calls = main(async (ctx) => {
      for (const fails of [false, true]) await ctx.subFlow(Talk, { fails }).catch(() => {});
      await ctx.sleep(60_000);
      return null;
    });
    const trial = new Trial({ cordapp: app(calls, echo) });
    await trial.worker();
    const id = await trial.start("Main", {});
    await trial.run(5_000);
    const { sessions } = await inspected(trial, id);
    assert.deepEqual(
      sessions.map(({ id: session, status, failure }) => [session.slice(id.length), status, failure?.type ?? null]),
      [
        [":1.1.1", "closed", null],
        [":1.2", "closed", null],
        [":2.1.1", "failed", "talk.failed"],
        [":2.2", "failed", "talk.failed"],
      ],
    );
  });

  async function livedWithCrashAt(commit: number): Promise<Trial> {
    const trial = new Trial({ cordapp: app(all, echo) });
    let worker = await trial.worker();
    let crashed = false;
    trial.onCommit = (count) => {
      if (count !== commit) return;
      crashed = true;
      worker.crash();
    };
    const id = await trial.start("Main", {});
    await trial.until(async () => crashed || (await trial.row(id)).status === "COMPLETED");
    if (crashed) worker = await trial.worker("next");
    assert.deepEqual((await trial.finished(id)).outcome, OUTCOME, `after a crash at commit ${commit}`);
    await trial.run(120_000);
    for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 60_000, 100), []);
    const inspection = await inspected(trial, id);
    assert.ok(
      pathsOf(inspection).every((path) => !path.includes(".")),
      pathsOf(inspection).join(" "),
    );
    assert.ok(inspection.sessions.every(({ status }) => status === "closed" || status === "failed"));
    const fibers = inProcessFibers(cordapp(app(all, echo)), () => new Promise<void>((resolve) => setImmediate(resolve)));
    assert.equal((await replayJournal({ flow: inspection, digest, fibers: async () => fibers })).divergence, null);
    return trial;
  }

  test("go on where they were, at every commit: side by side, nested, failing, with sessions and decisions of their own", async () => {
    const { commits } = await livedWithCrashAt(0);
    assert.ok(commits > 10);
    for (let commit = 1; commit <= commits; commit++) await livedWithCrashAt(commit);
  });
});
