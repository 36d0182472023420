// Merkle trees, and the hashes of a ledger that stand in them (hash suite 1, SHA-256).
//
// Shape: neighbours are paired from the left, level by level; an unpaired last node is lifted as it is. A node hashes its
// depth below the root, and whoever uses a root binds the count of its leaves beside it (`componentTop`, `batchTop`,
// `transactionId`). So a part can never pass for a whole: neither a subtree for a tree, nor some leaves for all.
// Every kind of hash begins with a tag of its own (`TAG`), so that none can pass for another.
//
// A proof shows some leaves, and holds those hashes that cannot be computed from them: level by level from the bottom,
// each level from the left. Guarantee: `rootOfProof` answers a root only if every hash was needed and none was missing.
// A proof of no leaves is the root itself: with the count bound beside it, it proves the count alone.

import { badRequest, type SecureHash, secureHash, u32, utf8 } from "@bowline/base";
import { hmacSha256, sha256 } from "./digest.ts";

/** Some leaves of a tree of `count`, ascending by index, and the hashes beside their way to the root. */
export interface MerkleProof<Leaf extends { readonly index: number } = HashedLeaf> {
  readonly count: number;
  readonly leaves: readonly Leaf[];
  readonly hashes: readonly Uint8Array[];
}

export interface HashedLeaf {
  readonly index: number;
  readonly hash: Uint8Array;
}

/** The leaves of one tree. A 32-bit index never overflows, and a peer cannot make a tree taller than this. */
export const LEAVES_MAX = 2 ** 24;

const HASH_LENGTH = 32;
const SUITE = 1;
const TAG = { component: 0x00, node: 0x01, componentTop: 0x02, transaction: 0x03, batch: 0x04, batchTop: 0x05 } as const;
const EMPTY_ROOT = new Uint8Array(HASH_LENGTH);
const byte = (value: number): Uint8Array => Uint8Array.of(value);

/** The root over leaf hashes. The root over none is 32 zero bytes. */
export function merkleRoot(leafHashes: readonly Uint8Array[]): Uint8Array {
  return levelsOf(leafHashes).at(-1)?.[0] ?? EMPTY_ROOT;
}

/** A proof of the leaves at `indexes` (any order, no repeats). */
export function proveLeaves(leafHashes: readonly Uint8Array[], indexes: readonly number[]): MerkleProof {
  const count = leafHashes.length;
  const sorted = sortedIndexes(indexes, count);
  if (sorted === undefined) throw malformed(`indexes ${indexes.join(", ")} do not fit a tree of ${count} leaves`);
  const levels = levelsOf(leafHashes);
  return {
    count,
    leaves: sorted.map((index) => ({ index, hash: leafHashes[index] as Uint8Array })),
    hashes: needed(count, sorted).map(({ level, index }) => levels[level]?.[index] as Uint8Array),
  };
}

/** The root that a proof leads to; undefined where the proof is malformed, lacks a hash or has one too many. */
export function rootOfProof<Leaf extends { readonly index: number }>(
  proof: MerkleProof<Leaf>,
  hashOf: (leaf: Leaf) => Uint8Array,
): Uint8Array | undefined {
  const nodes = nodesOf(proof, hashOf);
  return nodes === undefined ? undefined : proof.count === 0 ? EMPTY_ROOT : nodes.get(position(heightOf(proof.count), 0));
}

/** A proof of fewer of its leaves. Throws `merkle.malformed` if the proof is, or does not show them all. */
export function subsetProof<Leaf extends { readonly index: number }>(
  proof: MerkleProof<Leaf>,
  hashOf: (leaf: Leaf) => Uint8Array,
  indexes: readonly number[],
): MerkleProof<Leaf> {
  const leaves = proof.leaves.filter(({ index }) => indexes.includes(index));
  if (leaves.length !== indexes.length) throw malformed("the proof does not show all of those leaves");
  return reproof(proof.count, leaves, nodesOf(proof, hashOf));
}

/** One proof of the leaves of both. Throws `merkle.malformed` if one is malformed, or they do not lead to one root. */
export function mergeProofs<Leaf extends { readonly index: number }>(
  a: MerkleProof<Leaf>,
  b: MerkleProof<Leaf>,
  hashOf: (leaf: Leaf) => Uint8Array,
): MerkleProof<Leaf> {
  const nodes = nodesOf(a, hashOf);
  const others = nodesOf(b, hashOf);
  const root = position(heightOf(a.count), 0);
  if (a.count !== b.count || nodes === undefined || others === undefined || !sameHash(nodes.get(root), others.get(root)))
    throw malformed("the proofs are not of one tree");
  const leaves = new Map([...a.leaves, ...b.leaves].map((leaf) => [leaf.index, leaf]));
  return reproof(
    a.count,
    [...leaves.values()].sort((one, other) => one.index - other.index),
    new Map([...nodes, ...others]),
  );
}

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

// How the trees are built.

const nodeHash = (depth: number, left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(byte(TAG.node), byte(depth), exactly32(left), exactly32(right));

/** Levels above the leaves: how often pairs are made until one node is left. */
function heightOf(count: number): number {
  let height = 0;
  for (let width = count; width > 1; width = (width + 1) >> 1) height++;
  return height;
}

/** All nodes, leaves first. */
function levelsOf(leafHashes: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  if (leafHashes.length > LEAVES_MAX) throw malformed(`a tree has at most ${LEAVES_MAX} leaves`);
  const levels: (readonly Uint8Array[])[] = [leafHashes];
  const height = heightOf(leafHashes.length);
  for (let level = 0; level < height; level++) {
    const below = levels[level] as readonly Uint8Array[];
    const nodes: Uint8Array[] = [];
    for (let i = 0; i < below.length; i += 2) {
      const left = below[i] as Uint8Array;
      const right = below[i + 1];
      nodes.push(right === undefined ? left : nodeHash(height - 1 - level, left, right));
    }
    levels.push(nodes);
  }
  return levels;
}

interface Position {
  readonly level: number;
  readonly index: number;
}

const LEVELS_MAX = 64;
const position = (level: number, index: number): number => index * LEVELS_MAX + level;

/** The nodes that leaves at `sorted` indexes cannot compute, in the order in which a proof lists them. */
function needed(count: number, sorted: readonly number[]): readonly Position[] {
  if (sorted.length === 0) return count === 0 ? [] : [{ level: heightOf(count), index: 0 }];
  const positions: Position[] = [];
  let known = sorted;
  for (let level = 0, width = count; width > 1; level++, width = (width + 1) >> 1) {
    const parents: number[] = [];
    known.forEach((index, i) => {
      const sibling = index ^ 1;
      const shown = known[i - 1] === sibling || known[i + 1] === sibling;
      if (!shown && sibling < width) positions.push({ level, index: sibling });
      if (parents.at(-1) !== index >> 1) parents.push(index >> 1);
    });
    known = parents;
  }
  return positions;
}

/** Every node that a proof knows or lets compute; undefined where the proof is malformed. */
function nodesOf<Leaf extends { readonly index: number }>(
  { count, leaves, hashes }: MerkleProof<Leaf>,
  hashOf: (leaf: Leaf) => Uint8Array,
): Map<number, Uint8Array> | undefined {
  const indexes = leaves.map(({ index }) => index);
  const sorted = sortedIndexes(indexes, count);
  if (sorted === undefined || sorted.some((index, i) => index !== indexes[i])) return undefined;
  const positions = needed(count, sorted);
  if (positions.length !== hashes.length || hashes.some(({ length }) => length !== HASH_LENGTH)) return undefined;
  const nodes = new Map<number, Uint8Array>();
  for (const leaf of leaves) nodes.set(position(0, leaf.index), hashOf(leaf));
  positions.forEach(({ level, index }, i) => {
    nodes.set(position(level, index), hashes[i] as Uint8Array);
  });
  climb(count, sorted, nodes);
  return nodes;
}

/** Computes the ancestors of the leaves at `sorted` indexes. All siblings that this takes are there. */
function climb(count: number, sorted: readonly number[], nodes: Map<number, Uint8Array>): void {
  const height = heightOf(count);
  let known: ReadonlySet<number> = new Set(sorted);
  for (let level = 0; level < height; level++) {
    const parents = new Set<number>();
    for (const index of known) {
      const parent = index >> 1;
      if (parents.has(parent)) continue;
      parents.add(parent);
      const left = nodes.get(position(level, parent * 2)) as Uint8Array;
      const right = nodes.get(position(level, parent * 2 + 1));
      nodes.set(position(level + 1, parent), right === undefined ? left : nodeHash(height - 1 - level, left, right));
    }
    known = parents;
  }
}

function reproof<Leaf extends { readonly index: number }>(
  count: number,
  leaves: readonly Leaf[],
  nodes: ReadonlyMap<number, Uint8Array> | undefined,
): MerkleProof<Leaf> {
  if (nodes === undefined) throw malformed("the proof has hashes or leaves that do not fit its count");
  const positions = needed(
    count,
    leaves.map(({ index }) => index),
  );
  return { count, leaves, hashes: positions.map(({ level, index }) => nodes.get(position(level, index)) as Uint8Array) };
}

/** Ascending; undefined where one repeats or lies outside the tree, or the tree is none. */
function sortedIndexes(indexes: readonly number[], count: number): readonly number[] | undefined {
  if (!Number.isSafeInteger(count) || count < 0 || count > LEAVES_MAX) return undefined;
  const sorted = [...indexes].sort((a, b) => a - b);
  const fits = sorted.every((index, i) => Number.isSafeInteger(index) && index >= 0 && index < count && index !== sorted[i - 1]);
  return fits ? sorted : undefined;
}

const sameHash = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0);

function exactly32(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== HASH_LENGTH) throw malformed(`${bytes.length} bytes where a hash of ${HASH_LENGTH} belongs`);
  return bytes;
}

const malformed = (reason: string) => badRequest("merkle.malformed", `Not a Merkle tree or proof: ${reason}.`, { reason });
