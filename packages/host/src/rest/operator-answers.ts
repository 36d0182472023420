// What operators ask for: greeting, packages, certificates, virtual nodes, members.

import { readFile } from "node:fs/promises";
import { BowlineError, badRequest, parseShortHash, type SecureHash, type ShortHash, shortHash } from "@bowline/base";
import { CONFIG_SCHEMA_VERSION } from "@bowline/cluster/config";
import { decodeParameters, flatParameters, selectMembers } from "@bowline/membership";
import type { CpiInfo, VirtualNodeInfo } from "../services.ts";
import type { Answers, RestShell, UploadedFile } from "./answers.ts";
import { requireVirtualNode } from "./input.ts";

export const helloAnswers: Pick<Answers, "hello"> = {
  hello: async ({ query, login }) => ({ body: `Hello, ${query.addressee}! (from ${login})` }),
};

export function cpiAnswers({ services }: RestShell): Pick<Answers, "uploadCpi" | "cpiStatus" | "listCpis"> {
  return {
    async uploadCpi({ files }) {
      const { fileName, path, keep } = only(files.upload, "upload");
      const taken = await services.db.uploadCpi({ fileName, path });
      keep(); // From here on it is the db role's to remove.
      return { body: taken };
    },
    cpiStatus: async ({ params }) => ({ body: await services.db.cpiStatus({ id: params.id }) }),
    listCpis: async () => ({ body: { cpis: (await services.db.cpis(null)).map(cpiBody) } }),
  };
}

function cpiBody({ id, cpiFileFullChecksum, groupPolicy, timestamp, cpks }: CpiInfo) {
  return {
    id,
    cpiFileChecksum: shortHash(cpiFileFullChecksum),
    cpiFileFullChecksum: digits(cpiFileFullChecksum),
    groupPolicy,
    timestamp: new Date(timestamp).toISOString(),
    cpks: cpks.map((cpk) => ({
      id: { name: cpk.name, version: cpk.version, signerSummaryHash: cpk.signerSummaryHash },
      mainBundle: cpk.name,
      libraries: [],
      type: cpk.type.toUpperCase(),
      hash: cpk.fileChecksum,
      timestamp: new Date(cpk.timestamp).toISOString(),
    })),
  };
}

const digits = (hash: SecureHash): string => hash.slice(hash.indexOf(":") + 1);

type CertificateOperations =
  | "importClusterCertificate"
  | "listClusterCertificates"
  | "getClusterCertificate"
  | "importVirtualNodeCertificate"
  | "listVirtualNodeCertificates"
  | "getVirtualNodeCertificate";

export function certificateAnswers({ services: { db } }: RestShell): Pick<Answers, CertificateOperations> {
  const store = async (usage: string, vnode: ShortHash | null, alias: string, files: readonly UploadedFile[] | undefined) => {
    if (files === undefined || files.length === 0)
      throw badRequest("rest.partMissing", "The part certificate is missing.", { field: "certificate" });
    const pem = (await Promise.all(files.map(({ path }) => readFile(path, "utf8")))).join("\n");
    await db.importCertificate({ usage, vnode, alias, pem });
    return { body: null };
  };
  const get = async (usage: string, vnode: ShortHash | null, alias: string) => {
    const pem = await db.certificate({ usage, vnode, alias });
    if (pem === null)
      throw new BowlineError("notFound", "certificate.unknown", `There is no ${usage} certificate ${alias}.`, { alias, usage });
    return { body: pem };
  };
  return {
    importClusterCertificate: ({ params, texts, files }) => store(params.usage, null, texts.alias ?? "", files.certificate),
    listClusterCertificates: async ({ params }) => ({ body: [...(await db.certificates({ usage: params.usage, vnode: null }))] }),
    getClusterCertificate: ({ params }) => get(params.usage, null, params.alias),
    importVirtualNodeCertificate: ({ params, texts, files }) =>
      store(params.usage, ownerOf(params.holdingidentityid), texts.alias ?? "", files.certificate),
    listVirtualNodeCertificates: async ({ params }) => ({
      body: [...(await db.certificates({ usage: params.usage, vnode: ownerOf(params.holdingidentityid) }))],
    }),
    getVirtualNodeCertificate: ({ params }) => get(params.usage, ownerOf(params.holdingidentityid), params.alias),
  };
}

/** Certificates alone also take a longer part of the hash. */
function ownerOf(text: string): ShortHash {
  const hash = /^[0-9a-fA-F]{12,64}$/.test(text) ? parseShortHash(text.slice(0, 12)) : undefined;
  if (hash !== undefined) return hash;
  throw badRequest("input.shortHash", `"${text}" is no holding identity: it has 12 to 64 hexadecimal digits.`, { holdingIdentityId: text });
}

const CONNECTIONS = [
  "vaultDdlConnection",
  "vaultDmlConnection",
  "cryptoDdlConnection",
  "cryptoDmlConnection",
  "uniquenessDdlConnection",
  "uniquenessDmlConnection",
] as const;

type VirtualNodeOperations = "createVirtualNode" | "upgradeVirtualNode" | "virtualNodeStatus" | "listVirtualNodes" | "getVirtualNode";

export function virtualNodeAnswers(shell: RestShell): Pick<Answers, VirtualNodeOperations> {
  const { db } = shell.services;
  return {
    async createVirtualNode({ body }) {
      const connection = CONNECTIONS.find((name) => body[name] !== undefined && body[name] !== null);
      if (connection !== undefined)
        throw badRequest(
          "vnode.connectionsUnsupported",
          `${connection} is not supported: the databases of a virtual node are made by the cluster.`,
          {
            field: connection,
          },
        );
      return { body: await db.createVirtualNode({ cpiFileChecksum: body.cpiFileChecksum, x500Name: body.x500Name }) };
    },
    async upgradeVirtualNode({ params }) {
      const { holdingIdentity } = await requireVirtualNode(shell, params.virtualnodeshortid);
      return { body: await db.upgradeVirtualNode({ vnode: holdingIdentity.shortHash, cpiFileChecksum: params.targetcpifilechecksum }) };
    },
    async virtualNodeStatus({ params }) {
      const status = await db.virtualNodeStatus({ requestId: params.requestid });
      return { body: { ...status, lastUpdatedTimestamp: new Date(status.lastUpdatedTimestamp).toISOString() } };
    },
    listVirtualNodes: async () => ({ body: { virtualNodes: (await db.virtualNodes(null)).map(virtualNodeBody) } }),
    getVirtualNode: async ({ params }) => ({ body: virtualNodeBody(await requireVirtualNode(shell, params.holdingidentityshorthash)) }),
  };
}

/** Null where no package, of this version or one before, has a channel. */
function routeConfiguration(
  { cpiName, cpiVersion, signerSummaryHash }: VirtualNodeInfo["cpi"],
  { current, previous }: VirtualNodeInfo["externalRoutes"],
) {
  if (current.length + previous.length === 0) return null;
  const currentRoutes = { cpiIdentifier: { cpiName, cpiVersion, signerSummaryHash }, routes: [...current] };
  return { currentRoutes, previousVersionRoutes: previous.map(({ cpiIdentifier, routes }) => ({ cpiIdentifier, routes: [...routes] })) };
}

function virtualNodeBody({ holdingIdentity, cpi, connections, statuses, operationInProgress, externalRoutes }: VirtualNodeInfo) {
  const { cpiName, cpiVersion, signerSummaryHash } = cpi;
  return {
    holdingIdentity: { ...holdingIdentity, fullHash: digits(holdingIdentity.fullHash) },
    cpiIdentifier: { cpiName, cpiVersion, signerSummaryHash },
    vaultDdlConnectionId: connections.vaultDdl,
    vaultDmlConnectionId: connections.vaultDml,
    cryptoDdlConnectionId: connections.cryptoDdl,
    cryptoDmlConnectionId: connections.cryptoDml,
    uniquenessDdlConnectionId: connections.uniquenessDdl,
    uniquenessDmlConnectionId: connections.uniquenessDml,
    hsmConnectionId: null,
    flowP2pOperationalStatus: statuses.flowP2p,
    flowStartOperationalStatus: statuses.flowStart,
    flowOperationalStatus: statuses.flow,
    vaultDbOperationalStatus: statuses.vaultDb,
    operationInProgress,
    externalMessagingRouteConfiguration: routeConfiguration(cpi, externalRoutes),
  };
}

export function configAnswers({ services: { db } }: RestShell): Pick<Answers, "getConfig" | "changeConfig"> {
  return {
    async getConfig({ params }) {
      const { section, source, version, withDefaults } = await db.config({ section: params.section });
      return { body: { section, version, schemaVersion: CONFIG_SCHEMA_VERSION, sourceConfig: source, configWithDefaults: withDefaults } };
    },
    async changeConfig({ body: { section, config, schemaVersion, version }, login }) {
      const source = typeof config === "string" ? config : JSON.stringify(config);
      const saved = await db.changeConfig({ section, source, schemaVersion, version, actor: login });
      return { body: { section, version: saved.version, schemaVersion, config: saved.source } };
    },
  };
}

export function memberAnswers(shell: RestShell): Pick<Answers, "listMembers" | "getGroupParameters"> {
  const { db } = shell.services;
  return {
    async listMembers({ params, query }) {
      const { holdingIdentity } = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const { statuses = ["ACTIVE"], ...names } = query;
      const members = selectMembers(await db.members({ groupId: holdingIdentity.groupId }), holdingIdentity.x500Name, names, statuses);
      return { body: { members: members.map(({ memberContext, mgmContext }) => ({ memberContext, mgmContext })) } };
    },
    async getGroupParameters({ params }) {
      const { holdingIdentity } = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const signed = await db.groupParameters({ groupId: holdingIdentity.groupId, hash: null });
      if (signed === null)
        throw new BowlineError("notFound", "membership.noParameters", `Group ${holdingIdentity.groupId} has no parameters yet.`, {});
      return { body: { parameters: flatParameters(decodeParameters(signed.bytes)) } };
    },
  };
}

function only(files: readonly UploadedFile[] | undefined, part: string): UploadedFile {
  const [file] = files ?? [];
  if (file === undefined) throw badRequest("rest.partMissing", `The file part ${part} is missing.`, { field: part });
  return file;
}
