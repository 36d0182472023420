// Where a command meets its user. Results go to standard output, everything about the way there to standard error,
// so that `bowline … --json | jq` always works.
//
// This file is loaded by every command, `--help` included, and so imports nothing that takes time to load.

import type { BowlineError } from "@bowline/base";

export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Whether someone watches: standard error is a terminal, so that a line may be written over. */
  readonly interactive: boolean;
  /** Whether someone can answer a question: standard input is a terminal too. */
  readonly canAsk: boolean;
  /** How wide a line of each may be; without end where nobody watches. */
  readonly columns: { readonly out: number; readonly err: number };
  /** Whether results are wanted as JSON. */
  json: boolean;
  out(text: string): void;
  err(text: string): void;
  /** Resolves with the answer, typed unseen; undefined when the user gives up. */
  askSecret(question: string): Promise<string | undefined>;
  askYes(question: string): Promise<boolean>;
}

/** What a command ends with. */
export const EXIT = {
  done: 0,
  /** The platform refused, rows were refused, or positions disagree. */
  refused: 1,
  /** It could not be tried or not be finished: wrong arguments, an unreadable file, no network, no access. */
  trouble: 2,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A mistake that only the user can put right, in one sentence with what to do. Ends with `EXIT.trouble`. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code: string;
  readonly details: Readonly<Record<string, string>>;

  constructor(code: string, message: string, details: Readonly<Record<string, string>>) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

export const usage = (code: string, message: string, details: Readonly<Record<string, string>> = {}): UsageError =>
  new UsageError(`cli.${code}`, message, details);

/** Prints `value` as JSON where that is wanted, else what `text` makes of it. */
export function print<T>(terminal: Terminal, value: T, text: (value: T) => string): void {
  const shown = terminal.json ? JSON.stringify(value, null, 2) : text(value);
  terminal.out(shown.endsWith("\n") || shown === "" ? shown : `${shown}\n`);
}

/** Says what went wrong: one sentence, and an object where JSON is wanted. The result is the exit code. */
export function printFailure(terminal: Terminal, thrown: unknown): ExitCode {
  const { code, message, details, refusal } = describeFailure(thrown);
  if (terminal.json) terminal.out(`${JSON.stringify({ error: { code, message, details } }, null, 2)}\n`);
  terminal.err(`bowline: ${message}\n`);
  return refusal ? EXIT.refused : EXIT.trouble;
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, string>>;
  /** Whether the platform has judged and said no: trying again as it is will not help. */
  readonly refusal: boolean;
}

/** What the machine itself refuses, and what to do about it. */
const MACHINE: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full: free some room, and run this again",
  EDQUOT: "This user's share of the disk is used up: free some room, and run this again",
  EROFS: "The disk cannot be written: choose a folder on another one with --home",
  EACCES: "A file may not be read or written by this user: change its owner, or choose another folder with --home",
  EMFILE: "Too many files are open: raise the limit (ulimit -n), and run this again",
};

function describeFailure(thrown: unknown): Failure {
  if (thrown instanceof UsageError) return { code: thrown.code, message: thrown.message, details: thrown.details, refusal: false };
  if (isBowlineError(thrown)) {
    const { code, message, details, kind } = thrown;
    return { code, message, details, refusal: !["unauthenticated", "unavailable", "internal", "tooMany"].includes(kind) };
  }
  if (thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" && thrown.code in MACHINE)
    return { code: "cli.machine", message: `${MACHINE[thrown.code]} (${thrown.message}).`, details: {}, refusal: false };
  return {
    code: "cli.unexpected",
    message: `Unexpected: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    details: {},
    refusal: false,
  };
}

/** Known by its name, so that this file need not load the class. */
const isBowlineError = (thrown: unknown): thrown is BowlineError => thrown instanceof Error && thrown.name === "BowlineError";
