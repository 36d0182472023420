import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data, X500Name } from "@bowline/base";
import type { GatheredTransaction } from "@bowline/sdk/transaction-rules";
import fc from "fast-check";
import { additionsTo, checkGathered, notaryOfAll, withAdditions } from "./gathered.ts";
import { firstOutput, sample } from "./sample.memory.ts";
import { type ResolvedState, resolvedOutput } from "./transaction.ts";

const { build, parties, propose, notary } = await sample();
const { alice, bob, carol } = parties;
const issue = build(propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }));
const ref = (index: number) => firstOutput(issue).replace(/:0$/, `:${index}`);
const empty: GatheredTransaction = { inputs: [], references: [], outputs: [], commands: [], signatories: [] };
const output = (amount: number) => ({ type: "Note", version: 1, contract: "NoteContract", data: { amount } });
const command = (type: string) => ({ type, contract: "NoteContract", data: {} });

const keys = [alice, bob, carol].map((party) => party.keys.publicKey);
const some = <T>(items: readonly T[]) => fc.uniqueArray(fc.constantFrom(...items), { maxLength: 3 });
const gathered: fc.Arbitrary<GatheredTransaction> = fc.record(
  {
    notary: fc.constantFrom(notary.name, "O=Other, L=London, C=GB" as X500Name),
    from: fc.nat(100),
    until: fc.nat(100),
    inputs: some([ref(0), ref(1), ref(2)]),
    references: some([ref(3), ref(4)]),
    outputs: some([output(1), output(2)]),
    commands: some([command("Issue"), command("Move")]),
    signatories: some(keys),
  },
  { requiredKeys: ["inputs", "references", "outputs", "commands", "signatories"] },
);

test("what was added comes back as it was added, after what was there, and nothing of that twice", () => {
  fc.assert(
    fc.property(gathered, gathered, (before, more) => {
      const { notary: _, from: __, until: ___, ...lists } = more;
      const hasWindow = before.from !== undefined || before.until !== undefined;
      const fresh = {
        ...lists,
        ...(before.notary === undefined && more.notary !== undefined ? { notary: more.notary } : {}),
        ...(!hasWindow && more.from !== undefined ? { from: more.from } : {}),
        ...(!hasWindow && more.until !== undefined ? { until: more.until } : {}),
      };
      const now = withAdditions(before, fresh);
      assert.deepEqual(withAdditions(before, additionsTo(before, now)), now);
      assert.equal(new Set(now.inputs).size, now.inputs.length);
      assert.equal(new Set(now.signatories).size, now.signatories.length);
      for (const list of ["inputs", "references", "outputs", "commands", "signatories"] as const)
        assert.deepEqual(now[list].slice(0, before[list].length), before[list]);
    }),
  );
});

const set: GatheredTransaction = { ...empty, notary: notary.name, until: 100, inputs: [ref(0), ref(1)], outputs: [output(1)] };

for (const [what, change] of [
  ["a notary that is set", { notary: "O=Other, L=London, C=GB" as X500Name }],
  ["the end of a window that is set", { until: 200 }],
  ["the beginning of a window that is set", { from: 1 }],
] as const)
  test(`nobody changes ${what}: neither who sends, nor who is sent`, () => {
    assert.throws(() => additionsTo(set, { ...set, ...change }), { code: "ledger.builderChanged" });
    assert.throws(() => withAdditions(set, { ...empty, ...change }), { code: "ledger.builderChanged" });
  });

for (const [what, change] of [
  ["an input is taken away", { inputs: [ref(0)] }],
  ["inputs change places", { inputs: [ref(1), ref(0)] }],
  ["an output becomes another", { outputs: [output(2)] }],
] as const)
  test(`it is no addition where ${what}`, () => {
    assert.throws(() => additionsTo(set, { ...set, ...change }), { code: "ledger.builderChanged" });
  });

for (const [what, wrong, code] of [
  ["a field that no builder has", { salt: new Uint8Array(32) }, "input.invalid"],
  ["what is no reference", { inputs: ["SHA-256:1:0"] }, "input.invalid"],
  ["a negative moment", { until: -1 }, "input.invalid"],
  ["more than a transaction may hold", { signatories: Array.from({ length: 4_097 }, () => keys[0]) }, "input.invalid"],
  [
    "more bytes than a transaction has",
    { outputs: [output(0)].map((one) => ({ ...one, data: "x".repeat(4_194_304) })) },
    "ledger.builderTooLarge",
  ],
  ["a key that is none", { signatories: ["AAAA"] }, "crypto.keyMalformed"],
  ["a notary in another writing", { notary: "C=GB, L=London, O=Notary" }, "ledger.nameMalformed"],
] as const)
  test(`${what} is refused, with its code`, () => {
    assert.throws(() => checkGathered({ ...empty, ...(wrong as object) } as unknown as Data), { code });
  });

test("what is gathered is under one notary", () => {
  const state = resolvedOutput(issue, 0) as ResolvedState;
  assert.equal(notaryOfAll(undefined, [state, state]), notary.name);
  assert.equal(notaryOfAll(undefined, []), undefined);
  assert.throws(() => notaryOfAll("O=Other, L=London, C=GB" as X500Name, [state]), { code: "ledger.builderNotaryDiffers" });
});
