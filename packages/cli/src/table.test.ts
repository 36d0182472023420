import assert from "node:assert/strict";
import { test } from "node:test";
import { oneLine, renderTable } from "./table.ts";

const columns = [
  { title: "name", cell: (row: { name: string; owes: string }) => row.name },
  { title: "owes", align: "right" as const, cell: (row: { name: string; owes: string }) => row.owes },
];

test("columns are as wide as their widest cell, and numbers stand to the right", () => {
  const text = renderTable(columns, [
    { name: "Alice", owes: "1,204.50" },
    { name: "Łódź Metal", owes: "7.00" },
  ]);
  assert.equal(text, ["name            owes", "----------  --------", "Alice       1,204.50", "Łódź Metal      7.00"].join("\n"));
});

test("a table without rows still says what its columns are", () => {
  assert.equal(renderTable(columns, []), "name  owes\n----  ----");
});

test("a line that is too wide is cut with an ellipsis", () => {
  assert.equal(renderTable(columns, [{ name: "a very long name", owes: "1" }], 10).split("\n")[2], "a very lo…");
});

test("control characters never reach the terminal", () => {
  assert.equal(oneLine("a\u001b[31mb\nc"), "a [31mb c");
});
