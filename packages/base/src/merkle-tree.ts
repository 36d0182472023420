// Merkle trees over any hash of two nodes.
//
// Shape: neighbours are paired from the left, level by level; an unpaired last node is lifted as it is. A node hashes its
// depth below the root, and whoever uses a root binds the count of its leaves beside it. So a part can never pass for a
// whole: neither a subtree for a tree, nor some leaves for all.
//
// A proof shows some leaves, and holds those hashes that cannot be computed from them: level by level from the bottom,
// each level from the left. Guarantee: `rootOfProof` answers a root only if every hash was needed and none was missing.
// A proof of no leaves is the root itself: with the count bound beside it, it proves the count alone.

import { equalBytes } from "./bytes.ts";
import { badRequest } from "./errors.ts";

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

/** Bytes of a hash, where nothing else is said. */
export const HASH_LENGTH = 32;

/** How a node is made of two: `depth` is 0 at the root. */
export type NodeHash = (depth: number, left: Uint8Array, right: Uint8Array) => Uint8Array;

/** A hash of nodes, and how long it is. */
interface Hashing {
  readonly node: NodeHash;
  readonly length: number;
}

/** Trees over one way to hash two nodes. */
export interface MerkleTrees {
  /** The root over leaf hashes. The root over none is zero bytes, as many as a hash has. */
  root(leafHashes: readonly Uint8Array[]): Uint8Array;
  /** A proof of the leaves at `indexes` (any order, no repeats). */
  prove(leafHashes: readonly Uint8Array[], indexes: readonly number[]): MerkleProof;
  /** The root, and of every leaf the hashes of the proof that shows it alone: all from one tree, where `prove` makes one each. */
  proveEach(leafHashes: readonly Uint8Array[]): { readonly root: Uint8Array; readonly hashes: readonly (readonly Uint8Array[])[] };
  /** The root that a proof leads to; undefined where the proof is malformed, lacks a hash or has one too many. */
  rootOfProof<Leaf extends { readonly index: number }>(
    proof: MerkleProof<Leaf>,
    hashOf: (leaf: Leaf) => Uint8Array,
  ): Uint8Array | undefined;
  /** A proof of fewer of its leaves. Throws `merkle.malformed` if the proof is, or does not show them all. */
  subset<Leaf extends { readonly index: number }>(
    proof: MerkleProof<Leaf>,
    hashOf: (leaf: Leaf) => Uint8Array,
    indexes: readonly number[],
  ): MerkleProof<Leaf>;
  /** One proof of the leaves of both. Throws `merkle.malformed` if one is malformed, or they do not lead to one root. */
  merge<Leaf extends { readonly index: number }>(
    a: MerkleProof<Leaf>,
    b: MerkleProof<Leaf>,
    hashOf: (leaf: Leaf) => Uint8Array,
  ): MerkleProof<Leaf>;
}

export function merkleTrees(node: NodeHash, length: number = HASH_LENGTH): MerkleTrees {
  const hashing: Hashing = { node, length };
  const emptyRoot = new Uint8Array(length);
  return {
    root: (leafHashes) => levelsOf(hashing, leafHashes).at(-1)?.[0] ?? emptyRoot,
    prove: (leafHashes, indexes) => proveLeaves(hashing, leafHashes, indexes),
    proveEach(leafHashes) {
      const levels = levelsOf(hashing, leafHashes);
      const beside = (index: number): Uint8Array[] =>
        levels.slice(0, -1).flatMap((level, height) => {
          const sibling = (index >> height) ^ 1;
          return sibling < level.length ? [level[sibling] as Uint8Array] : [];
        });
      return { root: levels.at(-1)?.[0] ?? emptyRoot, hashes: leafHashes.map((_, index) => beside(index)) };
    },
    rootOfProof(proof, hashOf) {
      const nodes = nodesOf(hashing, proof, hashOf);
      return nodes === undefined ? undefined : proof.count === 0 ? emptyRoot : nodes.get(position(heightOf(proof.count), 0));
    },
    subset(proof, hashOf, indexes) {
      const leaves = proof.leaves.filter(({ index }) => indexes.includes(index));
      if (leaves.length !== indexes.length) throw malformed("the proof does not show all of those leaves");
      return reproof(proof.count, leaves, nodesOf(hashing, proof, hashOf));
    },
    merge(a, b, hashOf) {
      const nodes = nodesOf(hashing, a, hashOf);
      const others = nodesOf(hashing, b, hashOf);
      const root = position(heightOf(a.count), 0);
      if (a.count !== b.count || nodes === undefined || others === undefined || !sameHash(nodes.get(root), others.get(root)))
        throw malformed("the proofs are not of one tree");
      const leaves = new Map([...a.leaves, ...b.leaves].map((leaf) => [leaf.index, leaf]));
      return reproof(
        a.count,
        [...leaves.values()].sort((one, other) => one.index - other.index),
        new Map([...nodes, ...others]),
      );
    },
  };
}

function proveLeaves(hashing: Hashing, leafHashes: readonly Uint8Array[], indexes: readonly number[]): MerkleProof {
  const count = leafHashes.length;
  const sorted = sortedIndexes(indexes, count);
  if (sorted === undefined) throw malformed(`indexes ${indexes.join(", ")} do not fit a tree of ${count} leaves`);
  const levels = levelsOf(hashing, leafHashes);
  return {
    count,
    leaves: sorted.map((index) => ({ index, hash: leafHashes[index] as Uint8Array })),
    hashes: needed(count, sorted).map(({ level, index }) => levels[level]?.[index] as Uint8Array),
  };
}

// How the trees are built.

/** Levels above the leaves: how often pairs are made until one node is left. */
function heightOf(count: number): number {
  let height = 0;
  for (let width = count; width > 1; width = (width + 1) >> 1) height++;
  return height;
}

/** All nodes, leaves first. */
function levelsOf({ node, length }: Hashing, leafHashes: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  if (leafHashes.length > LEAVES_MAX) throw malformed(`a tree has at most ${LEAVES_MAX} leaves`);
  const levels: (readonly Uint8Array[])[] = [leafHashes];
  const height = heightOf(leafHashes.length);
  for (let level = 0; level < height; level++) {
    const below = levels[level] as readonly Uint8Array[];
    const nodes: Uint8Array[] = [];
    for (let i = 0; i < below.length; i += 2) {
      const left = below[i] as Uint8Array;
      const right = below[i + 1];
      nodes.push(right === undefined ? left : node(height - 1 - level, exactly(left, length), exactly(right, length)));
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
  hashing: Hashing,
  { count, leaves, hashes }: MerkleProof<Leaf>,
  hashOf: (leaf: Leaf) => Uint8Array,
): Map<number, Uint8Array> | undefined {
  const indexes = leaves.map(({ index }) => index);
  const sorted = sortedIndexes(indexes, count);
  if (sorted === undefined || sorted.some((index, i) => index !== indexes[i])) return undefined;
  const positions = needed(count, sorted);
  if (positions.length !== hashes.length || hashes.some(({ length }) => length !== hashing.length)) return undefined;
  const nodes = new Map<number, Uint8Array>();
  for (const leaf of leaves) nodes.set(position(0, leaf.index), hashOf(leaf));
  positions.forEach(({ level, index }, i) => {
    nodes.set(position(level, index), hashes[i] as Uint8Array);
  });
  climb(hashing, { count, sorted }, nodes);
  return nodes;
}

/** Computes the ancestors of the leaves at `sorted` indexes. All siblings that this takes are there. */
function climb(
  { node, length }: Hashing,
  { count, sorted }: { readonly count: number; readonly sorted: readonly number[] },
  nodes: Map<number, Uint8Array>,
): void {
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
      nodes.set(
        position(level + 1, parent),
        right === undefined ? left : node(height - 1 - level, exactly(left, length), exactly(right, length)),
      );
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
  a === b || (a !== undefined && b !== undefined && equalBytes(a, b));

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw malformed(`${bytes.length} bytes where a hash of ${length} belongs`);
  return bytes;
}

const malformed = (reason: string) => badRequest("merkle.malformed", `Not a Merkle tree or proof: ${reason}.`, { reason });
