// `bowline audit`: proves what a network's notary has done, from its log alone. The log is brought from the network to a file,
// page by page; the proof itself is an entry that the platform ships, in a process of its own.

import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { registerAuditAccess } from "./audit-access.ts";
import type { Connection } from "./connection.ts";
import { chooseTarget, type TargetOptions } from "./network.ts";
import { severalOption } from "./options.ts";
import { runEntry } from "./platform-entry.ts";
import { act, type Register, type Shell } from "./program.ts";
import { EXIT, type ExitCode, print, usage } from "./terminal.ts";

const ENTRY = fileURLToPath(new URL("../../host/src/audit.ts", import.meta.url));
const FORMAT = "bowline-notary-history/1";
const PAGE_ENTRIES = 50;
const PAGE_STATES = 10_000;
const HELP = `
Proven: no entry is missing, moved or changed; each is sealed by the notary; no state was spent twice; every input was an
output of a transaction accepted before; every reference was unspent when it was used; each was accepted within its time
window; with --states, that its table of states says the same. With --continues a later audit proves that the log goes on from where an earlier one ended.

An exported file is text: a line of JSON that says whose log it is, then one for each entry. Believe its keys no more than
whoever gave it to you: --key names those that you know, by their ids.

Examples:
  bowline audit history Notary
  bowline audit history Notary --states
  bowline audit history Notary --export notary.history
  bowline audit history --file notary.history --continues 1200:9BD2...

Exit codes: 0 the history holds; 1 it does not, and where; 2 it could not be audited.`;

const CONFIRM_HELP = `
A notary stops when its PostgreSQL has become another one, since what it had told its clients may be gone. Audit the history
that is there with --continues and what the last audit ended with; and make sure that no later entry was ever seen. Whoever
confirms a history that has lost its end lets states be spent twice.

Examples:
  bowline audit history Notary --continues 1200:9BD2...
  bowline audit confirm Notary 1215:04F1...`;

interface Params {
  readonly holdingidentityshorthash: string;
}

interface Options extends TargetOptions {
  readonly file?: string;
  readonly export?: string;
  readonly states?: true;
  readonly key: readonly string[];
  readonly continues?: string;
}

export const register: Register = (program, shell) => {
  const audit = program
    .command("audit")
    .summary("prove what a notary has done; see who changed users and roles")
    .description("Audits: what a notary has done, which anybody may prove, and who changed what of users and roles.");
  registerAuditAccess(audit, shell);
  audit
    .command("confirm")
    .argument("<vnode>", "the notary's virtual node: a name, a part of one, or a short hash")
    .argument("<entries:head>", "where its history ends, as an audit has found")
    .description("Lets a notary go on whose database server is another one than before: after a failover, or the restore of a backup.")
    .addHelpText("after", CONFIRM_HELP)
    .action(
      act(shell, (vnode: string, end: string, _: object, command: Command) =>
        confirmHistory(shell, { vnode, end }, command.optsWithGlobals<TargetOptions>()),
      ),
    );
  audit
    .command("history")
    .argument("[vnode]", "the notary's virtual node: a name, a part of one, or a short hash")
    .option("--file <file>", "audit an exported history; no network is needed")
    .option("--export <file>", "keep the history in this file")
    .addOption(severalOption("--key <id>", "believe only seals of this key; say it once for each", "those that the history names"))
    .option("--states", "compare the notary's table of states with its log, and keep it in the export")
    .option("--continues <entries:head>", "what an earlier audit ended with")
    .description("Reads all that a notary has decided, and proves that it is a ledger.")
    .addHelpText("after", HELP)
    .action(
      act(shell, (vnode: string | undefined, _: Options, command: Command) =>
        auditHistory(shell, vnode, command.optsWithGlobals<Options>()),
      ),
    );
};

async function confirmHistory(
  { terminal }: Shell,
  { vnode, end }: { readonly vnode: string; readonly end: string },
  options: TargetOptions,
): Promise<ExitCode> {
  const [, entries, head] = /^(\d{1,15}):([0-9A-Fa-f]{64})$/.exec(end) ?? [];
  if (entries === undefined || head === undefined)
    throw usage("audit", `"${end}" is no end of a history: its number of entries, a colon, its head, as an audit prints them.`);
  const { connectTo } = await import("./connection.ts");
  const connection = connectTo(await chooseTarget(terminal, options));
  try {
    const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash };
    await connection.call("confirmNotaryHistory", { params, body: { entries: Number(entries), head } });
  } finally {
    await connection.close();
  }
  print(terminal, { confirmed: end }, () => "Confirmed: the notary goes on from there.");
  return EXIT.done;
}

async function auditHistory(shell: Shell, vnode: string | undefined, options: Options): Promise<ExitCode> {
  const { cwd } = shell.terminal;
  if (options.file !== undefined && vnode === undefined) return prove(shell, resolve(cwd, options.file), options);
  if (options.file !== undefined || vnode === undefined) throw usage("audit", "Name the notary's virtual node, or a file with --file.");
  const folder = mkdtempSync(join(tmpdir(), "bowline-audit-"));
  const file = options.export === undefined ? join(folder, "history") : resolve(cwd, options.export);
  try {
    if (existsSync(file)) throw usage("exists", `${file} exists already; it is left as it is.`);
    await bring(shell, vnode, options, file);
    return await prove(shell, file, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is decided while this reads is for the next audit. */
async function bring({ terminal }: Shell, vnode: string, options: Options, file: string): Promise<void> {
  const target = await chooseTarget(terminal, options);
  const { connectTo } = await import("./connection.ts");
  const connection = connectTo(target);
  const out = openSync(file, "wx", 0o600);
  const write = (line: object): void => void writeSync(out, `${JSON.stringify(line)}\n`);
  try {
    const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash };
    const after = await bringLog(connection, params, { after: 0, first: { states: options.states === true }, write });
    if (options.states !== true) return;
    await bringStates(connection, params, write);
    // What was decided meanwhile explains what the table has more.
    await bringLog(connection, params, { after, write });
  } finally {
    closeSync(out);
    await connection.close();
  }
}

interface Bringing {
  /** The entry to go on from. */
  readonly after: number;
  /** The first line of the file, with whether the table of states will follow. */
  readonly first?: { readonly states: boolean };
  readonly write: (line: object) => void;
}

/** Up to the end that the log has now; answers where that is. */
async function bringLog(connection: Connection, params: Params, { after: from, first, write }: Bringing): Promise<number> {
  let after = from;
  let last: number | undefined;
  do {
    const page = await connection.call("readNotaryHistory", { params, query: { after, limit: PAGE_ENTRIES } });
    const { entries, last: now, groupId, service, keys } = page;
    if (last === undefined && first !== undefined) write({ format: FORMAT, groupId, service, keys, ...first });
    last ??= now;
    for (const { seq, head, decisions, seal } of entries) if (seq <= last) write({ seq, head, decisions, seal });
    if (entries.length === 0) return after;
    after = entries.at(-1)?.seq ?? after;
  } while (after < last);
  return last;
}

async function bringStates(connection: Connection, params: Params, write: Bringing["write"]): Promise<void> {
  let after: string | undefined;
  do {
    const query = { limit: PAGE_STATES, ...(after === undefined ? {} : { after }) };
    const { states } = await connection.call("readNotaryStates", { params, query });
    for (const state of states) write(state);
    after = states.at(-1)?.ref;
  } while (after !== undefined);
}

async function prove({ terminal }: Shell, file: string, { key, continues }: Options): Promise<ExitCode> {
  if (!existsSync(file)) throw usage("audit", `There is no file ${file}.`);
  const args = ["--file", file, ...key.flatMap((id) => ["--key", id]), ...(continues === undefined ? [] : ["--continues", continues])];
  const { event, ...found } = await runEntry([ENTRY, ...args], (ending) => usage("audit", `The audit ended without a word (${ending}).`));
  if (event === "failed") {
    if (found["code"] === "cli.unexpected") throw usage("audit", String(found["message"]));
    print(terminal, found, () => String(found["message"]));
    return EXIT.refused;
  }
  print(terminal, found, () => {
    const { service, entries, accepted, refused, unspent, head, sealedBy } = found;
    return [
      `The history of ${service} holds.`,
      `${entries} entries: ${accepted} transactions accepted, ${refused} refused, ${unspent} states unspent.`,
      ...Object.entries(sealedBy as Readonly<Record<string, number>>).map(([by, count]) => `Entries sealed by ${by}: ${count}`),
      `A later audit continues this one with --continues ${entries}:${head}`,
    ].join("\n");
  });
  return EXIT.done;
}
