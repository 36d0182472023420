import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { runInNewContext } from "node:vm";
import { bundleCordapp } from "./bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "bowline-bundle-"));
after(() => rmSync(folder, { recursive: true }));
let projects = 0;

/** A CorDapp of these files, somewhere outside this repository; answers its entry. */
function project(files: Readonly<Record<string, string>>): string {
  const root = join(folder, `${projects++}`, "notes");
  for (const [name, text] of Object.entries({ "package.json": '{"name":"notes","type":"module"}', ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return join(root, "src/index.ts");
}

const SDK = "@bowline/sdk";
const ENTRY = `
import { cordapp as bundle, flow } from "${SDK}";
import * as Type from "typebox";
const Hello = flow({
  name: "com.example.Hello", startable: true, input: Type.Object({ who: Type.String() }), output: Type.String(),
  async call(context, { who }) { return "Hello, " + who; },
});
export const cordapp = bundle({ flows: [Hello], states: [], contracts: [] });
`;

const faultsOf = async (files: Readonly<Record<string, string>>): Promise<string> => {
  const thrown: unknown = await bundleCordapp(project(files)).catch((error: unknown) => error);
  assert.ok(thrown instanceof Error && "code" in thrown && thrown.code === "bundle.refused", String(thrown));
  return thrown.message;
};

test("a CorDapp becomes one script that says what it holds, though nothing is installed beside it", async () => {
  const { script, manifest } = await bundleCordapp(project({ "src/index.ts": ENTRY }));
  assert.deepEqual(
    manifest.flows.map(({ name, startable }) => [name, startable]),
    [["com.example.Hello", true]],
  );
  assert.deepEqual(manifest.flows[0]?.input, { type: "object", required: ["who"], properties: { who: { type: "string" } } });
  assert.match(script.slice(0, 40), /^"use strict";\nvar __cordapp = /);
});

test("what a CorDapp does not use is not in its bundle", async () => {
  const plain = (await bundleCordapp(project({ "src/index.ts": ENTRY }))).script;
  const using = async (line: string) => (await bundleCordapp(project({ "src/index.ts": `${line}\n${ENTRY}` }))).script;
  const hashes = await using('import { digest } from "@bowline/sdk/crypto"; export const id = digest.hash("x");');
  const signs = await using('import { signatures } from "@bowline/sdk/crypto"; export const check = signatures.verify;');
  const json = await using('import { json } from "@bowline/sdk/encoding"; export const read = json.parse;');
  const kilobytes = [plain, hashes, json, signs].map(({ length }) => Math.round(length / 1024));
  const growth = kilobytes.map((size) => size - (kilobytes[0] ?? 0));
  assert.ok((growth[1] ?? 0) > 0 && (growth[1] ?? 0) < 32 && (growth[2] ?? 0) < 40 && (growth[3] ?? 0) > 40, kilobytes.join());
  assert.ok(!/secp256|sha512|6a09e667|0x6a09e667|1779033703/i.test(plain), "an empty CorDapp carries cryptography");
});

test("the script is the same wherever the sources lie", async () => {
  const entry = project({ "src/index.ts": ENTRY });
  const elsewhere = join(folder, "else", "where", "notes");
  cpSync(dirname(dirname(entry)), elsewhere, { recursive: true });
  const [here, there] = [await bundleCordapp(entry), await bundleCordapp(join(elsewhere, "src/index.ts"))];
  assert.equal(here.script, there.script);
  assert.ok(!here.script.includes(folder) && !here.script.includes("node_modules"));
});

test("imports of anything but its own files, the sdk and typebox are refused with their place", async () => {
  const message = await faultsOf({
    "src/index.ts": `import { readFile } from "node:fs/promises";\nimport "./other.ts";\n${ENTRY}\nconsole.log(readFile);`,
    "src/other.ts": `\nimport pad from "left-pad";\nimport * as up from "../../outside.ts";\nimport * as fs from "fs";\nconsole.log(pad, up, fs);`,
    "../outside.ts": "export const x = 1;",
  });
  assert.match(message, /src\/index\.ts:1: a CorDapp cannot import "node:fs\/promises", which is a part of Node/);
  assert.match(message, /src\/other\.ts:2: a CorDapp cannot import "left-pad", which is another package/);
  assert.match(message, /src\/other\.ts:3: "\.\.\/\.\.\/outside\.ts" lies outside the CorDapp/);
  assert.match(message, /src\/other\.ts:4: a CorDapp cannot import "fs", which is a part of Node/);
});

test("a link does not bring in what lies outside", async () => {
  const entry = project({ "src/index.ts": `import { x } from "./link.ts";\n${ENTRY}\nconsole.log(x);` });
  writeFileSync(join(folder, "target.ts"), "export const x = 1;");
  symlinkSync(join(folder, "target.ts"), join(dirname(entry), "link.ts"));
  await assert.rejects(bundleCordapp(entry), { code: "bundle.refused", message: /link\.ts" lies outside/ });
});

test("a package that only calls itself by an allowed name does not pass for another's files", async () => {
  const entry = project({
    "src/index.ts": `import "typebox/evil";\n${ENTRY}`,
    "node_modules/typebox/package.json": '{"name":"typebox","exports":{"./evil":"./evil.js",".":"./evil.js"}}',
    "node_modules/typebox/evil.js": 'import "other"; export const String = 1, Object = 1;',
    "node_modules/other/package.json": '{"name":"other","main":"index.js"}',
    "node_modules/other/index.js": "globalThis.x = 1;",
  });
  await assert.rejects(bundleCordapp(entry), {
    code: "bundle.refused",
    message: /node_modules\/other\/index\.js: it belongs to no package/,
  });
});

test("bindings that all flows would share are refused with file and line", async () => {
  const message = await faultsOf({
    "src/index.ts": `${ENTRY}\nimport "./state.ts";`,
    "src/state.ts": [
      "interface Shape { readonly let: number }",
      "let counter = 0;",
      "export var total: Shape | undefined;",
      "const fine = 1;",
      "if (fine) { var hoisted = 1; let inner = 2; console.log(inner); }",
      "export function step(): number { let local = 0; var other = 1; for (let i = 0; i < 3; i++) local += i; return local + other + counter++; }",
      "export const text = `\nlet no = 1;\n`;",
      "console.log(hoisted);",
    ].join("\n"),
  });
  const lines = [...message.matchAll(/src\/state\.ts:(\d+): "(let|var)"/g)].map(([, line, kind]) => `${line} ${kind}`);
  assert.deepEqual(lines, ["2 let", "3 var", "5 var"]);
});

test("what stands at the top of a module is frozen, collections and static members too", async () => {
  const { script } = await bundleCordapp(
    project({
      "src/index.ts": `${ENTRY}\nexport * as constants from "./constants.ts";`,
      "src/constants.ts": [
        "export const list: number[] = [], plain = 1;",
        "export const { nested, ...rest } = { nested: { deep: [1] }, other: { a: 1 } };",
        "const seen = new Map([['a', { b: 1 }]]);",
        "export class Counter { static count = 0; static byName = new Set<string>(); own = 0; }",
        "export const bytes = Uint8Array.of(1), dots = /[.]/g, once = () => 1;",
        "export const attempts: readonly (() => unknown)[] = [",
        "  () => list.push(1), () => nested.deep.push(2), () => (rest.other.a = 2), () => seen.set('c', { b: 2 }), () => seen.clear(),",
        "  () => ((seen.get('a') as { b: number }).b = 2), () => Counter.count++, () => Counter.byName.add('x'),",
        "];",
        "export const fine = () => [new Counter().own++, 'a.b'.replace(dots, '-'), seen.get('a')?.b, [...seen].length, plain, once(), bytes[0]];",
      ].join("\n"),
    }),
  );
  const { constants } = runInNewContext(`${script};__cordapp`) as {
    constants: { attempts: readonly (() => unknown)[]; fine(): readonly unknown[] };
  };
  assert.equal(constants.attempts.length, 8);
  for (const attempt of constants.attempts) assert.throws(attempt, { name: "TypeError" }, String(attempt));
  assert.deepEqual([...constants.fine()], [0, "a-b", 1, 1, 1, 1, 1]);
});

test("text that the sandbox refuses is refused with file and line, and comments do not count", async () => {
  const message = await faultsOf({
    "src/index.ts": `${ENTRY}\nimport "./text.ts";`,
    "src/text.ts": [
      "// a comment may say import('x') and eval(1) and <!-- -->",
      'console.log("import(");',
      "console.log(`eval (`);",
      'console.log("<!--");',
      "export const calls = (x: any) => x.import(1) + x.eval(2);",
      "const later = () => import(String(fine));",
      "console.log(later);",
      "const fine = 1;",
    ].join("\n"),
  });
  const lines = [...message.matchAll(/src\/text\.ts:(\d+): the sandbox refuses/g)].map(([, line]) => Number(line));
  assert.deepEqual(lines.sort(), [2, 3, 4, 6]);
});

test("what cannot be bundled or loaded, and an entry without a CorDapp, are refused in words", async () => {
  assert.match(await faultsOf({ "src/index.ts": "const x = ;" }), /src\/index\.ts:1: Unexpected ";"/);
  assert.match(await faultsOf({ "src/index.ts": 'throw new Error("at load");' }), /cannot be loaded: at load/);
  assert.match(await faultsOf({ "src/index.ts": "export const other = 1;" }), /exports no "cordapp"/);
  await assert.rejects(bundleCordapp(join(folder, "nothing.ts")), { code: "bundle.entryMissing" });
});
