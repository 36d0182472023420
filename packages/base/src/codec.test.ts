import assert from "node:assert/strict";
import { test } from "node:test";
import * as cborg from "cborg";
import fc from "fast-check";
import { equalBytes, fromHex, hex } from "./bytes.ts";
import { type Data, DEPTH_MAX, decode, encode } from "./codec.ts";

const data: fc.Arbitrary<Data> = fc.letrec<{ value: Data }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }).map((value) => (BigInt.asIntN(54, value) === value ? Number(value) : value)),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array(),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.string({ unit: "grapheme" }), tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

test("what is encoded is decoded to the same value and the same bytes", () => {
  fc.assert(
    fc.property(data, (value) => {
      const bytes = encode(value);
      const back = decode(bytes);
      assert.deepEqual(back, normal(value));
      assert.ok(equalBytes(encode(back), bytes));
    }),
  );
});

test("an independent decoder reads the same value", () => {
  fc.assert(
    fc.property(data, (value) => {
      assert.deepEqual(cborg.decode(encode(value), { strict: true, rejectDuplicateMapKeys: true }), normal(value));
    }),
  );
});

test("arbitrary bytes are refused, or are exactly what their value encodes to", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      let value: Data;
      try {
        value = decode(bytes);
      } catch (thrown) {
        assert.match(String(thrown), /Not canonical bytes/);
        return;
      }
      assert.equal(hex(encode(value)), hex(bytes));
    }),
    { numRuns: 2_000 },
  );
});

const REFUSED: readonly (readonly [bytes: string, why: string])[] = [
  ["1801", "an integer not in its shortest form"],
  ["1900FF", "an integer not in its shortest form"],
  ["1B00000000FFFFFFFF", "an integer not in its shortest form"],
  ["F93C00", "a float"],
  ["F7", "undefined"],
  ["9F01FF", "an indefinite array"],
  ["C101", "a tag"],
  ["A2616201616101", "map keys out of order"],
  ["A2616101616102", "a map key twice"],
  ["A10101", "a map key that is not text"],
  ["61FF", "text that is not UTF-8"],
  ["9A7FFFFFFF", "a length that promises more than is there"],
  ["0000", "bytes after the value"],
  ["", "nothing"],
];
for (const [bytes, why] of REFUSED)
  test(`refuses ${why}`, () => {
    assert.throws(() => decode(fromHex(bytes) as Uint8Array), { code: "codec.malformed" });
  });

test("nesting is bounded on both sides", () => {
  const nested = (depth: number): Data => (depth === 0 ? 1 : [nested(depth - 1)]);
  assert.deepEqual(decode(encode(nested(DEPTH_MAX))), nested(DEPTH_MAX));
  assert.throws(() => encode(nested(DEPTH_MAX + 1)), { code: "codec.unsupported" });
  const deep = new Uint8Array(100_000).fill(0x81);
  assert.throws(() => decode(deep), { code: "codec.malformed" });
});

test("what canonical bytes cannot say is refused by name and place", () => {
  assert.throws(() => encode({ amount: 1.5 }), /\$\.amount is 1\.5: write fractions as text/);
  assert.throws(() => encode([undefined as unknown as Data]), /\$\[0\] is undefined/);
  assert.throws(() => encode({ at: new Date(0) as unknown as Data }), /\$\.at is an object with a class/);
  assert.throws(() => encode("\uD800"), /lone surrogate/);
  assert.throws(() => encode(2n ** 64n), /more than 64 bits/);
});

test("__proto__ is a key like any other", () => {
  const value = decode(fromHex("A1695F5F70726F746F5F5F01") as Uint8Array) as Record<string, Data>;
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(Object.hasOwn(value, "__proto__"), true);
});

/** As a decoder gives it back: integers within 2^53 are numbers. */
function normal(value: Data): Data {
  if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) return Number(value);
  if (typeof value === "number") return value === 0 ? 0 : value;
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value === "object" && value !== null && !(value instanceof Uint8Array))
    return Object.fromEntries(Object.entries(value as Record<string, Data>).map(([key, member]) => [key, normal(member)]));
  return value;
}
