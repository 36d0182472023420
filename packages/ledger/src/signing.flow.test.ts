// Several transactions that a member signs at once are each as good as one that was signed alone: to the notary, to other parties,
// and to whoever resolves them later.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Data, X500Name } from "@bowline/base";
import { flow, type Outcome, type Protocol, responder, type TransactionProposal } from "@bowline/sdk";
import { publicKeys, transactionSignatures } from "@bowline/sdk/crypto";
import Type from "typebox";
import { SIGNED_AT_ONCE_MAX } from "./limits.ts";
import { MemoryNetwork } from "./network.memory.ts";
import { type Party, sample } from "./sample.memory.ts";
import { decodeSigned, encodeSigned } from "./transaction.ts";

const shared = await sample();
const { alice, bob, carol } = shared.parties;
const PROTOCOL: Protocol = { name: "com.example.settle", versions: [1] };

const SettleAll = flow({
  name: "com.example.SettleAll",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({
    proposals: Type.Array(Type.Unsafe<TransactionProposal>(Type.Object({}))),
    with: Type.Array(Type.Unsafe<X500Name>(Type.String())),
  }),
  call: async ({ ledger, initiate }, { proposals, with: others }) => {
    const ids: string[] = [];
    for (const signed of await ledger.signAll(proposals)) {
      const sessions = await Promise.all(others.map((name) => initiate(name)));
      ids.push((await ledger.finalize(signed, sessions)).id);
    }
    return ids;
  },
});
const Agree = responder({
  name: "com.example.Agree",
  answers: PROTOCOL,
  call: async (context, session) => void (await context.ledger.receiveFinality(session, () => {})),
});

const Signatures = flow({
  name: "com.example.Signatures",
  startable: true,
  input: Type.Object({ id: Type.String(), proposal: Type.Unsafe<TransactionProposal>(Type.Object({})) }),
  call: async ({ ledger }, { id, proposal }) => {
    const inHand = await ledger.signatures(await ledger.sign(proposal));
    return { final: (await ledger.signatures(id)) ?? null, inHand: inHand ?? null };
  },
});

let network: MemoryNetwork;
beforeEach(() => {
  network = new MemoryNetwork(shared, [SettleAll, Agree, Signatures]);
});

async function run(by: Party, proposals: readonly TransactionProposal[], ...others: readonly Party[]): Promise<Outcome> {
  const outcome = await network.run(by.name, SettleAll.name, { proposals, with: others.map(({ name }) => name) } as unknown as Data);
  await network.settle();
  return outcome;
}

async function settle(...how: Parameters<typeof run>): Promise<readonly string[]> {
  const outcome = await run(...how);
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as readonly string[];
}

async function signedBy(party: Party, id: string) {
  const [row] = (await network.vault(party.name).read({ kind: "transactions", ids: [id] })) as [
    { status: string; bytes: Uint8Array } | null,
  ];
  return { status: row?.status, signatures: row === null ? [] : decodeSigned(row.bytes).signatures };
}

const issue = (amount: number, ...by: readonly Party[]) => shared.propose({ outputs: [{ owner: alice, amount }], signedBy: by });
const codeOf = (outcome: Outcome) => ("error" in outcome ? outcome.error.type : "ok");

test("one signature covers them all, and each is final among its parties", async () => {
  const ids = await settle(
    alice,
    [1, 2, 3].map((amount) => issue(amount, alice, bob)),
    bob,
  );
  assert.equal(network.calls.get("crypto.signTransactions"), 1);
  const own = [];
  for (const id of ids) {
    const { status, signatures } = await signedBy(bob, id);
    assert.equal(status, "V");
    own.push(signatures.find(({ among }) => among !== undefined));
  }
  assert.deepEqual(
    own.map((record) => [record?.among?.index, record?.among?.count]),
    [0, 1, 2].map((index) => [index, 3]),
  );
  assert.equal(new Set(own.map((record) => record?.signature.join())).size, 1);
});

test("whoever sees one of them later verifies it by itself", async () => {
  const [, second] = await settle(alice, [issue(4, alice), issue(5, alice), issue(6, alice)]);
  const moved = shared.propose({ inputs: [`${second}:0`], outputs: [{ owner: carol, amount: 5 }], signedBy: [alice] });
  const [last] = await settle(alice, [moved], carol);
  const [past, now] = [await signedBy(carol, second as string), await signedBy(carol, last as string)];
  assert.deepEqual([past.status, now.status], ["V", "V"]);
  assert.ok(past.signatures.some(({ among }) => among?.count === 3));
  assert.ok(
    now.signatures.every(({ among }) => among === undefined),
    "of one alone there is no batch",
  );
});

test("a place that is doctored on the way is no signature", async () => {
  network.interference = ({ payload }) => {
    const message = payload as { kind?: string; transaction?: Uint8Array };
    if (message.kind !== "proposal") return "arrives";
    const { transaction, signatures } = decodeSigned(message.transaction as Uint8Array);
    const doctored = signatures.map((one) =>
      one.among === undefined ? one : { ...one, among: { ...one.among, index: 1 - one.among.index } },
    );
    message.transaction = encodeSigned({ transaction, signatures: doctored });
    return "arrives";
  };
  assert.equal(codeOf(await run(alice, [issue(1, alice, bob), issue(2, alice, bob)], bob)), "ledger.signatureInvalid");
});

test("all of them or none: where one is not valid none is signed", async () => {
  assert.equal(codeOf(await run(alice, [issue(1, alice), issue(-1, alice)])), "ledger.transactionInvalid");
  assert.equal(codeOf(await run(alice, [issue(1, alice), issue(2, bob)])), "ledger.notSignatory");
  assert.equal(network.calls.get("crypto.signTransactions"), undefined);
  assert.deepEqual(network.vault(alice.name).dueRepairs(network.now * 2, 10), [], "nothing was written");
  const many = Array.from({ length: SIGNED_AT_ONCE_MAX + 1 }, (_, i) => issue(i + 1, alice));
  assert.equal(codeOf(await run(alice, many)), "flow.invalidInput");
});

test("authors get the signatures of a transaction, and check them as the platform does", async () => {
  const [, second] = (await settle(alice, [issue(4, alice, bob), issue(5, alice, bob)], bob)) as [string, string];
  const asked = async (by: Party, id: string) => {
    const outcome = await network.run(by.name, Signatures.name, { id, proposal: issue(6, by) } as unknown as Data);
    assert.ok("ok" in outcome, JSON.stringify(outcome));
    return outcome.ok as unknown as { final: readonly Uint8Array[] | null; inHand: readonly Uint8Array[] };
  };
  const { final, inHand } = await asked(bob, second);
  assert.equal(final?.length, 3);
  const by = (key: string) => (final ?? []).find((record) => transactionSignatures.read(record).by === publicKeys.idOf(key)) as Uint8Array;
  const [byAlice, byBob, word] = [by(alice.keys.publicKey), by(bob.keys.publicKey), by(shared.notary.key)];
  transactionSignatures.verify(second, byAlice, alice.keys.publicKey);
  transactionSignatures.verify(second, byBob, bob.keys.publicKey);
  transactionSignatures.verifyNotary(second, [word], shared.notary.key);
  assert.throws(() => transactionSignatures.verify(second, byAlice, bob.keys.publicKey), { type: "signature.invalid" });
  assert.deepEqual(
    inHand.map((record) => transactionSignatures.read(record).by),
    [publicKeys.idOf(bob.keys.publicKey)],
  );
  assert.equal((await asked(carol, second)).final, null, "who has no part in it has no signatures of it");
});
