import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Data, SecureHash } from "@bowline/base";
import { type CordappDefinition, cordapp, flow } from "@bowline/sdk";
import * as Type from "typebox";
import { inProcessFibers, replayJournal } from "./fibers.ts";
import { ALICE, digest, Trial, vnodeOf } from "./trial.memory.ts";

const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });
const ask = (name: string) => ({ kind: "service", service: `pure.${name}`, request: null }) as const;
const FIXED = "SHA-256:FIXED" as SecureHash;

/** Asks a, sleeps, asks b, sleeps, asks c; the fixed code also checks before the first and before the last sleep. */
const steps = (fixed: boolean) =>
  flow({
    name: "Steps",
    startable: true,
    input: Type.Object({}),
    async call(ctx) {
      const done: Data[] = [];
      const note = async (name: string) => void done.push(await ctx.syscall(ask(name)));
      await note("a");
      if (fixed && (await ctx.patched("early"))) await note("early");
      await ctx.sleep(10_000);
      await note("b");
      if (fixed && (await ctx.patched("late"))) await note("late");
      await ctx.sleep(10_000);
      if (fixed && (await ctx.patched("late"))) await note("late again");
      await note("c");
      return done;
    },
  });

const OLD = app(steps(false));
const NEW = app(steps(true));
const services = Object.fromEntries(["a", "early", "b", "late", "late again", "c"].map((name) => [`pure.${name}`, () => ({ ok: name })]));

const fix = async (trial: Trial, id: string) =>
  trial.stores[vnodeOf(ALICE)]?.requestRetry(id, trial.now, { bundle: FIXED, version: (await trial.row(id)).version });

/** Begins in the old code, goes on in the new one after so long, and loses its worker again later. */
async function rescued(afterMs: number): Promise<{ readonly trial: Trial; readonly id: string }> {
  const trial = new Trial({ cordapp: OLD, bundles: { [FIXED]: NEW }, services });
  const first = await trial.worker();
  const id = await trial.start("Steps", {});
  await trial.run(afterMs);
  assert.equal(await fix(trial, id), true);
  await trial.wake(id);
  await trial.run(3_000);
  first.crash();
  await trial.worker("next");
  return { trial, id };
}

async function endsWith({ trial, id }: { readonly trial: Trial; readonly id: string }, done: readonly string[]): Promise<void> {
  const row = await trial.finished(id);
  assert.deepEqual(row.outcome, { ok: [...done] });
  const inspection = await trial.stores[vnodeOf(ALICE)]?.inspect(id);
  assert.ok(inspection !== undefined);
  const fibers = inProcessFibers(cordapp(NEW), () => new Promise<void>((resolve) => setImmediate(resolve)));
  assert.equal((await replayJournal({ flow: inspection, digest, fibers: async () => fibers })).divergence, null);
}

describe("a fix that is to reach flows under way", () => {
  test("leaves alone what a flow has passed, and reaches what it has before it", async () => {
    await endsWith(await rescued(1_000), ["a", "b", "late", "late again", "c"]);
  });

  test("is decided once for a flow: what was passed by is passed by to the end", async () => {
    await endsWith(await rescued(11_000), ["a", "b", "c"]);
  });

  test("is in all flows that begin in the new code", async () => {
    const trial = new Trial({ cordapp: NEW, services });
    const first = await trial.worker();
    const id = await trial.start("Steps", {});
    await trial.run(12_000);
    first.crash();
    await trial.worker("next");
    await endsWith({ trial, id }, ["a", "early", "b", "late", "late again", "c"]);
  });

  test("is not in flows that began before it, whoever runs them, unless an operator brings it there", async () => {
    const trial = new Trial({ cordapp: OLD, bundles: { [FIXED]: NEW }, services });
    const first = await trial.worker();
    const old = await trial.start("Steps", {});
    await trial.run(1_000);
    const fresh = await trial.start("Steps", {}, { bundle: FIXED });
    await trial.run(11_000); // The old one has slept once, the new one sleeps.
    first.crash();
    await trial.worker("next"); // It has neither code in memory.
    assert.deepEqual((await trial.finished(old)).outcome, { ok: ["a", "b", "c"] });
    await endsWith({ trial, id: fresh }, ["a", "early", "b", "late", "late again", "c"]);
    assert.notEqual((await trial.row(old)).bundle, (await trial.row(fresh)).bundle);
  });

  test("without asking parks a flow that had passed, with the step where they part", async () => {
    const careless = flow({
      name: "Steps",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        await ctx.syscall(ask("early"));
        return null;
      },
    });
    const trial = new Trial({ cordapp: OLD, bundles: { [FIXED]: app(careless) }, services });
    await trial.worker();
    const id = await trial.start("Steps", {});
    await trial.run(1_000);
    await fix(trial, id);
    await trial.wake(id);
    await trial.finished(id);
    const inspection = await trial.stores[vnodeOf(ALICE)]?.inspect(id);
    assert.deepEqual(
      [inspection?.row.status, inspection?.lastError?.type, inspection?.lastError?.step],
      ["PARKED", "flow.nonDeterminism", "1"],
    );
  });
});
