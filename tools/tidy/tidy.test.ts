// Each rule finds what it is for, and lets through what it should. The houses here are made up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrowsPointDown, arrowTable, doorsAreUsed, noCycles } from "./arrows.ts";
import { type House, houseOf } from "./house.ts";
import { shrunk, throughRatchet } from "./ratchet.ts";
import { emptyNames, impurities, longFiles, longFunctions, wideFaces } from "./shape.ts";
import { dependenciesHaveReasons, documentsHold, errorCodesAreDocumented } from "./words.ts";

const house = (files: Readonly<Record<string, string>>): House => houseOf(new Map(Object.entries(files)));
const where = (findings: readonly { readonly where: string }[]): string[] => findings.map((finding) => finding.where);

test("a package that imports its equal is found, in imports, types, manifests and references", () => {
  const made = house({
    "packages/ledger/src/a.ts": 'import { x } from "@bowline/base";\nimport type { Flow } from "@bowline/flow";\n',
    "packages/flow/package.json": '{ "dependencies": { "@bowline/host": "1" } }',
    "packages/crypto/tsconfig.json": '{ "references": [{ "path": "../sdk" }, { "path": "../base" }] }',
    "examples/a/src/index.ts": 'import { y } from "@bowline/ledger";\n',
  });
  assert.deepEqual(where(arrowsPointDown(made)), [
    "packages/ledger/src/a.ts:2",
    "examples/a/src/index.ts:1",
    "packages/crypto/tsconfig.json",
    "packages/flow/package.json",
  ]);
});

test("a cycle at run time is found; one of types, or of late imports, is not", () => {
  const made = house({
    "packages/base/src/a.ts": 'import { b } from "./b.ts";\n',
    "packages/base/src/b.ts": 'import { c } from "./c.ts";\n',
    "packages/base/src/c.ts": 'export { a } from "./a.ts";\n',
    "packages/base/src/d.ts": 'import type { E } from "./e.ts";\n',
    "packages/base/src/e.ts": 'import { d } from "./d.ts";\n',
    "packages/base/src/f.ts": 'export const f = () => import("./g.ts");\n',
    "packages/base/src/g.ts": 'import { f } from "./f.ts";\n',
  });
  const [cycle, ...more] = noCycles(made);
  assert.match(cycle?.message ?? "", /a\.ts -> packages\/base\/src\/b\.ts -> packages\/base\/src\/c\.ts -> packages\/base\/src\/a\.ts/);
  assert.deepEqual(more, []);
});

test("only the doors that a package opens are entered", () => {
  const made = house({
    "packages/sdk/package.json": '{ "exports": { ".": "./src/index.ts", "./runtime": "./src/runtime.ts" } }',
    "packages/host/src/a.ts":
      'import { r } from "@bowline/sdk/runtime";\nimport { s } from "@bowline/sdk/src/step.ts";\nimport { t } from "../../sdk/src/t.ts";\n',
  });
  assert.deepEqual(where(doorsAreUsed(made)), ["packages/host/src/a.ts:2", "packages/host/src/a.ts:3"]);
});

test("a file that decides may not await, look at the clock, draw lots, speak SQL or touch the world", () => {
  const impure = [
    "export const a = async () => await b();",
    "export const c = Date.now();",
    "export const d = new Date();",
    "export const e = Math.random();",
    "setTimeout(f, 1);",
    "export const g = process.env;",
    'export const h = "SELECT a FROM b WHERE c";',
    "export const i = `INSERT INTO t VALUES (1)`;",
    'import { k } from "node:fs";',
  ];
  for (const text of impure) assert.equal(impurities(house({ "packages/ledger/src/x.ts": text })).length, 1, text);
  const pure = 'export const a = new Date(5);\nexport const b = "Select a party from the list";\nexport const env = { process: 1 };\n';
  assert.deepEqual(impurities(house({ "packages/ledger/src/x.ts": pure })), []);
});

test("suffixes allow what they are for, and shells everything", () => {
  const text = 'export const a = async (sql) => await sql.query("SELECT a FROM b");\n';
  const found = impurities(
    house({ "packages/ledger/src/x.store.ts": text, "packages/ledger/src/x.flow.ts": text, "packages/host/src/x.ts": text }),
  );
  assert.deepEqual(where(found), ["packages/ledger/src/x.flow.ts"]);
});

test("long files and functions are measured, and suites are not functions", () => {
  const long = `export function long() {\n${"  a();\n".repeat(70)}}\n`;
  const made = house({
    "packages/base/src/a.ts": long,
    "packages/base/src/a.test.ts": long,
    "packages/base/src/b.ts": "a();\n".repeat(601),
  });
  assert.deepEqual(
    longFunctions(made).map(({ key, value }) => [key, value]),
    [["packages/base/src/a.ts#long", 72]],
  );
  assert.deepEqual(
    longFiles(made).map(({ key, value }) => [key, value]),
    [["packages/base/src/b.ts", 601]],
  );
});

test("names that fit anything are found, and terms of the field are not", () => {
  const made = house({
    "packages/base/src/hash-utils.ts": "",
    "packages/base/src/a.ts":
      "export class FlowManager {}\nexport interface IThing {}\nexport interface Issuer {}\nexport type LinkManager = 1;\n",
    "packages/p2p/src/link-manager.ts": "",
  });
  assert.deepEqual(
    emptyNames(made).map(({ key }) => key),
    ["packages/base/src/hash-utils.ts", "packages/base/src/a.ts#FlowManager", "packages/base/src/a.ts#IThing"],
  );
});

test("a face with more than 25 names is measured, and a star is refused", () => {
  const names = Array.from({ length: 26 }, (_, i) => `n${i}`).join(", ");
  const made = house({
    "packages/base/src/index.ts": `export { ${names} } from "./a.ts";\n`,
    "packages/sdk/src/index.ts": 'export * from "./a.ts";\n',
  });
  assert.deepEqual(
    wideFaces(made).map(({ value }) => value),
    [26, Number.MAX_SAFE_INTEGER],
  );
});

test("a code without a row and a row without a code are found", () => {
  const made = house({
    "packages/base/src/a.ts": 'throw badRequest("a.known", "");\nthrow new BowlineError("internal", "a.secret", "");\n',
    "docs/errors.md": "# Errors\n\n| code | meaning |\n|---|---|\n| `a.known` | x |\n| `a.gone` | y |\n",
  });
  assert.deepEqual(
    errorCodesAreDocumented(made).map(({ message }) => /`([^`]+)`/.exec(message)?.[1]),
    ["a.secret", "a.gone"],
  );
});

test("a dependency without a row, or of another version than its row, is found", () => {
  const made = house({
    "packages/host/package.json":
      '{ "dependencies": { "pg": "8.0.1", "pino": "10.4.0", "@bowline/base": "1", "@some/part": "1.0.0", "ghost": "1.0.0" } }',
    "docs/dependencies.md": "# D\n\n| `pg` | 8.0.0 | x |\n| `pino` | 10.4.0 | y |\n| `@some/*` | 1.0.0 | z |\n",
  });
  assert.deepEqual(
    dependenciesHaveReasons(made).map(({ message }) => /on (\S+)/.exec(message)?.[1]),
    ["pg", "ghost"],
  );
});

test("a link that leads nowhere, a second title and broken code are found", () => {
  const good = "# One\n\n## Two words\n\n[self](#two-words) [b](b.md) [out](https://example.org)\n\n```ts\nconst a: number = 1;\n```\n";
  const bad = "# One\n\n# Two\n\n[gone](c.md) [a](a.md#three)\n\n```ts\nconst = 1;\n```\n";
  assert.deepEqual(where(documentsHold(house({ "a.md": good, "b.md": bad }))), ["b.md", "b.md:5", "b.md:5", "b.md:7"]);
});

test("the list of exceptions lets through what it names, and only shrinks", () => {
  const measure = (key: string, value: number) => ({ key, value, where: key, message: "is too long" });
  const ratchet = { longFiles: { a: 700, b: 650, c: 610 } };
  const findings = throughRatchet(ratchet, "longFiles", [measure("a", 701), measure("b", 650), measure("d", 605)]);
  assert.deepEqual(where(findings), ["a", "d", "tools/tidy/ratchet.json"]);
  assert.deepEqual(
    shrunk(ratchet, () => [measure("a", 701), measure("b", 640)]),
    { longFiles: { a: 700, b: 640 } },
  );
});

test("the table of arrows counts and names", () => {
  const made = house({
    "packages/crypto/src/a.ts": 'import { x } from "@bowline/base";\n',
    "packages/crypto/src/a.test.ts": "a();\nb();\n",
  });
  assert.match(arrowTable(made), /crypto +1 +1 +2 {2}base/);
});
