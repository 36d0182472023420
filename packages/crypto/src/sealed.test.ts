import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@bowline/base";
import { generateBootKey, openSealed, sealTo } from "./sealed.ts";

const context = ["connection", "vault"];
const broken = { code: "crypto.sealBroken" };

test("only the boot key that a box was sealed to opens it, under its context", () => {
  const key = generateBootKey();
  const box = sealTo(key.publicKey, utf8("a password"), context);
  assert.deepEqual(openSealed(key, box, context), utf8("a password"));
  assert.throws(() => openSealed(generateBootKey(), box, context), broken);
  assert.throws(() => openSealed(key, box, ["connection", "crypto"]), broken);
  assert.notDeepEqual(sealTo(key.publicKey, utf8("a password"), context), box, "each box has a key of its own");
});

test("a changed or shortened box is refused", () => {
  const key = generateBootKey();
  const box = sealTo(key.publicKey, utf8("a password"), context);
  for (let i = 0; i < box.length; i++) {
    const changed = box.slice();
    changed[i] = (changed[i] as number) ^ 1;
    assert.throws(() => openSealed(key, changed, context), broken);
    assert.throws(() => openSealed(key, box.subarray(0, i), context), broken);
  }
});

test("what is no key, or one whose secrets anybody can know, is refused", () => {
  for (const publicKey of [new Uint8Array(31), new Uint8Array(32), utf8("")])
    assert.throws(() => sealTo(publicKey, utf8("a password"), context), { code: "crypto.bootKeyMalformed" });
});
