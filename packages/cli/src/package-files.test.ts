import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { readCpi } from "@bowline/cluster";
import { EXAMPLE } from "./dev-network.ts";
import { developmentSigner, packCpi, packProject, readProject } from "./package-files.ts";

const folder = mkdtempSync(join(tmpdir(), "bowline-package-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function project(name: string, bowline: unknown, entry = ""): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, "package.json"), JSON.stringify({ name, type: "module", ...(bowline === undefined ? {} : { bowline }) }));
  writeFileSync(join(path, "entry.ts"), entry);
  return path;
}

test("the example becomes a CPI that its signer's certificate opens, with everything that its sources say", async () => {
  const signer = await developmentSigner(join(folder, "home"));
  const { name, version, cpb } = await packProject(EXAMPLE, signer);
  const { bytes } = await packCpi({ name, version, cpb, groupPolicy: "{}" }, signer);
  const { id, cpks } = await readCpi(bytes, { anchors: signer.chain, now: Date.now() });
  assert.deepEqual([id.cpiName, id.cpiVersion], ["obligation", "1.0.0"]);
  assert.deepEqual(
    cpks.map((cpk) => [cpk.name, cpk.type, cpk.manifest.flows.length, cpk.manifest.states.length]),
    [
      ["com.example.obligation.contract", "contract", 0, 1],
      ["com.example.obligation.workflow", "workflow", 7, 0],
    ],
  );
  const startable = cpks.flatMap(({ manifest }) => manifest.flows.filter((flow) => flow.startable).map((flow) => flow.name));
  assert.equal(startable.length, 4);
});

test("every example is packed, and each of its flows that clients start says what it takes", async () => {
  const signer = await developmentSigner(join(folder, "home"));
  const examples = dirname(EXAMPLE);
  for (const name of readdirSync(examples)) {
    const { cpb } = await packProject(join(examples, name), signer);
    const { bytes } = await packCpi({ name, version: "1.0.0", cpb, groupPolicy: "{}" }, signer);
    const { cpks } = await readCpi(bytes, { anchors: signer.chain, now: Date.now() });
    const startable = cpks.flatMap(({ manifest }) => manifest.flows.filter((flow) => flow.startable));
    assert.ok(startable.length > 0, name);
    for (const flow of startable) assert.ok(flow.input !== undefined, `${name}: ${flow.name}`);
  }
});

test("a CPK brings the migrations of its folder, and an entity without a table is told which would do", async () => {
  const signer = await developmentSigner(join(folder, "home"));
  const entry = `import { cordapp as bundle, entity } from "@bowline/sdk";
import * as Type from "typebox";
const Note = entity({ name: "com.example.Note", schema: Type.Object({ id: Type.String() }), key: "id" });
export const cordapp = bundle({ flows: [], states: [], contracts: [], entities: [Note] });`;
  const cpk = { name: "com.example.notes", version: "1.0.0", type: "workflow", entry: "entry.ts" };
  const bowline = (more: object) => ({ name: "notes", version: "1.0.0", cpks: [{ ...cpk, ...more }] });
  const suggestion =
    /entity com\.example\.Note: no migration makes its table note.*\n\nCREATE TABLE note \(\n {2}id text COLLATE "C" NOT NULL,\n/s;
  await assert.rejects(packProject(project("untold", bowline({}), entry), signer), {
    code: "package.migrationRefused",
    message: suggestion,
  });
  const path = project("told", bowline({ migrations: "migration" }), entry);
  await assert.rejects(packProject(path, signer), { code: "cli.project", message: /there is no such folder/ });
  mkdirSync(join(path, "migration"));
  writeFileSync(join(path, "migration", "0001-create-note.sql"), "CREATE TABLE note (id text PRIMARY KEY);");
  const { name, version, cpb } = await packProject(path, signer);
  const { bytes } = await packCpi({ name, version, cpb, groupPolicy: "{}" }, signer);
  const { cpks } = await readCpi(bytes, { anchors: signer.chain, now: Date.now() });
  assert.deepEqual(cpks[0]?.tables, ["note"]);
});

test("the development key is made once, and only its owner reads it", async () => {
  const home = join(folder, "another");
  const [first, second] = await Promise.all([developmentSigner(home), developmentSigner(home)]);
  assert.equal(String(first.chain[0]), String(second.chain[0]));
  assert.equal(statSync(join(home, "secrets", "code-signing.pem")).mode & 0o777, 0o600);
});

test("a folder that does not say what it is made of is refused with what is missing", () => {
  assert.throws(() => readProject(folder), /it has no package\.json/);
  assert.throws(() => readProject(project("plain", undefined)), /no section "bowline"/);
  assert.throws(() => readProject(project("empty", { name: "x", version: "1", cpks: [] })), { code: "cli.project" });
  const misspelt = { name: "x", version: "1", cpks: [{ name: "x", version: "1", type: "contract", entry: "entry.ts", licens: "none" }] };
  assert.throws(() => readProject(project("misspelt", misspelt)), { code: "cli.project" });
});

test("a CPK must be what it says it is", async () => {
  const signer = await developmentSigner(join(folder, "home"));
  const cpk = (type: string, more = {}) => ({
    name: "x",
    version: "1",
    cpks: [{ name: "com.example.x", version: "1", type, entry: "entry.ts", ...more }],
  });
  const nothing =
    'import { cordapp as bundle } from "@bowline/sdk";\nexport const cordapp = bundle({ flows: [], states: [], contracts: [] });\n';
  await assert.rejects(packProject(project("wrong", cpk("contract"), nothing), signer), /says that it is a contract CPK/);
  await assert.rejects(packProject(project("alone", cpk("workflow", { dependencies: ["other"] }), nothing), signer), /goes with other/);
  await assert.rejects(packProject(project("mute", cpk("workflow"), "export const other = 1;\n"), signer), {
    code: "bundle.refused",
    message: /exports no "cordapp"/,
  });
  assert.equal((await packProject(project("right", cpk("workflow"), nothing), signer)).cpks.length, 1);
});
