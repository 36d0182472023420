// Writes docs/ledger-vectors.json: run it when the ledger's encoding changes on purpose, with a new ledger version.

import { writeFile } from "node:fs/promises";
import { ledgerVectors } from "../packages/ledger/src/vectors.ts";

await writeFile(new URL("../docs/ledger-vectors.json", import.meta.url), `${JSON.stringify(ledgerVectors(), null, 2)}\n`);
