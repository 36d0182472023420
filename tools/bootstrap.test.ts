// The bootstrap in a checkout of nothing, with an npm that does as it is told.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const TOOLS = dirname(fileURLToPath(import.meta.url));

/** Notes each call. Says what NPM_SAYS has and fails, or installs after NPM_TAKES milliseconds. */
const NPM = `
  import { appendFileSync, mkdirSync } from "node:fs";
  appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.NPM_TAKES ?? 0)));
  if (process.env.NPM_SAYS !== undefined) {
    console.error(process.env.NPM_SAYS);
    process.exit(1);
  }
  mkdirSync("node_modules", { recursive: true });`;

const PROGRAM = `
  process.once("SIGTERM", () => process.exit(9));
  console.log(JSON.stringify({ args: process.argv.slice(2), flags: process.execArgv }));
  if (process.argv.includes("wait")) setInterval(() => undefined, 1000);
  else process.exitCode = 7;`;

interface Checkout {
  readonly root: string;
  start(args: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<{ code: number | null; out: string; err: string }>;
  calls(): Promise<number>;
}

async function makeCheckout(t: TestContext): Promise<Checkout> {
  const root = await mkdtemp(join(tmpdir(), "bowline-bootstrap-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, "tools", "runtime"), { recursive: true });
  await mkdir(join(root, "packages", "cli", "src"), { recursive: true });
  for (const name of ["bootstrap.mjs", "progress.mjs", join("runtime", "package.json")])
    await copyFile(join(TOOLS, name), join(root, "tools", name));
  await writeFile(join(root, "package-lock.json"), '{ "packages": { "node_modules/a": { "version": "1.0.0" } } }');
  await writeFile(join(root, "npm-cli.js"), NPM);
  await writeFile(join(root, "package.json"), '{ "type": "module" }');
  await writeFile(join(root, "packages", "cli", "src", "main.ts"), PROGRAM);
  const start: Checkout["start"] = (args, env = {}) =>
    spawn(process.execPath, [join(root, "tools", "bootstrap.mjs"), ...args], {
      env: { ...process.env, npm_execpath: join(root, "npm-cli.js"), npm_config_globalconfig: "", INIT_CWD: root, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  return {
    root,
    start,
    run: async (args, env) => {
      const child = start(args, env);
      const said = { out: "", err: "" };
      child.stdout?.on("data", (part) => (said.out += part));
      child.stderr?.on("data", (part) => (said.err += part));
      const [code]: (number | null)[] = await once(child, "close");
      return { code: code ?? null, ...said };
    },
    calls: async () => (await readFile(join(root, "calls"), "utf8").catch(() => "")).split("\n").length - 1,
  };
}

test("it installs once, runs the program with its arguments, and ends as the program does", async (t) => {
  const checkout = await makeCheckout(t);
  const first = await checkout.run(["cli", "flow", "--json"]);
  assert.equal(first.code, 7, first.err);
  const { args, flags } = JSON.parse(first.out);
  assert.deepEqual(args, ["flow", "--json"]);
  assert.ok(flags.includes("--no-node-snapshot"));
  assert.match(first.err, /Installing the packages/);
  assert.match(await readFile(join(checkout.root, "calls"), "utf8"), /^ci .*--ignore-scripts/);
  assert.equal((await checkout.run(["cli"])).err, "");
  assert.equal(await checkout.calls(), 1);
});

test("another lockfile is installed anew", async (t) => {
  const checkout = await makeCheckout(t);
  await checkout.run(["cli"]);
  await writeFile(join(checkout.root, "package-lock.json"), '{ "packages": { "node_modules/a": { "version": "2.0.0" } } }');
  await checkout.run(["cli"]);
  assert.equal(await checkout.calls(), 2);
});

test("what a developer installed with npm is left as it is", async (t) => {
  const checkout = await makeCheckout(t);
  await mkdir(join(checkout.root, "node_modules", "a"), { recursive: true });
  await copyFile(join(checkout.root, "package-lock.json"), join(checkout.root, "node_modules", ".package-lock.json"));
  assert.equal((await checkout.run(["cli"])).code, 7);
  assert.equal(await checkout.calls(), 0);
});

test("two at once install once, and both run", async (t) => {
  const checkout = await makeCheckout(t);
  const both = await Promise.all([checkout.run(["cli"], { NPM_TAKES: "600" }), checkout.run(["cli"], { NPM_TAKES: "600" })]);
  assert.deepEqual(
    both.map(({ code }) => code),
    [7, 7],
  );
  assert.ok(both.some(({ err }) => err.includes("Waiting for another Bowline")));
  assert.equal(await checkout.calls(), 1);
  assert.deepEqual(await readdir(join(checkout.root, "tools", "runtime")), ["package.json"]);
});

test("a killed install is waited for and begun again", {
  skip: process.platform !== "linux" && "processes cannot be told apart here",
}, async (t) => {
  const checkout = await makeCheckout(t);
  const killed = checkout.start(["cli"], { NPM_TAKES: "1500" });
  while ((await checkout.calls()) === 0) await sleep(20);
  killed.kill("SIGKILL");
  const again = await checkout.run(["cli"]);
  assert.equal(again.code, 7, again.err);
  assert.match(again.err, /Waiting for another Bowline/);
  assert.equal(await checkout.calls(), 2);
});

test("what npm meets is told in a sentence that says what to do", async (t) => {
  const checkout = await makeCheckout(t);
  const cases: readonly (readonly [says: string, told: RegExp])[] = [
    ["npm error code ENOTFOUND", /registry cannot be reached\. Check the network/],
    ["npm error code ENOSPC\nnpm error nospc", /disk .* is full\. Free/],
    ["npm error code EACCES", /cannot be written\. Use a checkout that belongs to this user/],
    ["npm error code SELF_SIGNED_CERT_IN_CHAIN", /not trusted here\. .*cafile/],
    ["npm error code EINTEGRITY", /differs from what the lockfile says/],
    ["npm error code EUSAGE", /does not fit package\.json/],
    ["npm error something new", /npm ci failed in .*: exit code 1\. something new/],
  ];
  for (const [says, told] of cases) {
    const { code, out, err } = await checkout.run(["cli"], { NPM_SAYS: says });
    assert.equal(code, 1);
    assert.equal(out, "");
    assert.match(err.trimEnd().split("\n").at(-1) ?? "", told);
  }
  assert.equal((await checkout.run(["cli"])).code, 7, "a failed install is begun again");
});

test("signals reach the program", async (t) => {
  const checkout = await makeCheckout(t);
  const child = checkout.start(["cli", "wait"]);
  if (child.stdout !== null) await once(child.stdout, "data");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [9, null]);
});

test("what cannot be run is answered with what can", async (t) => {
  const checkout = await makeCheckout(t);
  const { code, err } = await checkout.run(["dance"]);
  assert.equal(code, 1);
  assert.match(err, /Say what to run: start, cli,/);
});
