// The commands, and which file holds each. A group's file is loaded when it is named, so that `--help` costs nothing more
// than the list below.

import { Command, CommanderError, Option } from "commander";
import { EXIT, type ExitCode, printFailure, type Terminal } from "./terminal.ts";

/** What a command is handed beside its arguments. */
export interface Shell {
  readonly terminal: Terminal;
  exitCode: ExitCode;
}

export type Register = (program: Command, shell: Shell) => void;

interface Group {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Register>;
}

const GROUPS: readonly Group[] = [
  {
    name: "dev",
    summary: "run a whole network here, with an example or a CorDapp of yours",
    load: async () => (await import("./dev.ts")).register,
  },
  { name: "worker", summary: "run one more process of a cluster", load: async () => (await import("./run-worker.ts")).register },
  { name: "new", summary: "begin a CorDapp of your own", load: async () => (await import("./new.ts")).register },
  { name: "package", summary: "turn a CorDapp into signed packages", load: async () => (await import("./package.ts")).register },
  { name: "cpi", summary: "upload and list CPIs", load: async () => (await import("./cpi.ts")).register },
  { name: "vnode", summary: "create and list virtual nodes", load: async () => (await import("./vnode.ts")).register },
  { name: "flow", summary: "start flows, see them, import files of them", load: async () => (await import("./flow.ts")).register },
  {
    name: "user",
    summary: "users: make them, give them roles, say why they may or may not",
    load: async () => (await import("./user.ts")).register,
  },
  { name: "role", summary: "roles: what may be done, under a name", load: async () => (await import("./role.ts")).registerRole },
  {
    name: "permission",
    summary: "permissions: regular expressions over what may be done",
    load: async () => (await import("./role.ts")).registerPermission,
  },
  { name: "group", summary: "groups of users, and the roles that they give", load: async () => (await import("./user-group.ts")).register },
  {
    name: "initial-rbac",
    summary: "make the built-in roles, of which only the flow executors' are not there from the start",
    load: async () => (await import("./initial-rbac.ts")).register,
  },
  {
    name: "audit",
    summary: "prove what a notary has done; see who changed users and roles",
    load: async () => (await import("./audit.ts")).register,
  },
  { name: "vault", summary: "see the states that a virtual node holds", load: async () => (await import("./vault.ts")).register },
  { name: "ledger", summary: "see transactions, and prove them", load: async () => (await import("./ledger.ts")).register },
  { name: "network", summary: "write group policies", load: async () => (await import("./group-policy.ts")).register },
  { name: "logs", summary: "show the log of the network that runs here", load: async () => (await import("./logs.ts")).register },
  { name: "reset", summary: "stop the network here and delete all that it holds", load: async () => (await import("./reset.ts")).register },
];

const EXAMPLES = `
Examples:
  bowline dev                                            a network of a notary and three companies, on this machine
  bowline flow list --as Alice                           what Alice's virtual node has run
  bowline flow import invoices.csv --flow com.example.obligation.IssueObligation --as-column debtor
  bowline vault list Alice --json                        what Alice holds, for a program
  bowline vnode list --target https://bowline.example.com:8888 --user admin --ca ca.pem

A virtual node is named by its X.500 name, by a part of it that only one has ("Alice"), or by its short hash.

Exit codes: 0 done; 1 the platform refused, or some rows were; 2 it could not be tried or finished
(wrong arguments, no network, no access).`;

/** Runs one command line to its end. Never throws: the result is the exit code. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const shell: Shell = { terminal, exitCode: EXIT.done };
  try {
    const program = createProgram(terminal);
    const wanted = groupNamed(args);
    for (const group of GROUPS) {
      if (group === wanted) (await group.load())(program, shell);
      else program.command(group.name).summary(group.summary).description(group.summary);
    }
    await program.parseAsync(args, { from: "user" });
    return shell.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.done : EXIT.trouble; // It has said what is wrong.
    return printFailure(terminal, thrown);
  }
}

/** An action that says how it ended; saying nothing means that all is done. */
export function act<Args extends readonly unknown[]>(
  shell: Shell,
  work: (...args: Args) => Promise<ExitCode | undefined>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    shell.exitCode = (await work(...args)) ?? EXIT.done;
  };
}

function createProgram(terminal: Terminal): Command {
  const program = new Command("bowline")
    .description("Bowline: networks of companies that keep ledgers with each other.")
    .version("0.1.0")
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text.replace(/^error: /, "bowline: ")) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(add --help to see what the command takes)")
    .addOption(new Option("--json", "results as JSON on standard output"))
    .addOption(new Option("--home <dir>", "the home folder of the local network (default: the nearest .bowline)"))
    .addOption(new Option("--target <url>", "the REST address of a network elsewhere"))
    .addOption(new Option("--user <name>", "who you are there; the password is asked for, or read from BOWLINE_PASSWORD"))
    .addOption(new Option("--ca <file>", "the certificate authority to trust, as PEM"))
    .addHelpText("after", EXAMPLES);
  program.on("option:json", () => {
    terminal.json = true;
  });
  return program;
}

const VALUED = new Set(["--home", "--target", "--user", "--ca"]);

/** The first argument that is neither an option nor an option's value. */
function groupNamed(args: readonly string[]): Group | undefined {
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string;
    if (VALUED.has(arg)) at++;
    else if (arg === "help")
      continue; // `bowline help flow` is about flow.
    else if (!arg.startsWith("-")) return GROUPS.find(({ name }) => name === arg);
  }
  return undefined;
}
