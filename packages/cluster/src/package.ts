// Packages: a CPK is one CorDapp bundle, a CPB the CPKs of an application, a CPI an application with the group policy of the
// network that it is for. Each is a signed JAR, with the attributes of the original; a CPK holds, where the original's holds
// classes, `cordapp.js` (the bundle) and `META-INF/cordapp.json` (what the bundle says of itself).

import { readFile, stat } from "node:fs/promises";
import { type BowlineError, badRequest, decoder, fromUtf8, type SecureHash, utf8 } from "@bowline/base";
import { secureHashOf, signerSummaryHash } from "@bowline/crypto";
import type { CordappManifest } from "@bowline/sdk";
import * as Type from "typebox";
import { type CodeTrust, type JarSigner, readJar, type SignedJar, writeJar } from "./jar.ts";
import { type CpkMigration, checkMigrations } from "./migrations.ts";
import { cpkType, decodeManifest } from "./package-manifest.ts";
import { ARCHIVE_LENGTH_MAX } from "./zip.ts";

/** What goes into a CPK. */
export interface CpkSource {
  readonly name: string;
  readonly version: string;
  readonly vendor?: string;
  readonly licence?: string;
  readonly script: string;
  readonly manifest: CordappManifest;
  /** How the tables of its entities come to be. */
  readonly migrations?: readonly CpkMigration[];
  /** The oldest platform that it runs on; the first one where nothing is said. */
  readonly minimumPlatformVersion?: number;
  /** CPKs of the same CPB and the same signers that it goes with. */
  readonly dependencies?: readonly { readonly name: string; readonly version: string }[];
}

export interface CpkContents {
  readonly fileName: string;
  readonly name: string;
  readonly version: string;
  readonly type: "contract" | "workflow";
  readonly signerSummaryHash: SecureHash;
  readonly fileChecksum: SecureHash;
  readonly minimumPlatformVersion: number;
  readonly manifest: CordappManifest;
  readonly script: string;
  /** In order. */
  readonly migrations: readonly CpkMigration[];
  /** The tables that they make. */
  readonly tables: readonly string[];
  readonly bytes: Uint8Array;
}

export interface CpiContents {
  readonly id: { readonly cpiName: string; readonly cpiVersion: string; readonly signerSummaryHash: SecureHash };
  readonly fileChecksum: SecureHash;
  /** The text of the file; what it means is for `membership` to say. */
  readonly groupPolicy: string;
  readonly cpks: readonly CpkContents[];
}

const FORMAT = "2.0";
const PLATFORM_VERSION_FIRST = 50_000;
/** Tools want the attribute to be there. */
const UNSAID = "unspecified";
const GROUP_POLICY = "META-INF/GroupPolicy.json";
const DEPENDENCIES = "META-INF/CPKDependencies.json";
const CORDAPP_MANIFEST = "META-INF/cordapp.json";
const SCRIPT = "cordapp.js";
const MIGRATIONS = "migration/";

const Dependency = Type.Object(
  { name: Type.String(), version: Type.String(), verifySameSignerAsMe: Type.Literal(true) },
  { additionalProperties: false },
);
const decodeDependencies = decoder(
  Type.Object({ formatVersion: Type.Literal(FORMAT), dependencies: Type.Array(Dependency, { maxItems: 1_000 }) }),
  DEPENDENCIES,
);

/** A signed CPK: `<name>-<version>.jar`. Throws `package.migrationRefused`. */
export async function buildCpk(source: CpkSource, signers: readonly JarSigner[]): Promise<Uint8Array> {
  const { name, version, manifest, migrations = [] } = source;
  await checkTables(`The CPK ${name}`, migrations, manifest);
  const platform = String(source.minimumPlatformVersion ?? PLATFORM_VERSION_FIRST);
  const dependencies = (source.dependencies ?? []).map((dependency) => ({ ...dependency, verifySameSignerAsMe: true }));
  return writeJar(
    [
      ["Corda-CPK-Format", FORMAT],
      ["Bundle-SymbolicName", name],
      ["Bundle-Version", version],
      ["Corda-CPK-Cordapp-Name", name],
      ["Corda-CPK-Cordapp-Version", version],
      ["Corda-CPK-Cordapp-Vendor", source.vendor ?? UNSAID],
      ["Corda-CPK-Cordapp-Licence", source.licence ?? UNSAID],
      ["Min-Platform-Version", platform],
      ["Target-Platform-Version", platform],
      ...kindAttributes(source),
      ...indexAttributes(manifest),
    ],
    [
      { name: DEPENDENCIES, bytes: json({ formatVersion: FORMAT, dependencies }) },
      { name: CORDAPP_MANIFEST, bytes: json(manifest) },
      { name: SCRIPT, bytes: utf8(source.script) },
      ...migrations.map(({ fileName, text }) => ({ name: `${MIGRATIONS}${fileName}`, bytes: utf8(text) })),
    ],
    signers,
  );
}

/** A signed CPB of these CPKs. */
export function buildCpb(
  { name, version, cpks }: { name: string; version: string; cpks: readonly { readonly fileName: string; readonly bytes: Uint8Array }[] },
  signers: readonly JarSigner[],
): Promise<Uint8Array> {
  const attributes = packageAttributes("CPB", name, version);
  return writeJar(
    attributes,
    cpks.map(({ fileName, bytes }) => ({ name: fileName, bytes })),
    signers,
  );
}

/** A signed CPI; without a CPB it is one for a member that runs a network or nothing else. */
export function buildCpi(
  {
    name,
    version,
    groupPolicy,
    cpb,
  }: { name: string; version: string; groupPolicy: string; cpb?: { readonly fileName: string; readonly bytes: Uint8Array } },
  signers: readonly JarSigner[],
): Promise<Uint8Array> {
  const policy = { name: GROUP_POLICY, bytes: utf8(groupPolicy) };
  const entries = cpb === undefined ? [policy] : [policy, { name: cpb.fileName, bytes: cpb.bytes }];
  return writeJar(packageAttributes("CPI", name, version), entries, signers);
}

/** How files of a package are called: `<name>-<version>.<extension>`, with nothing in it that a file system minds. */
export const packageFileName = (name: string, version: string, extension: "jar" | "cpb" | "cpi"): string =>
  `${`${name}-${version}`.replaceAll(/[^A-Za-z0-9._-]+/g, "-")}.${extension}`;

/**
 * Reads a CPI and everything in it, and trusts nothing: each of its archives is checked by itself. Nothing in it is run.
 * Throws a refusal (`package.*`, `certificate.*`, `input.invalid`) that names the archive and the reason.
 */
export async function readCpi(bytesOrPath: Uint8Array | string, trust: CodeTrust): Promise<CpiContents> {
  const bytes = typeof bytesOrPath === "string" ? await readPackageFile(bytesOrPath) : bytesOrPath;
  const jar = await readJar(bytes, "The CPI", trust);
  checkFormat(jar, "CPI", "The CPI");
  const cpbs = [...jar.entries.keys()].filter((name) => /^[^/]+\.cpb$/i.test(name));
  if (cpbs.length > 1)
    throw refusal("cpbTwice", "The CPI", `it holds ${cpbs.length} CPBs (${cpbs.join(", ")}), and at most one is allowed`);
  const [cpb] = cpbs;
  return {
    id: {
      cpiName: attribute(jar, "Corda-CPI-Name", "The CPI"),
      cpiVersion: attribute(jar, "Corda-CPI-Version", "The CPI"),
      signerSummaryHash: signerSummaryHash(jar.signers.flat()),
    },
    fileChecksum: secureHashOf(bytes),
    groupPolicy: entryText(jar, GROUP_POLICY, "The CPI", "groupPolicyMissing"),
    cpks: cpb === undefined ? [] : await readCpb(jar.entries.get(cpb) as Uint8Array, `The CPB ${cpb}`, trust),
  };
}

/** The CPKs of a CPB; `what` names it in messages. Throws as `readCpi`. */
export async function readCpb(bytes: Uint8Array, what: string, trust: CodeTrust): Promise<readonly CpkContents[]> {
  const jar = await readJar(bytes, what, trust);
  checkFormat(jar, "CPB", what);
  attribute(jar, "Corda-CPB-Name", what);
  attribute(jar, "Corda-CPB-Version", what);
  const cpks: (CpkContents & { readonly dependencies: readonly Dependency[] })[] = [];
  for (const [name, entry] of jar.entries) if (/^[^/]+\.jar$/i.test(name)) cpks.push(await readCpk(entry, name, trust));
  if (cpks.length === 0) throw refusal("cpkMissing", what, "it holds no CPK");
  for (const [i, cpk] of cpks.entries()) {
    if (cpks.findIndex(({ name }) => name === cpk.name) !== i) throw refusal("cpkTwice", what, `it holds two CPKs called ${cpk.name}`);
    for (const dependency of cpk.dependencies) checkDependency(cpk, dependency, cpks, what);
  }
  return cpks.map(({ dependencies: _, ...cpk }) => cpk);
}

type Dependency = Type.Static<typeof Dependency>;

async function readCpk(bytes: Uint8Array, fileName: string, trust: CodeTrust) {
  const what = `The CPK ${fileName}`;
  const jar = await readJar(bytes, what, trust);
  checkFormat(jar, "CPK", what);
  const manifest = decodeManifest(entryJson(jar, CORDAPP_MANIFEST, what));
  const type = jar.attributes.has("cordapp-contract-name") ? "contract" : "workflow";
  if (type !== cpkType(manifest))
    throw refusal("typeDiffers", what, `its attributes say that it is a ${type} CPK, and what it holds is not one`);
  const migrations = readMigrations(jar, what);
  return {
    fileName,
    name: jar.attributes.get("corda-cpk-cordapp-name") ?? attribute(jar, "Bundle-SymbolicName", what),
    version: attribute(jar, "Bundle-Version", what),
    type,
    signerSummaryHash: signerSummaryHash(jar.signers.flatMap(([leaf]) => (leaf === undefined ? [] : [leaf]))),
    fileChecksum: secureHashOf(bytes),
    minimumPlatformVersion: platformVersion(jar, what),
    manifest,
    script: entryText(jar, SCRIPT, what, "bundleMissing"),
    migrations,
    tables: await checkTables(what, migrations, manifest),
    bytes,
    dependencies: decodeDependencies(entryJson(jar, DEPENDENCIES, what)).dependencies,
  } as const;
}

/** By their names, which begin with their numbers. */
const readMigrations = (jar: SignedJar, what: string): readonly CpkMigration[] =>
  [...jar.entries.keys()]
    .filter((name) => name.startsWith(MIGRATIONS) && name !== MIGRATIONS)
    .sort()
    .map((name) => ({ fileName: name.slice(MIGRATIONS.length), text: entryText(jar, name, what, "textInvalid") }));

const checkTables = async (what: string, migrations: readonly CpkMigration[], { entities = [] }: CordappManifest) =>
  migrations.length + entities.length === 0 ? [] : checkMigrations(what, migrations, entities);

/** Which of the two kinds a CPK is, and the names that the original gives each. */
function kindAttributes({ name, version, vendor, licence, manifest }: CpkSource): readonly (readonly [string, string])[] {
  const kind = cpkType(manifest) === "contract" ? "Contract" : "Workflow";
  const major = /^[0-9]+/.exec(version)?.[0] ?? "1";
  return [
    [`Cordapp-${kind}-Name`, name],
    [`Cordapp-${kind}-Version`, major],
    [`Cordapp-${kind}-Vendor`, vendor ?? UNSAID],
    [`Cordapp-${kind}-Licence`, licence ?? UNSAID],
  ];
}

/** The names of what the CorDapp defines, for tools that look no further than the manifest. */
function indexAttributes({ flows, contracts }: CordappManifest): readonly (readonly [string, string])[] {
  const namesOf = (definitions: readonly { readonly name: string }[]): string => definitions.map(({ name }) => name).join(",");
  const index = [
    ["Corda-Contract-Classes", namesOf(contracts)],
    ["Corda-Flow-Classes", namesOf(flows)],
    ["Corda-ClientStartableFlow-Classes", namesOf(flows.filter(({ startable }) => startable))],
    ["Corda-InitiatedFlow-Classes", namesOf(flows.filter(({ answers }) => answers !== undefined))],
  ] as const;
  return index.filter(([, names]) => names !== "");
}

const packageAttributes = (kind: "CPB" | "CPI", name: string, version: string) =>
  [
    [`Corda-${kind}-Format`, FORMAT],
    [`Corda-${kind}-Name`, name],
    [`Corda-${kind}-Version`, version],
  ] as const;

function checkFormat(jar: SignedJar, kind: "CPK" | "CPB" | "CPI", what: string): void {
  const format = jar.attributes.get(`corda-${kind.toLowerCase()}-format`);
  if (format === undefined) throw refusal("formatMissing", what, `its manifest has no Corda-${kind}-Format, so it is not a ${kind}`);
  if (format !== FORMAT) throw refusal("formatUnknown", what, `its format is ${format}, and only ${FORMAT} is read`);
}

function checkDependency(cpk: CpkContents, { name, version }: Dependency, cpks: readonly CpkContents[], what: string): void {
  const found = cpks.find((candidate) => candidate.name === name && candidate.version === version);
  if (found === undefined) throw refusal("dependencyMissing", what, `${cpk.name} goes with ${name} ${version}, which is not in it`);
  if (found.signerSummaryHash !== cpk.signerSummaryHash)
    throw refusal("dependencySigner", what, `${cpk.name} and ${name}, which it goes with, have different signers`);
}

function platformVersion(jar: SignedJar, what: string): number {
  const text = jar.attributes.get("min-platform-version") ?? String(PLATFORM_VERSION_FIRST);
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw refusal("attributeInvalid", what, `its Min-Platform-Version "${text}" is not a number`);
}

function attribute(jar: SignedJar, name: string, what: string): string {
  const value = jar.attributes.get(name.toLowerCase());
  if (value !== undefined && value.trim() !== "") return value;
  throw refusal("attributeMissing", what, `its manifest has no ${name}`);
}

function entryText(jar: SignedJar, name: string, what: string, missing: string): string {
  const bytes = jar.entries.get(name);
  if (bytes === undefined) throw refusal(missing, what, `it has no ${name}`);
  try {
    return fromUtf8(bytes);
  } catch {
    throw refusal("textInvalid", what, `${name} is not UTF-8`);
  }
}

function entryJson(jar: SignedJar, name: string, what: string): unknown {
  const text = entryText(jar, name, what, "bundleMissing");
  try {
    return JSON.parse(text);
  } catch {
    throw refusal("textInvalid", what, `${name} is not JSON`);
  }
}

async function readPackageFile(path: string): Promise<Uint8Array> {
  const { size } = await stat(path);
  if (size > ARCHIVE_LENGTH_MAX)
    throw refusal("tooLarge", "The CPI", `it has ${size} bytes, and at most ${ARCHIVE_LENGTH_MAX} are allowed`);
  return new Uint8Array(await readFile(path));
}

const json = (value: unknown): Uint8Array => utf8(`${JSON.stringify(value, null, 2)}\n`);

const refusal = (code: string, what: string, reason: string): BowlineError =>
  badRequest(`package.${code}`, `${what} is refused: ${reason}.`, { package: what, reason });
