import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import Type from "typebox";
import { BowlineError, decoder, readJson, writeJson } from "./index.ts";

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

test("A refusal names every field with its reason, and what may stand there", () => {
  const Order = Type.Object(
    {
      amount: Type.Integer({ minimum: 1 }),
      to: Type.String(),
      kind: Type.Union([Type.Literal("buy"), Type.Literal("sell")]),
      parts: Type.Array(Type.Object({ id: Type.String() }, { additionalProperties: false })),
    },
    { additionalProperties: false },
  );
  const read = decoder(Order, "order");
  const refused = (value: unknown): BowlineError => {
    try {
      read(value);
    } catch (error) {
      assert.ok(error instanceof BowlineError && error.code === "input.invalid");
      return error;
    }
    return assert.fail("it was accepted");
  };
  assert.deepEqual(refused({ amount: 0, to: "x", kind: "buy", parts: [] }).details, { field: "order/amount", reason: "must be >= 1" });
  const { message, details } = refused({ amount: 1, kind: "steal", parts: [{ id: "1", x: 1 }], more: true });
  for (const sentence of [
    "order/to is missing",
    "order/more is not known here",
    "order/kind must be one of buy, sell",
    "order/parts/0/x is not known here",
  ]) {
    assert.ok(message.includes(sentence), `${sentence} in: ${message}`);
    assert.ok(Object.values(details).includes(sentence), sentence);
  }
  assert.equal(refused(undefined).details.field, "order");
});
