import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { TransactionStatus } from "./ports.ts";
import { testVault, type VaultUnderTest } from "./vault.contract.ts";
import { memoryVault } from "./vault.memory.ts";
import { decideStatus } from "./vault.ts";
import { testVaultHistory } from "./vault-history.contract.ts";

const inMemory = async (_: TestContext, macKey: Uint8Array): Promise<VaultUnderTest> => {
  const vault = memoryVault({ macKey, now: Date.now });
  return {
    apply: async (commits) => vault.apply(commits),
    read: (read) => vault.read(read),
    dueRepairs: async (now, limit) => vault.dueRepairs(now, limit),
  };
};
testVault("in memory", inMemory);
testVaultHistory("in memory", inMemory);

const RANK = { D: 0, U: 1, V: 2, I: 2 } as const;
const statuses = fc.constantFrom<TransactionStatus>("D", "U", "V", "I");

test("whatever is written in whatever order, a status never goes back, and an end is an end", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(statuses, fc.boolean()), { maxLength: 12 }), (writes) => {
      let now: TransactionStatus | undefined;
      for (const [next, ourRefusalOnly] of writes) {
        const decision = decideStatus(now, next, ourRefusalOnly);
        if (decision === "insert") assert.equal(now, undefined);
        if (decision === "keep" || decision === "refuse") continue;
        if (now !== undefined) {
          assert.ok(RANK[next] > RANK[now], `${now} -> ${next}`);
          assert.ok(!(now === "U" && next === "I" && ourRefusalOnly), "a signature that is out is not refused any more");
        }
        now = next;
      }
    }),
  );
});

test("the matrix is as published", () => {
  const row = (now: TransactionStatus | undefined) => (["D", "U", "V", "I"] as const).map((next) => decideStatus(now, next, false));
  assert.deepEqual(row(undefined), ["insert", "insert", "insert", "insert"]);
  assert.deepEqual(row("D"), ["keep", "move", "move", "move"]);
  assert.deepEqual(row("U"), ["keep", "keep", "move", "move"]);
  assert.deepEqual(row("V"), ["keep", "keep", "keep", "refuse"]);
  assert.deepEqual(row("I"), ["refuse", "refuse", "refuse", "keep"]);
  assert.equal(decideStatus("U", "I", true), "keep");
  assert.equal(decideStatus("D", "I", true), "move");
});
