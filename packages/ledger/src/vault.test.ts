import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { memoryEntities } from "./entities.memory.ts";
import type { Held, TransactionStatus } from "./ports.ts";
import { testVault, type VaultUnderTest } from "./vault.contract.ts";
import { memoryVault } from "./vault.memory.ts";
import { decideStatus } from "./vault.ts";
import { testVaultChanges } from "./vault-changes.contract.ts";
import { testVaultHistory } from "./vault-history.contract.ts";
import { testStateQueries } from "./vault-queries.contract.ts";

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
testVaultChanges("in memory", inMemory);
testStateQueries("in memory", async (_, macKey) => {
  const vault = memoryVault({ macKey, now: Date.now });
  const entities = memoryEntities();
  return {
    apply: async (commits) => vault.apply(commits),
    applyEntities: async (writes) => entities.prepare(writes)(),
    query: async (plan) => vault.query(plan, entities),
    now: Date.now,
  };
});

const RANK = { D: 0, U: 1, V: 2, I: 2 } as const;
const writes = fc.constantFrom<TransactionStatus | "F">("D", "U", "V", "I", "F");

/** What `decideStatus` says, done. */
function after(now: Held | undefined, next: TransactionStatus | "F", decision: ReturnType<typeof decideStatus>): Held | undefined {
  if (decision === "keep" || decision === "refuse") return now;
  if (decision === "mark") return { status: (now as Held).status, filtered: true };
  return next === "F" ? { status: "V", filtered: true } : { status: next, filtered: now?.filtered === true && next !== "V" };
}

test("whatever is written in whatever order, a status never goes back, an end is an end, and the whole is never lost to a part", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(writes, fc.boolean()), { maxLength: 12 }), (sequence) => {
      let now: Held | undefined;
      for (const [next, ourRefusalOnly] of sequence) {
        const decision = decideStatus(now, next, ourRefusalOnly);
        const then = after(now, next, decision);
        assert.equal(decision === "insert", now === undefined);
        if (now !== undefined && then !== undefined) {
          const onlyParts = now.status === "V" && now.filtered;
          if (!onlyParts) assert.ok(then.status === now.status || RANK[then.status] > RANK[now.status], `${now.status} -> ${then.status}`);
          else assert.ok(then.status !== "D" && then.status !== "I", "what its notary accepted is not written off");
          if (now.status === "V" && !now.filtered) assert.deepEqual(then, now);
          if (now.status === "I") assert.deepEqual(then, now);
          if (now.filtered && !then.filtered) assert.equal(then.status, "V", "parts are known until the whole is verified");
          assert.ok(!(now.status === "U" && then.status === "I" && ourRefusalOnly), "a signature that is out is not refused any more");
        }
        now = then;
      }
    }),
  );
});

test("the matrix is as published", () => {
  const held = (status: TransactionStatus, filtered = false): Held => ({ status, filtered });
  const row = (now: Held | undefined) => (["D", "U", "V", "I", "F"] as const).map((next) => decideStatus(now, next, false));
  assert.deepEqual(row(undefined), ["insert", "insert", "insert", "insert", "insert"]);
  assert.deepEqual(row(held("D")), ["keep", "move", "move", "move", "mark"]);
  assert.deepEqual(row(held("U")), ["keep", "keep", "move", "move", "mark"]);
  assert.deepEqual(row(held("V")), ["keep", "keep", "keep", "refuse", "keep"]);
  assert.deepEqual(row(held("I")), ["refuse", "refuse", "refuse", "keep", "refuse"]);
  assert.deepEqual(row(held("V", true)), ["keep", "move", "move", "refuse", "keep"]);
  assert.deepEqual(row(held("U", true)), ["keep", "keep", "move", "move", "keep"]);
  assert.equal(decideStatus(held("U"), "I", true), "keep");
  assert.equal(decideStatus(held("D"), "I", true), "move");
});
