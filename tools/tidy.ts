// `npm run tidy`: the rules of the house, and the table of what imports what. `--shrink` lowers the list of exceptions to
// what is still needed. The rules are also tests (tidy.test.ts).

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { arrowTable } from "./tidy/arrows.ts";
import { readHouse } from "./tidy/house.ts";
import { type Ratchet, shrunk } from "./tidy/ratchet.ts";
import { MEASURES, RULES } from "./tidy/rules.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ratchetFile = join(root, "tools", "tidy", "ratchet.json");

const house = readHouse(root);
let ratchet: Ratchet = JSON.parse(readFileSync(ratchetFile, "utf8"));
if (process.argv.includes("--shrink")) {
  ratchet = shrunk(ratchet, (rule) => MEASURES[rule]?.(house) ?? []);
  writeFileSync(ratchetFile, `${JSON.stringify(ratchet, null, 2)}\n`);
}

console.log(`${arrowTable(house)}\n`);
for (const { name, check } of RULES) {
  const findings = check(house, ratchet);
  console.log(`${findings.length === 0 ? "✔" : "✖"} ${name}`);
  for (const { where, message } of findings) console.log(`    ${where} ${message}`);
  if (findings.length > 0) process.exitCode = 1;
}
