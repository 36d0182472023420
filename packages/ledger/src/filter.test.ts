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
  withDescriptions,
} from "./filter.ts";
import { GROUP } from "./leaves.ts";
import { mergeFiltered, subsetFiltered } from "./partial-views.ts";
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
        const show = name === "metadata" ? "all" : withDescriptions(policy)[name];
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

/** What a view shows: of each group its count and the places of its leaves, or nothing. */
const shownBy = (filtered: FilteredTransaction) =>
  verifyFiltered(filtered).groups.map((group) => group && { count: group.count, indexes: [...group.leaves.keys()].sort((a, b) => a - b) });

test("two views of one transaction merge into one that shows what either showed", () => {
  fc.assert(
    fc.property(policies, policies, (one, other) => {
      const [a, b] = [filterTransaction(transaction, one), filterTransaction(transaction, other)];
      const merged = decodeFiltered(encodeFiltered(mergeFiltered(a, b)));
      assert.equal(verifyFiltered(merged).id, transaction.id);
      const [shownA, shownB] = [shownBy(a), shownBy(b)];
      for (const [at, group] of shownBy(merged).entries()) {
        const indexes = new Set([...(shownA[at]?.indexes ?? []), ...(shownB[at]?.indexes ?? [])]);
        assert.equal(group === undefined, shownA[at] === undefined && shownB[at] === undefined);
        assert.deepEqual(new Set(group?.indexes ?? []), indexes);
      }
      assert.deepEqual(mergeFiltered(b, a), merged, "whichever comes first");
      assert.deepEqual(mergeFiltered(a, a), a);
    }),
  );
});

test("a view can be cut down to what another would have shown, as if it had been made so at first", () => {
  fc.assert(
    fc.property(policies, policies, (one, other) => {
      const merged = mergeFiltered(filterTransaction(transaction, one), filterTransaction(transaction, other));
      for (const policy of [one, other]) assert.deepEqual(subsetFiltered(merged, policy), filterTransaction(transaction, policy));
      assert.deepEqual(subsetFiltered(merged, {}), filterTransaction(transaction, {}));
    }),
  );
});

test("what a view does not show cannot be cut out of it, and views of two transactions do not merge", () => {
  const some = filterTransaction(transaction, { inputs: [0, 2], outputs: "count" });
  for (const policy of [{ inputs: [1] }, { inputs: "all" }, { outputs: [0] }, { references: "count" }] as const)
    assert.throws(() => subsetFiltered(some, policy), { code: "ledger.filteredInvalid" }, JSON.stringify(policy));
  const other = network.build(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }));
  assert.throws(() => mergeFiltered(some, filterTransaction(other, {})), { code: "ledger.filteredInvalid" });
});

test("metadata are bound also where nothing else is shown", () => {
  const alone = filterTransaction(transaction, {});
  const shown = alone.groups[GROUP.metadata];
  assert.ok(shown?.kind === "shown");
  const [leaf] = shown.leaves;
  const lie = encode({ ...(decode(leaf?.data as Uint8Array) as object), platformVersion: 1 });
  const lying = {
    ...alone,
    groups: alone.groups.map((group) => (group === shown ? { ...shown, leaves: [{ ...leaf, data: lie }] } : group)),
  };
  assert.notEqual(verifyFiltered(lying as FilteredTransaction).id, transaction.id);
  // Another digest is another way to hash all of it: the hidden hashes no longer fit, or lead to another id.
  for (const digest of ["SHA-512", "SHA3-256"]) {
    const data = encode({ ...(decode(leaf?.data as Uint8Array) as object), digest });
    const other = { ...alone, groups: alone.groups.map((group) => (group === shown ? { ...shown, leaves: [{ ...leaf, data }] } : group)) };
    try {
      assert.notEqual(verifyFiltered(other as FilteredTransaction).id, transaction.id);
    } catch (error) {
      assert.ok(malformed(error));
    }
  }
});

test("an output, or a command, is not shown without what is said of it", () => {
  const shown = verifyFiltered(filterTransaction(transaction, { outputs: [1], outputsInfo: [0], commands: "all" }));
  assert.deepEqual([...(shown.groups[GROUP.outputsInfo]?.leaves.keys() ?? [])], [0, 1]);
  assert.equal(shown.groups[GROUP.commandsInfo]?.complete, true);
  const bare = filterTransaction(transaction, { outputs: [1] });
  const hidden = filterTransaction(transaction, {});
  const without = { ...bare, groups: bare.groups.map((group, at) => (at === GROUP.outputsInfo ? hidden.groups[at] : group)) };
  assert.throws(() => verifyFiltered(without as FilteredTransaction), /outputs 1 is shown without its description/);
});

test("a leaf of a notary's batch is no root of a group, and a group's hash no batch", () => {
  const [word] = network.words([{ kind: "accepted", transactionId: transaction.id, at: 1 }]);
  const posing = withGroup(GROUP.inputs, () => ({
    kind: "shown",
    count: 1,
    leaves: [],
    hashes: [word?.batch?.hashes[0] ?? new Uint8Array(32)],
  }));
  assert.notEqual(verifyFiltered(posing).id, transaction.id);
});
