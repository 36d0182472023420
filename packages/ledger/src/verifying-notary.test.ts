import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Data, decode, type X500Name } from "@bowline/base";
import { composeKeys, generateKeyPair, type KeyPair, signSync } from "@bowline/crypto";
import { type FlowContext, flow, type NotaryInfo, type TransactionProposal } from "@bowline/sdk";
import Type from "typebox";
import { filteredDependency } from "./dependencies.ts";
import { filterForNotary } from "./filter.ts";
import { decodeDecisions } from "./history.ts";
import { stateRef } from "./leaves.ts";
import { MemoryNetwork } from "./network.memory.ts";
import { askNotary, CONTRACT_VERIFYING_PROTOCOL } from "./notary.flow.ts";
import { MAC_KEY, NOW, PLATFORM_VERSION, sample } from "./sample.memory.ts";
import { idOf, Settle, settleOn } from "./settling.memory.ts";
import { batchOf, checkNotaryWord, decodeSignature, encodeSignature, encodeWords, type NotaryWord } from "./signatures.ts";
import { decodeSigned, encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";
import { memoryVault } from "./vault.memory.ts";

const shared = await sample({ verifies: true });
const { alice, bob } = shared.parties;
let network: MemoryNetwork;

/** Asks the notary whatever it likes. */
const Hostile = flow({
  name: "com.example.Hostile",
  startable: true,
  input: Type.Object({ request: Type.Unsafe<Data>(Type.Unknown()) }),
  call: async (context: FlowContext, { request }) => {
    const session = await context.initiate(shared.notary.members[0] as X500Name, { protocol: CONTRACT_VERIFYING_PROTOCOL });
    return session.sendAndReceive(request, Type.Unsafe<Data>(Type.Unknown()));
  },
});

beforeEach(() => {
  network = new MemoryNetwork(shared, [Settle, Hostile]);
});

const settle = (proposal: TransactionProposal) => settleOn(network, alice, proposal);
async function ask(request: Data): Promise<{ kind: string; code: string; message: string; signature: Uint8Array }> {
  const outcome = await network.run(alice.name, Hostile.name, { request });
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as never;
}
const whole = (signed: SignedTransaction, ...dependencies: readonly Data[]): Data => ({ transaction: encodeSigned(signed), dependencies });
const logged = async () => (await network.uniqueness.log(0, 100)).entries.flatMap(({ decisions }) => decodeDecisions(decisions).decisions);

const issue = shared.sign(shared.build(shared.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] })), alice);
const spend = (amount: number, signed = true) => {
  const inputs = [stateRef(issue.transaction.id, 0)];
  const built = shared.build(shared.propose({ inputs, outputs: [{ owner: bob, amount }], signedBy: [alice] }), String(amount));
  return signed ? shared.sign(built, alice) : { transaction: built, signatures: [] };
};
const shown = filteredDependency(shared.notarised(issue), [0]) as unknown as Data;

test("a transaction is verified by its notary, which sees of its past what it uses and no more", async () => {
  const issued = idOf(await settle(shared.propose({ outputs: [{ owner: alice, amount: 8 }], signedBy: [alice] })));
  const before = network.calls.get("verification.verify") ?? 0;
  const inputs = [`${issued}:0`];
  idOf(await settle(shared.propose({ inputs, outputs: [{ owner: bob, amount: 8 }], signedBy: [alice] })));
  assert.ok((network.calls.get("verification.verify") ?? 0) > before);
  assert.deepEqual(
    (await logged()).map(({ refusal }) => refusal),
    [null, null],
  );
});

test("what breaks a rule is refused for ever, signed and in the log", async () => {
  await ask(whole(issue));
  const bad = spend(6);
  const answer = await ask(whole(bad, shown));
  assert.deepEqual([answer.kind, answer.code], ["refused", "notary.transactionInvalid"]);
  assert.equal(checkNotaryWord(bad.transaction, answer.signature).kind, "refused");
  assert.deepEqual(
    (await logged()).map(({ refusal }) => refusal?.code),
    [undefined, "notary.transactionInvalid"],
  );
  assert.equal((await ask({ filtered: filterForNotary(bad.transaction), mode: "read" })).kind, "refused");
  assert.equal((await ask(whole(spend(5), shown))).kind, "accepted", "and the state is there for others");
});

test("what is shown wrongly is no word on the transaction, and changes nothing", async () => {
  await ask(whole(issue));
  const good = spend(5);
  const wrong: readonly Data[] = [
    whole(spend(5, false), shown),
    whole({ ...good, signatures: [{ ...(good.signatures[0] as object), signature: new Uint8Array(70) } as never] }, shown),
    whole(good),
    whole(good, shown, shown),
    whole(good, { ...(shown as object), signatures: issue.signatures.map(encodeSignature) } as Data),
    whole(good, filteredDependency(shared.notarised(issue), []) as unknown as Data),
    { transaction: new Uint8Array([1, 2, 3]), dependencies: [] },
    // As to a notary that does not verify.
    { filtered: filterForNotary(good.transaction), mode: "write" },
  ];
  for (const [i, request] of wrong.entries()) {
    const { kind, signature } = await ask(request);
    assert.deepEqual([i, kind, signature.length], [i, "malformed", 0]);
  }
  assert.equal((await logged()).length, 1);
  assert.equal((await ask(whole(good, shown))).kind, "accepted");
});

test("what was built under other parameters is not decided on here", async () => {
  const elsewhere = await sample({ verifies: true });
  const theirs = elsewhere.parties.alice;
  const built = elsewhere.build(elsewhere.propose({ outputs: [{ owner: theirs, amount: 1 }], signedBy: [theirs] }));
  const answer = await ask(whole(elsewhere.sign(built, theirs)));
  assert.ok(["malformed", "retry"].includes(answer.kind), answer.kind);
  assert.deepEqual(await logged(), []);
});

// Of several virtual nodes, of which enough must sign.

const keys: readonly KeyPair[] = await Promise.all([1, 2, 3].map(() => generateKeyPair("CORDA.ECDSA.SECP256R1")));
const quorum: NotaryInfo = {
  ...shared.notary,
  key: composeKeys({ threshold: 2, children: keys.map(({ publicKey }) => ({ key: publicKey, weight: 1 })) }),
  backchainRequired: true,
  members: ["O=N1, L=London, C=GB", "O=N2, L=London, C=GB", "O=N3, L=London, C=GB"] as X500Name[],
};
const underQuorum: Transaction = { ...issue.transaction, notaryKey: quorum.key };
const accepted: NotaryWord = { kind: "accepted", transactionId: underQuorum.id, at: NOW };

function wordBy({ publicKey, privateKey }: KeyPair, word: NotaryWord = accepted): Uint8Array {
  const batch = batchOf([word], publicKey, { timestamp: NOW, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION });
  return encodeSignature(batch.sealed(signSync(privateKey, batch.preimage))[0] as never);
}

/** Members answer as told; a missing answer is a session that fails. */
async function askQuorum(
  answers: ReadonlyMap<number, () => Uint8Array | undefined>,
  { transaction = underQuorum, retryAfterMs = 5 }: { readonly transaction?: Transaction; readonly retryAfterMs?: number } = {},
) {
  const asked: string[] = [];
  let now = NOW;
  const context = {
    now: async () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
    log: { warn() {}, info() {} },
    initiate: async (member: X500Name) => ({
      sendAndReceive: async () => {
        asked.push(member);
        const signature = answers.get(quorum.members.indexOf(member))?.();
        return signature === undefined
          ? { kind: "retry", signature: new Uint8Array(), code: "notary.overloaded", message: "", retryAfterMs }
          : { kind: "accepted", signature, code: "", message: "" };
      },
    }),
  } as unknown as FlowContext;
  const word = await askNotary(context, { transaction, signatures: [] }, quorum, "write");
  return { word, asked, waitedMs: now - NOW };
}

test("as many of the service's virtual nodes are asked as must sign, and a silent one is passed over", async () => {
  const all = new Map(keys.map((key, i) => [i, () => wordBy(key)]));
  const { word, asked, waitedMs } = await askQuorum(all);
  assert.deepEqual([asked.length, new Set(asked).size, waitedMs], [2, 2, 0]);
  assert.deepEqual(checkNotaryWord(underQuorum, word as Uint8Array), accepted);
  assert.equal((decode(word as Uint8Array) as Data[]).length, 2);
  for (const silent of [0, 1, 2]) {
    const some = await askQuorum(new Map([...all].filter(([i]) => i !== silent)));
    assert.deepEqual(checkNotaryWord(underQuorum, some.word as Uint8Array), accepted);
  }
});

test("one that lies, or says the same twice, does not make a quorum", async () => {
  const [one, , three] = keys as [KeyPair, KeyPair, KeyPair];
  const liars = new Map([
    [0, () => wordBy(one)],
    [1, () => wordBy(one)],
    [2, () => wordBy(three, { ...accepted, transactionId: spend(5).transaction.id })],
  ]);
  const { word, asked } = await askQuorum(liars);
  assert.deepEqual([word, new Set(asked).size], [undefined, 3]);
  assert.throws(() => checkNotaryWord(underQuorum, wordBy(one)), { code: "ledger.notarySignatureInvalid" });
});

test("the refusal of as many as must sign is kept, and the transaction is invalid", async () => {
  const [one, two] = keys as [KeyPair, KeyPair, KeyPair];
  const late = shared.build(shared.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] }), "late", quorum.key);
  const refused: NotaryWord = { kind: "refused", transactionId: late.id, code: "notary.timeWindowOutOfBounds", message: "late" };
  const bytes = encodeSigned({ transaction: late, signatures: [] });
  const vault = memoryVault({ macKey: MAC_KEY, now: () => NOW });
  const write = (write: Data) => vault.apply([{ flowId: "flow", writes: [write] }]);
  const word = encodeWords([one, two].map((key) => decodeSignature(wordBy(key, refused))));
  write({ kind: "unverified", status: "U", bytes });
  write({ kind: "invalid", bytes, reason: "late", evidence: { kind: "rejection", word } });
  const [row] = (await vault.read({ kind: "transactions", ids: [late.id] })) as [{ readonly status: string; readonly bytes: Uint8Array }];
  assert.deepEqual([row.status, decodeSigned(row.bytes).signatures.length], ["I", 2]);
});

test("until its window opens a client waits as long as it is told, and no longer than that, whoever says so", async () => {
  const HOUR = 3_600_000;
  const early = { ...underQuorum, timeWindow: { from: NOW + HOUR, until: NOW + 2 * HOUR } };
  let asked = 0;
  const words = new Map(keys.map((key, i) => [i, () => (++asked === 1 ? undefined : wordBy(key))]));
  // Between the two that must sign there is the usual wait, since the first was asked twice.
  for (const retryAfterMs of [HOUR, 10 * HOUR]) {
    asked = 0;
    const { waitedMs } = await askQuorum(words, { transaction: early, retryAfterMs });
    assert.deepEqual([waitedMs, asked], [HOUR + 1_000, 3]);
  }
  asked = 0;
  const open = { ...early, timeWindow: { until: NOW + 2 * HOUR } };
  assert.equal((await askQuorum(words, { transaction: open, retryAfterMs: HOUR })).waitedMs, 61_000, "a window that is open");
});

test("a client shows a signature to a notary that wants one", async () => {
  const strict = await sample({ requesterSigns: true });
  const owner = strict.parties.alice;
  const proposal = strict.propose({ outputs: [{ owner, amount: 8 }], signedBy: [owner] });
  idOf(await settleOn(new MemoryNetwork(strict, [Settle]), owner, proposal));
});
