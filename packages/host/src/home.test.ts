import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { BowlineError } from "@bowline/base";
import { Home } from "./home.ts";

async function homeOf(t: TestContext): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-home-"));
  t.after(() => rm(folder, { recursive: true }));
  return Home.open(folder);
}

const refused = (code: string) => (error: unknown) => error instanceof BowlineError && error.code === code;
/** Lives nowhere. */
const DEAD = JSON.stringify({ pid: 2 ** 30, started: "1" });

describe("a home folder", () => {
  test("is one process's alone, or shared by several, and never both", async (t) => {
    const home = await homeOf(t);
    const [first, second] = [await home.share(), await home.share()];
    assert.deepEqual([first.place, second.place], [1, 2]);
    await assert.rejects(home.claim(), refused("folder.inUse"));
    await first.release();
    const third = await home.share();
    assert.equal(third.place, 1, "the place that is free");
    await Promise.all([second.release(), third.release()]);
    const alone = await home.claim();
    await assert.rejects(home.share(), refused("folder.inUse"));
    await assert.rejects(home.claim(), refused("folder.inUse"));
    await alone.release();
    assert.equal((await home.share()).place, 1);
  });

  test("is held by no process that died", async (t) => {
    const home = await homeOf(t);
    writeFileSync(home.file("worker.1.claim"), DEAD);
    writeFileSync(home.file("worker.7.claim"), DEAD);
    const alone = await home.claim();
    assert.deepEqual(
      readdirSync(home.path).filter((name) => name.endsWith(".claim")),
      ["worker.claim"],
    );
    await alone.release();
    writeFileSync(home.file("worker.claim"), DEAD);
    assert.equal((await home.share()).place, 1);
  });

  test("takes a key from the environment, so that homes on several machines have the same one", async (t) => {
    const home = await homeOf(t);
    const key = Buffer.alloc(32, 7).toString("base64");
    assert.deepEqual(home.secretKey("verdict-key", 32, { BOWLINE_VERDICT_KEY: key }), new Uint8Array(32).fill(7));
    assert.throws(() => home.secretKey("verdict-key", 32, { BOWLINE_VERDICT_KEY: "short" }), refused("home.keyInvalid"));
    const made = home.secretKey("verdict-key", 32, {});
    assert.deepEqual(home.secretKey("verdict-key", 32, {}), made);
  });
});
