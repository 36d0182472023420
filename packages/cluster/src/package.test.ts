import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Env, type Instant, parseName, utf8 } from "@bowline/base";
import { type Credential, createSelfSigned, parseCertificates, pemOf, secureHashOf, signerSummaryHash } from "@bowline/crypto";
import type { CordappManifest } from "@bowline/sdk";
import { type JarSigner, writeJar } from "./jar.ts";
import { buildCpb, buildCpi, buildCpk, type CpkSource, packageFileName, readCpi } from "./package.ts";
import { readZip, writeZip, type ZipEntry } from "./zip.ts";

const DAY_MS = 86_400_000;
const now: Instant = Date.now();
const env: Env = { now, random: (length) => new Uint8Array(randomBytes(length)) };
const GROUP_POLICY = JSON.stringify({ fileFormatVersion: 1, groupId: "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad" });

const contractManifest: CordappManifest = {
  flows: [],
  states: [{ name: "com.example.Note", version: 1, contract: "com.example.NoteContract", schema: { type: "object" } }],
  contracts: [{ name: "com.example.NoteContract", commands: [{ name: "Issue", schema: { type: "null" } }] }],
};
const workflowManifest: CordappManifest = {
  flows: [
    { name: "com.example.IssueNote", startable: true, initiates: { name: "com.example.note", versions: [1] }, input: { type: "object" } },
    { name: "com.example.AcceptNote", startable: false, answers: { name: "com.example.note", versions: [1] } },
  ],
  states: [],
  contracts: [],
};
const contracts: CpkSource = { name: "com.example.notes", version: "1.0.0", script: "var __cordapp = 1;", manifest: contractManifest };
const workflows: CpkSource = {
  name: "com.example.notes-flows",
  version: "1.2.0",
  vendor: "Example",
  licence: "Apache-2.0",
  script: "var __cordapp = 2;",
  manifest: workflowManifest,
  dependencies: [{ name: "com.example.notes", version: "1.0.0" }],
};

const newSigner = async (name: string, days = 30, scheme?: "CORDA.RSA" | "CORDA.EDDSA.ED25519"): Promise<JarSigner> => ({
  alias: name,
  ...(await createSelfSigned(
    { subject: parseName(`CN=${name}, O=Bowline, L=London, C=GB`), use: "code-signing", days, ...(scheme === undefined ? {} : { scheme }) },
    env,
  )),
});

async function buildAll(signers: readonly JarSigner[], sources: readonly CpkSource[] = [contracts, workflows]): Promise<Uint8Array> {
  const cpks = await Promise.all(
    sources.map(async (source) => ({
      fileName: packageFileName(source.name, source.version, "jar"),
      bytes: await buildCpk(source, signers),
    })),
  );
  const cpb = { fileName: "notes.cpb", bytes: await buildCpb({ name: "notes", version: "1.0.0", cpks }, signers) };
  return buildCpi({ name: "notes-network", version: "1.0.0", groupPolicy: GROUP_POLICY, cpb }, signers);
}

const trust = (...signers: readonly Credential[]) => ({ anchors: signers.flatMap(({ chain }) => chain), now });

describe("a CPI", () => {
  let signer: JarSigner;
  let stranger: JarSigner;
  let cpi: Uint8Array;
  before(async () => {
    [signer, stranger] = await Promise.all([newSigner("code signer"), newSigner("stranger")]);
    cpi = await buildAll([signer]);
  });

  test("is read as it was built", async () => {
    const contents = await readCpi(cpi, trust(signer));
    const summary = signerSummaryHash(signer.chain);
    assert.deepEqual(contents.id, { cpiName: "notes-network", cpiVersion: "1.0.0", signerSummaryHash: summary });
    assert.equal(contents.fileChecksum, secureHashOf(cpi));
    assert.equal(contents.groupPolicy, GROUP_POLICY);
    assert.deepEqual(
      contents.cpks.map(({ bytes, fileChecksum, ...rest }) => ({ ...rest, right: secureHashOf(bytes) === fileChecksum })),
      [
        { source: contracts, type: "contract", fileName: "com.example.notes-1.0.0.jar" },
        { source: workflows, type: "workflow", fileName: "com.example.notes-flows-1.2.0.jar" },
      ].map(({ source: { name, version, script, manifest }, type, fileName }) => {
        const given = { fileName, name, version, type, manifest, script, migrations: [], tables: [], right: true };
        return { ...given, signerSummaryHash: summary, minimumPlatformVersion: 50_000 };
      }),
    );
  });

  test("brings the migrations of its entities, signed and in their order", async () => {
    const migrations = ["0001-a.sql", "0002-b.sql"].map((fileName, i) => ({ fileName, text: `CREATE TABLE t${i} (id text PRIMARY KEY);` }));
    const key = { name: "id", column: "id", kind: "text", missing: "never" } as const;
    const entities = [{ name: "com.example.T", table: "t1", key: ["id"], properties: [key], queries: {} }];
    const source = { ...workflows, dependencies: [], manifest: { ...workflowManifest, entities }, migrations };
    const [cpk] = (await readCpi(await buildAll([signer], [source]), trust(signer))).cpks;
    assert.deepEqual([cpk?.migrations, cpk?.tables, cpk?.manifest.entities], [migrations, ["t0", "t1"], entities]);
    await assert.rejects(buildAll([signer], [{ ...source, migrations: [] }]), { code: "package.migrationRefused" });
    const unordered = { ...key, missing: "omitted" } as const;
    const odd = { ...source, manifest: { ...source.manifest, entities: [{ ...entities[0], properties: [unordered] } as never] } };
    await assert.rejects(async () => readCpi(await buildAll([signer], [odd]), trust(signer)), { code: "package.migrationRefused" });
  });

  test("may be one of a network without an application, and may lie in a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bowline-cpi-"));
    const path = join(folder, "group.cpi");
    writeFileSync(path, await buildCpi({ name: "group", version: "1", groupPolicy: GROUP_POLICY }, [signer]));
    assert.deepEqual((await readCpi(path, trust(signer))).cpks, []);
    rmSync(folder, { recursive: true });
  });

  const refused = (bytes: Uint8Array | Promise<Uint8Array>, code: string, at = trust(signer)) =>
    assert.rejects(async () => readCpi(await bytes, at), { kind: "badRequest", code, message: /^The (CPI|CPB|CPK) ?.* is refused: .*\.$/ });

  /** Changes entries of the archive after it was signed. */
  const changed = async (change: (entries: ZipEntry[]) => readonly ZipEntry[]) => writeZip(change([...(await readZip(cpi, "x"))]));
  const replaced = (name: RegExp, bytes: (old: Uint8Array) => Uint8Array) =>
    changed((entries) => entries.map((entry) => (name.test(entry.name) ? { ...entry, bytes: bytes(entry.bytes) } : entry)));
  const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === bytes.length - 9 ? byte ^ 1 : byte));

  test("that is unsigned, or only half signed, is refused", async () => {
    await refused(writeJar([["Corda-CPI-Format", "2.0"]], [], []), "package.unsigned");
    await refused(writeZip([{ name: "a", bytes: utf8("a") }]), "package.unsigned");
    await refused(
      changed((entries) => entries.filter(({ name }) => !name.endsWith(".EC"))),
      "package.signatureMalformed",
    );
    await refused(
      changed((entries) => entries.filter(({ name }) => !name.endsWith(".SF"))),
      "package.signatureMalformed",
    );
    await refused(
      changed((entries) => [...entries, { name: "extra", bytes: utf8("x") }]),
      "package.entryUnsigned",
    );
    await refused(
      changed((entries) => [...entries, { name: "META-INF/SIG-X", bytes: utf8("x") }]),
      "package.entryUnsigned",
    );
  });

  test("that was changed after it was signed is refused, wherever", async () => {
    await refused(replaced(/GroupPolicy/, flipped), "package.entryChanged");
    await refused(replaced(/\.cpb$/, flipped), "package.entryChanged");
    await refused(
      replaced(/MANIFEST/, (old) => utf8(Buffer.from(old).toString().replace("notes-network", "notes-netw0rk"))),
      "package.manifestChanged",
    );
    await refused(
      replaced(/\.SF$/, (old) => utf8(Buffer.from(old).toString().replace("Bowline", "B0wline"))),
      "package.signatureInvalid",
    );
    await refused(replaced(/\.EC$/, flipped), "package.signatureInvalid");
    await refused(
      replaced(/\.EC$/, () => utf8("nothing")),
      "package.signatureMalformed",
    );
    await refused(
      changed((entries) => entries.filter(({ name }) => !name.endsWith(".cpb"))),
      "package.entryMissing",
    );
  });

  test("that a signer did not sign whole is refused", async () => {
    const partial = (text: string) => `${text.split("\r\n\r\n")[0]}\r\n\r\n`;
    const bytes = await changed((entries) => entries);
    const file = (await readZip(bytes, "x")).find(({ name }) => name.endsWith(".SF"))?.bytes ?? new Uint8Array();
    const { signDetached } = await import("@bowline/crypto");
    const short = utf8(partial(Buffer.from(file).toString()));
    const resigned = changed((entries) =>
      entries.map((entry) => {
        if (entry.name.endsWith(".SF")) return { ...entry, bytes: short };
        return entry.name.endsWith(".EC") ? { ...entry, bytes: signDetached(signer, short) } : entry;
      }),
    );
    await refused(resigned, "package.entryUnsigned");
  });

  test("whose signer is not trusted, expired, not yet valid or no code signer is refused", async () => {
    await refused(cpi, "certificate.untrusted", trust(stranger));
    await refused(cpi, "certificate.untrusted", trust());
    await refused(cpi, "certificate.expired", { ...trust(signer), now: now + 31 * DAY_MS });
    await refused(cpi, "certificate.notYetValid", { ...trust(signer), now: now - 2 * DAY_MS });
    const authority = { alias: "x", ...(await createSelfSigned({ subject: parseName("O=X, L=Y, C=GB"), use: "authority", days: 1 }, env)) };
    await refused(buildAll([authority]), "certificate.misused", trust(authority));
  });

  test("with several signers names them all, and needs trust in each", async () => {
    const both = await buildAll([signer, stranger]);
    const contents = await readCpi(both, trust(signer, stranger));
    assert.equal(contents.id.signerSummaryHash, signerSummaryHash([...stranger.chain, ...signer.chain]));
    assert.notEqual(contents.id.signerSummaryHash, (await readCpi(cpi, trust(signer))).id.signerSummaryHash);
    await refused(both, "certificate.untrusted");
  });

  test("of a CPB or CPKs that do not fit is refused", async () => {
    const cpb = { fileName: "a.cpb", bytes: await buildCpb({ name: "a", version: "1", cpks: [] }, [signer]) };
    const cpiOf = (entries: readonly ZipEntry[], attributes: readonly (readonly [string, string])[]) =>
      writeJar(attributes, entries, [signer]);
    const policy = { name: "META-INF/GroupPolicy.json", bytes: utf8(GROUP_POLICY) };
    const attributes = [
      ["Corda-CPI-Format", "2.0"],
      ["Corda-CPI-Name", "a"],
      ["Corda-CPI-Version", "1"],
    ] as const;
    await refused(buildCpi({ name: "a", version: "1", groupPolicy: GROUP_POLICY, cpb }, [signer]), "package.cpkMissing");
    await refused(
      cpiOf([policy, { name: "a.cpb", bytes: cpb.bytes }, { name: "b.cpb", bytes: cpb.bytes }], attributes),
      "package.cpbTwice",
    );
    await refused(cpiOf([], attributes), "package.groupPolicyMissing");
    await refused(cpiOf([policy], attributes.slice(0, 2)), "package.attributeMissing");
    await refused(cpiOf([policy], []), "package.formatMissing");
    await refused(cpiOf([policy], [["Corda-CPI-Format", "1.0"]]), "package.formatUnknown");
    await refused(buildAll([signer], [contracts, { ...contracts, version: "2.0.0" }]), "package.cpkTwice");
    await refused(buildAll([signer], [workflows]), "package.dependencyMissing");
    await refused(
      buildAll([signer], [{ ...contracts, manifest: workflowManifest, version: "1.0.1" }, workflows]),
      "package.dependencyMissing",
    );
  });

  test("of a CPK whose parts contradict each other is refused", async () => {
    const cpkOf = async (entries: readonly ZipEntry[], attributes: readonly (readonly [string, string])[]) => {
      const bytes = await writeJar(
        [["Corda-CPK-Format", "2.0"], ["Bundle-SymbolicName", "a"], ["Bundle-Version", "1"], ...attributes],
        entries,
        [signer],
      );
      const cpb = { fileName: "a.cpb", bytes: await buildCpb({ name: "a", version: "1", cpks: [{ fileName: "a.jar", bytes }] }, [signer]) };
      return buildCpi({ name: "a", version: "1", groupPolicy: GROUP_POLICY, cpb }, [signer]);
    };
    const manifest = (value: unknown) => ({ name: "META-INF/cordapp.json", bytes: utf8(JSON.stringify(value)) });
    const dependencies = { name: "META-INF/CPKDependencies.json", bytes: utf8('{"formatVersion":"2.0","dependencies":[]}') };
    const script = { name: "cordapp.js", bytes: utf8("1") };
    const whole = [dependencies, manifest(workflowManifest), script];
    assert.equal((await readCpi(await cpkOf(whole, []), trust(signer))).cpks[0]?.type, "workflow");
    await refused(cpkOf(whole, [["Cordapp-Contract-Name", "a"]]), "package.typeDiffers");
    await refused(cpkOf([dependencies, script], []), "package.bundleMissing");
    await refused(cpkOf([dependencies, manifest(workflowManifest)], []), "package.bundleMissing");
    await refused(cpkOf(whole, [["Min-Platform-Version", "x"]]), "package.attributeInvalid");
    const twice = { ...workflowManifest, flows: [...workflowManifest.flows, ...workflowManifest.flows] };
    await assert.rejects(async () => readCpi(await cpkOf([dependencies, manifest(twice), script], []), trust(signer)), {
      code: "package.nameTwice",
    });
    // However it was packaged: what its author's tools let through is looked at again.
    const hostile = { name: "migration/0001-a.sql", bytes: utf8("CREATE TABLE t (id text PRIMARY KEY);\nSET ROLE postgres;") };
    await assert.rejects(async () => readCpi(await cpkOf([...whole, hostile], []), trust(signer)), {
      code: "package.migrationRefused",
      message: /0001-a\.sql:2: VariableSetStmt/,
    });
    const keyless = { name: "com.example.T", table: "t", key: ["id"], properties: [], queries: {} };
    const entities = manifest({ ...workflowManifest, entities: [keyless] });
    await assert.rejects(async () => readCpi(await cpkOf([dependencies, entities, script], []), trust(signer)), {
      code: "package.entityInvalid",
    });
    const fields = [{ name: "a", kind: "text", missing: "never" }] as const;
    const of = { states: ["com.example.Note"], standing: "all", orderBy: [], descending: false, index: null, join: [] } as const;
    const query = { name: "com.example.Q", ...of, fields, where: [] };
    const asking = (...queries: object[]) => manifest({ ...workflowManifest, queries: queries as never });
    for (const [queries, code] of [
      [[{ ...query, orderBy: ["b"] }], "package.queryInvalid"],
      [[{ ...query, join: [{ name: "x", entity: "com.example.T", on: { id: "a" }, optional: false }] }], "package.queryInvalid"],
      [[{ ...query, fields: [{ ...fields[0], name: "a') OR true --" }] }], "package.queryInvalid"],
      [[{ ...query, states: ["x' OR true --"] }], "input.invalid"],
      [[{ ...query, standing: "any" }], "input.invalid"],
      [[query, query], "package.nameTwice"],
    ] as const)
      await assert.rejects(async () => readCpi(await cpkOf([dependencies, asking(...queries), script], []), trust(signer)), { code });
    await assert.rejects(async () => readCpi(await cpkOf([dependencies, manifest({}), script], []), trust(signer)), {
      code: "input.invalid",
    });
  });
});

const hasJarTools = spawnSync("jarsigner", ["-help"]).error === undefined;

describe("the JAR tools", { skip: hasJarTools ? false : "there is no JDK here" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "bowline-jar-"));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);

  /** What `jarsigner -verify -strict` says when it trusts exactly these signers. */
  const verify = (bytes: Uint8Array, signers: readonly Credential[]) => {
    writeFileSync(path("a.jar"), bytes);
    rmSync(path("trust.p12"), { force: true });
    for (const [i, { chain }] of signers.entries()) {
      writeFileSync(path("c.pem"), pemOf(chain));
      execFileSync(
        "keytool",
        ["-importcert", "-noprompt", "-alias", `${i}`, "-file", path("c.pem"), "-keystore", path("trust.p12"), "-storepass", "changeit"],
        {
          stdio: "ignore",
        },
      );
    }
    const { status, stdout } = spawnSync(
      "jarsigner",
      ["-verify", "-strict", "-keystore", path("trust.p12"), "-storepass", "changeit", path("a.jar")],
      { encoding: "utf8" },
    );
    return { accepted: status === 0, stdout };
  };

  test("accept what we sign, by every scheme and by several signers, and refuse it with a byte flipped", async () => {
    const signers = await Promise.all([newSigner("one"), newSigner("two", 30, "CORDA.RSA"), newSigner("three", 30, "CORDA.EDDSA.ED25519")]);
    const cpi = await buildAll(signers);
    const { accepted, stdout } = verify(cpi, signers);
    assert.ok(accepted, stdout);
    const at = Buffer.from(cpi).indexOf("notes.cpb") + 100;
    const flipped = cpi.map((byte, i) => (i === at ? byte ^ 1 : byte));
    assert.ok(!verify(flipped, signers).accepted);
    await assert.rejects(readCpi(flipped, trust(...signers)), { kind: "badRequest" });
  });

  test("sign what we accept", async () => {
    const credentials: string[] = [];
    const cpk = await buildCpk(contracts, []);
    writeFileSync(path("cpk.jar"), cpk);
    for (const [alias, keyalg] of [
      ["first", "EC"],
      ["second", "RSA"],
    ] as const) {
      const store = ["-keystore", path("keys.p12"), "-storepass", "changeit"];
      const subject = ["-dname", `CN=${alias},O=Bowline,L=London,C=GB`, "-validity", "10"];
      execFileSync("keytool", ["-genkeypair", "-alias", alias, "-keyalg", keyalg, ...subject, ...store], { stdio: "ignore" });
      execFileSync("jarsigner", [...store, path("cpk.jar"), alias], { stdio: "ignore" });
      credentials.push(execFileSync("keytool", ["-exportcert", "-rfc", "-alias", alias, ...store], { encoding: "utf8" }));
    }
    const own = await newSigner("own");
    const cpks = [{ fileName: "a.jar", bytes: new Uint8Array(readFileSync(path("cpk.jar"))) }];
    const cpb = { fileName: "a.cpb", bytes: await buildCpb({ name: "a", version: "1", cpks }, [own]) };
    const cpi = await buildCpi({ name: "a", version: "1", groupPolicy: GROUP_POLICY, cpb }, [own]);
    const anchors = [...own.chain, ...credentials.flatMap((pem) => parseCertificates(pem))];
    const { cpks: read } = await readCpi(cpi, { anchors, now: Date.now() + 1000 });
    assert.equal(read[0]?.signerSummaryHash, signerSummaryHash(anchors.slice(1)));
    assert.equal(read[0]?.name, contracts.name);
  });
});
