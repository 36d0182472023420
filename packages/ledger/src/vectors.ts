// Numbers for whoever writes another implementation: docs/ledger-vectors.json holds what this function answers, and a test
// says so. `node tools/ledger-vectors.ts` writes the file.

import { type Data, encode, hex, parseName, utf8 } from "@bowline/base";
import { batchLeaf, batchTop, componentNonce, merkleRoot, secureHashOf, sha256 } from "@bowline/crypto";
import { buildTransaction } from "./builder.ts";
import { filterForNotary } from "./filter.ts";
import { GROUP } from "./leaves.ts";
import { encodeWord, type NotaryWord, notaryPreimage, transactionPreimage } from "./signatures.ts";
import { leafHashes, type Transaction, topOf } from "./transaction.ts";

/** Once and twice the generator of P-256: nobody keeps a secret behind these. */
const NOTARY_KEY =
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";
const MEMBER_KEY =
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI/EdmmXgHd1UQ247QQCk9msafdDDbun2t5jzpgimeBLedInhz0Q==";
const GROUP_ID = "0f3e4d2c-1b0a-4f9e-8d7c-6b5a49382716";
const TIME = 1_767_225_600_000;

/** Deterministic: every run answers the same. */
export function ledgerVectors(): Data {
  const transaction = example();
  const metadata = { timestamp: TIME, spec: "SHA256withECDSA", platformVersion: 50_300 } as const;
  const words: readonly NotaryWord[] = [
    { kind: "accepted", transactionId: transaction.id, at: TIME },
    { kind: "refused", transactionId: secureHashOf(utf8("another")), code: "notary.timeWindowOutOfBounds", message: "Too late." },
  ];
  const leaves = words.map((word, index) => batchLeaf(index, encodeWord(word)));
  const top = batchTop(leaves.length, merkleRoot(leaves));
  return {
    encoding: SAMPLES.map(({ json, value }) => ({ json, cbor: hex(encode(value)) })),
    transaction: {
      bytes: hex(transaction.bytes),
      groupId: transaction.groupId,
      salt: hex(transaction.salt),
      groups: Object.entries(GROUP).map(([name, group]) => groupVector(transaction, name, group)),
      id: transaction.id,
    },
    filteredForNotary: hex(filterForNotary(transaction)),
    signatures: {
      memberPreimage: hex(transactionPreimage(transaction.id, metadata)),
      words: words.map((word) => hex(encodeWord(word))),
      batchLeaves: leaves.map(hex),
      batchTop: hex(top),
      notaryPreimage: hex(notaryPreimage(top, metadata)),
    },
  };
}

const SAMPLES: readonly { readonly json: string; readonly value: Data }[] = [
  { json: "0", value: 0 },
  { json: "23", value: 23 },
  { json: "24", value: 24 },
  { json: "-1", value: -1 },
  { json: "-257", value: -257 },
  { json: "4294967296", value: 4_294_967_296 },
  { json: "18446744073709551615", value: 18_446_744_073_709_551_615n },
  { json: '"Zürich"', value: "Zürich" },
  { json: '{"b":1,"aa":[true,false,null],"a":{}}', value: { b: 1, aa: [true, false, null], a: {} } },
];

function groupVector(transaction: Transaction, name: string, group: number): Data {
  const leaves = transaction.groups[group] as readonly Uint8Array[];
  const hashes = leafHashes(transaction, group);
  return {
    name,
    leaves: leaves.map((data, index) => ({
      data: hex(data),
      nonce: hex(componentNonce(transaction.salt, group, index)),
      hash: hex(hashes[index] as Uint8Array),
    })),
    root: hex(merkleRoot(hashes)),
    top: hex(topOf(transaction, group)),
  };
}

function example(): Transaction {
  const identity = (name: string) => ({
    name,
    version: "1.0.0",
    signerSummaryHash: secureHashOf(utf8("signers")),
    fileChecksum: secureHashOf(utf8(name)),
  });
  const output = (amount: string) => ({
    type: "com.example.Obligation",
    version: 1,
    contract: "com.example.ObligationContract",
    data: { debtor: MEMBER_KEY, amount, currency: "EUR" },
  });
  return buildTransaction(
    {
      notary: parseName("O=Notary, L=London, C=GB"),
      timeWindow: { from: TIME, until: TIME + 60_000 },
      inputs: [`${secureHashOf(utf8("source"))}:0`, `${secureHashOf(utf8("source"))}:3`],
      references: [],
      outputs: [output("10.25"), { ...output("0.75"), encumbrance: "tied" }, { ...output("1"), encumbrance: "tied" }],
      commands: [{ type: "Settle", contract: "com.example.ObligationContract", data: {} }],
      signatories: [MEMBER_KEY],
    },
    {
      groupId: GROUP_ID,
      cpi: identity("com.example.obligation-cpi"),
      packages: [{ ...identity("com.example.obligation"), contracts: ["com.example.ObligationContract"] }],
      platformVersion: 50_300,
      groupParametersHash: secureHashOf(utf8("group parameters")),
      notaryKey: NOTARY_KEY,
      salt: sha256(utf8("salt")),
    },
  );
}
