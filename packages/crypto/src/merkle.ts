// The Merkle trees of a ledger and the hashes that stand in them, over the trees of `base`.
//
// A transaction's trees are all of one digest, which its metadata names and its id begins with. The digests that a ledger version
// allows are `LEDGER_DIGESTS`; nothing is negotiated. A notary's batches are of SHA-256: they hold whole ids.
//
// Whoever uses a root binds the count of its leaves beside it (`top`, `batchTop`, `id`). Every kind of hash begins with a tag of its own
// (`TAG`; an author's own trees have two more), so that none can pass for another.

import { badRequest, type SecureHash, secureHash, u32, utf8 } from "@bowline/base";
import { type MerkleTrees, merkleTrees } from "@bowline/base/merkle-tree";
import { digestBy, hmacSha256, sha256 } from "./digest.ts";

export type { HashedLeaf, MerkleProof } from "@bowline/base/merkle-tree";

const TAG = { component: 0x00, node: 0x01, componentTop: 0x02, transaction: 0x03, batch: 0x04, batchTop: 0x05 } as const;
const BYTES = Array.from({ length: 256 }, (_, value) => Uint8Array.of(value));
const byte = (value: number): Uint8Array => BYTES[value] as Uint8Array;

export type LedgerDigest = "SHA-256" | "SHA-384" | "SHA-512" | "SHA3-256" | "SHA-256D";

interface Digest {
  /** Stands in every leaf. */
  readonly suite: number;
  readonly length: number;
  readonly of: (...parts: readonly Uint8Array[]) => Uint8Array;
}

const DIGESTS: Readonly<Record<LedgerDigest, Digest>> = {
  "SHA-256": { suite: 1, length: 32, of: sha256 },
  "SHA-384": { suite: 2, length: 48, of: digestBy("sha384", 48) },
  "SHA-512": { suite: 3, length: 64, of: digestBy("sha512", 64) },
  "SHA3-256": { suite: 4, length: 32, of: digestBy("sha3-256", 32) },
  /** Twice. */
  "SHA-256D": { suite: 5, length: 32, of: (...parts) => sha256(sha256(...parts)) },
};

/** What version 1 of the ledger allows. */
export const LEDGER_DIGESTS = Object.keys(DIGESTS) as readonly LedgerDigest[];

/** The trees of a transaction, and what stands in them. */
export interface LedgerHashes extends MerkleTrees {
  readonly length: number;
  /** A leaf of a component group. */
  leaf(leaf: { readonly group: number; readonly index: number; readonly nonce: Uint8Array; readonly data: Uint8Array }): Uint8Array;
  /** A component group as the transaction's tree holds it: its root with the count of its leaves. */
  top(group: number, count: number, root: Uint8Array): Uint8Array;
  /** A transaction's id over the root of its groups' tops; the group id stops it from standing in another network. */
  id(parts: {
    readonly ledgerVersion: number;
    readonly groupId: string;
    readonly groupCount: number;
    readonly root: Uint8Array;
  }): SecureHash;
}

export const ledgerHashes = (digest: LedgerDigest): LedgerHashes => HASHES[digest];

const HASHES = Object.fromEntries(LEDGER_DIGESTS.map((name) => [name, hashesOf(name, DIGESTS[name])])) as Record<
  LedgerDigest,
  LedgerHashes
>;

function hashesOf(name: LedgerDigest, { suite, length, of }: Digest): LedgerHashes {
  return {
    ...merkleTrees((depth, left, right) => of(byte(TAG.node), byte(depth), left, right), length),
    length,
    leaf: ({ group, index, nonce, data }) =>
      of(byte(TAG.component), byte(suite), u32(group), u32(index), exactly(nonce, NONCE_LENGTH), data),
    top: (group, count, root) => of(byte(TAG.componentTop), u32(group), u32(count), exactly(root, length)),
    id({ ledgerVersion, groupId, groupCount, root }) {
      const group = utf8(groupId);
      const parts = [byte(TAG.transaction), u32(ledgerVersion), u32(group.length), group, u32(groupCount), exactly(root, length)];
      return secureHash(of(...parts), name);
    },
  };
}

const NONCE_LENGTH = 32;

/** Hides a leaf that is not shown: without the salt no nonce is known, and without the nonce no leaf can be guessed. */
export const componentNonce = (salt: Uint8Array, group: number, index: number): Uint8Array => hmacSha256(salt, u32(group), u32(index));

/** The trees of a batch that one signature covers. */
export const batchTrees: MerkleTrees = HASHES["SHA-256"];

/** A leaf of a batch. */
export const batchLeaf = (index: number, data: Uint8Array): Uint8Array =>
  sha256(byte(TAG.batch), byte(DIGESTS["SHA-256"].suite), u32(index), data);

/** What a batch signature signs: the batch's root with the count of its leaves. */
export const batchTop = (count: number, root: Uint8Array): Uint8Array =>
  sha256(byte(TAG.batchTop), byte(DIGESTS["SHA-256"].suite), u32(count), exactly(root, DIGESTS["SHA-256"].length));

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const reason = `${bytes.length} bytes where a hash of ${length} belongs`;
  throw badRequest("merkle.malformed", `Not a Merkle tree or proof: ${reason}.`, { reason });
}
