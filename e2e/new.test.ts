// A newcomer's first CorDapp: `bowline new`, outside this repository, against our packages as npm installs them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startProduct, temporaryHome } from "./product.ts";

const BOWLINE = fileURLToPath(new URL("../bin/bowline", import.meta.url));

test("a new CorDapp is tested, built and run in its own folder", { timeout: 300_000 }, async (t) => {
  const folder = dirname(await temporaryHome(t));
  await run(folder, BOWLINE, ["new", "my-notes", "--namespace", "com.acme.notes"]);
  const project = join(folder, "my-notes");

  const tests = await run(project, "npm", ["test"]);
  assert.match(tests, /pass [1-9]/);
  assert.match(tests, /fail 0/);

  await run(project, "npm", ["run", "build"]);
  assert.deepEqual((await readdir(join(project, "build"))).sort(), [
    "com.acme.notes.contract-1.0.0.jar",
    "com.acme.notes.workflow-1.0.0.jar",
    "my-notes-1.0.0.cpb",
  ]);

  const started = await run(project, "npm", ["start", "--", "--once", "--json"]);
  const { flows } = JSON.parse(started.trim().split("\n").at(-1) ?? "");
  assert.deepEqual(flows, ["com.acme.notes.WriteNote", "com.acme.notes.ListNotes"]);
});

test("a name that cannot be one, and a folder that is there, are refused", { timeout: 60_000 }, async (t) => {
  const folder = dirname(await temporaryHome(t));
  await mkdir(join(folder, "taken"));
  for (const [name, sentence] of [
    ["No_Name", /is no name for a CorDapp/],
    [join(folder, "taken"), /is no name for a CorDapp/],
  ] as const) {
    const { code, text } = await startProduct(["new", name], "cli").ended;
    assert.equal(code, 2, text);
    assert.match(text, sentence);
  }
  await assert.rejects(run(folder, BOWLINE, ["new", "taken"]), /is there already/);
});

/** What it printed; rejects with all of that when it fails. */
async function run(cwd: string, command: string, args: readonly string[]): Promise<string> {
  // As from a user's own shell: what npm told the run of this test is not for the project.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_(?!config_)|npm_config_local_prefix|NODE_TEST_|BOWLINE_|INIT_CWD)/i.test(name)),
  );
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
    text += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(child, "close");
  assert.equal(code, 0, `${command} ${args.join(" ")}\n${text}`);
  return out;
}
