import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BowlineError, readJson, writeJson } from "./index.ts";

const refusal = (text: string): string => {
  try {
    readJson(text, "request body");
  } catch (error) {
    assert.ok(error instanceof BowlineError);
    assert.equal(error.code, "json.invalid");
    return `${error.details.field}: ${error.details.reason}`;
  }
  return assert.fail("it was accepted");
};

test("JSON is read as JSON.parse reads it, for everything that survives", () => {
  const leaf = fc.oneof(fc.boolean(), fc.constant(null), fc.maxSafeInteger(), fc.string({ unit: "grapheme" }));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("tree")), fc.dictionary(fc.string(), tie("tree"))),
  }));
  fc.assert(
    fc.property(tree, fc.constantFrom(undefined, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      assert.equal(writeJson(readJson(text, "x")), JSON.stringify(JSON.parse(text)));
    }),
  );
});

test("What JSON.parse would lose silently is refused with the place and the reason", () => {
  assert.equal(refusal('{"a":{"b":1,"b":2}}'), "request body/a/b: the property stands twice");
  assert.match(refusal('{"amount":1.5}'), /request body\/amount: 1\.5 is not a plain integer: write fractions/);
  assert.match(refusal("[9007199254740993]"), /request body\/0: 9007199254740993 is beyond 2\^53/);
  assert.match(refusal("[1e3]"), /exponents/);
  assert.match(refusal("[".repeat(40) + "]".repeat(40)), /deeper than 32/);
  assert.match(refusal('"\\ud800"'), /surrogate/);
  assert.match(refusal('"a\u0001"'), /control character/);
  assert.match(refusal('{"a":1} x'), /something follows/);
  for (const text of ["", "{", "[1", '{"a"', '{"a":}', "{a:1}", '"a', "01", "tru", "[1,]"]) refusal(text);
});

test("__proto__ is a property like any other, never the prototype", () => {
  const value = readJson('{"__proto__":{"polluted":true}}', "x") as Record<string, unknown>;
  assert.equal((value as { polluted?: unknown }).polluted, undefined);
  assert.deepEqual(Object.keys(value), ["__proto__"]);
});
