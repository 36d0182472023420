import assert from "node:assert/strict";
import { createSecretKey, randomBytes } from "node:crypto";
import { test } from "node:test";
import { utf8 } from "@bowline/base";
import fc from "fast-check";
import { decryptSecret, encryptSecret, parseSecret } from "./secrets.ts";
import { deriveRoot, unwrap, wrap } from "./wrapping.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const key = createSecretKey(randomBytes(32));
const row = ["signing key", "p2p", 1];
const refusal = { code: "crypto.unwrapFailed" };

test("what was wrapped unwraps, for its row and under its key only", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (plaintext) => {
      const wrapped = wrap(key, plaintext, row, random);
      assert.deepEqual(unwrap(key, wrapped, row), plaintext);
      assert.throws(() => unwrap(key, wrapped, ["signing key", "p2p", 2]), refusal);
      assert.throws(() => unwrap(createSecretKey(randomBytes(32)), wrapped, row), refusal);
    }),
  );
});

test("any changed bit, and any missing byte, is refused", () => {
  const wrapped = wrap(key, utf8("a private key"), row, random);
  for (let bit = 0; bit < wrapped.length * 8; bit++) {
    const changed = wrapped.slice();
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.throws(() => unwrap(key, changed, row), refusal);
  }
  for (let length = 0; length < wrapped.length; length++) assert.throws(() => unwrap(key, wrapped.subarray(0, length), row), refusal);
});

test("a root is a function of purpose, passphrase and salt", async () => {
  const root = { purpose: "keys", alias: "1", passphrase: "correct horse", salt: "battery" } as const;
  const export_ = async (change: Partial<Parameters<typeof deriveRoot>[0]>) =>
    (await deriveRoot({ ...root, ...change })).key.export().toString("hex");
  const [one, again, secrets, passphrase, salt] = await Promise.all([
    export_({}),
    export_({ alias: "2" }),
    export_({ purpose: "secrets" }),
    export_({ passphrase: "correct" }),
    export_({ salt: "staple" }),
  ]);
  assert.equal(one, again, "the alias only names it");
  assert.equal(new Set([one, secrets, passphrase, salt]).size, 4);
});

test("a secret opens where it stands, and nowhere else", () => {
  const root = { alias: "1", key };
  const value = encryptSecret(root, ["db_connection", "vault-1"], "pässword", random);
  assert.equal(decryptSecret(root, ["db_connection", "vault-1"], parseSecret(JSON.parse(JSON.stringify(value)))), "pässword");
  assert.throws(() => decryptSecret(root, ["db_connection", "vault-2"], value), refusal);
  assert.ok(!JSON.stringify(value).includes("ssword"));
});

test("what is not written as a secret is refused", () => {
  for (const value of [
    null,
    "x",
    {},
    { configSecret: {} },
    { configSecret: { encryptedSecret: 1 } },
    { configSecret: { encryptedSecret: "" }, x: 1 },
  ])
    assert.throws(() => parseSecret(value), { code: "crypto.secretMalformed" });
});
