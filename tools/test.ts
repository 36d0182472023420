// `npm test`: everything that needs no more than npm. The checks of the house come first (house.test.ts), then the tests
// beside the code, all on one PostgreSQL that lives as long as this run, or on the one that BOWLINE_TEST_POSTGRES names.
//
// `npm test -- packages/crypto` runs the tests below that path; further options go to `node --test`.

import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { BowlineError } from "@bowline/base";
import { startTestPostgres, TEST_POSTGRES_VARIABLE } from "@bowline/host/test-postgres";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PLACES = [
  "tools/*.test.ts",
  "tools/*/*.test.ts",
  "packages/*/src/**/*.test.ts",
  "bench/**/*.test.ts",
  "sim/*.test.ts",
  "examples/*/src/**/*.test.ts",
];
const TEST_TIMEOUT_MS = 600_000;
const CLOSING = /^ℹ ((?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+)$/;

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const paths = args.filter((arg) => !arg.startsWith("-")).map((path) => path.replace(/\/$/, ""));
  const patterns = paths.length === 0 ? PLACES : paths.map((path) => (path.endsWith(".ts") ? path : `${path}/**/*.test.ts`));
  const flagsAndFiles = [...args.filter((arg) => arg.startsWith("-")), ...patterns.map((pattern) => join(ROOT, pattern))];
  if (process.env[TEST_POSTGRES_VARIABLE] !== undefined) return runTests(flagsAndFiles, {});
  const postgres = await startTestPostgres();
  try {
    return await runTests(flagsAndFiles, { [TEST_POSTGRES_VARIABLE]: JSON.stringify(postgres.connection) });
  } finally {
    await postgres.stop();
  }
}

async function runTests(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const flags = ["--no-node-snapshot", "--disable-warning=ExperimentalWarning", "--test", "--test-reporter=spec"];
  const limits = [`--test-timeout=${TEST_TIMEOUT_MS}`, `--test-concurrency=${Math.max(2, availableParallelism())}`];
  const child = spawn(process.execPath, [...flags, ...limits, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => child.kill(name));
  const closing = printExceptClosing(child);
  const code = await ended(child);
  process.stdout.write(`\n${closing.join("\n")}\n`);
  return code;
}

/** The closing lines, collected: they end the output, below the failures, as `# tests 12`. */
function printExceptClosing(child: ChildProcess): readonly string[] {
  const closing: string[] = [];
  const print = (line: string) => {
    const [, count] = CLOSING.exec(stripVTControlCharacters(line)) ?? [];
    if (count === undefined) process.stdout.write(`${line}\n`);
    else closing.push(`# ${count}`);
  };
  if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", print);
  return closing;
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BowlineError)) throw error;
  console.error(`npm test: ${error.message}`);
  process.exitCode = 1;
}
