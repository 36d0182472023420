// What a user sees when something is wrong: one sentence, an exit code that is not 0, and nothing left running.

import assert from "node:assert/strict";
import { readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { processesOf, startProduct, temporaryHome } from "./product.ts";

const TIMEOUT_MS = 120_000;
const GONE_MS = 20_000;

test("whoever is killed in the middle of the import, the command says so and ends, and so does all else", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const victims: readonly (readonly [string, (home: string) => Promise<number>, RegExp])[] = [
    ["the worker", workerOf, /The worker was ended by SIGKILL\. Start again/],
    ["PostgreSQL", postgresOf, /PostgreSQL has ended unexpectedly.+Start again/],
  ];
  for (const [who, pidOf, sentence] of victims) {
    const home = await temporaryHome(t);
    const run = startProduct(["--once", "--json", "--home", home]);
    while (!/\d\d of \d+/.test(run.text()) && run.process.exitCode === null) await pause();
    assert.equal(run.process.exitCode, null, run.text());
    process.kill(await pidOf(home), "SIGKILL");
    await assertRefused(run, sentence, who);
    await assertGone(home, who);
  }
});

test("what is wrong with a home, a port or a database is said in a sentence", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  const start = (...args: string[]) => startProduct(["--once", "--home", home, ...args]);
  const first = startProduct(["--home", home]);
  while (!/Uploading/.test(first.text()) && first.process.exitCode === null) await pause();
  await assertRefused(start(), /A network runs here already: https:/, "a second start in one home");
  process.kill(-(first.process.pid as number), "SIGINT");
  await first.ended;
  await assertGone(home, "after Ctrl-C");

  const port = await takePort(t);
  await assertRefused(start("--port", String(port)), new RegExp(`Port ${port} is taken\\. .*--port`), "a port that is taken");
  await assertGone(home, "a port that is taken");

  const data = await realpath(join(home, "postgres", "data"));
  await damage(join(home, "secrets", "key-root.json"), () =>
    assertRefused(start(), /key-root\.json does not hold what it held/, "a damaged secret"),
  );
  await damage(join(home, "secrets", "postgres-password"), () =>
    assertRefused(start(), /does not take the password in secrets\/postgres-password/, "another password"),
  );
  await assertGone(home, "another password");
  await damage(join(data, "global", "pg_control"), () => assertRefused(start(), /is damaged \(/, "a damaged control file"));
  await damage(join(data, "PG_VERSION"), () => assertRefused(start(), /is damaged \(its file PG_VERSION/, "a damaged version"));
  await rm(join(data, "base"), { recursive: true });
  await assertRefused(start(), /is damaged \(/, "a database without its folder");
  await assertGone(home, "a database without its folder");
});

const pause = (): Promise<void> => new Promise((resume) => setTimeout(resume, 20));

async function assertRefused(run: ReturnType<typeof startProduct>, sentence: RegExp, what: string): Promise<void> {
  const { code, text } = await run.ended;
  assert.match(text, sentence, what);
  assert.notEqual(code, 0, what);
  assert.doesNotMatch(text, /\n +at /, `${what}: no stack`);
}

/** The server notices within moments that nobody is left to serve. */
async function assertGone(home: string, what: string): Promise<void> {
  const until = performance.now() + GONE_MS;
  while ((await processesOf(home)).length > 0 && performance.now() < until) await pause();
  assert.deepEqual(await processesOf(home), [], what);
}

const workerOf = async (home: string): Promise<number> =>
  (JSON.parse(await readFile(join(home, "network.json"), "utf8")) as { pid: number }).pid;

const postgresOf = async (home: string): Promise<number> =>
  Number((await readFile(join(home, "postgres", "data", "postmaster.pid"), "utf8")).split("\n")[0]);

/** As another writes into it, for as long as `work` takes. */
async function damage(file: string, work: () => Promise<void>): Promise<void> {
  const whole = await readFile(file);
  await writeFile(file, "garbage\n");
  await work();
  await writeFile(file, whole);
}

async function takePort(t: TestContext): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  t.after(() => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
