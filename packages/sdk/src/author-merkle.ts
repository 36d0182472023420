// Merkle trees over an author's own data: the platform's trees (`@bowline/base/merkle-tree`), with leaves and tops tagged as an author's, so
// that none of them is ever a part of a transaction or of a notary's batch.
//
// leaf = H(0x06 ‖ domain ‖ index ‖ nonce ‖ data), root = H(0x07 ‖ domain ‖ count ‖ root of the leaves), H = SHA-256; the domain and the
// nonce with their lengths before them. The count makes a proof complete: some leaves never pass for all.
// With a salt each leaf gets a nonce from it, so that a leaf that is not shown cannot be guessed from the hashes in a proof.
// A proof is plain data: it can be sent, stored and read back as it is.

import { concat, equalBytes, u32, utf8 } from "@bowline/base";
import { type MerkleProof, merkleTrees } from "@bowline/base/merkle-tree";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { refusable } from "./refusals.ts";

/** Empty where the tree has no salt. */
interface ShownLeaf {
  readonly index: number;
  readonly nonce: Uint8Array;
  readonly data: Uint8Array;
}

export type AuthorMerkleProof = MerkleProof<ShownLeaf>;

export interface AuthorMerkleTree {
  readonly root: Uint8Array;
  /** Of the leaves at these indexes, in any order. Throws `merkle.malformed`. */
  prove(indexes: readonly number[]): AuthorMerkleProof;
}

const TAG = { node: 0x01, leaf: 0x06, top: 0x07 } as const;
const byte = (value: number): Uint8Array => Uint8Array.of(value);
const framed = (bytes: Uint8Array): Uint8Array => concat(u32(bytes.length), bytes);
const NONE = new Uint8Array(0);

const trees = merkleTrees((depth, left, right) => sha256(concat(byte(TAG.node), byte(depth), left, right)));

const leafHash =
  (domain: string) =>
  ({ index, nonce, data }: ShownLeaf): Uint8Array =>
    sha256(concat(byte(TAG.leaf), framed(utf8(domain)), u32(index), framed(nonce), data));
const topHash = (domain: string, count: number, root: Uint8Array): Uint8Array =>
  sha256(concat(byte(TAG.top), framed(utf8(domain)), u32(count), root));

export const merkle = /* @__PURE__ */ Object.freeze({
  /** `domain` keeps trees of different meaning apart; `salt`, random and secret, hides the leaves that a proof does not show. */
  tree(
    leaves: readonly Uint8Array[],
    { domain = "", salt }: { readonly domain?: string; readonly salt?: Uint8Array } = {},
  ): AuthorMerkleTree {
    const shown = leaves.map((data, index) => ({ index, nonce: salt === undefined ? NONE : hmac(sha256, salt, u32(index)), data }));
    const hashes = shown.map(leafHash(domain));
    return {
      root: topHash(domain, leaves.length, trees.root(hashes)),
      prove: (indexes) =>
        refusable(() => {
          const proof = trees.prove(hashes, indexes);
          return { ...proof, leaves: proof.leaves.map(({ index }) => shown[index] as ShownLeaf) };
        }),
    };
  },

  /** The root that a proof leads to; undefined where it is malformed, lacks a hash or has one too many. */
  rootOf(proof: AuthorMerkleProof, domain = ""): Uint8Array | undefined {
    const root = trees.rootOfProof(proof, leafHash(domain));
    return root === undefined ? undefined : topHash(domain, proof.count, root);
  },

  /** Whether these leaves are where the proof says, in the tree of that root. */
  verify(proof: AuthorMerkleProof, root: Uint8Array, domain = ""): boolean {
    const found = merkle.rootOf(proof, domain);
    return found !== undefined && equalBytes(found, root);
  },

  /** A proof of fewer of its leaves. Throws `merkle.malformed`. */
  subset: (proof: AuthorMerkleProof, indexes: readonly number[], domain = ""): AuthorMerkleProof =>
    refusable(() => trees.subset(proof, leafHash(domain), indexes)),
  /** One proof of the leaves of both. Throws `merkle.malformed` where they are not of one tree. */
  merge: (a: AuthorMerkleProof, b: AuthorMerkleProof, domain = ""): AuthorMerkleProof =>
    refusable(() => trees.merge(a, b, leafHash(domain))),
} as const);
