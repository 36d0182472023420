import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parametersOf } from "./postgres-arrays.ts";
import { testDatabase } from "./test-postgres.ts";

const TEXT = "SELECT $1::text[] AS texts, $2::bytea[] AS bytes, $3::int[] AS ints, $4::bigint[] AS bigints, $5::boolean[] AS booleans";

const listOf = <T>(item: fc.Arbitrary<T>) => fc.array(fc.option(item), { maxLength: 5 });
const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("\0"));
const rows = fc.record({
  texts: listOf(fc.oneof(text, fc.constantFrom("", "NULL", '"', "\\", "{}", "a,b", "😀"))),
  bytes: listOf(fc.uint8Array({ maxLength: 40 })),
  ints: listOf(fc.integer()),
  bigints: listOf(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  booleans: listOf(fc.boolean()),
});

test("whatever is in an array, PostgreSQL reads it as it was", async (t) => {
  const { sql } = await testDatabase(t);
  const asRead = (value: bigint | null) => (value !== null && Number.isSafeInteger(Number(value)) ? Number(value) : value);
  await fc.assert(
    fc.asyncProperty(rows, async (row) => {
      const { texts, bytes, ints, bigints, booleans } = row;
      const [read] = await sql.query({ name: "arrays", text: TEXT }, [texts, bytes, ints, bigints, booleans]);
      assert.deepEqual(read, { ...row, bigints: bigints.map(asRead) });
    }),
    { numRuns: 200 },
  );
});

test("arrays of what a statement says go in binary, and only those", () => {
  const sent = (text: string, value: unknown) => parametersOf({ text }, [value])[0];
  for (const [type, value] of [
    ["text", ["a"]],
    ["bytea", [new Uint8Array(1)]],
    ["int", [1, null]],
    ["bigint", [1, 2n]],
    ["boolean", []],
  ] as const)
    assert.ok(sent(`SELECT $1::${type}[]`, value) instanceof Buffer, type);
  for (const [type, value] of [
    ["int", [2 ** 31]],
    ["int", ["1"]],
    ["bigint", [2n ** 63n]],
    ["text", [undefined]],
    ["text", [["a"]]],
    ["numeric", ["1.5"]],
  ] as const)
    assert.equal(sent(`SELECT $1::${type}[]`, value), value, `${type} ${String(value)}`);
  assert.deepEqual(sent("SELECT * FROM t WHERE id = ANY ($1)", ["a"]), ["a"], "it does not say of what");
});
