import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Data, encode } from "@bowline/base";
import { runProgram } from "./program.ts";
import { memoryTerminal } from "./terminal.memory.ts";

const folder = mkdtempSync(join(tmpdir(), "bowline-flow-replay-"));
after(() => rmSync(folder, { recursive: true }));
const TIMEOUT_MS = 180_000;

const ENTRY = `import { cordapp as bundle, flow } from "@bowline/sdk";
import * as Type from "typebox";

const Tell = flow({
  name: "com.example.Tell",
  startable: true,
  input: Type.Object({ who: Type.String() }),
  output: Type.String(),
  async call(context, { who }) {
    const now = await context.now();
    const greeting = who + " at " + String(now);
    return greeting;
  },
});
export const cordapp = bundle({ flows: [Tell], states: [], contracts: [] });
`;
const BREAK_LINE = ENTRY.split("\n").findIndex((line) => line.includes("const greeting")) + 1;

function project(name: string, entry = ENTRY): string {
  const root = join(folder, name);
  mkdirSync(join(root, "src"), { recursive: true });
  const cpks = [{ name: "com.example.tell", version: "1.0.0", type: "workflow", entry: "src/index.ts" }];
  writeFileSync(join(root, "package.json"), JSON.stringify({ name, type: "module", bowline: { name, version: "1.0.0", cpks } }));
  writeFileSync(join(root, "src", "index.ts"), entry);
  return root;
}

/** As `bowline flow journal --export` writes it. */
const recording = (name: string, change: object = {}): string => recordingOf(name, "Bob at 5", step(encode({ kind: "clock.now" })), change);

function recordingOf(name: string, result: string, only: object, change: object = {}): string {
  const identity = { flowId: "f-1", me: "O=Alice, L=London, C=GB", groupId: "g", properties: { platform: {}, user: {} } };
  const flow = {
    id: "f-1",
    bundle: `SHA-256:${"0".repeat(64)}`,
    flowName: "com.example.Tell",
    identity,
    origin: { kind: "client", clientRequestId: "r-1", startedBy: "admin", input: { who: "Bob" } },
    status: "COMPLETED",
    version: 2,
    outcome: { ok: result } as Data,
    createdAt: 1,
    updatedAt: 5,
  };
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify({ recording: 1, flow, steps: [only], ...change }));
  return file;
}

function step(request: Uint8Array) {
  const hashes = { requestHash: createHash("sha256").update(request).digest("hex"), request: Buffer.from(request).toString("hex") };
  return { path: "1", kind: "clock.now", outcome: { ok: 5 }, activation: 1, ordinal: 0, askedAt: 5, at: 5, ...hashes };
}

async function run(...args: readonly string[]) {
  const { terminal, written } = memoryTerminal(folder);
  return { code: await runProgram(["flow", "replay", ...args], terminal), ...written };
}

test("code that did not change does what its journal says", { timeout: TIMEOUT_MS }, async () => {
  const { code, out } = await run(recording("r.json"), "--cordapp", project("same"), "--json");
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(out), { flowName: "com.example.Tell", steps: 1, recorded: 1, divergence: null });
});

test("code that changed is told where it would diverge", { timeout: TIMEOUT_MS }, async () => {
  const asks = await run(recording("r.json"), "--cordapp", project("asks", ENTRY.replace("context.now()", "context.uuid()")));
  assert.equal(asks.code, 1);
  assert.match(asks.out, /diverges from its journal after 0 of 1 steps\. At step 1/);
  assert.match(asks.out, /recorded {2}\{"kind":"clock.now".*\n.*now {7}\{"kind":"random"/);
  const ends = await run(recording("r.json"), "--cordapp", project("ends", ENTRY.replace('" at "', '" on "')));
  assert.equal(ends.code, 1);
  assert.match(ends.out, /ends with another result/);
});

test("a step that was too large to leave the sandbox is refused again", { timeout: TIMEOUT_MS }, async () => {
  const large =
    'context.syscall({ kind: "external.send", channel: "any", message: "x".repeat(5_000_000) }).catch((refused) => refused.type)';
  const root = project("large", ENTRY.replace("context.now()", large));
  const asksOtherwise = JSON.parse((await run(recording("r.json"), "--cordapp", root, "--json")).out);
  const { kind, request } = asksOtherwise.divergence.asked;
  assert.match(request.request, /this one 50000\d\d characters/, "something stands for it that names it");
  const file = recordingOf("large.json", "Bob at sandbox.stepTooLarge", {
    ...step(encode({ kind, ...request })),
    kind,
    outcome: { error: { type: "sandbox.stepTooLarge", message: request.request } },
  });
  const { code, out } = await run(file, "--cordapp", root, "--json");
  assert.equal(code, 0, out);
  assert.deepEqual(JSON.parse(out).divergence, null);
});

test("what cannot be replayed ends with 2 and a sentence", { timeout: TIMEOUT_MS }, async () => {
  const file = recording("r.json");
  writeFileSync(join(folder, "bad.json"), "{");
  const wrong: [readonly string[], RegExp][] = [
    [["bad.json"], /bad\.json is no recording of a flow/],
    [[recording("later.json", { recording: 99 }), "--cordapp", project("same")], /no recording of a flow that this version reads/],
    [["nowhere"], /There is no file .*nowhere.*--as VNODE/],
    [[file, "--cordapp", folder], /There is no CorDapp/],
    [[file, "--cordapp", project("other", ENTRY.replace("com.example.Tell", "com.example.Other"))], /has no flow com\.example\.Tell/],
  ];
  for (const [args, message] of wrong) {
    const { code, err } = await run(...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
  }
});

test("a debugger stops at the author's own lines, and sees their values", { timeout: TIMEOUT_MS }, async () => {
  const root = project("debugged");
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const args = [main, "flow", "replay", recording("r.json"), "--cordapp", root, "--inspect", "127.0.0.1:0", "--json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    const debug = await attach(await listeningAt(child.stderr.setEncoding("utf8")));
    await debug.call("Debugger.enable");
    const loaded = debug.paused();
    await debug.call("Runtime.runIfWaitingForDebugger");
    await loaded;
    const script = debug.scripts.find(({ url }) => url.endsWith("cordapp.cjs")) ?? assert.fail("the bundle is loaded before it stops");
    const map = JSON.parse(Buffer.from(script.sourceMapURL.slice(script.sourceMapURL.indexOf(",") + 1), "base64").toString());
    const source = pathToFileURL(join(root, "src", "index.ts")).href;
    assert.equal(map.sourcesContent[map.sources.indexOf(source)], readFileSync(join(root, "src", "index.ts"), "utf8"));

    const { scriptSource } = await debug.call<{ scriptSource: string }>("Debugger.getScriptSource", { scriptId: script.scriptId });
    const lines = scriptSource.split("\n");
    const lineNumber = lines.findIndex((line) => line.includes("const greeting"));
    const columnNumber = (lines[lineNumber] ?? "").indexOf("const greeting");
    await debug.call("Debugger.setBreakpoint", { location: { scriptId: script.scriptId, lineNumber, columnNumber } });
    const stopped = debug.paused();
    await debug.call("Debugger.resume");
    const [frame] = (await stopped).callFrames;
    assert.ok(frame !== undefined);
    const entry = new SourceMap(map).findEntry(frame.location.lineNumber, frame.location.columnNumber);
    assert.ok("originalSource" in entry);
    assert.deepEqual([entry.originalSource, entry.originalLine + 1], [source, BREAK_LINE]);
    const evaluate = { callFrameId: frame.callFrameId, expression: "who + now" };
    const { result } = await debug.call<{ result: { value: unknown } }>("Debugger.evaluateOnCallFrame", evaluate);
    assert.equal(result.value, "Bob5", "what the journal says, not this machine's clock");
    await debug.call("Debugger.resume");
    debug.close();
    assert.equal(await ended, 0);
    assert.equal((JSON.parse(out) as { divergence: unknown }).divergence, null);
  } finally {
    child.kill();
  }
});

/** Node says on standard error where it waits for a debugger. */
async function listeningAt(stderr: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const chunk of stderr) {
    text += chunk;
    const [url] = /ws:\/\/\S+/.exec(text) ?? [];
    if (url !== undefined) return url;
  }
  return assert.fail(`no debugger can attach: ${text}`);
}

interface Paused {
  readonly callFrames: readonly {
    readonly callFrameId: string;
    readonly location: { readonly lineNumber: number; readonly columnNumber: number };
  }[];
}

/** As much of a debugger as a test needs. */
async function attach(url: string) {
  const socket = new WebSocket(url);
  await new Promise((opened) => {
    socket.onopen = opened;
  });
  const answers = new Map<number, (answer: unknown) => void>();
  const scripts: { readonly scriptId: string; readonly url: string; readonly sourceMapURL: string }[] = [];
  let pauses: ((paused: Paused) => void) | undefined;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data));
    if (message.id !== undefined) answers.get(message.id)?.(message.result);
    else if (message.method === "Debugger.scriptParsed") scripts.push(message.params);
    else if (message.method === "Debugger.paused") pauses?.(message.params);
  };
  let calls = 0;
  return {
    scripts,
    call: <T>(method: string, params: object = {}) =>
      new Promise<T>((resolve) => {
        answers.set(++calls, resolve as (answer: unknown) => void);
        socket.send(JSON.stringify({ id: calls, method, params }));
      }),
    paused: () =>
      new Promise<Paused>((resolve) => {
        pauses = resolve;
      }),
    close: () => socket.close(),
  };
}
