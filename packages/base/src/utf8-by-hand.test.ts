import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeByHand, encodeByHand } from "./utf8-by-hand.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

test("by hand, text becomes the bytes that the platform makes of it, and comes back", () => {
  for (const text of [
    "",
    "plain",
    "ä\u07ff\u0800\uffff\ufeff",
    "\u{10000}\u{1F600}\u{10ffff}",
    `${"a".repeat(9_000)}\u{1F600}`,
    "\ud800x\udc00",
  ]) {
    assert.deepEqual(encodeByHand(text), encoder.encode(text));
    assert.equal(decodeByHand(encoder.encode(text)), decoder.decode(encoder.encode(text)));
  }
});

test("by hand, bytes are refused exactly where the platform refuses them", () => {
  const reads = (read: (bytes: Uint8Array) => string, bytes: Uint8Array): string | undefined => {
    try {
      return read(bytes);
    } catch (thrown) {
      assert.ok(thrown instanceof TypeError);
      return undefined;
    }
  };
  const interesting = [
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff,
  ];
  for (const a of interesting)
    for (const b of interesting)
      for (const c of interesting)
        for (const d of [0x41, 0x80, 0xbf]) {
          const bytes = Uint8Array.of(a, b, c, d);
          assert.equal(
            reads(decodeByHand, bytes),
            reads((some) => decoder.decode(some), bytes),
            bytes.join(),
          );
        }
});
