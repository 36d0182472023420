import assert from "node:assert/strict";
import { test } from "node:test";
import { inputOf, mapByHeader, parseMap, parseSet } from "./mapping.ts";

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("columns are the fields of their own names, dots nest, and empty cells are left out", () => {
  const mapped = inputOf(
    { id: "1", "amount.value": "2.50", "amount.currency": "EUR", note: "" },
    mapByHeader(["id", "amount.value", "amount.currency", "note"]),
  );
  assert.deepEqual(plain(mapped), { input: { id: "1", amount: { value: "2.50", currency: "EUR" } } });
});

test("a mapping names, types and fixes fields", () => {
  const mappings = ["n:number=Count", "ok:boolean=Paid", "more:json=Extra", "who=Name"]
    .map(parseMap)
    .concat(parseSet("currency=EUR"), parseSet("limit:number=5"), parseSet("amount=20.50"));
  const values = { Count: "12", Paid: "Yes", Extra: "[1]", Name: "Bob", Other: "x" };
  assert.deepEqual(plain(inputOf(values, mappings)), {
    input: { n: 12, ok: true, more: [1], who: "Bob", currency: "EUR", limit: 5, amount: "20.50" },
  });
});

test("a cell that is not of its type is a problem of its row", () => {
  assert.deepEqual(inputOf({ Count: "twelve" }, [parseMap("a.n:number=Count")]), { problem: 'a.n is "twelve", which is not a number' });
});

test("values of NDJSON keep their types", () => {
  assert.deepEqual(plain(inputOf({ n: 3, o: { p: null } }, mapByHeader(["n", "o"]))), { input: { n: 3, o: { p: null } } });
});

test("a column called __proto__ is a field and nothing else", () => {
  const mapped = inputOf(JSON.parse('{"__proto__": "x"}') as Record<string, unknown>, mapByHeader(["__proto__", "__proto__.polluted"]));
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.ok("input" in mapped);
});

test("mappings that say nothing are refused", () => {
  for (const text of ["amount", "=x", "a..b=c", "a:date=b"]) assert.throws(() => parseMap(text), { code: "cli.mapping" });
  for (const text of ["amount", "n:number=many", "j:json={"]) assert.throws(() => parseSet(text), { code: "cli.mapping" });
});
