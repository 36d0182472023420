// What every `KeyStore` keeps, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { type SecureHash, shortHash, utf8 } from "@bowline/base";
import { secureHashOf, sha256 } from "./digest.ts";
import type { KeyStore, SigningKey, WrappingKeyRow } from "./key-store.ts";

const wrappingKey = (tenant: string, generation: number, change: Partial<WrappingKeyRow> = {}): WrappingKeyRow => ({
  id: `00000000-0000-4000-8000-${shortHash(secureHashOf(utf8(`${tenant}/${generation}`))).toLowerCase()}`,
  tenant,
  alias: `wrapping-${tenant}`,
  generation,
  rootAlias: "root-1",
  material: utf8(`material of ${tenant}/${generation}`),
  created: 1_700_000_000_000 + generation,
  ...change,
});

const signingKey = (tenant: string, alias: string, change: Partial<SigningKey> = {}): SigningKey => ({
  tenant,
  id: secureHashOf(utf8(`${tenant}/${alias}`)),
  alias,
  category: "LEDGER",
  scheme: "CORDA.ECDSA.SECP256R1",
  publicKey: Buffer.from(sha256(utf8(`${tenant}/${alias}`))).toString("base64"),
  created: 1_700_000_000_123,
  ...change,
});

const materialOf = (row: WrappingKeyRow, text: string) => ({ wrappingKeyId: row.id, material: utf8(text) });

export function testKeyStore(name: string, open: (test: TestContext) => Promise<KeyStore>): void {
  describe(`a key store (${name})`, () => {
    test("keeps the newest generation of each tenant's wrapping key", async (t) => {
      const store = await open(t);
      assert.equal(await store.wrappingKey("p2p"), undefined);
      const [first, second, other] = [wrappingKey("p2p", 1), wrappingKey("p2p", 2), wrappingKey("rest", 1)];
      for (const row of [second, first, other]) assert.deepEqual(await store.addWrappingKey(row), row);
      assert.deepEqual(await store.wrappingKey("p2p"), second);
      assert.deepEqual(await store.wrappingKey("rest"), other);
    });

    test("lets one of several writers make a generation, and tells the others which", async (t) => {
      const store = await open(t);
      const rows = ["a", "b", "c", "d"].map((alias, i) => wrappingKey("p2p", 1, { alias, id: `00000000-0000-4000-8000-00000000000${i}` }));
      const answers = await Promise.all(rows.map((row) => store.addWrappingKey(row)));
      const winner = await store.wrappingKey("p2p");
      assert.ok(winner !== undefined && rows.some(({ id }) => id === winner.id));
      for (const answer of answers) assert.deepEqual(answer, winner);
    });

    test("finds keys by id, short id and alias, of the one tenant only", async (t) => {
      const store = await open(t);
      const row = await store.addWrappingKey(wrappingKey("p2p", 1));
      const [a, b] = [signingKey("p2p", "a"), signingKey("p2p", "b", { created: 1_700_000_000_200, category: "TLS" })];
      await store.addSigningKey(b, materialOf(row, "b"));
      await store.addSigningKey(a, materialOf(row, "a"));
      assert.deepEqual(await store.list("p2p"), [a, b]);
      assert.deepEqual(await store.find("p2p", { by: "id", values: [b.id, a.id, secureHashOf(utf8("nobody"))] }), [a, b]);
      assert.deepEqual(await store.find("p2p", { by: "shortId", values: [shortHash(b.id)] }), [b]);
      assert.deepEqual(await store.find("p2p", { by: "alias", values: ["a", "c"] }), [a]);
      assert.deepEqual(await store.find("p2p", { by: "alias", values: [] }), []);
      assert.deepEqual(await store.find("rest", { by: "id", values: [a.id] }), []);
      assert.equal(await store.material("rest", a.id), undefined);
    });

    test("keeps a key and its material together, with the wrapping key that opens it", async (t) => {
      const store = await open(t);
      const row = await store.addWrappingKey(wrappingKey("p2p", 1));
      const key = signingKey("p2p", "a");
      assert.deepEqual(await store.addSigningKey(key, materialOf(row, "secret")), key);
      assert.deepEqual(await store.material("p2p", key.id), { wrappingKey: row, material: utf8("secret") });
    });

    test("gives an alias to one of several writers; the material is the winner's", async (t) => {
      const store = await open(t);
      const row = await store.addWrappingKey(wrappingKey("p2p", 1));
      const keys = ["1", "2", "3", "4"].map((text) => signingKey("p2p", "a", { id: secureHashOf(utf8(text)), publicKey: btoa(text) }));
      const answers = await Promise.all(keys.map((key) => store.addSigningKey(key, materialOf(row, key.id))));
      const [winner, ...more] = await store.list("p2p");
      assert.ok(winner !== undefined && more.length === 0);
      for (const answer of answers) assert.deepEqual(answer, winner);
      assert.deepEqual((await store.material("p2p", winner.id))?.material, utf8(winner.id));
    });

    test("refuses a second key with the short id of another", async (t) => {
      const store = await open(t);
      const row = await store.addWrappingKey(wrappingKey("p2p", 1));
      const key = signingKey("p2p", "a");
      await store.addSigningKey(key, materialOf(row, "a"));
      const last = key.id.endsWith("0") ? "1" : "0";
      const twin = signingKey("p2p", "b", { id: `${key.id.slice(0, -1)}${last}` as SecureHash });
      assert.equal(await store.addSigningKey(twin, materialOf(row, "b")), undefined);
      assert.deepEqual(await store.list("p2p"), [key]);
    });
  });
}
