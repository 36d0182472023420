// What `bowline dev` sets up over REST: a CorDapp's packages, a notary and three companies. Each step looks first at
// what is there, so that a start continues wherever the one before ended.

import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseName } from "@bowline/base";
import type { JarSigner } from "@bowline/cluster";
import type { Connection, CpiReply } from "./connection.ts";
import { cpiStored, trustCertificate, uploadCpi } from "./cpi.ts";
import { exampleFolder } from "./example-folder.ts";
import { type NotaryType, notaryTypeOf, staticGroupPolicy } from "./group-policy.ts";
import type { NamedNode } from "./identity.ts";
import { certificatePem, developmentSigner, type PackageFile, packCpi, packProject, readProject, stopBundler } from "./package-files.ts";
import type { Progress } from "./progress.ts";
import { usage } from "./terminal.ts";
import { requestVirtualNode, virtualNodeReady } from "./vnode.ts";

/** What runs where no CorDapp is named. */
export const EXAMPLE = exampleFolder("obligation");

const NOTARY = parseName("O=Notary, L=Zurich, C=CH");
const NOTARY_SERVICE = parseName("O=Notary Service, L=Zurich, C=CH");
export const COMPANIES = ["O=Alice, L=London, C=GB", "O=Bob, L=Paris, C=FR", "O=Charlie, L=Berlin, C=DE"].map(parseName);
const ENDPOINT = "https://localhost:1080";
const NOTARY_CPI = { name: "notary", version: "1.0.0" };

/** The CorDapp's packages: built when they are first asked for, which a network that has them never does. */
export interface DevPackages {
  readonly folder: string;
  readonly signer: JarSigner;
  /** Whether the network may lack them: the sources are not those that were last uploaded. */
  readonly changed: boolean;
  cordapp(): Promise<PackageFile>;
  notary(): Promise<PackageFile>;
  /** Remembers that these sources are uploaded. */
  uploaded(): void;
}

/** Of the CorDapp in `folder`, for the network of this home, whose notary is of that type where it is named. Needs nothing that runs. */
export async function devPackages(home: string, folder: string, notaryType?: NotaryType): Promise<DevPackages> {
  const signer = await developmentSigner(home);
  const groupPolicy = groupPolicyOf(home, notaryType);
  const mark = join(home, "cache", `${readProject(folder).name}.sha256`);
  const sources = hashOfSources(folder);
  let packed: Promise<PackageFile> | undefined;
  return {
    folder,
    signer,
    changed: !existsSync(mark) || readFileSync(mark, "utf8") !== sources,
    cordapp() {
      packed ??= packProject(folder, signer)
        .then(({ name, version, cpb }) => packCpi({ name, version, cpb, groupPolicy }, signer))
        .finally(stopBundler);
      return packed;
    },
    notary: () => packCpi({ ...NOTARY_CPI, groupPolicy }, signer),
    uploaded() {
      mkdirSync(dirname(mark), { recursive: true, mode: 0o700 });
      writeFileSync(mark, sources);
    },
  };
}

/** The companies' virtual nodes, made where they are missing. */
export async function prepareNetwork(connection: Connection, packages: DevPackages, progress: Progress): Promise<readonly NamedNode[]> {
  progress.step("Uploading the packages");
  await trustSigner(connection, packages.signer);
  const { cpis } = await connection.call("listCpis", {});
  const project = readProject(packages.folder);
  const notary = await ensureCpi(connection, cpis, NOTARY_CPI, packages.notary);
  const cordapp = await ensureCpi(connection, cpis, project, packages.cordapp);
  if (cordapp.uploaded) packages.uploaded();
  progress.done(cordapp.uploaded ? "Uploaded the packages" : "The packages are there already");
  if (!cordapp.uploaded && packages.changed)
    progress.note("The CorDapp has changed since it was uploaded. This network keeps the code that it has; bowline reset begins anew.");
  progress.step("Creating the virtual nodes");
  await ensureVirtualNodes(connection, [NOTARY], NOTARY_CPI, notary.checksum);
  await ensureVirtualNodes(connection, COMPANIES, project, cordapp.checksum);
  const nodes = await connection.virtualNodes();
  progress.done(`A notary and ${COMPANIES.length} companies are there`);
  return COMPANIES.map((name) => {
    const node = nodes.find(({ x500Name }) => x500Name === name);
    if (node === undefined) throw usage("vnodeFailed", `${name} has no virtual node although it was created. See why: bowline logs.`);
    return node;
  });
}

export async function trustSigner(connection: Connection, signer: JarSigner): Promise<void> {
  const aliases = await connection.call("listClusterCertificates", { params: { usage: "code-signer" } });
  if (!aliases.includes(signer.alias)) await trustCertificate(connection, signer.alias, certificatePem(signer));
}

/** The checksum of the CPI of this name and version, uploaded where there is none. */
async function ensureCpi(
  connection: Connection,
  cpis: readonly CpiReply[],
  { name, version }: { readonly name: string; readonly version: string },
  build: () => Promise<PackageFile>,
): Promise<{ readonly checksum: string; readonly uploaded: boolean }> {
  const known = cpis.find(({ id }) => id.cpiName === name && id.cpiVersion === version);
  if (known !== undefined) return { checksum: known.cpiFileChecksum, uploaded: false };
  const { fileName, bytes } = await build();
  return { checksum: await cpiStored(connection, await uploadCpi(connection, fileName, bytes)), uploaded: true };
}

async function ensureVirtualNodes(
  connection: Connection,
  names: readonly string[],
  { name, version }: { readonly name: string; readonly version: string },
  checksum: string,
): Promise<void> {
  const known = (await connection.virtualNodes()).filter(({ x500Name }) => names.includes(x500Name));
  const other = known.find(({ cpiIdentifier }) => cpiIdentifier.cpiName !== name || cpiIdentifier.cpiVersion !== version);
  if (other !== undefined) {
    const { cpiName, cpiVersion } = other.cpiIdentifier;
    throw usage(
      "vnodeOther",
      `${other.x500Name} runs ${cpiName} ${cpiVersion} here, not ${name} ${version}. Choose another folder with --home, or begin anew with bowline reset.`,
    );
  }
  const missing = names.filter((name) => !known.some(({ x500Name }) => x500Name === name));
  const requests = await Promise.all(missing.map((name) => requestVirtualNode(connection, checksum, name)));
  await Promise.all(requests.map((request) => virtualNodeReady(connection, request)));
}

/** The network keeps its id and its notary over restarts: they are made once, and written down. */
function groupPolicyOf(home: string, notaryType: NotaryType | undefined): string {
  const file = join(home, "group-policy.json");
  if (!existsSync(file)) {
    const policy = staticGroupPolicy({
      groupId: randomUUID(),
      members: COMPANIES,
      notary: { names: [NOTARY], serviceName: NOTARY_SERVICE, ...(notaryType === undefined ? {} : { type: notaryType }) },
      endpoint: ENDPOINT,
    });
    writeFileSync(`${file}.new`, `${JSON.stringify(policy, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  const text = readFileSync(file, "utf8");
  const type = notaryTypeOf(text);
  if (notaryType !== undefined && notaryType !== type)
    throw usage(
      "notaryOther",
      `The notary of this network is ${type}, and stays so. Choose another folder with --home, or begin anew with bowline reset.`,
    );
  return text;
}

/** Of everything that the packages are made of; tests and samples are no part of them. */
function hashOfSources(folder: string): string {
  const hash = createHash("sha256");
  const files = readdirSync(join(folder, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.includes(".test."))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of [join(folder, "package.json"), ...files])
    hash
      .update(`${file.slice(folder.length)}\0`)
      .update(readFileSync(file))
      .update("\0");
  return hash.digest("hex");
}
