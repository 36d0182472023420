// The Merkle trees of a ledger and the hashes that stand in them (hash suite 1, SHA-256), over the trees of `base`.
//
// Whoever uses a root binds the count of its leaves beside it (`componentTop`, `batchTop`, `transactionId`). Every kind of hash
// begins with a tag of its own (`TAG`; an author's own trees have two more), so that none can pass for another.

import { badRequest, type SecureHash, secureHash, u32, utf8 } from "@bowline/base";
import { HASH_LENGTH, merkleTrees } from "@bowline/base/merkle-tree";
import { hmacSha256, sha256 } from "./digest.ts";

export type { HashedLeaf, MerkleProof } from "@bowline/base/merkle-tree";

const SUITE = 1;
const TAG = { component: 0x00, node: 0x01, componentTop: 0x02, transaction: 0x03, batch: 0x04, batchTop: 0x05 } as const;
const byte = (value: number): Uint8Array => Uint8Array.of(value);

export const {
  root: merkleRoot,
  prove: proveLeaves,
  proveEach,
  rootOfProof,
  subset: subsetProof,
  merge: mergeProofs,
} = merkleTrees((depth, left, right) => sha256(byte(TAG.node), byte(depth), left, right));

// What stands in the trees.

/** Hides a leaf that is not shown: without the salt no nonce is known, and without the nonce no leaf can be guessed. */
export const componentNonce = (salt: Uint8Array, group: number, index: number): Uint8Array => hmacSha256(salt, u32(group), u32(index));

/** A leaf of a component group. */
export const componentLeaf = (leaf: { group: number; index: number; nonce: Uint8Array; data: Uint8Array }): Uint8Array =>
  sha256(byte(TAG.component), byte(SUITE), u32(leaf.group), u32(leaf.index), exactly32(leaf.nonce), leaf.data);

/** A component group as the transaction's tree holds it: its root with the count of its leaves. */
export const componentTop = (group: number, count: number, root: Uint8Array): Uint8Array =>
  sha256(byte(TAG.componentTop), u32(group), u32(count), exactly32(root));

/** A transaction's id over the root of its groups' tops; the group id stops it from standing in another network. */
export function transactionId(parts: { ledgerVersion: number; groupId: string; groupCount: number; root: Uint8Array }): SecureHash {
  const groupId = utf8(parts.groupId);
  return secureHash(
    sha256(byte(TAG.transaction), u32(parts.ledgerVersion), u32(groupId.length), groupId, u32(parts.groupCount), exactly32(parts.root)),
  );
}

/** A leaf of a batch that one signature covers. */
export const batchLeaf = (index: number, data: Uint8Array): Uint8Array => sha256(byte(TAG.batch), byte(SUITE), u32(index), data);

/** What a batch signature signs: the batch's root with the count of its leaves. */
export const batchTop = (count: number, root: Uint8Array): Uint8Array =>
  sha256(byte(TAG.batchTop), byte(SUITE), u32(count), exactly32(root));

function exactly32(bytes: Uint8Array): Uint8Array {
  if (bytes.length === HASH_LENGTH) return bytes;
  const reason = `${bytes.length} bytes where a hash of ${HASH_LENGTH} belongs`;
  throw badRequest("merkle.malformed", `Not a Merkle tree or proof: ${reason}.`, { reason });
}
