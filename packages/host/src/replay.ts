// `bowline flow replay` in a process of its own: a recorded flow, run again over its journal in the code that is given.
// Standard output carries one JSON line, `replayed` or `failed`.
//
// In the sandbox, as a worker would run it; with --in-process in this process, so that a debugger which is attached to it
// steps through the author's own lines. Only for code of whoever runs it: in process nothing confines it.

import { readFileSync } from "node:fs";
import { url as inspectorUrl } from "node:inspector";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { BowlineError, badRequest, type Data, decode, encode, writeJson } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import type { Fibers } from "@bowline/flow";
import { readRecording } from "@bowline/flow/recording";
import { inProcessFibers, replayJournal } from "@bowline/flow/replay";
import { ledgerFlows } from "@bowline/ledger";
import { type CordappBundle, cordapp } from "@bowline/sdk";
import { createLog } from "./adapters/system.ts";
import { createIsolatePool } from "./sandbox/isolate-pool.ts";

const say = (line: Readonly<Record<string, unknown>>): void => {
  process.stdout.write(`${writeJson(line as Data)}\n`);
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      recording: { type: "string" },
      bundle: { type: "string" },
      manifest: { type: "string" },
      "in-process": { type: "boolean", default: false },
    },
  });
  const flow = readRecording(readJsonFile(values.recording));
  const authors = values["in-process"] ? inThisProcess(values.bundle) : inTheSandbox(values.bundle, values.manifest);
  const platform = inProcess(cordapp({ flows: ledgerFlows, states: [], contracts: [] }));
  const fibers = async (bundle: string): Promise<Fibers> => (bundle === "platform" ? platform : authors());
  // biome-ignore lint/suspicious/noDebugger: it is what a debugger that waits for this process stops at.
  if (inspectorUrl() !== undefined) debugger; // Your files are loaded: set breakpoints in them, and resume.
  const { steps, divergence } = await replayJournal({ flow, fibers, digest: sha256 });
  // Canonical, so that what was asked and what was recorded can be compared by eye.
  say(
    decode(encode({ event: "replayed", flowName: flow.row.flowName, steps, recorded: flow.journal.length, divergence } as Data)) as never,
  );
}

function readJsonFile(file: string | undefined): unknown {
  try {
    return JSON.parse(readFileSync(file ?? "", "utf8"));
  } catch (thrown) {
    throw badRequest("flow.recordingInvalid", `${file} cannot be read as a recording of a flow: ${(thrown as Error).message}`);
  }
}

function inTheSandbox(bundle: string | undefined, manifest: string | undefined): () => Promise<Fibers> {
  const log = createLog({ level: "warn" });
  const source = async () => ({
    script: readFileSync(bundle ?? "", "utf8"),
    manifest: readJsonFile(manifest) as CordappBundle["manifest"],
  });
  const pool = createIsolatePool({ bundle: source, log, onUnstoppable: () => process.exit(1) });
  return () => pool.fibers("SHA-256:replayed" as never);
}

/** The bundle's file is a CommonJS module, and its source map names the author's files. */
function inThisProcess(bundle: string | undefined): () => Promise<Fibers> {
  const { cordapp: loaded } = createRequire(import.meta.url)(bundle ?? "") as { readonly cordapp: CordappBundle };
  const fibers = inProcess(loaded);
  return async () => fibers;
}

/** A turn of the event loop comes after every microtask. */
const inProcess = (bundle: CordappBundle): Fibers => inProcessFibers(bundle, () => new Promise((drained) => setImmediate(drained)));

main()
  .then(() => process.stdout.write("", () => process.exit(0)))
  .catch((thrown: unknown) => {
    const code = thrown instanceof BowlineError ? thrown.code : "flow.replayFailed";
    say({ event: "failed", code, message: thrown instanceof Error ? thrown.message : String(thrown) });
    if (!(thrown instanceof BowlineError)) process.stderr.write(`${thrown instanceof Error ? thrown.stack : thrown}\n`);
    process.stdout.write("", () => process.exit(1));
  });
