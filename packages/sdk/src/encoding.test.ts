import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encode } from "@bowline/base";
import * as Type from "typebox";
import { canonical, json, jsonTypes, older, versioned } from "./encoding.ts";

const Order = Type.Object({
  id: Type.String(),
  amount: jsonTypes.decimal(),
  placedAt: jsonTypes.instant(),
  proof: Type.Optional(jsonTypes.bytes()),
  buyer: jsonTypes.name(),
  lines: Type.Array(Type.Object({ count: Type.Integer() })),
  size: Type.Union([Type.Null(), Type.Object({ big: Type.BigInt() })]),
  tags: Type.Record(Type.String(), Type.String()),
});
const order = {
  id: "1",
  amount: "12345678901234567890.10",
  placedAt: 1_790_000_000_123,
  proof: Uint8Array.of(1, 2, 255),
  buyer: "O=Alice, L=London, C=GB",
  lines: [{ count: 3 }],
  size: { big: 2n ** 60n },
  tags: { colour: "blue" },
};

describe("JSON", () => {
  test("is written for other systems: exact numbers, ISO dates, base64", () => {
    assert.equal(
      json.format(Order, order),
      `{"id":"1","amount":12345678901234567890.1,"placedAt":"2026-09-21T14:13:20.123Z","proof":"AQL/","buyer":"O=Alice, L=London, C=GB",` +
        `"lines":[{"count":3}],"size":{"big":1152921504606846976},"tags":{"colour":"blue"}}`,
    );
  });

  test("is read back as it was", () => {
    assert.deepEqual(json.parse(Order, json.format(Order, order)), { ...order, amount: "12345678901234567890.1" });
  });

  test("numbers keep all their digits, however they are written", () => {
    const decimals = Type.Array(jsonTypes.decimal());
    const read = json.parse(decimals, `[1, -0.10, 1.5e3, 25E-4, 1e0, "7.50", 123456789012345678901234567890, 0.0]`);
    assert.deepEqual(read, ["1", "-0.1", "1500", "0.0025", "1", "7.5", "123456789012345678901234567890", "0"]);
    assert.throws(() => json.parse(decimals, "[1e400]"), { type: "json.mismatch", message: /exponent/ });
    assert.throws(() => json.parse(Type.Array(Type.Integer()), "[1.5]"), { type: "json.mismatch", message: /1\.5, a fraction/ });
    assert.throws(() => json.parse(Type.String(), "1.5"), { type: "json.mismatch" });
    assert.equal(json.parse(Type.BigInt(), "18446744073709551615"), 18446744073709551615n);
    const int64 = Type.Array(jsonTypes.int64());
    assert.deepEqual(json.parse(int64, "[-9223372036854775808, 5]"), [-(2n ** 63n), 5]);
    assert.equal(json.format(int64, [2n ** 63n - 1n, 5n, -5]), "[9223372036854775807,5,-5]");
  });

  const REFUSED: readonly (readonly [string, Type.TSchema, string, string])[] = [
    ["a property that is not known", Type.Object({ a: Type.Integer() }), `{"a":1,"b":2}`, "json.propertyUnknown"],
    ["one further in", Type.Array(Type.Object({ a: Type.Object({}) })), `[{"a":{"b":2}}]`, "json.propertyUnknown"],
    ["a property called __proto__", Type.Object({ a: Type.Integer() }), `{"a":1,"__proto__":{}}`, "json.propertyUnknown"],
    ["a property that stands twice", Type.Object({ a: Type.Integer() }), `{"a":1,"a":1}`, "json.invalid"],
    ["a property that is missing", Type.Object({ a: Type.Integer() }), "{}", "json.mismatch"],
    ["what is no JSON", Type.Object({}), "{", "json.invalid"],
    ["a date without a time", jsonTypes.instant(), `"2026-01-01"`, "json.mismatch"],
    ["a name that is none", jsonTypes.name(), `"Bob"`, "json.mismatch"],
    ["bytes that are none", jsonTypes.bytes(), `"AB="`, "json.mismatch"],
    ["an integer of 65 bits", jsonTypes.int64(), "9223372036854775808", "json.mismatch"],
    ["a UUID in upper case", jsonTypes.uuid(), `"00000000-0000-4000-8000-00000000000A"`, "json.mismatch"],
    [
      "an unknown property of an intersection",
      Type.Intersect([Type.Object({ a: Type.Integer() }), Type.Object({ b: Type.Integer() })]),
      `{"a":1,"b":2,"c":3}`,
      "json.propertyUnknown",
    ],
    [
      "what fits no part of a union",
      Type.Union([Type.Object({ a: Type.Integer() }), Type.Object({ b: Type.Integer() })]),
      `{"c":3}`,
      "json.propertyUnknown",
    ],
  ];
  for (const [what, schema, source, type] of REFUSED)
    test(`${what} is refused`, () => assert.throws(() => json.parse(schema, source), { type, name: "FlowError" }));

  test("what is no bytes is not written as such", () => {
    for (const other of ["AB==", 5, null, [1]])
      assert.throws(() => json.format(jsonTypes.bytes(), other as never), { type: "json.mismatch", message: /must be bytes/ });
    for (const other of [2n ** 63n, "5", 0.5])
      assert.throws(() => json.format(jsonTypes.int64(), other as never), { type: "json.mismatch" });
  });

  test("an author's own form is found by the format that the schema names", () => {
    const schema = Type.Object({ price: Type.Object({ amount: jsonTypes.decimal(), currency: Type.String() }, { format: "money" }) });
    const forms = {
      money: {
        write: (value: never) => `${(value as { amount: string }).amount} ${(value as { currency: string }).currency}`,
        read(text: never) {
          const [amount = "", currency] = String(text).split(" ");
          if (currency === undefined) throw new Error("is no amount with a currency");
          return { amount, currency };
        },
      },
    };
    const value = { price: { amount: "5.5", currency: "GBP" } };
    assert.equal(json.format(schema, value, forms), `{"price":"5.5 GBP"}`);
    assert.deepEqual(json.parse(schema, `{"price":"5.5 GBP"}`, forms), value);
    assert.throws(() => json.parse(schema, `{"price":"5.5"}`, forms), {
      type: "json.mismatch",
      message: /price.*no amount with a currency/,
    });
  });
});

describe("canonical bytes", () => {
  test("are the platform's own, and only they are read", () => {
    const value = { b: [1n, null], a: Uint8Array.of(1) };
    assert.deepEqual(canonical.encode(value), encode({ a: Uint8Array.of(1), b: [1, null] }));
    const schema = Type.Object({ n: Type.Integer() });
    assert.deepEqual(canonical.decode(schema, canonical.encode({ n: 5 })), { n: 5 });
    assert.throws(() => canonical.decode(schema, canonical.encode({ n: "5" })), { type: "canonical.mismatch" });
    assert.throws(() => canonical.decode(schema, Uint8Array.of(0x18, 0x05)), { type: "codec.malformed", name: "FlowError" });
    assert.throws(() => canonical.encode({ half: 0.5 }), { type: "data.unsupported" });
  });

  const V1 = Type.Object({ item: Type.String() });
  const V2 = Type.Object({ item: Type.String(), count: Type.Integer() });
  const V3 = Type.Object({ item: Type.String(), amount: Type.Integer(), note: Type.Optional(Type.String()) });
  const first = versioned({ name: "com.example.Line", schema: V1 });
  const second = versioned({ name: "com.example.Line", schema: V2, older: [older(V1, (line) => ({ ...line, count: 1 }))] });
  const third = versioned({
    name: "com.example.Line",
    schema: V3,
    older: [older(V1, (line) => ({ ...line, count: 1 })), older(V2, ({ item, count }) => ({ item, amount: count }))],
  });

  test("of every older version are read in the newest form", () => {
    assert.equal(third.version, 3);
    assert.deepEqual(third.decode(first.encode({ item: "nail" })), { item: "nail", amount: 1 });
    assert.deepEqual(third.decode(second.encode({ item: "nail", count: 7 })), { item: "nail", amount: 7 });
    assert.deepEqual(third.decode(third.encode({ item: "nail", amount: 7, note: "n" })), { item: "nail", amount: 7, note: "n" });
  });

  test("with a property that was added as optional are read by those who do not know it", () => {
    const withNote = versioned({
      name: "com.example.Line",
      schema: Type.Object({ item: Type.String(), note: Type.Optional(Type.String()) }),
    });
    assert.equal(first.decode(withNote.encode({ item: "nail", note: "long" })).item, "nail");
    assert.deepEqual(withNote.decode(first.encode({ item: "nail" })), { item: "nail" });
  });

  test("of a newer version, of another type and of none are refused by name", () => {
    assert.throws(() => first.decode(second.encode({ item: "nail", count: 7 })), {
      type: "canonical.versionUnknown",
      message: /version 2.*knows 1/,
    });
    assert.throws(() => versioned({ name: "com.example.Other", schema: V1 }).decode(first.encode({ item: "nail" })), {
      type: "canonical.otherType",
    });
    assert.throws(() => first.decode(canonical.encode("nail")), { type: "canonical.otherType" });
    assert.throws(() => first.encode({ item: 5 } as never), { type: "canonical.mismatch" });
  });
});
