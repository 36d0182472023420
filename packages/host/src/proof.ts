// `bowline ledger verify` in a process of its own: a file that proves a transaction, read and checked. No network is asked.
// Standard output carries one JSON line, `proven` or `failed`.

import { readFile, stat } from "node:fs/promises";
import { parseArgs } from "node:util";
import { BowlineError, badRequest, type Data, readJson, writeJson } from "@bowline/base";
import { verifyProof } from "@bowline/ledger/proof";

/** A transaction of the greatest size, in base64, with what it uses. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      file: { type: "string", default: "" },
      "group-key": { type: "string", multiple: true, default: [] },
      "notary-key": { type: "string", multiple: true, default: [] },
    },
  });
  const { size } = await stat(values.file);
  if (size > FILE_BYTES_MAX)
    throw badRequest("ledger.proofInvalid", `The file has ${size} bytes, and no proof has more than ${FILE_BYTES_MAX}.`);
  const trust = { groupKeys: values["group-key"], notaryKeys: values["notary-key"] };
  say({ event: "proven", ...verifyProof(parsed(await readFile(values.file, "utf8")), trust) });
}

function parsed(text: string): unknown {
  try {
    return readJson(text, "proof");
  } catch (thrown) {
    if (!(thrown instanceof BowlineError)) throw thrown;
    throw badRequest("ledger.proofInvalid", `The file proves nothing: ${thrown.message}`);
  }
}

const say = (line: object): void => {
  process.stdout.write(`${writeJson(line as Data)}\n`);
};

try {
  await main();
} catch (thrown) {
  if (thrown instanceof BowlineError) say({ event: "failed", code: thrown.code, message: thrown.message, details: thrown.details });
  else say({ event: "failed", code: "cli.unexpected", message: (thrown as Error).message, details: {} });
  process.exitCode = 1;
}
