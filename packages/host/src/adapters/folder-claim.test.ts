import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { claimFolder } from "./folder-claim.ts";
import { identifyProcess } from "./processes.ts";

async function claimIn(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-claim-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "claim");
}

const CLAIMANT = `
  import { claimFolder } from ${JSON.stringify(new URL("./folder-claim.ts", import.meta.url).href)};
  await claimFolder(process.argv[1], "It").then(() => console.log("mine"), (error) => { console.log(error.code); process.exit(); });
  setInterval(() => undefined, 1000);`;

function claimant(path: string) {
  return spawn(process.execPath, ["--input-type=module", "-e", CLAIMANT, path], { stdio: ["ignore", "pipe", "inherit"] });
}

const firstLine = async (child: ReturnType<typeof claimant>): Promise<string> => String((await once(child.stdout, "data"))[0]).trim();

test("a claim is refused while its holder lives, and free when it is released", async (t) => {
  const path = await claimIn(t);
  const claim = await claimFolder(path, "The cellar");
  await assert.rejects(claimFolder(path, "The cellar"), new RegExp(`The cellar is in use by process ${process.pid}`));
  await claim.release();
  await (await claimFolder(path, "The cellar")).release();
});

test("the claim of a killed process is taken over", async (t) => {
  const path = await claimIn(t);
  const other = claimant(path);
  assert.equal(await firstLine(other), "mine");
  await assert.rejects(claimFolder(path, "It"), /in use/);
  other.kill("SIGKILL");
  await once(other, "exit");
  await claimFolder(path, "It");
});

test("a process id that was reused is not taken for the claim's holder", async (t) => {
  const path = await claimIn(t);
  const self = await identifyProcess(process.pid);
  await writeFile(path, JSON.stringify({ ...self, started: "1" }));
  await claimFolder(path, "It");
});

test("of many that try at once over a dead claim, one succeeds", async (t) => {
  const path = await claimIn(t);
  await writeFile(path, "not even a claim");
  const claimants = Array.from({ length: 6 }, () => claimant(path));
  const answers = await Promise.all(claimants.map(firstLine));
  for (const child of claimants) child.kill("SIGKILL");
  assert.deepEqual(answers.toSorted(), [...Array<string>(5).fill("folder.inUse"), "mine"]);
  assert.deepEqual(await readdir(join(path, "..")), ["claim"]);
});
