import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatOf, parseRows } from "./rows.ts";

const CSV = `id,name,x
1,"O=Bob, L=Paris",b
2,c

3,"two
lines",f
4,g"h,i
5,m,n
6,"open,o
7,p,q`;

test("a bad CSV row says why and hides no other row", () => {
  const rows = parseRows(CSV, "csv");
  assert.deepEqual(
    rows.map(({ number, line, content }) => [number, line, "values" in content ? content.values.id : content.problem]),
    [
      [1, 2, "1"],
      [2, 3, "it has 2 columns where the header names 3"],
      [3, 5, "3"],
      [4, 7, "a quotation mark stands in the wrong place"],
      [5, 8, "5"],
      [6, 9, "a quotation mark is not closed"],
      [7, 10, "7"],
    ],
  );
  assert.deepEqual(rows[0]?.content, { values: { id: "1", name: "O=Bob, L=Paris", x: "b" } });
});

test("rows and their numbers are the same whether or not another row is bad", () => {
  const good = CSV.split("\n").filter((line) => !line.startsWith("4,") && !line.startsWith("6,"));
  const values = (text: string) => parseRows(text, "csv").flatMap(({ content }) => ("values" in content ? [content.values] : []));
  assert.deepEqual(values(good.join("\n")), values(CSV));
});

test("a byte order mark and Windows line ends are no part of any name or value", () => {
  assert.deepEqual(parseRows("\ufeffid,x\r\n1,a\r\n", "csv"), [{ number: 1, line: 2, content: { values: { id: "1", x: "a" } } }]);
});

test("a header that is missing or names a column twice is refused as a whole", () => {
  assert.throws(() => parseRows("", "csv"), /no header/);
  assert.throws(() => parseRows("id,id\n1,2\n", "csv"), /"id" twice/);
  assert.throws(() => parseRows("id,,x\n1,2,3\n", "csv"), /column without a name/);
});

test("NDJSON rows that are not objects say so", () => {
  const rows = parseRows('{"id":1}\n\n[1]\nnope\n{"id":2}\n', "ndjson");
  assert.deepEqual(
    rows.map(({ number, line, content }) => [number, line, "values" in content]),
    [
      [1, 1, true],
      [2, 3, false],
      [3, 4, false],
      [4, 5, true],
    ],
  );
});

test("any text of single-line rows gives as many rows as it has lines after the header", () => {
  const field = fc.stringMatching(/^[a-z"]{1,6}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(field, field), { maxLength: 12 }), (lines) => {
      // A quotation mark may join lines into one record, but never adds any, and the last line is never lost.
      const rows = parseRows(`a,b\n${lines.map((each) => each.join(",")).join("\n")}\nlast,row\n`, "csv");
      assert.ok(rows.length <= lines.length + 1);
      const last = rows.at(-1)?.content;
      if (last !== undefined && "values" in last) assert.ok(String(last.values.b).endsWith("row"));
    }),
  );
});

test("the format is known by the file's name", () => {
  assert.equal(formatOf("a/B.CSV"), "csv");
  assert.equal(formatOf("x.jsonl"), "ndjson");
  assert.throws(() => formatOf("x.txt"), /--format/);
});
