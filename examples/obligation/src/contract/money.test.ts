import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimalsOf, problemWith, written } from "./money.ts";

test("currencies have the decimals of ISO 4217", () => {
  const expected = { EUR: 2, USD: 2, GBP: 2, JPY: 0, ISK: 0, KWD: 3, TND: 3, CLF: 4, HUF: 2, XCG: 2 };
  for (const [currency, decimals] of Object.entries(expected)) assert.equal(decimalsOf(currency), decimals, currency);
  for (const none of ["EUX", "XAU", "XXX", "eur", "", "constructor"]) assert.equal(decimalsOf(none), undefined, none);
});

test("what the platform knows as a currency is known here", () => {
  // The platform also lists a few that are withdrawn: they are no longer money.
  const withdrawn = new Set(["ANG", "BGN", "CUC", "HRK", "SLL", "ZWL", "XSU", "XUA", "XDR", "STD", "MRO", "VEF", "LTL", "ZWG"]);
  const missing = Intl.supportedValuesOf("currency").filter((code) => decimalsOf(code) === undefined && !withdrawn.has(code));
  assert.deepEqual(missing, []);
});

test("an amount that has no problem is written in one way, which has none either", () => {
  const currencies = fc.constantFrom("EUR", "JPY", "KWD", "CLF");
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 10n ** 15n }), fc.nat({ max: 5 }), currencies, (units, scale, currency) => {
      const digits = units.toString().padStart(scale + 1, "0");
      const amount = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
      if (problemWith(amount, currency) !== undefined) return;
      const text = written(amount, currency);
      assert.equal(problemWith(text, currency), undefined);
      assert.equal(written(text, currency), text);
      assert.equal(Number(text), Number(amount));
    }),
  );
});
