import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@bowline/base";
import { signSync } from "@bowline/crypto";
import { encodeFiltered, filterForNotary, filterTransaction } from "./filter.ts";
import { decodeDecisions } from "./history.ts";
import { notarise } from "./notary.store.ts";
import type { NotariseRequest } from "./ports.ts";
import { firstOutput, NOW, PLATFORM_VERSION, type Sample, sample } from "./sample.memory.ts";
import { checkNotaryWord, encodeSignature, type TransactionSignature } from "./signatures.ts";
import type { Transaction } from "./transaction.ts";
import { memoryUniqueness } from "./uniqueness.memory.ts";

const network = await sample();
const { alice, bob } = network.parties;
const issue = network.build(network.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] }));
const spend = (salt: string) =>
  network.build(network.propose({ inputs: [firstOutput(issue)], outputs: [{ owner: bob, amount: 5 }], signedBy: [alice] }), salt);
const request = (transaction: Transaction, mode: "write" | "read" = "write"): NotariseRequest => ({
  originator: alice.name,
  filtered: filterForNotary(transaction),
  mode,
});

const decide = (store: ReturnType<typeof memoryUniqueness>, requests: readonly NotariseRequest[], self = network.self) =>
  decideFor({ ...network, self }, store, requests);

async function decideFor(
  { self, notaryKeys }: Pick<Sample, "self" | "notaryKeys">,
  store: ReturnType<typeof memoryUniqueness>,
  requests: readonly NotariseRequest[],
) {
  const signed: Uint8Array[] = [];
  const answers = await notarise(requests, self, {
    store,
    metadata: { timestamp: NOW, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION },
    sign: async (preimage) => {
      signed.push(preimage);
      return signSync(notaryKeys.privateKey, preimage);
    },
  });
  return { answers, signed };
}

test("one batch, one signature, a proven word for each", async () => {
  const [first, second] = [spend("1"), spend("2")];
  const { answers } = await decide(
    memoryUniqueness(() => NOW),
    [issue, first, second].map((transaction) => request(transaction)),
  );
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ["accepted", "accepted", "refused"],
  );
  assert.deepEqual(checkNotaryWord(issue, answers[0]?.signature as Uint8Array), { kind: "accepted", transactionId: issue.id, at: NOW });
  assert.equal(checkNotaryWord(second, answers[2]?.signature as Uint8Array).kind, "refused");
  assert.equal(answers[2]?.code, "notary.inputStateConflict");
  assert.throws(() => checkNotaryWord(first, answers[2]?.signature as Uint8Array));
});

test("the same request twice in a batch gets the same word", async () => {
  const { answers } = await decide(
    memoryUniqueness(() => NOW),
    [request(issue), request(issue)],
  );
  assert.deepEqual(answers[0], answers[1]);
});

test("what was decided before is said again, under another signature and in no entry of the log", async () => {
  const store = memoryUniqueness(() => NOW);
  const first = await decide(store, [request(issue)]);
  const again = await decide(store, [request(issue), request(spend("1"))]);
  assert.deepEqual([first.signed.length, again.signed.length], [1, 2]);
  assert.deepEqual(
    checkNotaryWord(issue, again.answers[0]?.signature as Uint8Array),
    checkNotaryWord(issue, first.answers[0]?.signature as Uint8Array),
  );
  const { entries, last } = await store.log(0, 10);
  assert.equal(last, 2);
  assert.deepEqual(
    entries.map(({ decisions }) => decodeDecisions(decisions).decisions.map(({ spend: { transactionId } }) => transactionId)),
    [[issue.id], [spend("1").id]],
  );
});

test("what is not final is not signed", async () => {
  const { answers, signed } = await decide(
    memoryUniqueness(() => NOW),
    [request(spend("1")), request(issue, "read")],
  );
  assert.deepEqual(signed, []);
  assert.deepEqual(
    answers.map(({ kind, code, signature }) => [kind, code, signature.length]),
    [
      ["retry", "notary.inputStateUnknown", 0],
      ["retry", "notary.notPreviouslySeen", 0],
    ],
  );
});

test("what is sent wrongly is refused without a word, and the transaction can still be accepted", async () => {
  const store = memoryUniqueness(() => NOW);
  const hiding = encodeFiltered(filterTransaction(spend("1"), { notary: "all", inputs: [], references: "all", outputs: "count" }));
  const { answers, signed } = await decide(store, [
    { ...request(issue), filtered: hiding },
    { ...request(issue), filtered: new Uint8Array([1, 2]) },
  ]);
  assert.deepEqual(signed, []);
  for (const { kind, code, signature } of answers)
    assert.deepEqual([kind, code, signature.length], ["malformed", "notary.malformedRequest", 0]);
  const later = await decide(store, [request(issue), request(spend("1"))]);
  assert.deepEqual(
    later.answers.map(({ kind }) => kind),
    ["accepted", "accepted"],
  );
});

test("a notary speaks only under its own name, key and group", async () => {
  const { self } = network;
  const others = [
    { ...self, service: parseName("O=Another, L=London, C=GB") },
    { ...self, serviceKeys: [alice.keys.publicKey] },
    { ...self, groupId: self.groupId.replace("5", "6") },
  ];
  for (const other of others) {
    const { answers } = await decide(
      memoryUniqueness(() => NOW),
      [request(issue)],
      other,
    );
    assert.equal(answers[0]?.kind, "malformed");
  }
});

test("who asks before the window opens is told when it will", async () => {
  const opens = NOW + 3_600_000;
  const proposal = network.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] });
  const later = network.build({ ...proposal, timeWindow: { from: opens, until: opens + 60_000 } });
  const ask = async (now: number, mode: "write" | "read") =>
    (
      await decide(
        memoryUniqueness(() => now),
        [request(later, mode)],
      )
    ).answers[0];
  for (const mode of ["write", "read"] as const) {
    const answer = await ask(NOW, mode);
    assert.deepEqual([answer?.kind, answer?.code, answer?.retryAfterMs], ["retry", "notary.timeWindowBeforeLowerBound", 3_600_000]);
  }
  assert.equal((await ask(opens, "write"))?.kind, "accepted");
});

test("a notary that wants a signature decides for nobody who has none to show", async () => {
  const strict = await sample({ requesterSigns: true });
  const { alice: owner, bob: stranger } = strict.parties;
  const transaction = strict.build(strict.propose({ outputs: [{ owner, amount: 5 }], signedBy: [owner] }));
  const [signature] = strict.sign(transaction, owner).signatures.map(encodeSignature);
  const [another] = strict.sign(strict.build(strict.propose({ outputs: [{ owner, amount: 6 }], signedBy: [owner] })), owner).signatures;
  const [foreign] = strict.sign(transaction, stranger).signatures;
  const shown = { originator: stranger.name, filtered: filterForNotary(transaction, [0]), mode: "write" as const };
  const attempts: readonly NotariseRequest[] = [
    shown,
    { ...shown, signature: new Uint8Array([1]) },
    { ...shown, signature: encodeSignature(another as TransactionSignature) },
    { ...shown, signature: encodeSignature(foreign as TransactionSignature) },
    { ...shown, filtered: filterForNotary(transaction), signature: signature as Uint8Array },
  ];
  const store = memoryUniqueness(() => NOW);
  const { answers } = await decideFor(strict, store, attempts);
  for (const { kind, code } of answers) assert.deepEqual([kind, code], ["malformed", "notary.signatureMissing"]);
  const asked = await decideFor(strict, store, [{ ...shown, mode: "read" }]);
  assert.equal(asked.answers[0]?.code, "notary.notPreviouslySeen", "anybody may ask what was decided");
  const rightly = await decideFor(strict, store, [{ ...shown, signature: signature as Uint8Array }]);
  assert.equal(rightly.answers[0]?.kind, "accepted");
});
