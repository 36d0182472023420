// From a CorDapp's folder to signed packages. What a CorDapp is made of stands in its package.json, under "bowline":
//
//   "bowline": { "name": "obligation", "version": "1.0.0", "cpks": [
//     { "name": "com.example.obligation.contract", "version": "1.0.0", "type": "contract", "entry": "src/contract/index.ts" } ] }

import { webcrypto } from "node:crypto";
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { decoder, parseName } from "@bowline/base";
import { buildCpb, buildCpi, buildCpk, type JarSigner, packageFileName } from "@bowline/cluster";
import { createSelfSigned, credentialPem, parseCredential } from "@bowline/crypto";
import Type from "typebox";
import { type Bundle, bundleCordapp } from "./bundle.ts";
import { usage } from "./terminal.ts";

const text = Type.String({ minLength: 1, maxLength: 255 });
const CpkSection = Type.Object(
  {
    name: text,
    version: text,
    type: Type.Union([Type.Literal("contract"), Type.Literal("workflow")]),
    entry: text,
    vendor: Type.Optional(text),
    licence: Type.Optional(text),
    /** Names of other CPKs of this CorDapp that it goes with. */
    dependencies: Type.Optional(Type.Array(text)),
    /** The folder of its SQL files, which make the tables of its entities. */
    migrations: Type.Optional(text),
    minimumPlatformVersion: Type.Optional(Type.Integer({ minimum: 50_000 })),
  },
  { additionalProperties: false },
);
type CpkSection = Type.Static<typeof CpkSection>;
const Project = Type.Object({ name: text, version: text, cpks: Type.Array(CpkSection, { minItems: 1 }) }, { additionalProperties: false });
export type Project = Type.Static<typeof Project>;

const decodeProject = decoder(Project, 'the section "bowline"');

export interface PackageFile {
  readonly fileName: string;
  readonly bytes: Uint8Array;
}

export interface PackedProject {
  readonly name: string;
  readonly version: string;
  readonly cpks: readonly PackageFile[];
  readonly cpb: PackageFile;
}

/** The bundle of the CPK that has this flow, as the sources are now. Throws `cli.flowMissing`. */
export async function projectBundle(folder: string, flowName: string, debug: boolean): Promise<Bundle> {
  const { cpks } = readProject(folder);
  for (const { entry } of cpks) {
    const bundle = await bundleCordapp(join(folder, entry), { debug });
    if (bundle.manifest.flows.some(({ name }) => name === flowName)) return bundle;
  }
  throw usage("flowMissing", `The CorDapp in ${folder} has no flow ${flowName}. Name the folder of the one that has: --cordapp DIR.`);
}

/** Throws `cli.project` where the folder holds no CorDapp, or one that does not say what it is made of. */
export function readProject(folder: string): Project {
  const file = join(folder, "package.json");
  if (!existsSync(file)) throw usage("project", `There is no CorDapp in ${folder}: it has no package.json.`);
  try {
    const { bowline } = JSON.parse(readFileSync(file, "utf8")) as { readonly bowline?: unknown };
    if (bowline === undefined) throw usage("project", `${file} has no section "bowline" that names its CPKs.`);
    return decodeProject(bowline);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) throw usage("project", `${file} is not JSON: ${thrown.message}.`);
    if (thrown instanceof Error && thrown.name === "BowlineError") throw usage("project", `${file}: ${thrown.message}`);
    throw thrown;
  }
}

/** Bundles and signs every CPK of a CorDapp, and the CPB of them all. */
export async function packProject(folder: string, signer: JarSigner): Promise<PackedProject> {
  const project = readProject(folder);
  const cpks = await Promise.all(project.cpks.map((cpk) => packCpk(folder, project, cpk, signer)));
  const { name, version } = project;
  const cpb = { fileName: packageFileName(name, version, "cpb"), bytes: await buildCpb({ name, version, cpks }, [signer]) };
  return { name, version, cpks, cpb };
}

/** A CPI: a CorDapp (or none: a notary's) for one network. */
export async function packCpi(
  source: { readonly name: string; readonly version: string; readonly groupPolicy: string; readonly cpb?: PackageFile },
  signer: JarSigner,
): Promise<PackageFile> {
  return { fileName: packageFileName(source.name, source.version, "cpi"), bytes: await buildCpi(source, [signer]) };
}

async function packCpk(folder: string, project: Project, cpk: CpkSection, signer: JarSigner): Promise<PackageFile> {
  const { name, version, entry, type, dependencies = [], migrations: migrationFolder, ...attributes } = cpk;
  const { script, manifest } = await bundleCordapp(resolve(folder, entry));
  const holds = manifest.contracts.length + manifest.states.length > 0 ? "contract" : "workflow";
  if (holds !== type)
    throw usage("project", `The CPK ${name} says that it is a ${type} CPK, and what ${entry} exports makes it a ${holds} CPK.`);
  const needed = dependencies.map((dependency) => {
    const found = project.cpks.find((each) => each.name === dependency);
    if (found === undefined) throw usage("project", `The CPK ${name} goes with ${dependency}, which is not a CPK of this CorDapp.`);
    return { name: found.name, version: found.version };
  });
  const migrations = migrationFolder === undefined ? [] : readMigrations(resolve(folder, migrationFolder), name);
  const bytes = await buildCpk({ name, version, script, manifest, migrations, dependencies: needed, ...attributes }, [signer]);
  return { fileName: packageFileName(name, version, "jar"), bytes };
}

/** In the order of their names, which begin with their numbers. */
function readMigrations(folder: string, cpk: string) {
  if (!existsSync(folder)) throw usage("project", `The CPK ${cpk} has its migrations in ${folder}, and there is no such folder.`);
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql"));
  return files.sort().map((fileName) => ({ fileName, text: readFileSync(join(folder, fileName), "utf8") }));
}

/** The bundler runs as a process beside this one, and would stay for as long as this one does. */
export async function stopBundler(): Promise<void> {
  const { stop } = await import("esbuild");
  await stop();
}

const SIGNER_FILE = "code-signing.pem";
const SIGNER_NAME = "CN=Bowline development code signing, O=Bowline, L=London, C=GB";
const SIGNER_DAYS = 3_650;
const SIGNER_ALIAS = "bowline";

/** The key that signs on this machine only: made once, in a file that only its owner reads. */
export async function developmentSigner(home: string): Promise<JarSigner> {
  const file = join(home, "secrets", SIGNER_FILE);
  if (!existsSync(file)) await makeSigner(file);
  return { alias: SIGNER_ALIAS, ...parseCredential(readFileSync(file, "utf8")) };
}

async function makeSigner(file: string): Promise<void> {
  const folder = join(file, "..");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const env = { now: Date.now(), random: (length: number) => webcrypto.getRandomValues(new Uint8Array(length)) };
  const credential = await createSelfSigned({ subject: parseName(SIGNER_NAME), use: "code-signing", days: SIGNER_DAYS }, env);
  const aside = `${file}.${process.pid}`;
  writeFileSync(aside, credentialPem(credential), { mode: 0o600 });
  try {
    linkSync(aside, file); // Whole or not at all; of two that try at once, one wins.
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
  } finally {
    rmSync(aside, { force: true });
  }
}

/** The signer of a PEM file: a private key and its certificate chain, leaf first. */
export function signerOfPem(pem: string, alias: string): JarSigner {
  return { alias, ...parseCredential(pem) };
}

/** What others must trust to run what this signer signs. */
export const certificatePem = ({ chain }: Pick<JarSigner, "chain">): string => chain.map((certificate) => certificate.toString()).join("");
