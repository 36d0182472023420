import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fromHex } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import { decodeTransaction } from "./transaction.ts";
import { ledgerVectors } from "./vectors.ts";

const published = JSON.parse(await readFile(new URL("../../../docs/ledger-vectors.json", import.meta.url), "utf8"));

test("the published numbers are ours", () => {
  assert.deepEqual(published, JSON.parse(JSON.stringify(ledgerVectors())));
});

test("the published transaction has the published id, computed by hand", () => {
  const bytes = (text: string) => Buffer.from(text, "hex");
  const u32 = (value: number) => {
    const four = Buffer.alloc(4);
    four.writeUInt32BE(value);
    return four;
  };
  const { groups, groupId, id } = published.transaction as { groups: { top: string }[]; groupId: string; id: string };
  // Ten tops: four pairs and one more at depth 3, two at depth 2 with one lifted, one at depth 1 with that one lifted, the root.
  const node = (depth: number, left: Buffer, right: Buffer) =>
    bytes(secureHashOf(Buffer.concat([Buffer.of(0x01, depth), left, right])).slice("SHA-256:".length));
  const tops = groups.map(({ top }) => bytes(top));
  const at = (i: number) => tops[i] as Buffer;
  const pairs = [0, 2, 4, 6, 8].map((i) => node(3, at(i), at(i + 1))) as [Buffer, Buffer, Buffer, Buffer, Buffer];
  const root = node(0, node(1, node(2, pairs[0], pairs[1]), node(2, pairs[2], pairs[3])), pairs[4]);
  const preimage = Buffer.concat([Buffer.of(0x03), u32(1), u32(groupId.length), Buffer.from(groupId), u32(10), root]);
  assert.equal(secureHashOf(preimage), id);
});

test("the published bytes decode to it", () => {
  assert.equal(decodeTransaction(fromHex(published.transaction.bytes) as Uint8Array).id, published.transaction.id);
});
