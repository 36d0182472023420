import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Data, encode } from "@bowline/base";
import { appPreimage } from "@bowline/base/preimage";
import { generateKeyPair, type SchemeName, type SignatureSpec, signSync } from "@bowline/crypto";
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
async function violations(command: object, text = TEXT): Promise<readonly string[]> {
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
    commands: [{ type: "Quote", contract: "com.example.QuoteContract", data: command }],
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

test("proofs, hashes and JSON are checked by the same code inside as outside", async () => {
  const command = await signedBy("CORDA.EDDSA.ED25519");
  assert.match((await violations({ ...command, proof: merkle.tree([encode("x")]).prove([0]) })).join(), /one of the oracle's/);
  assert.match((await violations(command, TEXT.replace("101", "102"))).join(), /the hash is the text's/);
  assert.match((await violations(command, '{"price":1.5,"secret":2}')).join(), /json\.propertyUnknown/);
  assert.match((await violations({ ...command, proof: tree.prove([0]) })).join(), /the one that is shown/);
});
