import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, type Data, decode, encode, parseName } from "@bowline/base";
import { composeKeys } from "@bowline/crypto";
import { checkDependencies, type FilteredDependency, filteredDependency, outputsNeeded, readDependencies } from "./dependencies.ts";
import { encodeFiltered, filterTransaction } from "./filter.ts";
import { decodeGroupParameters } from "./group-parameters.ts";
import { GROUP, stateRef } from "./leaves.ts";
import { sample } from "./sample.memory.ts";
import { encodeSignature } from "./signatures.ts";
import { resolvedOutput, type SignedTransaction } from "./transaction.ts";

const network = await sample();
const { alice, bob } = network.parties;
const parameters = decodeGroupParameters(network.parameters.bytes);
const issue = (salt: string): SignedTransaction => {
  const outputs = [1, 2, 3].map((amount) => ({ owner: alice, amount }));
  return network.notarised(network.sign(network.build(network.propose({ outputs, signedBy: [alice] }), salt), alice));
};
const [first, second] = [issue("first"), issue("second")];
const ref = ({ transaction }: SignedTransaction, index: number) => stateRef(transaction.id, index);
const spend = network.build(
  network.propose({
    inputs: [ref(first, 2), ref(second, 1)],
    references: [ref(first, 0)],
    outputs: [{ owner: bob, amount: 5 }],
    signedBy: [alice],
  }),
);
const shown = [filteredDependency(first, [2, 0]), filteredDependency(second, [1])];

function refused(dependencies: readonly FilteredDependency[], reason: RegExp, group = parameters): void {
  assert.throws(
    () => checkDependencies(spend, dependencies, group),
    (error: unknown) => error instanceof BowlineError && reason.test(error.message),
    String(reason),
  );
}

test("inputs and references come from what their notary accepted, as the vault would have resolved them", () => {
  assert.deepEqual(
    [...outputsNeeded(spend)],
    [
      [first.transaction.id, [2, 0]],
      [second.transaction.id, [1]],
    ],
  );
  const { inputs, references } = checkDependencies(spend, readDependencies(decode(encode(shown as unknown as Data))), parameters);
  assert.deepEqual(inputs, [resolvedOutput(first.transaction, 2), resolvedOutput(second.transaction, 1)]);
  assert.deepEqual(references, [resolvedOutput(first.transaction, 0)]);
});

test("exactly the transactions that are used are shown, and all of their outputs that are", () => {
  const [one, two] = shown as [FilteredDependency, FilteredDependency];
  refused([one], /needs 2 transactions shown, and 1 came/);
  refused([one, two, two], /and 3 came/);
  refused([one, one], /state .* is not shown/);
  refused([one, filteredDependency(issue("third"), [1])], /state .* is not shown/);
  refused([one, filteredDependency(second, [0])], /state .*:1 is not shown/);
  refused(
    [one, { ...two, filtered: encodeFiltered(filterTransaction(second.transaction, { notary: "all", outputsInfo: [1] })) }],
    /state .* is not shown/,
  );
  refused(
    [one, { ...two, filtered: encodeFiltered(filterTransaction(second.transaction, { outputs: [1], outputsInfo: [1] })) }],
    /group notary is hidden/,
  );
});

test("each is accepted by its notary, and shown as it is", () => {
  const [one, two] = shown as [FilteredDependency, FilteredDependency];
  const id = second.transaction.id;
  const words = (word: Parameters<typeof network.words>[0][number]) => network.words([word]).map(encodeSignature);
  refused([one, { ...two, signatures: one.signatures }], /not shown to be accepted/);
  refused(
    [one, { ...two, signatures: words({ kind: "refused", transactionId: id, code: "notary.x", message: "" }) }],
    /not shown to be accepted/,
  );
  const [record] = second.signatures.filter(({ batch }) => batch !== undefined);
  assert.ok(record !== undefined);
  const broken = { ...record, signature: record.signature.with(9, (record.signature[9] ?? 0) ^ 1) };
  refused([one, { ...two, signatures: [encodeSignature(broken)] }], /not shown to be accepted/);
  // By a signatory, who is not the notary.
  refused([one, { ...two, signatures: network.sign(second.transaction, alice).signatures.map(encodeSignature) }], /not shown/);
  const filtered = filterTransaction(second.transaction, { notary: "all", outputs: [1], outputsInfo: [1] });
  const data = encode({ type: "com.example.Note", version: 1, data: { owner: bob.keys.publicKey, amount: 1_000, text: "" } });
  const groups = filtered.groups.map((group, number) =>
    group.kind === "shown" && number === GROUP.outputs ? { ...group, leaves: group.leaves.map((leaf) => ({ ...leaf, data })) } : group,
  );
  refused([one, { ...two, filtered: encodeFiltered({ ...filtered, groups }) }], /not shown to be accepted/);
});

test("a notary's word holds under its key and those it had, and under no other", () => {
  const [notary] = parameters.notaries;
  assert.ok(notary !== undefined);
  const key = composeKeys({ threshold: 1, children: [alice, bob].map(({ keys }) => ({ key: keys.publicKey, weight: 1 })) });
  const rotated = (formerKeys: readonly string[]) => ({ ...parameters, notaries: [{ ...notary, key, formerKeys }] });
  assert.equal(checkDependencies(spend, shown, rotated([alice.keys.publicKey, notary.key])).inputs.length, 2);
  refused(shown, /names a key that .* never had, or gave up/, rotated([alice.keys.publicKey]));
  refused(shown, /list no notary/, { ...parameters, notaries: [{ ...notary, name: parseName("O=Other, L=London, C=GB") }] });
});
