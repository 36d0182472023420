// Some commands run an entry that the platform ships, in a process of its own. What it found out is one line of JSON on its
// standard output, which begins with its `event`; its standard error is the user's.

import { spawn } from "node:child_process";

export type EntryLine = Readonly<Record<string, unknown>>;

const NODE_FLAGS = ["--disable-warning=ExperimentalWarning"];

/** The line that it says; `silent` makes the error of an entry that ends without one. */
export function runEntry(args: readonly string[], silent: (ending: string) => Error): Promise<EntryLine> {
  const child = spawn(process.execPath, [...NODE_FLAGS, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code, signal) => {
      // Code that is debugged outside of the sandbox may have printed lines of its own before.
      const line = out.split("\n").findLast((each) => each.startsWith('{"event":'));
      if (line === undefined) fail(silent(signal ?? `exit code ${code}`));
      else done(JSON.parse(line) as EntryLine);
    });
  });
}
