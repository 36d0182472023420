import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { composeKeys, decomposeKey, isFulfilledBy, leafKeys } from "./composite-key.ts";
import { generateKeyPair, verifySync } from "./schemes.ts";

const keys: string[] = [];
before(async () => {
  for (let i = 0; i < 6; i++) keys.push((await generateKeyPair(i % 2 === 0 ? "CORDA.EDDSA.ED25519" : "CORDA.ECDSA.SECP256R1")).publicKey);
});
const weighted = (...weights: readonly number[]) => weights.map((weight, i) => ({ key: keys[i] as string, weight }));
const refusal = (message: RegExp) => ({ code: "crypto.compositeInvalid", message });

test("exactly those who carry the threshold fulfil a key", () => {
  const weight = fc.integer({ min: 1, max: 300 });
  fc.assert(
    fc.property(
      fc.array(weight, { minLength: 2, maxLength: 6 }),
      fc.nat(),
      fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
      (weights, at, signed) => {
        const sum = weights.reduce((a, b) => a + b, 0);
        const threshold = 1 + (at % sum);
        const key = composeKeys({ threshold, children: weighted(...weights) });
        const signers = new Set(keys.filter((_, i) => signed[i]));
        const carried = weights.reduce((total, each, i) => total + (signed[i] ? each : 0), 0);
        assert.equal(isFulfilledBy(key, signers), carried >= threshold);
        assert.deepEqual(new Set(leafKeys(key)), new Set(keys.slice(0, weights.length)));
      },
    ),
  );
});

test("a child may be composite, and counts when it is fulfilled itself", () => {
  const board = composeKeys({ threshold: 2, children: weighted(1, 1, 1) });
  const key = composeKeys({
    threshold: 2,
    children: [
      { key: board, weight: 1 },
      { key: keys[4] as string, weight: 1 },
    ],
  });
  const signers = (...indexes: readonly number[]) => new Set(indexes.map((i) => keys[i] as string));
  assert.ok(isFulfilledBy(key, signers(0, 2, 4)));
  assert.ok(!isFulfilledBy(key, signers(0, 4)));
  assert.ok(!isFulfilledBy(key, signers(0, 1, 2)));
  assert.ok(!isFulfilledBy(key, new Set([board])), "nobody signs as a composite key");
  assert.deepEqual(leafKeys(key).length, 4);
});

test("one tree has one text, whatever the order of its children", () => {
  const children = weighted(1, 2, 2);
  const text = composeKeys({ threshold: 3, children });
  assert.equal(composeKeys({ threshold: 3, children: [...children].reverse() }), text);
  assert.deepEqual(
    decomposeKey(text)?.children.map(({ weight }) => weight),
    [2, 2, 1],
  );
  const der = Buffer.from(text, "base64");
  for (let i = 0; i < der.length; i++) {
    const changed = Buffer.from(der);
    changed[i] = (changed[i] as number) ^ 1;
    try {
      const other = decomposeKey(changed.toString("base64"));
      assert.notDeepEqual(other, decomposeKey(text), `byte ${i}`);
    } catch (error) {
      assert.match((error as { code?: string }).code ?? String(error), /^crypto\.(compositeInvalid|keyMalformed)$/, `byte ${i}`);
    }
  }
});

test("a simple key is fulfilled by itself, and a composite one verifies nothing", () => {
  const [key = ""] = keys;
  assert.equal(decomposeKey(key), undefined);
  assert.deepEqual(leafKeys(key), [key]);
  assert.ok(isFulfilledBy(key, new Set([key])) && !isFulfilledBy(key, new Set()));
  const publicKey = composeKeys({ threshold: 1, children: weighted(1, 1) });
  assert.equal(verifySync({ publicKey, bytes: new Uint8Array(), signature: new Uint8Array() }), false);
});

test("a tree that nobody or anybody could fulfil, or that hides its size, is refused", () => {
  const compose = (threshold: number, ...weights: readonly number[]) => composeKeys({ threshold, children: weighted(...weights) });
  for (const threshold of [0, -1, 4, 1.5, Number.NaN]) assert.throws(() => compose(threshold, 1, 2), refusal(/threshold/));
  for (const weight of [0, -1, 0.5, 2 ** 31]) assert.throws(() => compose(1, 1, weight), refusal(/weights/));
  assert.throws(() => compose(1, 2 ** 31 - 1, 1), refusal(/weights/), "their sum overflows");
  assert.throws(() => compose(1, 1), refusal(/children/));
  assert.throws(() => composeKeys({ threshold: 1, children: [...weighted(1), ...weighted(1)] }), refusal(/twice/));
  assert.throws(() => composeKeys({ threshold: 1, children: [{ key: "AAAA", weight: 1 }, ...weighted(1)] }), {
    code: "crypto.keyMalformed",
  });
  let deep = keys[0] as string;
  const nest = () => {
    for (let level = 0; level < 9; level++)
      deep = composeKeys({
        threshold: 1,
        children: [
          { key: deep, weight: 1 },
          { key: keys[1] as string, weight: 1 },
        ],
      });
  };
  assert.throws(nest, refusal(/deeper/));
});
