import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, type Data, decode, encode } from "@bowline/base";
import fc from "fast-check";
import {
  decodeFiltered,
  encodeFiltered,
  type FilteredTransaction,
  type FilterPolicy,
  filterForNotary,
  filterTransaction,
  readForNotary,
  verifyFiltered,
} from "./filter.ts";
import { GROUP } from "./leaves.ts";
import { sample } from "./sample.memory.ts";

const network = await sample();
const { alice, bob } = network.parties;
const ref = (digit: string, index: number) => `SHA-256:${digit.repeat(64)}:${index}`;
const transaction = network.build(
  network.propose({
    inputs: [ref("A", 0), ref("B", 1), ref("C", 2), ref("D", 3), ref("E", 4)],
    references: [ref("F", 0)],
    outputs: [
      { owner: alice, amount: 1 },
      { owner: bob, amount: 2 },
      { owner: bob, amount: 3 },
    ],
    signedBy: [alice, bob],
  }),
);
const groupNames = Object.keys(GROUP) as (keyof typeof GROUP)[];
const malformed = (error: unknown) => error instanceof BowlineError;

const policies = fc
  .array(fc.constantFrom("all" as const, "count" as const, "some" as const, undefined), { minLength: 10, maxLength: 10 })
  .map((shows): FilterPolicy => {
    const entries = groupNames.flatMap((name, i) => {
      const show = shows[i];
      if (show === undefined) return [];
      const even = (transaction.groups[GROUP[name]] ?? []).map((_, index) => index).filter((index) => index % 2 === 0);
      return [[name, show === "some" ? even : show] as const];
    });
    return Object.fromEntries(entries);
  });

test("whatever is shown is part of the transaction, and how much of it is known", () => {
  fc.assert(
    fc.property(policies, (policy) => {
      const shown = verifyFiltered(decodeFiltered(encodeFiltered(filterTransaction(transaction, policy))));
      assert.equal(shown.id, transaction.id);
      for (const name of groupNames) {
        const leaves = transaction.groups[GROUP[name]] ?? [];
        const group = shown.groups[GROUP[name]];
        const show = name === "metadata" ? "all" : policy[name];
        assert.equal(group === undefined, show === undefined);
        if (group === undefined) continue;
        assert.equal(group.count, leaves.length);
        assert.equal(group.complete, group.leaves.size === leaves.length);
        for (const [index, data] of group.leaves) assert.deepEqual(data, leaves[index]);
      }
    }),
  );
});

test("a changed proof shows another id, or nothing", () => {
  const bytes = filterForNotary(transaction);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const changed = bytes.slice();
      changed[at] = (changed[at] as number) ^ (1 << bit);
      try {
        assert.notEqual(readForNotary(changed).id, transaction.id);
      } catch (error) {
        assert.ok(malformed(error), `${error}`);
      }
    }),
    { numRuns: 400 },
  );
});

test("a notary reads all that it decides on", () => {
  const request = readForNotary(filterForNotary(transaction));
  assert.equal(request.id, transaction.id);
  assert.deepEqual(request.inputs, transaction.inputs);
  assert.deepEqual(request.references, transaction.references);
  assert.deepEqual(request.timeWindow, transaction.timeWindow);
  assert.equal(request.outputCount, 3);
  assert.equal(request.notaryKey, transaction.notaryKey);
});

test("a notary refuses a proof that leaves out an input, though its hashes are right", () => {
  const hiding = filterTransaction(transaction, { notary: "all", inputs: [0, 1, 2, 3], references: "all", outputs: "count" });
  assert.equal(verifyFiltered(hiding).id, transaction.id);
  assert.throws(() => readForNotary(encodeFiltered(hiding)), /inputs shows 4 of 5/);
});

test("a notary refuses a proof that hides a group", () => {
  for (const hidden of ["notary", "inputs", "references", "outputs"] as const) {
    const policy: Record<string, "all" | "count"> = { notary: "all", inputs: "all", references: "all", outputs: "count" };
    delete policy[hidden];
    assert.throws(() => readForNotary(encodeFiltered(filterTransaction(transaction, policy))), malformed);
  }
});

test("a false count is another id", () => {
  const lying = withGroup(GROUP.inputs, (group) =>
    group.kind === "shown" ? { ...group, count: 4, leaves: group.leaves.slice(0, 4) } : group,
  );
  try {
    assert.notEqual(verifyFiltered(lying).id, transaction.id);
  } catch (error) {
    assert.ok(malformed(error));
  }
});

test("metadata cannot be hidden", () => {
  const hiding = withGroup(GROUP.metadata, () => ({ kind: "hidden", top: new Uint8Array(32) }));
  assert.throws(() => verifyFiltered(hiding), /metadata is hidden/);
});

test("neither the salt nor anything hidden leaves", () => {
  const bytes = filterForNotary(transaction);
  const text = Buffer.from(bytes).toString("latin1");
  const contains = (part: Uint8Array) => text.includes(Buffer.from(part).toString("latin1"));
  assert.ok(contains(transaction.groups[GROUP.inputs]?.[0] as Uint8Array));
  assert.ok(!contains(transaction.salt));
  for (const group of [GROUP.signatories, GROUP.outputs, GROUP.outputsInfo, GROUP.commands])
    for (const leaf of transaction.groups[group] as readonly Uint8Array[]) if (leaf.length > 8) assert.ok(!contains(leaf));
});

function withGroup(
  index: number,
  change: (group: FilteredTransaction["groups"][number]) => FilteredTransaction["groups"][number],
): FilteredTransaction {
  const filtered = decode(filterForNotary(transaction)) as unknown as FilteredTransaction;
  return decodeFiltered(
    encode({ ...filtered, groups: filtered.groups.map((group, at) => (at === index ? change(group) : group)) } as Data),
  );
}
