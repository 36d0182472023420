import assert from "node:assert/strict";
import { createSecretKey, randomBytes } from "node:crypto";
import { test } from "node:test";
import { shortHash, utf8 } from "@bowline/base";
import { testKeyStore } from "./key.contract.ts";
import { memoryKeyStore } from "./key.memory.ts";
import { KeyRing } from "./key-ring.store.ts";
import type { KeyStore } from "./key-store.ts";
import { verify } from "./schemes.ts";

testKeyStore("memory", async () => memoryKeyStore());

const roots = [{ alias: "root-1", key: createSecretKey(randomBytes(32)) }];
const bytes = utf8("a transaction");
const ledgerKey = { tenant: "A1B2C3D4E5F6", alias: "ledger", category: "LEDGER", scheme: "CORDA.ECDSA.SECP256R1" } as const;

/** A key ring over one store, with its clock and the number of reads of material. */
function ringOver(store: KeyStore) {
  const world = { now: 1_700_000_000_000, reads: 0 };
  const counting: KeyStore = {
    ...store,
    material(tenant, id) {
      world.reads++;
      return store.material(tenant, id);
    },
  };
  const env = () => ({ now: world.now, random: (length: number) => new Uint8Array(randomBytes(length)) });
  return { world, ring: new KeyRing({ roots, defaultRoot: "root-1", storeOf: () => counting, env }) };
}

test("a generated key signs, and another process with the same root and store signs with it too", async () => {
  const store = memoryKeyStore();
  const { publicKey, id } = await ringOver(store).ring.generate(ledgerKey);
  for (const { ring } of [ringOver(store), ringOver(store)]) {
    const signature = await ring.sign({ tenant: ledgerKey.tenant, publicKey, categories: ["LEDGER"], bytes });
    assert.equal(await verify({ publicKey, bytes, signature }), true);
    assert.deepEqual(
      (await ring.find(ledgerKey.tenant, { by: "shortId", values: [shortHash(id)] })).map((key) => key.publicKey),
      [publicKey],
    );
  }
});

test("generating is idempotent by tenant and alias, also for callers at once", async () => {
  const { ring } = ringOver(memoryKeyStore());
  const keys = await Promise.all(Array.from({ length: 5 }, () => ring.generate(ledgerKey)));
  assert.equal(new Set(keys.map(({ publicKey }) => publicKey)).size, 1);
  const other = await ring.generate({ ...ledgerKey, tenant: "p2p" });
  assert.notEqual(other.publicKey, keys[0]?.publicKey);
  await assert.rejects(ring.generate({ ...ledgerKey, category: "NOTARY" }), { code: "crypto.aliasTaken" });
  await assert.rejects(ring.generate({ ...ledgerKey, scheme: "CORDA.RSA" }), { code: "crypto.aliasTaken" });
});

test("a key does no work of another category, nor of another tenant", async () => {
  const { ring } = ringOver(memoryKeyStore());
  const { publicKey } = await ring.generate(ledgerKey);
  const request = { tenant: ledgerKey.tenant, publicKey, categories: ["LEDGER"], bytes } as const;
  await assert.rejects(ring.sign({ ...request, categories: ["NOTARY", "TLS"] }), { code: "crypto.keyMisused" });
  await assert.rejects(ring.sign({ ...request, tenant: "p2p" }), { code: "crypto.keyUnknown" });
  assert.deepEqual(await ring.filterMine(ledgerKey.tenant, ["AAAA", publicKey]), [publicKey]);
  assert.deepEqual(await ring.filterMine("p2p", [publicKey]), []);
});

test("material of one row does not open as another's", async () => {
  const store = memoryKeyStore();
  const { ring } = ringOver(store);
  const [mine, theirs] = [await ring.generate(ledgerKey), await ring.generate({ ...ledgerKey, alias: "other" })];
  const swapped: KeyStore = { ...store, material: (tenant) => store.material(tenant, theirs.id) };
  const request = { tenant: ledgerKey.tenant, publicKey: mine.publicKey, categories: ["LEDGER"], bytes } as const;
  await assert.rejects(ringOver(swapped).ring.sign(request), { code: "crypto.unwrapFailed" });
});

test("another passphrase opens nothing, and an unknown root is named", async () => {
  const store = memoryKeyStore();
  const { publicKey } = await ringOver(store).ring.generate(ledgerKey);
  const request = { tenant: ledgerKey.tenant, publicKey, categories: ["LEDGER"], bytes } as const;
  const env = () => ({ now: 0, random: (length: number) => new Uint8Array(randomBytes(length)) });
  const ringWith = (alias: string) =>
    new KeyRing({ roots: [{ alias, key: createSecretKey(randomBytes(32)) }], defaultRoot: alias, storeOf: () => store, env });
  await assert.rejects(ringWith("root-1").sign(request), { code: "crypto.unwrapFailed" });
  await assert.rejects(ringWith("root-2").sign(request), { code: "crypto.rootUnknown", message: /root-1/ });
});

test("an unwrapped key serves for a minute, or until it is forgotten; concurrent signatures unwrap it once", async () => {
  const { ring, world } = ringOver(memoryKeyStore());
  const { publicKey } = await ring.generate(ledgerKey);
  const request = { tenant: ledgerKey.tenant, publicKey, categories: ["LEDGER"], bytes } as const;
  await Promise.all(Array.from({ length: 20 }, () => ring.sign(request)));
  assert.equal(world.reads, 1);
  world.now += 59_999;
  await ring.sign(request);
  assert.equal(world.reads, 1);
  world.now += 1;
  await ring.sign(request);
  assert.equal(world.reads, 2);
  ring.forget(ledgerKey.tenant);
  await ring.sign(request);
  assert.equal(world.reads, 3);
});

test("an absence is not remembered", async () => {
  const store = memoryKeyStore();
  const { ring } = ringOver(store);
  const { publicKey } = await ringOver(store).ring.generate({ ...ledgerKey, tenant: "p2p" });
  const request = { tenant: ledgerKey.tenant, publicKey, categories: ["LEDGER"], bytes } as const;
  await assert.rejects(ring.sign(request), { code: "crypto.keyUnknown" });
  await ring.generate(ledgerKey);
  const { publicKey: mine } = await ring.generate(ledgerKey);
  assert.equal(await verify({ publicKey: mine, bytes, signature: await ring.sign({ ...request, publicKey: mine }) }), true);
});
