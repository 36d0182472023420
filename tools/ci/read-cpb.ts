// `read-cpb.ts CPB CERTIFICATE`: whether Bowline takes this CPB from whom it trusts. For the checks beside it.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { BowlineError } from "@bowline/base";
import { readCpb } from "@bowline/cluster";

const [cpb = "", certificate = ""] = process.argv.slice(2);
const trust = { anchors: [new X509Certificate(readFileSync(certificate))], now: Date.now() };
try {
  const cpks = await readCpb(readFileSync(cpb), basename(cpb), trust);
  console.log(`accepted, with ${cpks.length} CPKs`);
} catch (error) {
  if (!(error instanceof BowlineError)) throw error;
  console.log(error.message);
  process.exitCode = 1;
}
