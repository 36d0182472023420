// Who signed a transaction, and whether that is enough.
//
// A member signs (purpose `tx`) the transaction's id with the signature's metadata, or the top of a batch of ids. A notary signs
// (purpose `notary`) the top of a batch whose leaves are its words on many transactions. The count of leaves is part of a top, and
// each leaf travels with its own proof. Guarantees: a signature of one purpose is none of another; a leaf is bound to one
// transaction id; a batch proof shows exactly one leaf of a tree of exactly the size that was signed.

import { badRequest, decode, decoder, encode, type Instant, type SecureHash, utf8 } from "@bowline/base";
import { preimage } from "@bowline/base/preimage";
import {
  batchLeaf,
  batchTop,
  batchTrees,
  isFulfilledBy,
  keyIdOf,
  leafKeys,
  SCHEMES,
  type SignatureSpec,
  type SignedBytes,
  verifySync,
} from "@bowline/crypto";
import type { PublicKeyText } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { Bytes, TransactionId } from "./leaves.ts";
import { REFUSAL_CHARACTERS_MAX, SIGNATURES_MAX } from "./limits.ts";
import type { Refusal } from "./ports.ts";
import type { Transaction } from "./transaction.ts";

/** Signed with the id, so that neither time nor specification can be changed afterwards. The time is informative. */
export interface SignatureMetadata {
  readonly timestamp: Instant;
  readonly spec: SignatureSpec;
  readonly platformVersion: number;
}

export interface TransactionSignature {
  /** Id of the key that signed. */
  readonly by: SecureHash;
  readonly signature: Uint8Array;
  readonly metadata: SignatureMetadata;
  /** A member's, of several transactions at once: where this one stands among them. */
  readonly among?: BatchPlace;
  /** A notary's: its word, and where that stands in the batch that was signed. */
  readonly batch?: BatchProof;
}

export interface BatchPlace {
  readonly index: number;
  readonly count: number;
  readonly hashes: readonly Uint8Array[];
}

export interface BatchProof extends BatchPlace {
  /** Canonical bytes of a `NotaryWord`. */
  readonly word: Uint8Array;
}

/** What a notary decided. It never says another thing of the same transaction. */
export type NotaryWord =
  | { readonly kind: "accepted"; readonly transactionId: SecureHash; readonly at: Instant }
  | ({ readonly kind: "refused"; readonly transactionId: SecureHash } & Refusal);

/** All of a transaction that its signatures depend on. */
export type ToBeSigned = Pick<Transaction, "id" | "signatories" | "notaryKey">;

/** What a transaction's signatures amount to. */
export interface SignatureState {
  /** The simple keys of signatories under which a valid signature is there. */
  readonly signers: readonly PublicKeyText[];
  /** Signatories that they do not fulfil. A composite one is fulfilled by its threshold. */
  readonly missing: readonly PublicKeyText[];
  /** Keys, by id, under which a signature is not valid. */
  readonly invalid: readonly SecureHash[];
  readonly notary: NotaryWord | null;
}

const STRICT = { additionalProperties: false } as const;
const Hash = Type.Unsafe<SecureHash>(Type.String({ pattern: "^SHA-256:[0-9A-F]{64}$" }));
const Time = Type.Integer({ minimum: 0, maximum: 8.64e15 });
const Count = Type.Integer({ minimum: 0, maximum: 2 ** 24 });
const Place = { index: Count, count: Count, hashes: Type.Array(Bytes, { maxItems: 24 }) };
const SignatureRecord = Type.Object(
  {
    by: Hash,
    signature: Bytes,
    metadata: Type.Object(
      {
        timestamp: Time,
        spec: Type.Enum([...new Set(Object.values(SCHEMES).flatMap(({ specs }) => specs))]),
        platformVersion: Type.Integer({ minimum: 0, maximum: 2 ** 31 }),
      },
      STRICT,
    ),
    batch: Type.Union([Type.Null(), Type.Object(Place, STRICT), Type.Object({ ...Place, word: Bytes }, STRICT)]),
  },
  STRICT,
);
const Word = Type.Union([
  Type.Object({ kind: Type.Literal("accepted"), transactionId: TransactionId, at: Time }, STRICT),
  Type.Object(
    {
      kind: Type.Literal("refused"),
      transactionId: TransactionId,
      code: Type.String({ maxLength: 128 }),
      message: Type.String({ maxLength: REFUSAL_CHARACTERS_MAX }),
    },
    STRICT,
  ),
]);
const readRecord = decoder(SignatureRecord, "signature");
const readRecords = decoder(Type.Array(Bytes, { minItems: 1, maxItems: SIGNATURES_MAX }), "signatures of a notary");
const readWord = decoder(Word, "notary's word");

export function encodeSignature({ by, signature, metadata, batch, among }: TransactionSignature): Uint8Array {
  const place = batch ?? among;
  return encode({ by, signature, metadata: { ...metadata }, batch: place === undefined ? null : { ...place } });
}

export function decodeSignature(bytes: Uint8Array): TransactionSignature {
  const { batch, ...rest }: Static<typeof SignatureRecord> = readRecord(decode(bytes));
  if (batch === null) return rest;
  return "word" in batch ? { ...rest, batch } : { ...rest, among: batch };
}

export const encodeWord = (word: NotaryWord): Uint8Array => encode({ ...word });
export const decodeWord = (bytes: Uint8Array): NotaryWord => readWord(decode(bytes));

/** What a member's key signs. */
export const transactionPreimage = (id: SecureHash, metadata: SignatureMetadata): Uint8Array =>
  preimage("tx", encode({ id, metadata: { ...metadata } }));

/** What a member's key signs of several transactions at once. */
export const togetherPreimage = (top: Uint8Array, metadata: SignatureMetadata): Uint8Array =>
  preimage("tx", encode({ batch: top, metadata: { ...metadata } }));

/** What a notary's key signs. */
export const notaryPreimage = (top: Uint8Array, metadata: SignatureMetadata): Uint8Array =>
  preimage("notary", encode({ batch: top, metadata: { ...metadata } }));

const idLeaf = (index: number, id: SecureHash): Uint8Array => batchLeaf(index, utf8(id));

/** Several transactions before a member signs them at once: the bytes to sign, and once they are a signature record of each. */
export function togetherOf(
  ids: readonly SecureHash[],
  by: PublicKeyText,
  metadata: SignatureMetadata,
): { readonly preimage: Uint8Array; readonly sealed: (signature: Uint8Array) => readonly TransactionSignature[] } {
  const { root, hashes } = batchTrees.proveEach(ids.map((id, index) => idLeaf(index, id)));
  const count = ids.length;
  const keyId = keyIdOf(by);
  return {
    preimage: togetherPreimage(batchTop(count, root), metadata),
    sealed: (signature) => hashes.map((own, index) => ({ by: keyId, signature, metadata, among: { index, count, hashes: own } })),
  };
}

/**
 * A batch of words before it is signed: the bytes to sign, and the signature records once they are. `lastLeaf` makes one leaf
 * more, after the words, which is nobody's word.
 */
export function batchOf(
  words: readonly NotaryWord[],
  by: PublicKeyText,
  metadata: SignatureMetadata,
  lastLeaf?: (index: number) => Uint8Array,
): { readonly preimage: Uint8Array; readonly sealed: (signature: Uint8Array) => readonly TransactionSignature[] } {
  const encoded = words.map(encodeWord);
  const leaves = encoded.map((word, index) => batchLeaf(index, word));
  if (lastLeaf !== undefined) leaves.push(lastLeaf(leaves.length));
  const { root, hashes } = batchTrees.proveEach(leaves);
  const keyId = keyIdOf(by);
  return {
    preimage: notaryPreimage(batchTop(leaves.length, root), metadata),
    sealed: (signature) =>
      encoded.map((word, index) => ({
        by: keyId,
        signature,
        metadata,
        batch: { word, index, count: leaves.length, hashes: hashes[index] ?? [] },
      })),
  };
}

/**
 * What to verify, signature by signature; undefined where there is nothing that could be valid. Verifying is left to the
 * caller, who may do it off the main thread, and hands the answers to `signatureState`.
 */
export function signedBytesOf(transaction: ToBeSigned, signatures: readonly TransactionSignature[]): readonly (SignedBytes | undefined)[] {
  const members = keysById(transaction.signatories);
  const notaries = keysById([transaction.notaryKey]);
  return signatures.map(({ by, signature, metadata, batch, among }) => {
    const publicKey = (batch === undefined ? members : notaries).get(by);
    const bytes = batch === undefined ? memberPreimage(transaction.id, metadata, among) : batchPreimage(batch, metadata);
    return publicKey === undefined || bytes === undefined ? undefined : { publicKey, bytes, signature, spec: metadata.spec };
  });
}

/** Signatures by strangers are left out of account; each signatory and the notary count if their signature is valid. */
export function signatureState(
  transaction: ToBeSigned,
  signatures: readonly TransactionSignature[],
  valid: readonly boolean[],
): SignatureState {
  const members = keysById(transaction.signatories);
  const notaries = keysById([transaction.notaryKey]);
  const signers = new Set<PublicKeyText>();
  const invalid = new Set<SecureHash>();
  const words: { readonly by: PublicKeyText; readonly word: NotaryWord }[] = [];
  for (const [i, { by, batch }] of signatures.entries()) {
    const key = (batch === undefined ? members : notaries).get(by);
    if (key === undefined) continue;
    const word = batch === undefined ? null : wordOn(transaction.id, batch);
    if (valid[i] !== true) invalid.add(by);
    else if (batch === undefined) signers.add(key);
    else if (word !== null) words.push({ by: key, word });
  }
  return {
    signers: [...signers],
    missing: transaction.signatories.filter((key) => !isFulfilledBy(key, signers)),
    invalid: [...invalid],
    notary: fulfilledWord(transaction.notaryKey, words),
  };
}

/** Every simple key of these keys, by its id: what a signature names. */
export const keysById = (keys: readonly PublicKeyText[]): ReadonlyMap<SecureHash, PublicKeyText> =>
  new Map(keys.flatMap(leafKeys).map((key) => [keyIdOf(key), key]));

/** What enough workers of the notary say: one word, since a notary never says two things of one transaction. */
function fulfilledWord(
  notaryKey: PublicKeyText,
  words: readonly { readonly by: PublicKeyText; readonly word: NotaryWord }[],
): NotaryWord | null {
  for (const kind of ["accepted", "refused"] as const) {
    const alike = words.filter(({ word }) => word.kind === kind);
    if (isFulfilledBy(notaryKey, new Set(alike.map(({ by }) => by)))) return alike[0]?.word ?? null;
  }
  return null;
}

/** Both halves, on this thread. */
export function checkSignatures(transaction: ToBeSigned, signatures: readonly TransactionSignature[]): SignatureState {
  const valid = signedBytesOf(transaction, signatures).map((signed) => signed !== undefined && verifySync(signed));
  return signatureState(transaction, signatures, valid);
}

/** A notary's word as it travels: one signature record, or as many as its key takes. */
export function encodeWords(records: readonly TransactionSignature[]): Uint8Array {
  const [only, ...more] = records.map(encodeSignature);
  return only !== undefined && more.length === 0 ? only : encode(records.map(encodeSignature));
}

export function decodeWords(bytes: Uint8Array): readonly TransactionSignature[] {
  const records = decode(bytes);
  return Array.isArray(records) ? readRecords(records).map(decodeSignature) : [decodeSignature(bytes)];
}

/** Those that are signed by a key of the notary, and say something of this transaction. */
export function validWords(transaction: Transaction, records: readonly TransactionSignature[]): readonly TransactionSignature[] {
  const signed = signedBytesOf(transaction, records);
  return records.filter(({ batch }, i) => {
    const bytes = signed[i];
    return batch !== undefined && bytes !== undefined && verifySync(bytes) && wordOn(transaction.id, batch) !== null;
  });
}

/** What the notary's valid words amount to; throws `ledger.notarySignatureInvalid`. */
export function checkNotaryWord(transaction: Transaction, bytes: Uint8Array): NotaryWord {
  const { notary } = checkSignatures(transaction, decodeWords(bytes));
  if (notary !== null) return notary;
  throw badRequest(
    "ledger.notarySignatureInvalid",
    `What came as the word of ${transaction.notary} on ${transaction.id} is not signed by the key that the transaction names.`,
    { transactionId: transaction.id },
  );
}

/** Undefined where the proof does not lead to a top. */
function batchPreimage(batch: BatchProof, metadata: SignatureMetadata): Uint8Array | undefined {
  const top = topOf(batch, batchLeaf(batch.index, batch.word));
  return top === undefined ? undefined : notaryPreimage(top, metadata);
}

function memberPreimage(id: SecureHash, metadata: SignatureMetadata, among: BatchPlace | undefined): Uint8Array | undefined {
  if (among === undefined) return transactionPreimage(id, metadata);
  const top = topOf(among, idLeaf(among.index, id));
  return top === undefined ? undefined : togetherPreimage(top, metadata);
}

function topOf({ index, count, hashes }: BatchPlace, leaf: Uint8Array): Uint8Array | undefined {
  const root = batchTrees.rootOfProof({ count, leaves: [{ index }], hashes }, () => leaf);
  return root === undefined ? undefined : batchTop(count, root);
}

function wordOn(id: SecureHash, { word }: BatchProof): NotaryWord | null {
  const said = decodeWord(word);
  return said.transactionId === id ? said : null;
}
