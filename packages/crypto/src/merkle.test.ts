import assert from "node:assert/strict";
import { test } from "node:test";
import { hex, u32 } from "@bowline/base";
import fc from "fast-check";
import { sha256 } from "./digest.ts";
import { batchLeaf, batchTop, componentNonce, type HashedLeaf, LEDGER_DIGESTS, ledgerHashes, type MerkleProof } from "./merkle.ts";

const {
  root: merkleRoot,
  prove: proveLeaves,
  rootOfProof,
  subset: subsetProof,
  merge: mergeProofs,
  leaf: componentLeaf,
  top: componentTop,
  id: transactionId,
} = ledgerHashes("SHA-256");

const leavesOf = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => sha256(u32(i)));
const hashOf = ({ hash }: HashedLeaf): Uint8Array => hash;
const root = (proof: MerkleProof): string | undefined => {
  const bytes = rootOfProof(proof, hashOf);
  return bytes && hex(bytes);
};
const rootOf = (count: number): string => hex(merkleRoot(leavesOf(count)));

/** A tree and some of its leaves. */
const shown = fc
  .integer({ min: 1, max: 40 })
  .chain((count) =>
    fc.tuple(fc.constant(count), fc.uniqueArray(fc.integer({ min: 0, max: count - 1 }), { minLength: 0, maxLength: count })),
  );

test("the shape: neighbours paired, the unpaired lifted, depth counted from the root", () => {
  const [a, b, c] = leavesOf(3) as [Uint8Array, Uint8Array, Uint8Array];
  const node = (depth: number, left: Uint8Array, right: Uint8Array) => sha256(Uint8Array.of(1, depth), left, right);
  assert.deepEqual(merkleRoot([a]), a);
  assert.deepEqual(merkleRoot([a, b]), node(0, a, b));
  assert.deepEqual(merkleRoot([a, b, c]), node(0, node(1, a, b), c));
  assert.deepEqual(merkleRoot([]), new Uint8Array(32));
});

test("every proof leads to the root, and its hashes are exactly those that cannot be computed", () => {
  fc.assert(
    fc.property(shown, ([count, indexes]) => {
      const proof = proveLeaves(leavesOf(count), indexes);
      assert.equal(root(proof), rootOf(count));
      assert.equal(root({ ...proof, hashes: [...proof.hashes, new Uint8Array(32)] }), undefined, "a hash too many");
      if (proof.hashes.length > 0) assert.equal(root({ ...proof, hashes: proof.hashes.slice(1) }), undefined, "a hash too few");
      if (indexes.length === count) assert.equal(proof.hashes.length, 0);
    }),
  );
});

test("a changed leaf, hash or index leads elsewhere or nowhere", () => {
  fc.assert(
    fc.property(shown, fc.nat(), fc.nat(255), ([count, indexes], at, bit) => {
      const proof = proveLeaves(leavesOf(count), indexes);
      const flip = (hash: Uint8Array): Uint8Array => hash.map((value, i) => (i === bit >> 3 ? value ^ (1 << (bit & 7)) : value));
      const changes: MerkleProof[] = [];
      if (proof.hashes.length > 0) {
        const i = at % proof.hashes.length;
        changes.push({ ...proof, hashes: proof.hashes.map((hash, k) => (k === i ? flip(hash) : hash)) });
      }
      if (proof.leaves.length > 0) {
        const i = at % proof.leaves.length;
        changes.push({ ...proof, leaves: proof.leaves.map((leaf, k) => (k === i ? { ...leaf, hash: flip(leaf.hash) } : leaf)) });
        changes.push({ ...proof, leaves: proof.leaves.map((leaf, k) => (k === i ? { ...leaf, index: leaf.index + 1 } : leaf)) });
        changes.push({ ...proof, leaves: [...proof.leaves, proof.leaves[i] as HashedLeaf] });
      }
      for (const change of changes) assert.notEqual(root(change), rootOf(count));
    }),
  );
});

test("a proof of fewer leaves is the proof that the tree itself would give", () => {
  fc.assert(
    fc.property(shown, fc.func(fc.boolean()), ([count, indexes], keep) => {
      const kept = indexes.filter(keep);
      assert.deepEqual(subsetProof(proveLeaves(leavesOf(count), indexes), hashOf, kept), proveLeaves(leavesOf(count), kept));
    }),
  );
  assert.throws(() => subsetProof(proveLeaves(leavesOf(4), [1]), hashOf, [2]), { code: "merkle.malformed" });
});

test("two proofs of one tree merge to the proof of both", () => {
  fc.assert(
    fc.property(shown, fc.func(fc.boolean()), fc.func(fc.boolean()), ([count, indexes], one, other) => {
      const leaves = leavesOf(count);
      const [a, b] = [indexes.filter(one), indexes.filter(other)];
      const merged = mergeProofs(proveLeaves(leaves, a), proveLeaves(leaves, b), hashOf);
      assert.deepEqual(merged, proveLeaves(leaves, [...new Set([...a, ...b])]));
    }),
  );
  assert.throws(() => mergeProofs(proveLeaves(leavesOf(4), [0]), proveLeaves(leavesOf(5), [0]), hashOf), { code: "merkle.malformed" });
  const others = leavesOf(4).reverse();
  assert.throws(() => mergeProofs(proveLeaves(leavesOf(4), [0]), proveLeaves(others, [0]), hashOf), { code: "merkle.malformed" });
});

test("what no tree has is refused before any work is done", () => {
  const leaf = { index: 0, hash: new Uint8Array(32) };
  for (const count of [-1, 0, 1.5, 2 ** 24 + 1, Number.NaN, Number.POSITIVE_INFINITY])
    assert.equal(root({ count, leaves: [leaf], hashes: [] }), undefined);
  assert.equal(root({ count: 2, leaves: [{ ...leaf, index: 2 }], hashes: [new Uint8Array(32)] }), undefined);
  assert.equal(root({ count: 2, leaves: [leaf], hashes: [new Uint8Array(31)] }), undefined);
  assert.throws(() => proveLeaves(leavesOf(3), [3]), { code: "merkle.malformed" });
  assert.throws(() => proveLeaves(leavesOf(3), [1, 1]), { code: "merkle.malformed" });
});

test("a count is part of what a group or a batch says", () => {
  const three = merkleRoot(leavesOf(3));
  assert.notDeepEqual(componentTop(6, 3, three), componentTop(6, 4, three));
  assert.notDeepEqual(componentTop(6, 3, three), componentTop(7, 3, three));
  assert.notDeepEqual(batchTop(3, three), batchTop(2, three));
});

test("no kind of hash passes for another: the published vectors of suite 1", () => {
  const salt = new Uint8Array(32).fill(7);
  const nonce = componentNonce(salt, 8, 0);
  const data = Uint8Array.of(1, 2, 3);
  const leaf = componentLeaf({ group: 8, index: 0, nonce, data });
  const top = componentTop(8, 1, leaf);
  const id = transactionId({ ledgerVersion: 1, groupId: "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad", groupCount: 10, root: top });
  const hashes = [nonce, leaf, top, batchLeaf(0, data), batchTop(1, leaf)].map(hex);
  assert.deepEqual([...hashes, id], VECTORS);
  assert.equal(new Set(hashes).size, hashes.length);
});

// Computed by another program from the formulas alone.
const VECTORS: readonly string[] = [
  "BC7A6E41D6AB62AE757571FA4E08D02D548B5BB39C19610EE5AA9ABE0179B70D",
  "22ECB55E19292E04CB95CADDBE1A54864CED22A8F82CE60C4D99BA48C8D405DA",
  "73394AFBF195982C9A83B224445FC4506BDA1354BA3088A7CB5354F904925E61",
  "93E01A25405F1B67343CD0E7FA1606A3E17A865CF111BA4DACE758C9F5EA8B6F",
  "7B91A30B545AE8CE41E4306639508369B37324CF987840C1B576D92B1446D3E7",
  "SHA-256:0DA128DCD8FBF872CC7E814D7B3B6D06EE31D43FBEA0BA784AE927E04007B2A8",
];

test("each digest has its own length, and no hash of one is a hash of another", () => {
  const nonce = componentNonce(new Uint8Array(32).fill(1), 6, 0);
  const seen = new Set<string>();
  for (const name of LEDGER_DIGESTS) {
    const hashes = ledgerHashes(name);
    const leaf = hashes.leaf({ group: 6, index: 0, nonce, data: new Uint8Array(3) });
    const leaves = [leaf, hashes.leaf({ group: 6, index: 1, nonce, data: new Uint8Array(3) })];
    assert.equal(leaf.length, hashes.length);
    const top = hashes.top(6, 2, hashes.root(leaves));
    const id = hashes.id({ ledgerVersion: 1, groupId: "g", groupCount: 1, root: hashes.root([top]) });
    assert.ok(id.startsWith(`${name}:`) && id.length === name.length + 1 + 2 * hashes.length, id);
    const proof = hashes.prove(leaves, [1]);
    assert.deepEqual(hashes.rootOfProof(proof, hashOf), hashes.root(leaves));
    assert.equal(hashes.root([]).length, hashes.length);
    for (const bytes of [leaf, top]) seen.add(hex(bytes).slice(0, 64));
    assert.throws(() => hashes.top(6, 1, new Uint8Array(31)), { code: "merkle.malformed" });
  }
  assert.equal(seen.size, 2 * LEDGER_DIGESTS.length);
});
