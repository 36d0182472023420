// Peers that speak the protocols of finality and histories, and mean no good: what each of them hears, what its victim does, and what
// stays in the victim's vault.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Data, encode } from "@bowline/base";
import { signSync } from "@bowline/crypto";
import { flow, responder, type Session } from "@bowline/sdk";
import Type from "typebox";
import { HISTORY_BYTES_MAX } from "./limits.ts";
import { MemoryNetwork } from "./network.memory.ts";
import type { TransactionStatus } from "./ports.ts";
import { firstOutput, NOW, type Party, sample, signatureOf } from "./sample.memory.ts";
import { SETTLE_PROTOCOL, Settle, settleOn } from "./settling.memory.ts";
import { batchOf, encodeSignature, encodeWords, type TransactionSignature } from "./signatures.ts";
import { encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";

const shared = await sample();
const { alice, bob, carol } = shared.parties;
const Anything = Type.Unsafe<Data>(Type.Unknown());

/** What ended the victim's receiving, by its code. */
const ends: string[] = [];
/** What the liar does with its session. */
let lie: (session: Session) => Promise<Data>;
const Liar = flow({
  name: "com.example.Liar",
  startable: true,
  initiates: SETTLE_PROTOCOL,
  input: Type.Null(),
  call: async (context) => lie(await context.initiate(bob.name)),
});
const Victim = responder({
  name: "com.example.Victim",
  answers: SETTLE_PROTOCOL,
  call: async (context, session) => {
    try {
      await context.ledger.receiveFinality(session, () => {});
      ends.push("final");
    } catch (thrown) {
      ends.push((thrown as { type: string }).type);
      throw thrown;
    }
  },
});

let network: MemoryNetwork;
beforeEach(() => {
  ends.length = 0;
  network = new MemoryNetwork(shared, [Liar, Victim]);
});

async function statusOf(id: string): Promise<TransactionStatus | undefined> {
  const [row] = (await network.vault(bob.name).read({ kind: "transactions", ids: [id] })) as [{ status: TransactionStatus } | null];
  return row?.status;
}

async function lying(how: typeof lie): Promise<Data | undefined> {
  lie = how;
  const outcome = await network.run(alice.name, Liar.name, null);
  await network.settle();
  return "ok" in outcome ? outcome.ok : undefined;
}

const proposedBy = (...by: readonly Party[]) => shared.propose({ outputs: [{ owner: bob, amount: 5 }], signedBy: by });
const issue = shared.build(proposedBy(alice, bob, carol));
const other = shared.build(proposedBy(alice, bob, carol), "another");
const signedByAlice = shared.sign(issue, alice);
const proposal = (signed: SignedTransaction): Data => ({ kind: "proposal", transaction: encodeSigned(signed) });

const [own] = signedByAlice.signatures as [TransactionSignature];
const flipped = ({ signature, ...record }: TransactionSignature): TransactionSignature => ({
  ...record,
  signature: signature.map((byte, i) => (i === 20 ? byte ^ 1 : byte)),
});
const byCarol = signatureOf(issue.id, carol.keys);
const notSound = shared.build(shared.propose({ outputs: [{ owner: bob, amount: -5 }], signedBy: [alice, bob] }));

for (const [what, transaction, signatures, expected, status] of [
  ["with a doctored signature", issue, [flipped(own)], "ledger.signatureInvalid", undefined],
  ["with its signature of another", issue, shared.sign(other, alice).signatures, "ledger.signatureInvalid", undefined],
  ["with a signature under a key that is not its owner's", issue, [{ ...byCarol, by: own.by }], "ledger.signatureInvalid", undefined],
  ["with the signature of a stranger alone", shared.build(proposedBy(alice, bob)), "carol", "ledger.signatureInvalid", undefined],
  ["unsigned", issue, [], "ledger.signatureInvalid", undefined],
  ["that breaks a rule", notSound, shared.sign(notSound, alice).signatures, "ledger.transactionInvalid", "I"],
] as const)
  test(`who proposes a transaction ${what} is refused, and told why`, async () => {
    const records = signatures === "carol" ? shared.sign(transaction, carol).signatures : signatures;
    const heard = await lying((session) => session.sendAndReceive(proposal({ transaction, signatures: records }), Anything));
    const { kind, type } = heard as { kind: string; type: string };
    assert.deepEqual([kind, type, ends, await statusOf(transaction.id)], ["refusal", expected, [expected], status]);
  });

for (const [what, payload, expected] of [
  ["bytes that are no transaction", { kind: "proposal", transaction: new Uint8Array([1, 2, 3]) }, "codec.malformed"],
  ["a transaction that was cut", { kind: "proposal", transaction: encodeSigned(signedByAlice).slice(0, -1) }, "codec.malformed"],
  ["canonical bytes of something else", { kind: "proposal", transaction: encode({ id: issue.id }) }, "input.invalid"],
  ["another message", { kind: "outcome", word: new Uint8Array() }, "input.invalid"],
  ["a field that nobody knows", { ...(proposal(signedByAlice) as object), trust: true }, "input.invalid"],
] as const)
  test(`who sends ${what} for a proposal is refused`, async () => {
    await lying((session) => session.sendAndReceive(payload as Data, Anything));
    assert.deepEqual([ends, await statusOf(issue.id)], [[expected], undefined]);
  });

const wordOn = ({ id }: Transaction, { publicKey, privateKey } = shared.notaryKeys): Uint8Array => {
  const batch = batchOf([{ kind: "accepted", transactionId: id, at: NOW }], publicKey, { ...own.metadata });
  return encodeWords(batch.sealed(signSync(privateKey, batch.preimage)));
};
const others = (...records: readonly TransactionSignature[]): Data => ({ kind: "signatures", signatures: records.map(encodeSignature) });
const outcome = (word: Uint8Array): Data => ({ kind: "outcome", word });

for (const [what, messages, expected] of [
  ["a signature that is doctored", [others(flipped(byCarol))], "ledger.signatureInvalid"],
  ["a signature of another transaction", [others(signatureOf(other.id, carol.keys))], "ledger.signatureInvalid"],
  ["too few signatures", [others()], "ledger.signaturesMissing"],
  ["bytes for signatures", [{ kind: "signatures", signatures: [new Uint8Array([9])] }], "input.invalid"],
  ["signatures again and again", [others(byCarol), others(byCarol)], "ledger.unexpectedMessage"],
  ["the word of somebody else", [others(byCarol), outcome(wordOn(issue, alice.keys))], "ledger.notarySignatureInvalid"],
  ["the notary's word on another transaction", [others(byCarol), outcome(wordOn(other))], "ledger.notarySignatureInvalid"],
  ["the notary's word without all signatures", [outcome(wordOn(issue))], "ledger.signaturesMissing"],
  ["bytes for a word", [others(byCarol), outcome(new Uint8Array([9]))], "input.invalid"],
  ["that it gave up", [{ kind: "abandoned", type: "example.bored", message: "never mind" }], "example.bored"],
] as const)
  test(`who sends ${what} after its victim has signed changes nothing: the notary is asked in the end`, async () => {
    await lying(async (session) => {
      await session.sendAndReceive(proposal(signedByAlice), Anything);
      for (const message of messages) await session.send(message);
      return null;
    });
    assert.deepEqual([ends, await statusOf(issue.id)], [[expected], "U"]);
    for (let round = 0; round < 3; round++) {
      network.now += 30 * 60_000;
      await network.repair();
    }
    assert.equal(await statusOf(issue.id), "I", "the notary never saw it, and says so");
  });

const source = shared.build(shared.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] }), "source");
const notarised = shared.notarised(shared.sign(source, alice));
const spend = shared.build(
  shared.propose({ inputs: [firstOutput(source)], outputs: [{ owner: bob, amount: 5 }], signedBy: [alice] }),
  "spend",
);
const chain = (...transactions: readonly Uint8Array[]): Data => ({ kind: "chain", transactions });
const whole = encodeSigned(notarised);

for (const [what, answer, expected] of [
  ["nothing", chain(), "input.invalid"],
  ["more than an answer may hold", chain(...Array.from({ length: 251 }, () => whole)), "input.invalid"],
  ["bytes that are no transaction", chain(new Uint8Array([1, 2])), "codec.malformed"],
  ["a transaction that was cut", chain(whole.slice(0, -1)), "codec.malformed"],
  ["a transaction with one bit of it changed", chain(whole.map((byte, i) => (i === 60 ? byte ^ 1 : byte))), undefined],
  ["the transaction that is proposed itself", chain(encodeSigned(shared.sign(spend, alice))), "ledger.backchainInvalid"],
  ["what nobody asked for", chain(encodeSigned(shared.notarised(shared.sign(other, alice, bob, carol)))), "ledger.backchainInvalid"],
  ["a doctored word of the notary", chain(doctored((one) => (one.batch === undefined ? one : flipped(one)))), "ledger.backchainInvalid"],
  [
    "a doctored signature of its owner",
    chain(doctored((one) => (one.batch === undefined ? flipped(one) : one))),
    "ledger.backchainInvalid",
  ],
  ["a word that was replayed", chain(encodeSigned(replayed())), "ledger.backchainInvalid"],
  ["that it will not", { kind: "abandoned", type: "example.secret", message: "none of yours" }, "example.secret"],
] as const)
  test(`who is asked for a history and answers with ${what} is refused, and leaves nothing behind`, async () => {
    const heard = await lying(async (session) => {
      await session.sendAndReceive(proposal(shared.sign(spend, alice)), Anything);
      return session.sendAndReceive(answer as Data, Anything);
    });
    const { kind, type } = heard as { kind: string; type: string };
    assert.deepEqual([kind, ends, await statusOf(source.id), await statusOf(spend.id)], ["refusal", [type], undefined, undefined]);
    if (expected !== undefined) assert.equal(type, expected);
  });

function doctored(how: (one: TransactionSignature) => TransactionSignature): Uint8Array {
  return encodeSigned({ transaction: source, signatures: notarised.signatures.map(how) });
}

/** The notary's word on another transaction, in the place of its word on this one. */
function replayed(): SignedTransaction {
  const [word] = shared.words([{ kind: "accepted", transactionId: other.id, at: NOW }]);
  return { transaction: source, signatures: [...shared.sign(source, alice).signatures, ...(word === undefined ? [] : [word])] };
}

test("who asks for the same again and again is left when it had as much as a session brings", async () => {
  const large = "x".repeat(3 * 1024 * 1024);
  const heavy = shared.build(shared.propose({ outputs: [{ owner: alice, amount: 5, text: large }], signedBy: [alice] }), "heavy");
  const signed = shared.notarised(shared.sign(heavy, alice));
  const { verdict, mac } = shared.verify(signed, []);
  network
    .vault(alice.name)
    .apply([{ flowId: "planted", writes: [{ kind: "verified", bytes: encodeSigned(signed), verdict, mac, visible: [] }] }]);
  const Greedy = responder({
    name: "com.example.Greedy",
    answers: SETTLE_PROTOCOL,
    call: async (_, session) => {
      await session.receive(Anything);
      for (;;) {
        const answer = (await session.sendAndReceive({ kind: "need", ids: [heavy.id], ahead: 0 }, Anything)) as { kind: string };
        if (answer.kind !== "chain") return;
      }
    },
  });
  const vaults = network;
  network = new MemoryNetwork(shared, [Settle, Greedy]);
  network.adopt(vaults);
  let served = 0;
  network.interference = ({ payload }) => {
    if ((payload as { kind?: string }).kind === "chain") served++;
    return "arrives";
  };
  const proposed = shared.propose({ inputs: [firstOutput(heavy)], outputs: [{ owner: bob, amount: 5 }], signedBy: [alice] });
  const ended = await settleOn(network, alice, proposed, bob);
  assert.equal("error" in ended && ended.error.type, "ledger.backchainTooLong");
  assert.equal(served, Math.floor(HISTORY_BYTES_MAX / encodeSigned(signed).length));
});
