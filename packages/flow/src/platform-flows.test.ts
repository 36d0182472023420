import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Data } from "@bowline/base";
import { BowlineError } from "@bowline/base";
import { type CordappDefinition, FlowError, flow, type PlatformFlowName } from "@bowline/sdk";
import * as Type from "typebox";
import { Trial } from "./trial.memory.ts";

const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });
const service = (name: string, request: Data = null) => ({ kind: "service", service: name, request }) as const;

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
