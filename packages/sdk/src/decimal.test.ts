import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal } from "./decimal.ts";

test("decimals are exact", () => {
  assert.equal(decimal.add("0.1", "0.2"), "0.3");
  assert.equal(decimal.subtract("1", "0.001"), "0.999");
  assert.equal(decimal.subtract("1.50", "1.5"), "0");
  assert.equal(decimal.multiply("19.99", "0.03"), "0.5997");
  assert.equal(decimal.sum(["1.1", "2.2", "-3.3"]), "0");
  assert.equal(decimal.negate("0.00"), "0");
  assert.equal(decimal.fixed("12.5", 2), "12.50");
  assert.equal(decimal.fixed("12.5000", 2), "12.50");
  assert.equal(decimal.compare("-1.5", "-1.25"), -1);
  assert.ok(decimal.equals("1.0", "1") && decimal.isPositive("0.01") && !decimal.isPositive("-0"));
});

test("what is no decimal is refused by name", () => {
  for (const text of ["", "1.", ".5", "+1", "1e3", "01", "1,5", "0x1", " 1", "NaN", "--1", "١"]) {
    assert.throws(() => decimal.parse(text), { type: "decimal.invalid" }, text);
  }
  assert.throws(() => decimal.fixed("0.005", 2), { type: "decimal.inexact" });
  assert.throws(() => decimal.parse(`1.${"1".repeat(31)}`), { type: "decimal.invalid" });
  assert.throws(() => decimal.multiply("9".repeat(40), "9".repeat(40)), { type: "decimal.invalid" });
});

const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.integer({ min: 0, max: 12 }))
  .map(([unscaled, scale]) => decimal.format({ unscaled, scale }));

test("canonical text is one for each number, and arithmetic is arithmetic", () => {
  fc.assert(
    fc.property(decimals, decimals, (a, b) => {
      assert.equal(decimal.canonical(a), a);
      assert.equal(decimal.subtract(decimal.add(a, b), b), a);
      assert.equal(decimal.add(a, b), decimal.add(b, a));
      assert.equal(Math.sign(decimal.compare(a, b)), Math.sign(decimal.compare(decimal.subtract(a, b), "0")));
      assert.equal(decimal.equals(a, b), a === b);
      assert.match(a, new RegExp(decimal.pattern));
      assert.equal(decimal.canonical(decimal.fixed(a, 20)), a);
    }),
  );
});
