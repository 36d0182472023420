// Amounts under the fungible constraint, however they are split and merged.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Change, fungible } from "./contract-library.ts";
import { decimal } from "./decimal.ts";

interface Coin {
  readonly [member: string]: string;
  readonly amount: string;
  readonly kind: string;
}
const constraint = fungible<Coin>({ amount: ({ amount }) => amount, kind: ({ kind }) => kind });

function codes(kind: Change["kind"], consumed: readonly Coin[], created: readonly Coin[]): readonly string[] {
  const states = (coins: readonly Coin[]) => coins.map((data) => ({ state: { data } })) as unknown as Change<Coin>["created"];
  return constraint.broken({ kind, consumed: states(consumed), created: states(created) } as Change<Coin>).map(({ code }) => code);
}

/** Cents of each coin of one kind. Scales differ from coin to coin: one cent may be written with four decimals. */
const cents = fc.array(fc.bigInt({ min: 1n, max: 10n ** 15n }), { minLength: 1, maxLength: 6 });
const coinsOf = (kind: string, amounts: readonly bigint[]): Coin[] =>
  amounts.map((unscaled, index) => ({ kind, amount: decimal.fixed(decimal.format({ unscaled, scale: 2 }), 2 + (index % 3)) }));
const total = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, each) => sum + each, 0n);

/** `whole` in up to `cuts.length + 1` parts, none of them zero. */
function parts(whole: bigint, cuts: readonly bigint[]): bigint[] {
  const places = [...new Set(cuts.map((cut) => cut % whole))].filter((place) => place > 0n).sort((a, b) => (a < b ? -1 : 1));
  return [...places, whole].map((place, index) => place - (places[index - 1] ?? 0n));
}

const moves = fc.record({ euros: cents, yen: cents, euroCuts: cents, yenCuts: cents });

test("an update may split and merge as it likes, kind by kind", () => {
  fc.assert(
    fc.property(moves, ({ euros, yen, euroCuts, yenCuts }) => {
      const consumed = [...coinsOf("EUR", euros), ...coinsOf("JPY", yen)];
      const created = [...coinsOf("JPY", parts(total(yen), yenCuts)), ...coinsOf("EUR", parts(total(euros), euroCuts))];
      assert.deepEqual(codes("update", consumed, created), []);
    }),
  );
});

test("not a cent may come, go, or become another kind", () => {
  fc.assert(
    fc.property(moves, fc.nat(), fc.constantFrom(-1n, 1n), ({ euros, euroCuts, yen }, at, cent) => {
      const consumed = [...coinsOf("EUR", euros), ...coinsOf("JPY", yen)];
      const amounts = parts(total(euros), euroCuts);
      const place = at % amounts.length;
      const changed = amounts.map((amount, index) => (index === place ? amount + cent : amount));
      const kept = coinsOf("JPY", yen);
      const expected = changed[place] === 0n ? ["fungible.notPositive", "fungible.notConserved"] : ["fungible.notConserved"];
      assert.deepEqual(codes("update", consumed, [...coinsOf("EUR", changed), ...kept]), expected);
      const turned = coinsOf("EUR", amounts).map((coin, index) => (index === place ? { ...coin, kind: "JPY" } : coin));
      assert.deepEqual(codes("update", consumed, [...turned, ...kept]), ["fungible.notConserved"]);
    }),
  );
});

test("a delete leaves less of every kind, however it is cut", () => {
  fc.assert(
    fc.property(moves, ({ euros, euroCuts }) => {
      const consumed = coinsOf("EUR", euros);
      const [, ...left] = parts(total(euros), euroCuts);
      assert.deepEqual(codes("delete", consumed, coinsOf("EUR", left)), []);
      const more = coinsOf("EUR", [...left, total(euros)]);
      assert.deepEqual(codes("delete", consumed, more), ["fungible.notReduced"]);
    }),
  );
});
