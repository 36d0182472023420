// `bowline ledger verify`'s entry, as a process: a file in, one line out.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { preimage } from "@bowline/base/preimage";
import { generateKeyPair, keyIdOf, signSync } from "@bowline/crypto";
import { sample } from "@bowline/ledger/contract";
import { proofFile } from "@bowline/ledger/proof";

const ENTRY = fileURLToPath(new URL("./proof.ts", import.meta.url));

const run = (...args: readonly string[]): Promise<{ readonly code: number; readonly line: Readonly<Record<string, unknown>> }> =>
  new Promise((resolve) =>
    execFile(process.execPath, ["--disable-warning=ExperimentalWarning", ENTRY, ...args], (error, stdout) =>
      resolve({ code: Number(error?.code ?? 0), line: JSON.parse(stdout) }),
    ),
  );

test("a file is proven or refused, in one line and by the exit code", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "bowline-proof-"));
  t.after(() => rm(folder, { recursive: true }));
  const network = await sample();
  const { alice } = network.parties;
  const manager = await generateKeyPair("CORDA.ECDSA.SECP256R1");
  const { bytes } = network.parameters;
  const parameters = { bytes, signature: signSync(manager.privateKey, preimage("group-parameters", bytes)), signedBy: manager.publicKey };
  const proposal = network.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] });
  const signed = network.notarised(network.sign(network.build(proposal), alice));
  const file = join(folder, "payment.proof");
  const proof = proofFile(signed, parameters, []);
  await writeFile(file, JSON.stringify(proof));
  const proven = await run("--file", file, "--group-key", keyIdOf(manager.publicKey));
  assert.deepEqual([proven.code, proven.line["event"], proven.line["id"]], [0, "proven", signed.transaction.id]);
  const untrusted = await run("--file", file);
  assert.deepEqual([untrusted.code, untrusted.line["event"], untrusted.line["code"]], [1, "failed", "ledger.proofUntrusted"]);
  for (const doctored of [JSON.stringify({ ...proof, groupParameters: { ...proof.groupParameters, signature: "AAAA" } }), "no proof", ""]) {
    await writeFile(file, doctored);
    const { code, line } = await run("--file", file, "--group-key", keyIdOf(manager.publicKey));
    assert.deepEqual([code, line["code"]], [1, "ledger.proofInvalid"], doctored.slice(0, 20));
  }
  assert.equal((await run("--file", join(folder, "none"))).line["code"], "cli.unexpected");
});
