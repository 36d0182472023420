import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { badRequest, type Data } from "@bowline/base";
import { type CordappDefinition, cordapp, FlowError, flow } from "@bowline/sdk";
import * as Type from "typebox";
import { inProcessFibers, replayJournal } from "./fibers.ts";
import { readRecording, recordingOf } from "./recording.ts";
import type { Replay, ReplayedFlow } from "./replay.ts";
import { ALICE, digest, Trial, vnodeOf } from "./trial.memory.ts";

const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });
const service = (name: string, request: Data = null) => ({ kind: "service", service: name, request }) as const;
const Nothing = Type.Object({});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function replayIn(definition: CordappDefinition, flow: ReplayedFlow, platform: CordappDefinition = app()): Promise<Replay> {
  const bundles = { author: inProcessFibers(cordapp(definition), turn), platform: inProcessFibers(cordapp(platform), turn) };
  return replayJournal({ flow, digest, fibers: async (bundle) => (bundle === "platform" ? bundles.platform : bundles.author) });
}

/** Through the document, as a file would have it. */
async function recordingIn(trial: Trial, flowId: string): Promise<ReplayedFlow> {
  const inspection = await trial.stores[vnodeOf(ALICE)]?.inspect(flowId);
  assert.ok(inspection !== undefined);
  return readRecording(JSON.parse(JSON.stringify(recordingOf(inspection))));
}

const Steps = (asks: readonly string[], end: "return" | "throw" | "sleep" = "return") =>
  flow({
    name: "Steps",
    startable: true,
    input: Nothing,
    async call(ctx) {
      const heard: Data[] = [];
      for (const ask of asks) heard.push(await ctx.syscall(service("pure.ask", ask)));
      if (end === "throw") throw new FlowError("some.code", "Why.");
      if (end === "sleep") await ctx.sleep(1e9);
      return heard;
    },
  });

async function recorded(definition: ReturnType<typeof Steps>): Promise<ReplayedFlow> {
  const trial = new Trial({ cordapp: app(definition), services: { "pure.ask": (request) => ({ ok: request }) } });
  await trial.worker();
  const id = await trial.start("Steps", {});
  await trial.run(1_000);
  return recordingIn(trial, id);
}

describe("a replay of a recorded flow", () => {
  test("finds nothing where the code is the same, whether it ended, failed or goes on", async () => {
    for (const end of ["return", "throw", "sleep"] as const) {
      const definition = Steps(["a", "b"], end);
      assert.deepEqual(await replayIn(app(definition), await recorded(definition)), { steps: 2, divergence: null });
    }
  });

  test("says what is asked and what is recorded where the two part", async () => {
    const before = await recorded(Steps(["a", "b", "c"]));
    assert.deepEqual(await replayIn(app(Steps(["a", "x", "c"])), before), {
      steps: 1,
      divergence: {
        path: "2",
        message: "At step 2, service asks otherwise.",
        asked: { kind: "service", request: { service: "pure.ask", request: "x" } },
        recorded: { kind: "service", request: { service: "pure.ask", request: "b" } },
      },
    });
    const shorter = await replayIn(app(Steps(["a", "b"])), before);
    assert.deepEqual([shorter.divergence?.path, shorter.divergence?.asked], ["3", { kind: "ended", outcome: { ok: ["a", "b"] } }]);
    const longer = await replayIn(app(Steps(["a", "b", "c", "d"])), before);
    assert.deepEqual(
      [longer.steps, longer.divergence?.path, longer.divergence?.recorded],
      [3, "4", { kind: "ended", outcome: { ok: ["a", "b", "c"] } }],
    );
    const waits = await replayIn(app(Steps(["a"], "sleep")), before);
    assert.deepEqual([waits.divergence?.path, waits.divergence?.asked?.kind], ["2", "clock.sleep"]);
  });

  test("compares the end", async () => {
    const before = await recorded(Steps(["a"]));
    const fails = await replayIn(app(Steps(["a"], "throw")), before);
    assert.deepEqual([fails.divergence?.path, fails.divergence?.message], ["", "It ends with another result."]);
    const running = await recorded(Steps(["a"], "sleep"));
    const ends = await replayIn(app(Steps(["a"])), running);
    assert.deepEqual([ends.divergence?.path, ends.divergence?.message], ["", "It ends where it went on."]);
    // What comes after the journal of a running flow may change freely.
    const other = await replayIn(app(Steps(["a", "b"])), running);
    assert.equal(other.divergence, null);
  });
});

test("a step that the vault refused is refused again, and what the code makes of that is compared", async () => {
  const sends = (onRefused: (refused: FlowError) => Data) =>
    flow({
      name: "Sends",
      startable: true,
      input: Nothing,
      async call(ctx) {
        const before = await ctx.now();
        const sent = await ctx.externalMessaging.send("shut", "one").catch(onRefused);
        return [before, sent ?? null, await ctx.now()];
      },
    });
  const channels = [{ name: "shut", type: "SEND" as const }];
  const sending = (onRefused: (refused: FlowError) => Data): CordappDefinition => ({ ...app(sends(onRefused)), channels });
  const caught = sending(({ type }) => type);
  const applyVaultWrites = (): void => {
    throw badRequest("external.routeInactive", "It is shut.");
  };
  const trial = new Trial({ cordapp: caught, applyVaultWrites });
  await trial.worker();
  const id = await trial.start("Sends", {});
  const { outcome } = await trial.finished(id);
  assert.ok(outcome !== null && "ok" in outcome, JSON.stringify(outcome));
  assert.equal((outcome.ok as readonly Data[])[1], "external.routeInactive");
  const before = await recordingIn(trial, id);
  assert.deepEqual(await replayIn(caught, before), { steps: 3, divergence: null });
  const thrown = await replayIn(
    sending((refused) => {
      throw refused;
    }),
    before,
  );
  assert.deepEqual([thrown.steps, thrown.divergence?.path], [2, "3"], "it ends at the refusal, where it went on");
});

test("a platform flow that is under way is replayed below the step that runs it", async () => {
  const caller = flow({
    name: "Steps",
    startable: true,
    input: Nothing,
    call: (ctx) => ctx.syscall({ kind: "platform", flow: "ledger.sign", input: null }),
  });
  const child = (asks: string) =>
    flow({
      name: "ledger.sign",
      startable: false,
      input: Type.Null(),
      async call(ctx) {
        await ctx.syscall(service("pure.ask", asks));
        await ctx.sleep(1e9);
        return null;
      },
    });
  const trial = new Trial({ cordapp: app(caller), platform: app(child("a")) });
  await trial.worker();
  const id = await trial.start("Steps", {});
  await trial.run(1_000);
  const under = await recordingIn(trial, id);
  assert.deepEqual(await replayIn(app(caller), under, app(child("a"))), { steps: 1, divergence: null });
  assert.equal((await replayIn(app(caller), under, app(child("b")))).divergence?.path, "1.1");
});

describe("a recording", () => {
  test("loses nothing, and keeps the seed to itself", async () => {
    const flow = await recorded(Steps(["a"]));
    const outcome = { ok: { bytes: Uint8Array.of(0, 255), large: -(2n ** 63n), text: "ü", list: [null, true, { $bytes: "x" }, {}] } };
    const odd: ReplayedFlow = {
      row: { ...flow.row, outcome, seed: new Uint8Array(32).fill(7) },
      journal: flow.journal.map((step) => ({ ...step, outcome, request: null })),
    };
    const text = JSON.stringify(recordingOf(odd));
    const read = readRecording(JSON.parse(text));
    assert.deepEqual(read.row, { ...odd.row, seed: new Uint8Array(), commitId: "", wakeAt: null, waiting: [] });
    assert.deepEqual(read.journal, odd.journal);
    assert.ok(!text.includes("0707"));
  });

  test("that is none is refused with the reason", async () => {
    const good = recordingOf(await recorded(Steps(["a"])));
    const steps = good["steps"] as readonly object[];
    const wrong: readonly (readonly [string, unknown])[] = [
      ["nothing", null],
      ["another version", { ...good, recording: 2 }],
      ["no flow", { ...good, flow: {} }],
      ["a path", { ...good, steps: [{ ...steps[0], path: "one" }] }],
      ["bytes", { ...good, steps: [{ ...steps[0], requestHash: "xyz" }] }],
      ["an outcome", { ...good, steps: [{ ...steps[0], outcome: { maybe: 1 } }] }],
      ["a special member", { ...good, steps: [{ ...steps[0], outcome: { ok: { $date: "today" } } }] }],
      ["an origin", { ...good, flow: { ...(good["flow"] as object), origin: { kind: "cron" } } }],
    ];
    for (const [what, document] of wrong) assert.throws(() => readRecording(document), { code: "flow.recordingInvalid" }, what);
  });
});
