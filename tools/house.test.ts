// The checks of the whole repository, as tests: format and lint, types, and the rules of the house.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readHouse } from "./tidy/house.ts";
import { RULES } from "./tidy/rules.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function passes(...command: string[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`.trim());
}

test("format and lint", () => passes("node_modules/@biomejs/biome/bin/biome", "ci", "--error-on-warnings", "--colors=off"));

test("types", () => passes("node_modules/typescript/bin/tsc", "-b"));

const house = readHouse(root);
const ratchet = JSON.parse(readFileSync(join(root, "tools", "tidy", "ratchet.json"), "utf8"));
for (const { name, check } of RULES) {
  test(name, () => {
    const findings = check(house, ratchet).map(({ where, message }) => `${where} ${message}`);
    assert.equal(findings.length, 0, `\n${findings.join("\n")}`);
  });
}
