// What members and notaries sign on a transaction, checked in flows and in contracts: a contract may ask for what somebody signed on
// another transaction, or for a notary's word on it, as it would ask an oracle. The records are those that travel with transactions
// (docs/ledger-vectors.json); `ctx.ledger.signatures` gives them out.
//
// Guarantees: what passes here passes in the platform's own check, and the answer is a function of the arguments. A signature of one
// purpose is none of another; one of a batch shows the place of this transaction's id, or of the notary's word on it, in what was signed.

import { concat, type Data, decode, encode, u32, utf8 } from "@bowline/base";
import { merkleTrees } from "@bowline/base/merkle-tree";
import { preimage } from "@bowline/base/preimage";
import { sha256 } from "@noble/hashes/sha2.js";
import Type, { type Static } from "typebox";
import { compositeKeys } from "./composite-keys.ts";
import { FlowError } from "./failure.ts";
import { fitting } from "./plain.ts";
import { publicKeys } from "./public-keys.ts";
import { refusable } from "./refusals.ts";
import { DIGEST_OF_SPEC, type SignatureSpec } from "./signature-specs.ts";
import { signatures } from "./signatures.ts";
import type { PublicKeyText } from "./transaction.ts";

/** What a record says of itself. */
export interface TransactionSignature {
  /** `publicKeys.idOf` the key that signed. */
  readonly by: string;
  readonly timestamp: number;
  readonly spec: SignatureSpec;
  readonly platformVersion: number;
  readonly isNotary: boolean;
}

const STRICT = { additionalProperties: false } as const;
const Bytes = Type.Refine(Type.Unsafe<Uint8Array>(Type.Unknown()), (value) => value instanceof Uint8Array);
const Place = { index: Type.Integer({ minimum: 0 }), count: Type.Integer({ minimum: 1 }), hashes: Type.Array(Bytes, { maxItems: 24 }) };
const Metadata = Type.Object(
  { timestamp: Type.Integer(), spec: Type.Enum(Object.keys(DIGEST_OF_SPEC) as SignatureSpec[]), platformVersion: Type.Integer() },
  STRICT,
);
const Record = Type.Object(
  {
    by: Type.String(),
    signature: Bytes,
    metadata: Metadata,
    batch: Type.Union([Type.Null(), Type.Object(Place, STRICT), Type.Object({ ...Place, word: Bytes }, STRICT)]),
  },
  STRICT,
);
type Record = Static<typeof Record>;
const Word = Type.Union([
  Type.Object({ kind: Type.Literal("accepted"), transactionId: Type.String(), at: Type.Integer() }, STRICT),
  Type.Object({ kind: Type.Literal("refused"), transactionId: Type.String(), code: Type.String(), message: Type.String() }, STRICT),
]);

export const transactionSignatures = /* @__PURE__ */ Object.freeze({
  /** Nothing of it is checked. Throws `signature.malformed`. */
  read(record: Uint8Array): TransactionSignature {
    const { by, metadata, batch } = recordOf(record);
    return { by, ...metadata, isNotary: batch !== null && "word" in batch };
  },

  /**
   * That whoever has the key has signed this transaction, alone or among others. Throws `signature.invalid`, `signature.malformed`,
   * `signature.specRefused` or `key.malformed`.
   */
  verify(transactionId: string, record: Uint8Array, key: PublicKeyText): void {
    const { by, signature, metadata, batch } = recordOf(record);
    if (by !== publicKeys.idOf(key)) throw invalid(`it is by ${by}`);
    if (batch !== null && "word" in batch) throw invalid("it is a notary's word");
    const body = batch === null ? { id: transactionId, metadata } : { batch: topOf(batch, utf8(transactionId)), metadata };
    signatures.verifyForeign({ bytes: preimage("tx", encode(body as Data)), key, signature, spec: metadata.spec });
  },

  /**
   * That its notary has accepted a transaction: `records` are one, or as many as a composite key takes. Throws as `verify`, and
   * `signature.notAccepted` where what the notary says is a refusal.
   */
  verifyNotary(transactionId: string, records: readonly Uint8Array[], notaryKey: PublicKeyText): void {
    const keys = new Map(compositeKeys.leaves(notaryKey).map((key) => [publicKeys.idOf(key), key]));
    const signers = records.map((bytes) => {
      const { by, signature, metadata, batch } = recordOf(bytes);
      const key = keys.get(by);
      if (key === undefined || batch === null || !("word" in batch)) throw invalid("it is no word of that notary");
      const top = topOf(batch, batch.word);
      signatures.verifyForeign({ bytes: preimage("notary", encode({ batch: top, metadata })), key, signature, spec: metadata.spec });
      const word = fitting(Word, decoded(batch.word), "signature.malformed", "the notary's word");
      if (word.transactionId !== transactionId) throw invalid(`it is the notary's word on ${word.transactionId}`);
      if (word.kind === "refused") throw new FlowError("signature.notAccepted", `The notary refused ${transactionId}: ${word.message}`);
      return key;
    });
    if (!compositeKeys.isFulfilledBy(notaryKey, signers)) throw invalid("too few of the notary's keys have signed");
  },
} as const);

const decoded = (bytes: Uint8Array): Data => refusable(() => decode(bytes));
const recordOf = (bytes: Uint8Array): Record => fitting(Record, decoded(bytes), "signature.malformed", "the signature record");

const byte = (value: number): Uint8Array => Uint8Array.of(value);
/** What stands before every hash of a batch: the digest SHA-256, by its number. */
const SUITE = byte(1);
const TAG = { node: byte(0x01), leaf: byte(0x04), top: byte(0x05) } as const;
const trees = merkleTrees((depth, left, right) => sha256(concat(TAG.node, byte(depth), left, right)));

/** The top of the batch in which this leaf has its place. */
function topOf(
  { index, count, hashes }: { readonly index: number; readonly count: number; readonly hashes: readonly Uint8Array[] },
  leaf: Uint8Array,
): Uint8Array {
  const root = trees.rootOfProof({ count, leaves: [{ index }], hashes }, () => sha256(concat(TAG.leaf, SUITE, u32(index), leaf)));
  if (root === undefined) throw invalid("its proof leads nowhere");
  return sha256(concat(TAG.top, SUITE, u32(count), root));
}

const invalid = (reason: string) =>
  new FlowError("signature.invalid", `This is no such signature of the transaction: ${reason}.`, { reason });
