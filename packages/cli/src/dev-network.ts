// What `bowline dev` sets up over REST: the example's packages, a notary and three companies. Each step looks first at
// what is there, so that a start continues wherever the one before ended.

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseName } from "@bowline/base";
import type { Connection } from "./connection.ts";
import { cpiStored, uploadCpi } from "./cpi.ts";
import { staticGroupPolicy } from "./group-policy.ts";
import type { NamedNode } from "./identity.ts";
import { type CodeSigner, developmentSigner, packCpi, packProject } from "./package-files.ts";
import type { Progress } from "./progress.ts";
import { usage } from "./terminal.ts";
import { requestVirtualNode, virtualNodeReady } from "./vnode.ts";

export const EXAMPLE = fileURLToPath(new URL("../../../examples/obligation", import.meta.url));

const NOTARY = parseName("O=Notary, L=Zurich, C=CH");
const NOTARY_SERVICE = parseName("O=Notary Service, L=Zurich, C=CH");
export const COMPANIES = ["O=Alice, L=London, C=GB", "O=Bob, L=Paris, C=FR", "O=Charlie, L=Berlin, C=DE"].map(parseName);
const ENDPOINT = "https://localhost:1080";
const CERTIFICATE_ALIAS = "bowline-dev";

interface CpiFile {
  readonly name: string;
  readonly version: string;
  readonly fileName: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface DevPackages {
  readonly signer: CodeSigner;
  readonly cordapp: CpiFile;
  readonly notary: CpiFile;
}

/** Bundles and signs the example for the network of this home. Needs no running network. */
export async function buildDevPackages(home: string): Promise<DevPackages> {
  const signer = await developmentSigner(home);
  const groupPolicy = groupPolicyOf(home);
  const { name, version, cpb } = await packProject(EXAMPLE, signer);
  const [cordapp, notary] = await Promise.all([
    packCpi({ name, version, cpb, groupPolicy, signer }),
    packCpi({ name: "notary", version, groupPolicy, signer }),
  ]);
  return {
    signer,
    cordapp: { name, version, fileName: `${name}-${version}.cpi`, bytes: cordapp },
    notary: { name: "notary", version, fileName: `notary-${version}.cpi`, bytes: notary },
  };
}

/** The companies' virtual nodes, made where they are missing. */
export async function prepareNetwork(connection: Connection, packages: DevPackages, progress: Progress): Promise<readonly NamedNode[]> {
  progress.step("Uploading the packages");
  await trustSigner(connection, packages.signer);
  const checksums = await Promise.all([packages.notary, packages.cordapp].map((file) => ensureCpi(connection, file, progress)));
  const [notaryCpi, cordappCpi] = checksums as [string, string];
  progress.done("Uploaded the packages");
  progress.step("Creating the virtual nodes");
  await ensureVirtualNodes(connection, [NOTARY], notaryCpi);
  await ensureVirtualNodes(connection, COMPANIES, cordappCpi);
  const nodes = await connection.virtualNodes();
  progress.done(`A notary and ${COMPANIES.length} companies are there`);
  return COMPANIES.map((name) => {
    const node = nodes.find(({ x500Name }) => x500Name === name);
    if (node === undefined) throw usage("vnodeFailed", `${name} has no virtual node although it was created. See why: bowline logs.`);
    return node;
  });
}

async function trustSigner(connection: Connection, { certificatePem }: CodeSigner): Promise<void> {
  const usageName = "code-signer";
  const aliases = await connection.call("listClusterCertificates", { params: { usage: usageName } });
  if (aliases.includes(CERTIFICATE_ALIAS)) return;
  const form = new FormData();
  form.append("alias", CERTIFICATE_ALIAS);
  form.append("certificate", new File([certificatePem], `${CERTIFICATE_ALIAS}.pem`));
  await connection.call("importClusterCertificate", { params: { usage: usageName }, body: form });
}

/** The checksum of the CPI of this name and version, uploaded where there is none. */
async function ensureCpi(connection: Connection, { name, version, fileName, bytes }: CpiFile, progress: Progress): Promise<string> {
  const { cpis } = await connection.call("listCpis", {});
  const known = cpis.find(({ id }) => id.cpiName === name && id.cpiVersion === version);
  if (known === undefined) return cpiStored(connection, await uploadCpi(connection, fileName, bytes));
  if (known.cpks.length > 0) progress.detail(`${name} ${version} is there already`);
  return known.cpiFileChecksum;
}

async function ensureVirtualNodes(connection: Connection, names: readonly string[], checksum: string): Promise<void> {
  const known = new Set((await connection.virtualNodes()).map(({ x500Name }) => x500Name));
  const missing = names.filter((name) => !known.has(name));
  const requests = await Promise.all(missing.map((name) => requestVirtualNode(connection, checksum, name)));
  await Promise.all(requests.map((request) => virtualNodeReady(connection, request)));
}

/** The network keeps its id over restarts: it is made once, and written down. */
function groupPolicyOf(home: string): string {
  const file = join(home, "group-policy.json");
  if (!existsSync(file)) {
    const policy = staticGroupPolicy({
      groupId: randomUUID(),
      members: COMPANIES,
      notary: { name: NOTARY, serviceName: NOTARY_SERVICE },
      endpoint: ENDPOINT,
    });
    writeFileSync(`${file}.new`, `${JSON.stringify(policy, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
  return readFileSync(file, "utf8");
}
