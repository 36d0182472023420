// Numbers for whoever writes another implementation: docs/ledger-vectors.json holds what this function answers, and a test
// says so. `node tools/ledger-vectors.ts` writes the file.

import { type Data, encode, hex, parseName, type SecureHash, utf8 } from "@bowline/base";
import {
  batchLeaf,
  batchTop,
  batchTrees,
  componentNonce,
  composeKeys,
  LEDGER_DIGESTS,
  type LedgerDigest,
  secureHashOf,
  sha256,
} from "@bowline/crypto";
import { buildTransaction } from "./builder.ts";
import { encodeFiltered, type FilterPolicy, filterTransaction, NOTARY_POLICY } from "./filter.ts";
import { GROUP } from "./leaves.ts";
import { encodeWord, type NotaryWord, notaryPreimage, type SignatureMetadata, togetherOf, transactionPreimage } from "./signatures.ts";
import { hashesOf, leafHashes, type Transaction, topOf } from "./transaction.ts";

/** Once and twice the generator of P-256: nobody keeps a secret behind these. */
const NOTARY_KEY =
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";
const MEMBER_KEY =
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI/EdmmXgHd1UQ247QQCk9msafdDDbun2t5jzpgimeBLedInhz0Q==";
/** Either of the two, and either is enough. */
const BOARD_KEY = composeKeys({ threshold: 1, children: [NOTARY_KEY, MEMBER_KEY].map((key) => ({ key, weight: 1 })) });
const GROUP_ID = "0f3e4d2c-1b0a-4f9e-8d7c-6b5a49382716";
const TIME = 1_767_225_600_000;

/** Deterministic: every run answers the same. */
export function ledgerVectors(): Data {
  const transactions = LEDGER_DIGESTS.map(example);
  return {
    encoding: SAMPLES.map(({ json, value }) => ({ json, cbor: hex(encode(value)) })),
    refused: REFUSED.map(([reason, cbor]) => ({ reason, cbor })),
    transactions: transactions.map(transactionVector),
    signatures: signatureVector(transactions[0] as Transaction),
  };
}

const SHOWN: Readonly<Record<string, FilterPolicy>> = {
  "for a notary": NOTARY_POLICY,
  "nothing but the metadata": {},
  "one of the outputs": { outputs: [1], notary: "all" },
  "counts alone": { inputs: "count", references: "count", outputs: "count", commands: "count", signatories: "count" },
  everything: { notary: "all", signatories: "all", unused: "all", inputs: "all", references: "all", outputs: "all", commands: "all" },
};

function transactionVector(transaction: Transaction): Data {
  const { metadata, bytes, groupId, salt, id } = transaction;
  return {
    digest: metadata.digest,
    bytes: hex(bytes),
    groupId,
    salt: hex(salt),
    groups: Object.entries(GROUP).map(([name, group]) => groupVector(transaction, name, group)),
    id,
    filtered: Object.entries(SHOWN).map(([what, policy]) => ({ what, bytes: hex(encodeFiltered(filterTransaction(transaction, policy))) })),
  };
}

function signatureVector({ id }: Transaction): Data {
  const metadata = { timestamp: TIME, spec: "SHA256withECDSA", platformVersion: 50_300 } as const;
  const words: readonly NotaryWord[] = [
    { kind: "accepted", transactionId: id, at: TIME },
    { kind: "refused", transactionId: secureHashOf(utf8("another")), code: "notary.timeWindowOutOfBounds", message: "Too late." },
    { kind: "accepted", transactionId: secureHashOf(utf8("a third")), at: TIME + 1 },
  ];
  const leaves = words.map((word, index) => batchLeaf(index, encodeWord(word)));
  const top = batchTop(leaves.length, batchTrees.root(leaves));
  return {
    memberPreimage: hex(transactionPreimage(id, metadata)),
    words: words.map((word, index) => ({
      bytes: hex(encodeWord(word)),
      leaf: hex(leaves[index] as Uint8Array),
      proof: { index, count: leaves.length, hashes: batchTrees.prove(leaves, [index]).hashes.map(hex) },
    })),
    batchTop: hex(top),
    notaryPreimage: hex(notaryPreimage(top, metadata)),
    together: togetherVector([id, ...words.slice(1).map(({ transactionId }) => transactionId)], metadata),
  };
}

/** What a member signs of several transactions at once, and the place of each. */
function togetherVector(ids: readonly SecureHash[], metadata: SignatureMetadata): Data {
  const together = togetherOf(ids, MEMBER_KEY, metadata);
  return {
    preimage: hex(together.preimage),
    transactions: together.sealed(new Uint8Array()).map(({ among }, i) => ({
      id: ids[i] as SecureHash,
      proof: { index: i, count: ids.length, hashes: (among?.hashes ?? []).map(hex) },
    })),
  };
}

/** Bytes that say something, and are not how it is said. */
const REFUSED: readonly (readonly [reason: string, cbor: string])[] = [
  ["an integer in more bytes than it takes", "1817"],
  ["an integer in eight bytes that fits four", "1B00000000FFFFFFFF"],
  ["a length in more bytes than it takes", "780161"],
  ["a text of no fixed length", "7F6161FF"],
  ["an array of no fixed length", "9F01FF"],
  ["a map of no fixed length", "BF616101FF"],
  ["keys out of order", "A2616201616101"],
  ["a longer key before a shorter one", "A262616101616201"],
  ["a key twice", "A2616101616102"],
  ["a key that is no text", "A10101"],
  ["a fraction", "F93C00"],
  ["an undefined value", "F7"],
  ["a tag", "C001"],
  ["text that is not UTF-8", "61FF"],
  ["half a surrogate pair", "63EDA080"],
  ["more bytes than the value has", "0000"],
  ["fewer bytes than the value has", "4201"],
  ["nothing at all", ""],
];

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
  const trees = hashesOf(transaction);
  const hashes = leafHashes(transaction, trees, group);
  return {
    name,
    leaves: leaves.map((data, index) => ({
      data: hex(data),
      nonce: hex(componentNonce(transaction.salt, group, index)),
      hash: hex(hashes[index] as Uint8Array),
    })),
    root: hex(trees.root(hashes)),
    top: hex(topOf(transaction, trees, group)),
  };
}

function example(digest: LedgerDigest): Transaction {
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
      references: [`${secureHashOf(utf8("reference"))}:12`],
      outputs: [output("10.25"), { ...output("0.75"), encumbrance: "tied" }, { ...output("1"), encumbrance: "tied" }],
      commands: [{ type: "Settle", contract: "com.example.ObligationContract", data: {} }],
      signatories: [MEMBER_KEY, BOARD_KEY],
    },
    {
      groupId: GROUP_ID,
      cpi: identity("com.example.obligation-cpi"),
      packages: [{ ...identity("com.example.obligation"), contracts: ["com.example.ObligationContract"] }],
      platformVersion: 50_300,
      groupParametersHash: secureHashOf(utf8("group parameters")),
      digest,
      notaryKey: NOTARY_KEY,
      salt: sha256(utf8("salt")),
    },
  );
}
