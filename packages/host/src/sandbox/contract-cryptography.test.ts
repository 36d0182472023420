import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Data, encode, type SecureHash } from "@bowline/base";
import { appPreimage } from "@bowline/base/preimage";
import { composeKeys, generateKeyPair, keyIdOf, type SchemeName, type SignatureSpec, signSync } from "@bowline/crypto";
import { batchOf, encodeSignature, togetherOf, transactionPreimage } from "@bowline/ledger/signing";
import { digest, merkle, publicKeys } from "@bowline/sdk/crypto";
import { BundleIsolate } from "./isolate.ts";
import { CONTRACT_LIMITS } from "./limits.ts";
import { silent } from "./probe.ts";
import { sampleBundle } from "./sample-bundle.ts";

let isolate: BundleIsolate;
before(async () => {
  isolate = await BundleIsolate.create(await sampleBundle("sample-oracle.ts"), {
    name: "oracle",
    limits: CONTRACT_LIMITS,
    log: silent,
    onUnstoppable: () => {},
  });
});
after(() => isolate.dispose());

const TEXT = '{"instrument":"GB00","price":101.250}';
const tree = merkle.tree(
  ["99", "101.25", "7"].map((price) => encode({ instrument: "GB00", price })),
  { domain: "prices" },
);

/** What the oracle's contract says of a transaction with this command and this text. */
async function violations(command: object, text = TEXT, type = "Quote"): Promise<readonly string[]> {
  const transaction = {
    id: "SHA-256:00",
    notary: "O=Notary, L=London, C=GB",
    timeWindow: { until: 1 },
    inputs: [],
    references: [],
    outputs: [
      {
        ref: "SHA-256:00:0",
        notary: "O=Notary, L=London, C=GB",
        state: {
          type: "com.example.Quote",
          version: 1,
          contract: "com.example.QuoteContract",
          data: { owner: "K", text, hash: digest.hash(TEXT) },
        },
      },
    ],
    commands: [{ type, contract: "com.example.QuoteContract", data: command }],
    signatories: [],
  };
  const answer = await isolate.check({
    vnode: "",
    transaction: transaction as unknown as Data,
    contracts: ["com.example.QuoteContract"],
    outputs: [],
  });
  assert.ok("ok" in answer, JSON.stringify(answer));
  return (answer.ok as { violations: readonly { failure: { type: string; message: string } }[] }).violations.map(
    ({ failure }) => `${failure.type}: ${failure.message}`,
  );
}

const VNODE = "0123456789AB";

async function signedBy(scheme: SchemeName): Promise<object> {
  const { publicKey, privateKey } = await generateKeyPair(scheme);
  const spec = publicKeys.defaultSpec(publicKey) as SignatureSpec;
  return {
    key: publicKey,
    vnode: VNODE,
    spec,
    signature: signSync(privateKey, appPreimage(VNODE, tree.root), spec),
    root: tree.root,
    proof: tree.prove([1]),
  };
}

for (const scheme of ["CORDA.ECDSA.SECP256R1", "CORDA.ECDSA.SECP256K1", "CORDA.EDDSA.ED25519", "CORDA.RSA"] as const) {
  test(`a contract in the sandbox believes what the platform signed under a key of ${scheme}, and nothing else`, async () => {
    const command = await signedBy(scheme);
    assert.deepEqual(await violations(command), []);
    for (const other of [{ root: merkle.tree([]).root }, { vnode: "FFFFFFFFFFFF" }])
      assert.match((await violations({ ...command, ...other })).join(), /^signature\.invalid/);
  });
}

for (const scheme of ["CORDA.ECDSA.SECP256R1", "CORDA.EDDSA.ED25519", "CORDA.RSA"] as const)
  test(`a contract believes what a member with a key of ${scheme} and a notary signed on another transaction, and nothing else`, async () => {
    const [member, notary, colleague] = [await generateKeyPair(scheme), await generateKeyPair(scheme), await generateKeyPair(scheme)];
    const metadata = { timestamp: 1, spec: publicKeys.defaultSpec(member.publicKey) as SignatureSpec, platformVersion: 1 };
    const [id, other] = [digest.hash("one"), digest.hash("other")] as [SecureHash, SecureHash];
    const signature = signSync(member.privateKey, transactionPreimage(id, metadata));
    const alone = encodeSignature({ by: keyIdOf(member.publicKey), signature, metadata });
    const together = togetherOf([other, id], member.publicKey, metadata);
    const among = together.sealed(signSync(member.privateKey, together.preimage)).map(encodeSignature);
    const wordsBy = (by: typeof notary, kind: "accepted" | "refused" = "accepted") => {
      const rest = kind === "accepted" ? { kind, at: 1 } : { kind, code: "c", message: "too late" };
      const batch = batchOf(
        [other, id].map((transactionId) => ({ ...rest, transactionId })),
        by.publicKey,
        metadata,
      );
      return batch.sealed(signSync(by.privateKey, batch.preimage)).map(encodeSignature);
    };
    const notaryKey = composeKeys({ threshold: 2, children: [notary, colleague].map(({ publicKey: key }) => ({ key, weight: 1 })) });
    const words = [wordsBy(notary)[1], wordsBy(colleague)[1]];
    const good = { id, key: member.publicKey, record: alone, words, notaryKey };
    const said = (change: object) => violations({ ...good, ...change }, TEXT, "Follow");
    for (const change of [{}, { record: among[1] }, { notaryKey: notary.publicKey, words: [words[0]] }])
      assert.deepEqual(await said(change), []);
    for (const change of [
      { id: other },
      { record: among[0] },
      { key: notary.publicKey },
      { words: [words[0]] },
      { words: [words[0], words[0]] },
      { words: [wordsBy(notary)[0], words[1]] },
      { words: [alone] },
    ])
      assert.match((await said(change)).join(), /^signature\.invalid/, JSON.stringify(Object.keys(change)));
    assert.match((await said({ words: [wordsBy(notary, "refused")[1]] })).join(), /^signature\.notAccepted/);
    assert.match((await said({ record: words[0] })).join(), /a member has signed/);
    assert.match((await said({ record: encode({ by: "x" }) })).join(), /^signature\.malformed/);
    assert.match((await said({ record: alone.slice(1) })).join(), /^codec\.malformed/);
  });

test("proofs, hashes and JSON are checked by the same code inside as outside", async () => {
  const command = await signedBy("CORDA.EDDSA.ED25519");
  assert.match((await violations({ ...command, proof: merkle.tree([encode("x")]).prove([0]) })).join(), /one of the oracle's/);
  assert.match((await violations(command, TEXT.replace("101", "102"))).join(), /the hash is the text's/);
  assert.match((await violations(command, '{"price":1.5,"secret":2}')).join(), /json\.propertyUnknown/);
  assert.match((await violations({ ...command, proof: tree.prove([0]) })).join(), /the one that is shown/);
});
