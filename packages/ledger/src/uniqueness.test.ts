import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecureHash } from "@bowline/base";
import fc from "fast-check";
import { stateRef } from "./leaves.ts";
import type { Spend, Verdict } from "./ports.ts";
import { NOW } from "./sample.memory.ts";
import { decide, idOf, spendOf, testUniqueness } from "./uniqueness.contract.ts";
import { memoryUniqueness } from "./uniqueness.memory.ts";

testUniqueness("in memory", async (_, workers) => {
  const store = memoryUniqueness(() => NOW);
  return Array.from({ length: workers }, () => store);
});

const NAMES = ["a", "b", "c", "d", "e", "f"];
const refs = fc.uniqueArray(
  fc.tuple(fc.constantFrom(...NAMES), fc.nat(1)).map(([name, index]) => stateRef(idOf(name), index)),
  { maxLength: 2 },
);
/** What a transaction consumes is a function of its id, as it is in a ledger. */
const histories = fc
  .array(fc.record({ inputs: refs, references: refs, late: fc.boolean() }), { minLength: NAMES.length, maxLength: NAMES.length })
  .map((kinds) =>
    NAMES.map((name, i): Spend => {
      const { inputs, references, late } = kinds[i] as { inputs: string[]; references: string[]; late: boolean };
      return spendOf(name, { inputs, references, until: late ? NOW : NOW + 1 });
    }),
  )
  .chain((spends) => fc.tuple(fc.constant(spends), fc.array(fc.array(fc.nat(NAMES.length - 1), { maxLength: 5 }), { maxLength: 12 })));

test("whatever arrives, in whatever batches: no state has two spenders, and no final verdict changes", async () => {
  await fc.assert(
    fc.asyncProperty(histories, async ([spends, batches]) => {
      const store = memoryUniqueness(() => NOW);
      const final = new Map<SecureHash, Verdict>();
      const consumers = new Map<string, SecureHash>();
      for (const batch of batches) {
        const asked = batch.map((i) => spends[i] as Spend);
        const verdicts = await decide(store, asked);
        for (const [i, spend] of asked.entries()) {
          const verdict = verdicts[i] as Verdict;
          const before = final.get(spend.transactionId);
          if (before !== undefined) assert.deepEqual(verdict, before);
          if (verdict.kind === "retry" || before !== undefined) continue;
          final.set(spend.transactionId, verdict);
          if (verdict.kind !== "accepted") continue;
          for (const ref of spend.references) assert.ok(!consumers.has(ref), "a reference was consumed before");
          for (const ref of spend.inputs) {
            assert.ok(!consumers.has(ref), "an input had a spender");
            consumers.set(ref, spend.transactionId);
          }
        }
      }
    }),
  );
});
