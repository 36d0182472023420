#!/usr/bin/env node
// The process: what it was given, what it writes to, how it ends. Everything else is in `program.ts`.

import { runProgram } from "./program.ts";
import type { Terminal } from "./terminal.ts";

const terminal: Terminal = {
  environment: process.env,
  cwd: process.cwd(),
  interactive: process.stderr.isTTY === true && process.env.TERM !== "dumb",
  canAsk: process.stdin.isTTY === true && process.stderr.isTTY === true,
  get columns() {
    return { out: process.stdout.columns ?? Number.POSITIVE_INFINITY, err: process.stderr.columns ?? Number.POSITIVE_INFINITY };
  },
  json: false,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  async askSecret(message) {
    const { isCancel, password } = await import("@clack/prompts");
    const answer = await password({ message, output: process.stderr });
    return isCancel(answer) ? undefined : answer;
  },
  async askYes(message) {
    const { confirm } = await import("@clack/prompts");
    return (await confirm({ message, initialValue: false, output: process.stderr })) === true;
  },
};

// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 2));

const exitCode = await runProgram(process.argv.slice(2), terminal);
// Only after all is written; what still waits for a network that is gone is not waited for.
process.stdout.write("", () => process.exit(exitCode));
