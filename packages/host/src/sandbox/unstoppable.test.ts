import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { test } from "node:test";

// In a process of its own, because its memory is lost and it can only be killed.
const PROGRAM = `
  const { BundleIsolate } = await import(process.argv[1] + "/isolate.ts");
  const { CONTRACT_LIMITS: limits } = await import(process.argv[1] + "/limits.ts");
  const { isolateOf, probeSource, silent } = await import(process.argv[1] + "/probe.ts");
  const log = { ...silent, error: () => console.log("logged") };
  const native = probeSource("() => { const big = (1n << (1n << 27n)) - 1n; return big.toString().length; }");
  const isolate = await BundleIsolate.create(native, { name: "native", limits, log, onUnstoppable: (name) => console.log("unstoppable", name) });
  await isolate.check({ vnode: "", transaction: null, contracts: [], outputs: [] }).catch(({ code }) => console.log(code));
  console.log("alive", isolate.isAlive);
  const other = await isolateOf(probeSource("() => 1"));
  console.log("others answer", "ok" in (await other.check({ vnode: "", transaction: null, contracts: [], outputs: [] })));
  process.exit(0);
`;

test("a native loop that cannot be stopped costs its isolate and its thread; the process goes on, and ends when told to", async () => {
  const child = spawn(
    process.execPath,
    ["--no-node-snapshot", "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", PROGRAM, import.meta.dirname],
    {
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 60_000,
    },
  );
  const ended = new Promise<string | null>((resolve) => child.on("exit", (_code, signal) => resolve(signal)));
  assert.deepEqual((await text(child.stdout)).trim().split("\n"), [
    "logged",
    "unstoppable native",
    "sandbox.timeLimit",
    "alive false",
    "others answer true",
  ]);
  assert.equal(await ended, "SIGKILL");
});
