import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, encode } from "@bowline/base";
import { preimage } from "@bowline/base/preimage";
import { generateKeyPair, keyIdOf, signSync } from "@bowline/crypto";
import fc from "fast-check";
import { filteredDependency } from "./dependencies.ts";
import { type ProofFile, proofFile, verifyProof } from "./proof.ts";
import { firstOutput, sample } from "./sample.memory.ts";
import { encodeSignature } from "./signatures.ts";
import { encodeSigned, type SignedTransaction } from "./transaction.ts";

const network = await sample();
const { alice, bob } = network.parties;
const manager = await generateKeyPair("CORDA.ECDSA.SECP256R1");
const stranger = await generateKeyPair("CORDA.ECDSA.SECP256R1");
const { bytes } = network.parameters;
const signedBy = (keys: typeof manager) => ({
  bytes,
  signature: signSync(keys.privateKey, preimage("group-parameters", bytes)),
  signedBy: keys.publicKey,
});
const issued = network.notarised(
  network.sign(
    network.build(
      network.propose({
        outputs: [
          { owner: alice, amount: 5 },
          { owner: alice, amount: 6 },
        ],
        signedBy: [alice],
      }),
    ),
    alice,
  ),
);
const moved = network.notarised(
  network.sign(
    network.build(network.propose({ inputs: [firstOutput(issued.transaction)], outputs: [{ owner: bob, amount: 5 }], signedBy: [alice] })),
    alice,
  ),
);
const past = [filteredDependency(issued, [0])];
const file = proofFile(moved, signedBy(manager), past);
const byGroup = { groupKeys: [keyIdOf(manager.publicKey)], notaryKeys: [] };
const byNotary = { groupKeys: [], notaryKeys: [keyIdOf(network.notary.key)] };
const code = (expected: string) => (thrown: unknown) => thrown instanceof BowlineError && thrown.code === expected;
const base64 = (value: Uint8Array) => Buffer.from(value).toString("base64");

test("a file proves its transaction to whoever trusts the group's manager, or its notary", () => {
  for (const trust of [byGroup, byNotary]) {
    const proven = verifyProof(JSON.parse(JSON.stringify(file)), trust);
    assert.deepEqual(
      [proven.id, proven.notary, proven.signedBy],
      [moved.transaction.id, network.notary.name, [keyIdOf(alice.keys.publicKey)]],
    );
    assert.deepEqual(proven.inputs, [firstOutput(issued.transaction)]);
    assert.deepEqual(
      proven.outputs.map(({ data }) => (data as { amount: number }).amount),
      [5],
    );
  }
  assert.equal(verifyProof(proofFile(issued, signedBy(manager), []), byGroup).inputs.length, 0);
  assert.ok(!JSON.stringify(file).includes(base64(encodeSigned(issued))), "of the past no more is in it than what was spent");
});

test("nobody's word is believed who is not trusted", () => {
  for (const trust of [
    { groupKeys: [], notaryKeys: [] },
    { groupKeys: [keyIdOf(stranger.publicKey)], notaryKeys: [keyIdOf(stranger.publicKey)] },
    { groupKeys: [keyIdOf(network.notary.key)], notaryKeys: [keyIdOf(manager.publicKey)] },
  ])
    assert.throws(() => verifyProof(file, trust), code("ledger.proofUntrusted"));
  assert.throws(() => verifyProof(proofFile(moved, signedBy(stranger), past), byGroup), code("ledger.proofUntrusted"));
});

test("a file that lacks anything of the proof proves nothing", () => {
  const without = (keep: (signature: SignedTransaction["signatures"][number]) => boolean) => ({
    ...moved,
    signatures: moved.signatures.filter(keep),
  });
  const refused = network.words([
    { kind: "refused", transactionId: moved.transaction.id, code: "notary.inputStateConflict", message: "spent" },
  ]);
  const onAnother = network.words([{ kind: "accepted", transactionId: issued.transaction.id, at: 1 }]);
  const unsigned = without(({ batch }) => batch !== undefined);
  const other = { ...signedBy(manager), bytes: encode({ not: "parameters" }) };
  const forged = { ...signedBy(manager), signature: signSync(stranger.privateKey, preimage("group-parameters", bytes)) };
  const wrongPurpose = { ...signedBy(manager), signature: signSync(manager.privateKey, preimage("app", bytes)) };
  const files: readonly [string, ProofFile][] = [
    [
      "the notary's word",
      proofFile(
        without(({ batch }) => batch === undefined),
        signedBy(manager),
        past,
      ),
    ],
    [
      "its acceptance",
      proofFile({ ...moved, signatures: [...without(({ batch }) => batch === undefined).signatures, ...refused] }, signedBy(manager), past),
    ],
    [
      "a word on this transaction",
      proofFile(
        { ...moved, signatures: [...without(({ batch }) => batch === undefined).signatures, ...onAnother] },
        signedBy(manager),
        past,
      ),
    ],
    ["a signature", proofFile(unsigned, signedBy(manager), past)],
    ["the past", proofFile(moved, signedBy(manager), [])],
    ["the output that is spent", proofFile(moved, signedBy(manager), [filteredDependency(issued, [1])])],
    ["no more than the past", proofFile(moved, signedBy(manager), [...past, ...past])],
    [
      "the past's notarisation",
      proofFile(moved, signedBy(manager), [{ ...(past[0] as (typeof past)[0]), signatures: moved.signatures.map(encodeSignature) }]),
    ],
    ["the group's parameters", proofFile(moved, other, past)],
    ["the group's signature", proofFile(moved, forged, past)],
    ["a signature for this purpose", proofFile(moved, wrongPurpose, past)],
    ["the right format", { ...file, format: "bowline-transaction-proof/2" as never }],
    ["nothing else", { ...file, more: 1 } as never],
  ];
  for (const [what, doctored] of files) assert.throws(() => verifyProof(doctored, byGroup), code("ledger.proofInvalid"), what);
  for (const nothing of [null, 5, "file", [], {}]) assert.throws(() => verifyProof(nothing, byGroup), code("ledger.proofInvalid"));
});

test("wherever a byte of a file is changed, it proves the same or nothing", () => {
  const honest = verifyProof(file, byGroup);
  const places = [
    (text: string): ProofFile => ({ ...file, transaction: text }),
    (text: string): ProofFile => ({ ...file, groupParameters: { ...file.groupParameters, bytes: text } }),
    (text: string): ProofFile => ({ ...file, groupParameters: { ...file.groupParameters, signature: text } }),
    (text: string): ProofFile => ({
      ...file,
      dependencies: [{ ...(file.dependencies[0] as ProofFile["dependencies"][0]), filtered: text }],
    }),
    (text: string): ProofFile => ({
      ...file,
      dependencies: [{ ...(file.dependencies[0] as ProofFile["dependencies"][0]), signatures: [text] }],
    }),
  ];
  const originals = [
    file.transaction,
    file.groupParameters.bytes,
    file.groupParameters.signature,
    file.dependencies[0]?.filtered ?? "",
    file.dependencies[0]?.signatures[0] ?? "",
  ];
  fc.assert(
    fc.property(fc.nat(places.length - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), (place, at, flip) => {
      const changed = Buffer.from(originals[place] as string, "base64");
      const index = at % changed.length;
      changed[index] = (changed[index] as number) ^ flip;
      let found: unknown;
      try {
        found = verifyProof(places[place]?.(changed.toString("base64")), byGroup);
      } catch (thrown) {
        assert.ok(thrown instanceof BowlineError && thrown.code.startsWith("ledger.proof"), String(thrown));
        return;
      }
      // What signatures do not cover is what nobody relies on, such as an ECDSA signature's own other form.
      assert.deepEqual(found, honest);
    }),
    { numRuns: 300 },
  );
});
