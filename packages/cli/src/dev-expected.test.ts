import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { differences, expectedFrom } from "./dev-expected.ts";
import { parseRows } from "./rows.ts";

const A = "O=Alice, L=London, C=GB";
const B = "O=Bob, L=Paris, C=FR";
const C = "O=Charlie, L=Berlin, C=DE";
const HEAD = "id,debtor,creditor,amount,currency,dueDate\n";
const sample = (name: string) => readFileSync(new URL(`../../../examples/obligation/sample/${name}.csv`, import.meta.url), "utf8");

test("positions are what stands after settling, per company and currency", () => {
  const obligations = `${HEAD}1,"${A}","${B}",10.50,EUR,2035-01-01\n2,"${B}","${A}",4,EUR,2035-01-01\n3,"${A}","${C}",700,JPY,2035-01-01\n`;
  const settlements = `id,debtor,amount\n1,"${A}",0.50\n3,"${A}",\n1,"${A}",10.01\n9,"${A}",1\n`;
  const expected = expectedFrom({ obligations, settlements }, [A, B, C], "2026-01-01");
  assert.deepEqual(expected.positions, [
    { company: A, currency: "EUR", owes: "10.00", owed: "4.00" },
    { company: B, currency: "EUR", owes: "4.00", owed: "10.00" },
  ]);
  assert.deepEqual([...expected.refusedSettlements], [3, 4]);
});

test("every kind of bad row is refused", () => {
  const bad = [
    `1,"${A}","O=Dora, L=Madrid, C=ES",1,EUR,2035-01-01`,
    `2,"${A}","${B}",-1,EUR,2035-01-01`,
    `3,"${A}","${A}",1,EUR,2035-01-01`,
    `4,"${A}","${B}",1,EUX,2035-01-01`,
    `5,"${A}","${B}",1`,
    `6,"${A}","${B}",0.001,EUR,2035-01-01`,
    `7,"${A}","${B}",1,EUR,2035-02-30`,
    `8,"${A}","${B}",1,EUR,2019-01-01`,
    `9,"${A}","${B}",1,EUR,2035-01-01,x`,
    `0,"${A}","${B}",0,EUR,2035-01-01`,
  ];
  const { refusedObligations, positions } = expectedFrom(
    { obligations: HEAD + bad.join("\n"), settlements: "id,debtor,amount\n" },
    [A, B, C],
    "2026-01-01",
  );
  assert.equal(refusedObligations.size, bad.length);
  assert.deepEqual(positions, []);
});

test("the sample has at least 240 rows of three companies, some bad in each way, and what is owed is owed to someone", () => {
  const files = { obligations: sample("obligations"), settlements: sample("settlements") };
  const { positions, refusedObligations, refusedSettlements } = expectedFrom(files, [A, B, C], "2026-11-23");
  const rows = parseRows(files.obligations, "csv");
  assert.ok(rows.length >= 240);
  assert.equal(refusedObligations.size, 15);
  assert.ok(refusedSettlements.size >= 3);
  assert.equal(new Set(positions.map(({ company }) => company)).size, 3);
  for (const currency of new Set(positions.map((each) => each.currency))) {
    const sum = (side: "owes" | "owed") =>
      positions.filter((each) => each.currency === currency).reduce((total, each) => total + BigInt(each[side].replace(".", "")), 0n);
    assert.equal(sum("owes"), sum("owed"), currency);
  }
});

test("a difference names the company, the currency and both sides", () => {
  const one = { company: A, currency: "EUR", owes: "1.00", owed: "0.00" };
  assert.deepEqual(differences([one], [one]), []);
  assert.deepEqual(differences([one], []), [`${A} in EUR: by the ledger owes 1.00, is owed 0.00; by the file nothing`]);
});
