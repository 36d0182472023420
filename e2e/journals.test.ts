// Flows that were recorded on a real network, one file each, named after the example that they are of. All later code replays
// them: where one diverges, flows that run while a cluster is upgraded would be parked. `bowline flow journal --export`
// makes such a file; `node tools/record-under-way.ts` makes the one of a flow that is not over.

import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startProduct } from "./product.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDER = join(ROOT, "e2e", "journals");
const TIMEOUT_MS = 120_000;

for (const file of readdirSync(FOLDER).sort())
  test(`the journal ${file} is what our code does`, { timeout: TIMEOUT_MS }, async () => {
    const example = join(ROOT, "examples", file.split(".")[0] ?? "");
    // The platform's own flows need no CorDapp.
    const cordapp = statSync(example, { throwIfNoEntry: false }) === undefined ? [] : ["--cordapp", example];
    const { code, text } = await startProduct(["flow", "replay", join(FOLDER, file), ...cordapp, "--json"], "cli").ended;
    assert.equal(code, 0, text);
    const { steps, recorded, divergence } = JSON.parse(text.slice(text.indexOf("{"))) as Record<string, unknown>;
    assert.equal(divergence, null);
    assert.equal(steps, recorded);
  });
