import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareBytes,
  concat,
  digestOf,
  fromHex,
  fromUtf8,
  hex,
  parseSecureHash,
  parseShortHash,
  secureHash,
  shortHash,
  u32,
  utf8,
} from "./bytes.ts";

test("hexadecimal there and back", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.deepEqual(fromHex(hex(bytes)), bytes);
      assert.deepEqual(fromHex(hex(bytes).toLowerCase()), bytes);
    }),
  );
  for (const wrong of ["A", "0g", "0x00", " 00"]) assert.equal(fromHex(wrong), undefined);
});

test("bytes are ordered as text of their hexadecimal digits", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const expected = hex(a) < hex(b) ? -1 : hex(a) > hex(b) ? 1 : 0;
      assert.equal(Math.sign(compareBytes(a, b)), expected);
    }),
  );
});

test("joins, numbers and text", () => {
  assert.equal(hex(concat(u32(1), utf8("é"), new Uint8Array(0))), "00000001C3A9");
  assert.throws(() => fromUtf8(new Uint8Array([0xff])), TypeError);
});

test("a hash is 32 bytes as text, and its short form the first twelve digits", () => {
  const hash = secureHash(new Uint8Array(32).fill(0xab));
  assert.equal(hash, `SHA-256:${"AB".repeat(32)}`);
  assert.deepEqual(digestOf(hash), new Uint8Array(32).fill(0xab));
  assert.equal(shortHash(hash), "ABABABABABAB");
  assert.equal(parseSecureHash(hash.toLowerCase()), undefined);
  assert.equal(parseShortHash("abcdef012345"), "ABCDEF012345");
  assert.equal(parseShortHash("abcdef01234"), undefined);
});
