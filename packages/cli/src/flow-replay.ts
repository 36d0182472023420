// `bowline flow replay`: a recorded flow, run again over its journal in the code of today. The replay itself is an entry that
// the platform ships, in a process of its own; this file brings it the recording and the bundle.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import type { ReplyTo } from "./connection.ts";
import { online } from "./online.ts";
import { type EntryLine, runEntry } from "./platform-entry.ts";
import { act, type Shell } from "./program.ts";
import { EXIT, type ExitCode, print, type Terminal, usage } from "./terminal.ts";

const ENTRY = fileURLToPath(new URL("../../host/src/replay.ts", import.meta.url));
const INSPECT_DEFAULT = "127.0.0.1:9229";
const HELP = `
The recording comes from the network, or from a file that bowline flow journal --export wrote. The code is the CorDapp's
sources as they are now: nothing is performed and nothing is written, the journal answers every step.

With --inspect the replay runs outside of the sandbox and waits for a debugger: Chrome (chrome://inspect), Visual Studio
Code ("attach") or node inspect. It stops once the CorDapp is loaded; set breakpoints in its files, and resume.

Examples:
  bowline flow replay inv-1 --as Alice --cordapp examples/obligation
  bowline flow replay inv-1.json --cordapp examples/obligation --inspect

Exit codes: 0 the code does what the journal says; 1 it would diverge, and where; 2 it could not be tried.`;

interface ReplayOptions {
  readonly as?: string;
  readonly cordapp: string;
  readonly inspect?: string | true;
}

type Recording = ReplyTo<"recordFlow">;

export function registerReplay(group: Command, shell: Shell): void {
  const { terminal } = shell;
  group
    .command("replay")
    .argument("<id-or-file>", "its client request id or flow id, or a file that holds a recording")
    .option("--as <vnode>", "the virtual node whose flow it is: a name, a part of one, or a short hash")
    .option("--cordapp <dir>", "the folder of the CorDapp's sources", ".")
    .addOption(new Option("--inspect [host:port]", `wait there for a debugger (default: ${INSPECT_DEFAULT})`))
    .description("Runs a recorded flow again over its journal, in present code, and says where it would diverge.")
    .addHelpText("after", HELP)
    .action(async (subject: string, options: ReplayOptions, command: Command) => {
      const file = resolve(terminal.cwd, subject);
      if (statSync(file, { throwIfNoEntry: false })?.isFile())
        return act(shell, async () => replay(terminal, readRecording(file), options))();
      const { as } = options;
      if (as === undefined)
        throw usage("replay", `There is no file ${file}. To replay a flow of the network, say whose it is: --as VNODE.`);
      return online(shell, async (connection, ..._: readonly [string, ReplayOptions, Command]) => {
        const { shortHash } = await connection.virtualNode(as);
        const params = { holdingidentityshorthash: shortHash, clientrequestid: subject };
        return replay(terminal, await connection.call("recordFlow", { params }), options);
      })(subject, options, command);
    });
}

function readRecording(file: string): Recording {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Recording;
  } catch (thrown) {
    throw usage("replay", `${file} is no recording of a flow: ${(thrown as Error).message}.`);
  }
}

async function replay(terminal: Terminal, recording: Recording, { cordapp, inspect }: ReplayOptions): Promise<ExitCode> {
  const flowName = String((recording.flow as { readonly flowName?: unknown } | undefined)?.flowName);
  const isPlatform = (recording.flow as { readonly bundle?: unknown } | undefined)?.bundle === "platform";
  const folder = mkdtempSync(join(tmpdir(), "bowline-replay-"));
  try {
    const args = ["--recording", write(folder, "recording.json", JSON.stringify(recording))];
    const debug = inspect !== undefined;
    if (!isPlatform) {
      const { projectBundle } = await import("./package-files.ts");
      const { script, manifest } = await projectBundle(resolve(terminal.cwd, cordapp), flowName, debug);
      args.push("--bundle", write(folder, "cordapp.cjs", script), "--manifest", write(folder, "manifest.json", JSON.stringify(manifest)));
    }
    const flags = debug
      ? [`--inspect-wait=${inspect === true ? INSPECT_DEFAULT : inspect}`, "--enable-source-maps"]
      : ["--no-node-snapshot"];
    const silent = (ending: string) => usage("replay", `The replay ended without a word (${ending}).`);
    return report(terminal, await runEntry([...flags, ENTRY, ...args, ...(debug ? ["--in-process"] : [])], silent));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function write(folder: string, name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

interface Divergence {
  readonly path: string;
  readonly message: string;
  readonly asked: unknown;
  readonly recorded: unknown;
}

function report(terminal: Terminal, line: EntryLine): ExitCode {
  if (line.event === "failed") throw usage("replay", String(line.message), { code: String(line.code) });
  const { flowName, steps, recorded } = line;
  const divergence = line.divergence as Divergence | null;
  print(terminal, { flowName, steps, recorded, divergence }, () => {
    if (divergence === null) return `${flowName} does what its journal says: ${steps} steps.`;
    const said = (deed: unknown) => (deed === null ? "nothing" : JSON.stringify(deed));
    return [
      `${flowName} diverges from its journal after ${steps} of ${recorded} steps. ${divergence.message}`,
      `  recorded  ${said(divergence.recorded)}`,
      `  now       ${said(divergence.asked)}`,
    ].join("\n");
  });
  return divergence === null ? EXIT.done : EXIT.refused;
}
