// `bowline logs`: what the network that runs here has written down.

import { existsSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { findHome } from "./network.ts";
import { whole } from "./options.ts";
import { act, type Register } from "./program.ts";
import { EXIT, type Terminal, usage } from "./terminal.ts";

export const WORKER_LOG = join("logs", "worker.log");

const LINES_DEFAULT = 50;
const LINES_MAX = 1_000_000;
const CHUNK_BYTES = 256 * 1024;
const FOLLOW_MS = 250;

export const register: Register = (program, shell) => {
  program
    .command("logs")
    .option("-f, --follow", "go on as lines are written, until Ctrl-C")
    .option("-n, --lines <n>", "how many of the last lines to begin with", whole(1, LINES_MAX), LINES_DEFAULT)
    .summary("show the log of the network that runs here")
    .description("Shows the log of the network that runs here: one JSON object per line with --json, else time, level and message.")
    .addHelpText("after", "\nExamples:\n  bowline logs -f\n  bowline logs -n 1000 --json | jq 'select(.level >= 50)'")
    .action(
      act(shell, async (options: { follow?: true; lines: number }, command: Command) => {
        const home = findHome(shell.terminal.cwd, command.optsWithGlobals<{ home?: string }>().home);
        const file = home === undefined ? undefined : join(home, WORKER_LOG);
        if (file === undefined || !existsSync(file))
          throw usage("noLog", "There is no log here: no network was started in this folder or above.");
        await showLog(shell.terminal, file, options);
        return EXIT.done;
      }),
    );
};

async function showLog(terminal: Terminal, file: string, { follow, lines }: { follow?: true; lines: number }): Promise<void> {
  let at = statSync(file).size;
  const last = await lastLines(file, at, lines);
  const show = (line: string) => {
    const text = Buffer.from(line, "latin1").toString("utf8");
    terminal.out(`${terminal.json ? text : readable(text)}\n`);
  };
  last.forEach(show);
  let rest = "";
  while (follow) {
    await sleep(FOLLOW_MS);
    const { size } = statSync(file);
    if (size < at) at = 0; // Begun anew.
    const parts = (rest + (await readPart(file, at, size))).split("\n");
    at = size;
    rest = parts.pop() ?? "";
    parts.forEach(show);
  }
}

/** Reads backwards, so that a large log costs no more than what is shown of it. */
async function lastLines(file: string, size: number, count: number): Promise<readonly string[]> {
  let text = "";
  for (let from = size; from > 0 && text.split("\n").length <= count + 1; ) {
    const start = Math.max(0, from - CHUNK_BYTES);
    text = (await readPart(file, start, from)) + text;
    from = start;
  }
  return text.replace(/\n$/, "").split("\n").slice(-count);
}

async function readPart(file: string, from: number, to: number): Promise<string> {
  const handle = await open(file, "r");
  try {
    const buffer = Buffer.alloc(to - from);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    // Latin-1 keeps every byte, so that a character that a chunk cuts is whole again when chunks are joined.
    return buffer.subarray(0, bytesRead).toString("latin1");
  } finally {
    await handle.close();
  }
}

const LEVELS: Readonly<Record<number, string>> = { 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal" };

/** A line of structured log for people; any other line as it is. */
export function readable(line: string): string {
  try {
    const { level, time, msg, pid: _pid, ...facts } = JSON.parse(line) as Record<string, unknown>;
    const rest = Object.entries(facts).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    return [String(time ?? ""), (LEVELS[Number(level)] ?? String(level)).padEnd(5), String(msg ?? ""), ...rest].join(" ").trimEnd();
  } catch {
    return line;
  }
}
