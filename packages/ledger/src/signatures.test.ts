import assert from "node:assert/strict";
import { test } from "node:test";
import { composeKeys, generateKeyPair, keyIdOf, signSync } from "@bowline/crypto";
import { NOW, sample, signatureOf, signaturesOf } from "./sample.memory.ts";
import {
  batchOf,
  checkNotaryWord,
  checkSignatures,
  decodeSignature,
  encodeSignature,
  encodeWord,
  type NotaryWord,
  transactionPreimage,
} from "./signatures.ts";

const network = await sample();
const { alice, bob, carol } = network.parties;
const transaction = network.build(network.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice, bob] }));
const other = network.build(network.propose({ outputs: [{ owner: alice, amount: 6 }], signedBy: [alice] }));
const acceptedOf = ({ id }: typeof transaction): NotaryWord => ({ kind: "accepted", transactionId: id, at: NOW });
const { signatures } = network.sign(transaction, alice, bob);
const words = network.words([
  acceptedOf(other),
  acceptedOf(transaction),
  { kind: "refused", transactionId: transaction.id, code: "c", message: "m" },
]);
type Record = (typeof signatures)[number];
const check = (...records: readonly (Record | undefined)[]) => checkSignatures(transaction, records as readonly Record[]);

test("everybody who must sign has signed, and the notary accepted", () => {
  assert.deepEqual(check(...signatures, words[1]), {
    signers: [alice.keys.publicKey, bob.keys.publicKey],
    missing: [],
    invalid: [],
    notary: acceptedOf(transaction),
  });
});

test("whoever has not signed is named", () => {
  assert.deepEqual(check(signatures[0]).missing, [bob.keys.publicKey]);
  assert.deepEqual(check().missing, [alice.keys.publicKey, bob.keys.publicKey]);
});

test("a stranger's signature counts for nothing and harms nothing", () => {
  const stranger = signatureOf(transaction.id, carol.keys);
  assert.deepEqual(check(...signatures, stranger), check(...signatures));
  assert.deepEqual(check(...signatures, stranger).missing, []);
});

test("a signature does not survive a change of what it covers", () => {
  const [first] = signatures as readonly [Record];
  const changes: readonly Record[] = [
    { ...first, metadata: { ...first.metadata, timestamp: NOW + 1 } },
    { ...first, metadata: { ...first.metadata, platformVersion: 1 } },
    { ...first, metadata: { ...first.metadata, spec: "SHA512withECDSA" } },
    { ...first, signature: first.signature.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) },
    { ...first, by: keyIdOf(bob.keys.publicKey) },
    network.sign(other, alice).signatures[0] as Record,
  ];
  for (const changed of changes) {
    const state = check(changed);
    assert.equal(state.missing.length, 2);
    assert.equal(state.invalid.length, 1);
  }
});

test("a signature made for one purpose is none for another", () => {
  const metadata = { timestamp: NOW, spec: "SHA256withECDSA", platformVersion: 1 } as const;
  const asMember = {
    by: keyIdOf(network.notary.key),
    metadata,
    signature: signSync(network.notaryKeys.privateKey, transactionPreimage(transaction.id, metadata)),
  };
  const word = words[1] as Required<Record>;
  assert.equal(check({ ...asMember, batch: word.batch }).notary, null);
  assert.equal(check(asMember).notary, null);
});

test("a notary's word is bound to its transaction, its place and the size of its batch", () => {
  const [first, second] = words as readonly [Required<Record>, Required<Record>];
  assert.equal(check(first).notary, null, "a word on another transaction");
  const { batch } = second;
  for (const changed of [
    { ...batch, index: 0 },
    { ...batch, count: 2 },
    { ...batch, count: 4 },
    { ...batch, hashes: batch.hashes.slice(1) },
    { ...batch, hashes: [...batch.hashes, new Uint8Array(32)] },
    { ...batch, word: first.batch.word },
  ])
    assert.equal(check({ ...second, batch: changed }).notary, null);
});

test("a refusal is a word, and no acceptance", () => {
  assert.equal(check(...signatures, words[2]).notary?.kind, "refused");
  assert.equal(checkNotaryWord(transaction, encodeSignature(words[2] as Record)).kind, "refused");
});

test("a word under another notary's key is none", async () => {
  const keys = await generateKeyPair("CORDA.ECDSA.SECP256R1");
  const batch = batchOf([acceptedOf(transaction)], keys.publicKey, { timestamp: NOW, spec: "SHA256withECDSA", platformVersion: 1 });
  const [forged] = batch.sealed(signSync(keys.privateKey, batch.preimage)) as readonly [Record];
  assert.equal(check(forged).notary, null);
  assert.equal(check({ ...forged, by: keyIdOf(network.notary.key) }).notary, null);
  assert.throws(() => checkNotaryWord(transaction, encodeSignature(forged)), /not signed by the key/);
});

test("a signature record is what its bytes say", () => {
  for (const record of [...signatures, ...words]) assert.deepEqual(decodeSignature(encodeSignature(record)), record);
});

const third = network.build(network.propose({ outputs: [{ owner: alice, amount: 7 }], signedBy: [alice] }));
const together = signaturesOf([other.id, transaction.id, third.id], alice.keys);

test("a member signs several transactions at once, and each shows that it is among them", () => {
  assert.deepEqual(check(together[1], signatures[1]).missing, []);
  for (const [i, one] of [other, transaction, third].entries()) {
    const state = checkSignatures(one, [together[i] as Record]);
    assert.deepEqual([state.signers, state.invalid, state.notary], [[alice.keys.publicKey], [], null]);
  }
  assert.deepEqual(decodeSignature(encodeSignature(together[1] as Record)), together[1]);
  for (let size = 1; size <= 17; size++) {
    const ids = Array.from({ length: size }, (_, i) => (i === size - 1 ? transaction.id : other.id));
    assert.deepEqual(check(signaturesOf(ids, alice.keys).at(-1)).signers, [alice.keys.publicKey]);
  }
});

test("what is not among them is not signed, whatever place it says to have", () => {
  const [own, neighbour] = [together[1], together[0]] as readonly [Record, Record];
  const among = own.among as Required<Record>["among"];
  const fourth = network.build(network.propose({ outputs: [{ owner: alice, amount: 8 }], signedBy: [alice] }));
  assert.deepEqual(checkSignatures(fourth, [own]).signers, [], "another transaction");
  const { among: _, ...alone } = own;
  const doctored: readonly Record[] = [
    neighbour,
    { ...own, among: { ...among, index: 0 } },
    { ...own, among: { ...among, index: 3 } },
    { ...own, among: { ...among, count: 2 } },
    { ...own, among: { ...among, count: 4 } },
    { ...own, among: { ...among, count: 0 } },
    { ...own, among: { ...among, hashes: among.hashes.slice(1) } },
    { ...own, among: { ...among, hashes: [...among.hashes].reverse() } },
    { ...own, among: { ...among, hashes: among.hashes.map((hash) => hash.map((byte, i) => (i === 0 ? byte ^ 1 : byte))) } },
    { ...own, among: { ...among, hashes: [...among.hashes, new Uint8Array(32)] } },
    { ...own, metadata: { ...own.metadata, timestamp: NOW + 1 } },
    alone,
  ];
  for (const [i, record] of doctored.entries()) {
    const { signers, invalid } = check(record);
    assert.deepEqual([i, signers, invalid], [i, [], [own.by]]);
  }
});

test("a member's batch is no notary's, and a notary's no member's", () => {
  const byNotary = signaturesOf([other.id, transaction.id], network.notaryKeys)[1] as Required<Record>;
  const word = encodeWord(acceptedOf(transaction));
  assert.equal(check({ ...byNotary, batch: { ...byNotary.among, word } }).notary, null);
  const [asWord] = network.words([acceptedOf(transaction)]) as readonly [Required<Record>];
  const { word: __, ...place } = asWord.batch;
  const owned = network.build(network.propose({ outputs: [{ owner: alice, amount: 9 }], signedBy: [alice] }));
  const signatory = { ...owned, signatories: [network.notary.key] };
  assert.deepEqual(
    checkSignatures(signatory, [{ by: asWord.by, signature: asWord.signature, metadata: asWord.metadata, among: place }]).signers,
    [],
  );
});

test("batches of every size prove each of their words", () => {
  for (let size = 1; size <= 17; size++) {
    const said = Array.from({ length: size }, (_, i) => (i === size - 1 ? acceptedOf(transaction) : acceptedOf(other)));
    assert.equal(check(network.words(said).at(-1)).notary?.kind, "accepted");
  }
});

test("a composite signatory is fulfilled by its threshold, whichever keys sign", () => {
  const keys = [alice, bob, carol].map(({ keys: { publicKey } }) => ({ key: publicKey, weight: 1 }));
  const shared = composeKeys({ threshold: 2, children: keys });
  const proposal = network.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [] });
  const joint = network.build({ ...proposal, signatories: [shared] });
  const missing = (...by: readonly (typeof alice)[]) => checkSignatures(joint, network.sign(joint, ...by).signatures).missing;
  assert.deepEqual([missing(), missing(bob), missing(bob, bob)], [[shared], [shared], [shared]]);
  assert.deepEqual([missing(alice, carol), missing(bob, carol), missing(alice, bob, carol)], [[], [], []]);
});
