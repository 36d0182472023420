import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, decode, encode } from "@bowline/base";
import fc from "fast-check";
import { GROUP } from "./leaves.ts";
import { NOW, notesOf, sample } from "./sample.memory.ts";
import { decodeSigned, decodeTransaction, dependenciesOf, encodeSigned, transactionOf } from "./transaction.ts";

const network = await sample();
const { alice, bob } = network.parties;
const { issue } = notesOf(network);
const code = (expected: string) => (error: unknown) => error instanceof BowlineError && error.code === expected;

test("a transaction is what its bytes say", () => {
  const again = decodeTransaction(issue.bytes);
  assert.deepEqual(again, issue);
  assert.equal(again.outputs.length, 2);
  assert.deepEqual(again.timeWindow, { until: NOW + 60_000 });
});

test("signatures travel with the transaction and do not change its id", () => {
  const signed = network.notarised(network.sign(issue, alice, bob));
  const again = decodeSigned(encodeSigned(signed));
  assert.deepEqual(again, signed);
  assert.equal(again.transaction.id, issue.id);
});

test("every leaf, the salt and the group are bound by the id", () => {
  const ids = new Set([issue.id]);
  for (const [group, leaves] of issue.groups.entries()) {
    // The same leaves in other places are another transaction; a leaf less is one too, or none at all.
    for (const index of leaves.keys()) {
      const groups = issue.groups.map((kept, at) => (at === group ? kept.filter((_, i) => i !== index) : kept));
      try {
        ids.add(transactionOf({ ...issue, groups }).id);
      } catch (error) {
        assert.ok(error instanceof BowlineError);
      }
    }
  }
  ids.add(
    network.build(
      network.propose({
        outputs: [
          { owner: alice, amount: 5 },
          { owner: bob, amount: 7 },
        ],
        signedBy: [alice, bob],
      }),
      "other",
    ).id,
  );
  ids.add(transactionOf({ ...issue, groupId: issue.groupId.replace("5", "6") }).id);
  ids.add(
    transactionOf({ ...issue, groups: issue.groups.map((leaves, at) => (at === GROUP.signatories ? leaves.toReversed() : leaves)) }).id,
  );
  assert.equal(ids.size, 6);
});

test("any flipped bit gives another id or no transaction", () => {
  fc.assert(
    fc.property(fc.nat(issue.bytes.length - 1), fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const bytes = issue.bytes.slice();
      bytes[at] = (bytes[at] as number) ^ (1 << bit);
      try {
        assert.notEqual(decodeTransaction(bytes).id, issue.id);
      } catch (error) {
        assert.ok(error instanceof BowlineError, `${error}`);
      }
    }),
    { numRuns: 500 },
  );
});

test("what cannot be a transaction is refused by name", () => {
  const wire = decode(issue.bytes) as { readonly groups: readonly (readonly Uint8Array[])[] } & { readonly [key: string]: never };
  const without = (group: number) => ({ ...wire, groups: wire.groups.map((leaves, at) => (at === group ? [] : leaves)) });
  const refused: readonly [ReturnType<typeof without> | object, string][] = [
    [without(GROUP.metadata), "ledger.transactionMalformed"],
    [without(GROUP.notary), "ledger.transactionMalformed"],
    [without(GROUP.outputsInfo), "ledger.transactionMalformed"],
    [{ ...wire, salt: new Uint8Array(32) }, "ledger.transactionMalformed"],
    [{ ...wire, salt: new Uint8Array(16).fill(1) }, "ledger.transactionMalformed"],
    [{ ...wire, extra: 1 }, "input.invalid"],
    [{ ...wire, ledgerVersion: 2 }, "input.invalid"],
    [{ ...wire, groups: wire.groups.slice(1) }, "input.invalid"],
    [{ ...wire, groups: wire.groups.map((leaves, at) => (at === GROUP.unused ? [encode("x")] : leaves)) }, "ledger.transactionMalformed"],
  ];
  for (const [value, expected] of refused) assert.throws(() => decodeTransaction(encode(value as never)), code(expected));
});

test("dependencies are named once", () => {
  const move = network.build(
    network.propose({
      inputs: [`${issue.id}:0`],
      references: [`${issue.id}:1`],
      outputs: [{ owner: bob, amount: 5 }],
      signedBy: [alice],
    }),
  );
  assert.deepEqual(dependenciesOf(move), [issue.id]);
});
