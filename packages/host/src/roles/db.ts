// The db role: owns config and rbac, and is the only one that can make schemas and users. It holds the administrator's
// connection and the secrets root, and asks the crypto role for keys and signatures; it holds no key.

import { BowlineError, type Clock, type Log, type ShortHash, type Sql } from "@bowline/base";
import {
  CRYPTO_DATABASE,
  checkAlias,
  checkPassword,
  loadBundle,
  loadCertificates,
  loadCpis,
  loadIdentity,
  loadVirtualNodes,
  parseUsage,
  type StoredCpi,
  saveCertificate,
  virtualNodeDatabase,
} from "@bowline/cluster";
import { type Access as AccessService, createAccess } from "@bowline/cluster/access";
import { type Administration, createAdministration } from "@bowline/cluster/administration";
import { knownSection, withDefaults } from "@bowline/cluster/config";
import { EXTERNAL_MESSAGING, NOTARY, RBAC } from "@bowline/cluster/config-sections";
import { loadConfig, saveConfig } from "@bowline/cluster/config-store";
import { deriveRoot, parseChain, pemOf } from "@bowline/crypto";
import { loadMembers, loadParameters } from "@bowline/membership";
import { openDatabase } from "../adapters/postgres.ts";
import type { Answering } from "../calls.ts";
import type { RootSecret } from "../home.ts";
import { sealConnection } from "../sealed-connection.ts";
import type { ConnectionDetails, CpiInfo, CryptoService, DbService, LogicalDatabase } from "../services.ts";
import { bootstrap, type ClusterDatabases } from "./db-bootstrap.ts";
import { type ConnectionBook, createConnectionBook } from "./db-connections.ts";
import { createUploads } from "./db-uploads.ts";
import { createVirtualNodes } from "./db-virtual-nodes.ts";
import { type Access, entitlement } from "./entitlements.ts";
import { loadMigrationSets } from "./migrations.ts";
import type { OpenDatabase } from "./provision.ts";
import { createQueue } from "./queue.ts";

export interface DbRoleOptions {
  /** A user that may create roles and schemas. */
  readonly administrator: ConnectionDetails;
  readonly secretsRoot: RootSecret;
  readonly crypto: Pick<CryptoService, "generateKey" | "sign">;
  /** Made where there is no user of that login. */
  readonly firstAdmin: { readonly login: string; readonly password: string };
  readonly env: { now(): number; random(length: number): Uint8Array };
  readonly clock: Pick<Clock, "after">;
  /** No other process works on this cluster: what is not finished at a start nobody else is at. */
  readonly alone: boolean;
  readonly log: Log;
}

export interface DbRole {
  readonly service: Answering<DbService>;
  /** Once the crypto role answers: takes up what a process that died had begun. */
  resume(): Promise<void>;
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 4;
/** How often what another process has left unfinished is looked for. */
const OTHERS_WATCH_MS = 30_000;

export async function createDbRole(options: DbRoleOptions): Promise<DbRole> {
  const { administrator, secretsRoot, crypto, firstAdmin, env, alone, log } = options;
  const { now, random } = env;
  const [root, migrations] = await Promise.all([deriveRoot({ purpose: "secrets", alias: "secrets", ...secretsRoot }), loadMigrationSets()]);
  const book = createConnectionBook(administrator, root, random);
  const open: OpenDatabase = (details) => openDatabase({ ...details, connectionsMax: CONNECTIONS_MAX, log });
  const databases = await bootstrap({ administrator, book, migrations, firstAdmin, open, now, random });
  const { config } = databases;
  const queue = createQueue(log);
  const uploads = createUploads({ config, crypto, queue, now, alone, log });
  const virtualNodes = createVirtualNodes({ config, book, migrations, crypto, queue, open, now, random, log });
  let cancelWatch: (() => void) | undefined;
  const watchOthers = (): void => {
    Promise.all([uploads.resume(), virtualNodes.resumeOperations()]).catch((cause: unknown) =>
      log.warn("the work of other processes could not be looked at", { cause: String(cause) }),
    );
    cancelWatch = options.clock.after(OTHERS_WATCH_MS, watchOthers);
  };
  return {
    service: {
      ...uploads.service,
      ...virtualNodes.service,
      ...access(databases, env),
      ...certificates(databases),
      ...configuration(databases, now),
      ...facts(databases),
      connection: async ({ database, sealTo }, caller) => {
        const access = entitlement(caller.role, database.kind);
        if (access === undefined)
          throw new BowlineError(
            "forbidden",
            "database.notEntitled",
            `Role ${caller.role} is not entitled to a ${database.kind} database.`,
          );
        return { sealed: sealConnection(sealTo, await connectionOf(databases, book, database, access)) };
      },
    },
    async resume() {
      await uploads.resume();
      await virtualNodes.resume();
      if (!alone) cancelWatch = options.clock.after(OTHERS_WATCH_MS, watchOthers);
    },
    async close() {
      cancelWatch?.();
      await queue.close();
      await databases.close();
    },
  };
}

async function connectionOf(
  { config }: ClusterDatabases,
  book: ConnectionBook,
  database: LogicalDatabase,
  access: Access,
): Promise<ConnectionDetails> {
  if (database.kind === "config") return book.config(access);
  const name = await connectionName(config.sql, database);
  const details = await book.find(config.sql, name, "DML");
  if (details === undefined) throw new BowlineError("notFound", "database.unknown", `There is no stored connection ${name}.`, { name });
  return details;
}

async function connectionName(sql: Sql, database: LogicalDatabase): Promise<string> {
  if (!("vnode" in database)) return database.kind === "crypto" ? (CRYPTO_DATABASE.connection as string) : `corda-${database.kind}`;
  if (database.kind === "uniqueness") {
    const node = (await loadVirtualNodes(sql)).find(({ identity }) => identity.shortHash === database.vnode);
    if (node?.uniqueness != null) return node.uniqueness;
  }
  const kind = database.kind === "vnode-crypto" ? "crypto" : database.kind;
  return virtualNodeDatabase(kind, database.vnode).connection as string;
}

function access({ config, rbac }: ClusterDatabases, env: DbRoleOptions["env"]): AccessService & Administration {
  const policy = async () => RBAC.read((await loadConfig(config.sql, RBAC.name))?.source ?? "").password;
  const users = createAccess(rbac.sql, { ...env, policy, checkPassword });
  return { ...users.access, ...createAdministration(rbac, { ...env, policy }, users.forget) };
}

function certificates({ config }: ClusterDatabases): Pick<DbService, "importCertificate" | "certificates" | "certificate"> {
  return {
    async importCertificate({ usage, vnode, alias, pem }) {
      const scope = { usage: parseUsage(usage), vnode };
      if (scope.usage === "p2p-session" && vnode === null)
        throw new BowlineError(
          "badRequest",
          "certificate.scope",
          "A p2p-session certificate belongs to a virtual node, not to the cluster.",
          { usage },
        );
      const chain = pemOf(parseChain(pem));
      if (vnode !== null) await requireNode(vnode);
      await saveCertificate(config.sql, scope, checkAlias(alias), chain);
      return null;
    },
    certificates: async ({ usage, vnode }) =>
      (await loadCertificates(config.sql, { usage: parseUsage(usage), vnode })).map(({ alias }) => alias),
    certificate: async ({ usage, vnode, alias }) => {
      const all = await loadCertificates(config.sql, { usage: parseUsage(usage), vnode });
      return all.find((each) => each.alias === checkAlias(alias))?.pem ?? null;
    },
  };

  async function requireNode(vnode: ShortHash): Promise<void> {
    if ((await loadIdentity(config.sql, vnode))?.exists) return;
    throw new BowlineError("notFound", "vnode.unknown", `There is no virtual node ${vnode}.`, { id: vnode });
  }
}

function configuration(
  { config }: ClusterDatabases,
  now: () => number,
): Pick<DbService, "config" | "changeConfig" | "externalRouteDefaults" | "notaryQuota"> {
  const stored = async (section: string) => (await loadConfig(config.sql, section)) ?? { section, source: "", version: 0 };
  return {
    async config({ section }) {
      knownSection(section, "notFound");
      const found = await stored(section);
      return { ...found, withDefaults: withDefaults(found) };
    },
    changeConfig: ({ actor, ...change }) => config.transaction((sql) => saveConfig(sql, change, actor, now())),
    notaryQuota: async () => NOTARY.read((await stored(NOTARY.name)).source).quota,
    externalRouteDefaults: async () => EXTERNAL_MESSAGING.read((await stored(EXTERNAL_MESSAGING.name)).source).routeDefaults,
  };
}

function facts({ config }: ClusterDatabases): Pick<DbService, "cpis" | "bundle" | "members" | "groupParameters"> {
  return {
    cpis: async () => (await loadCpis(config.sql)).map(cpiInfo),
    async bundle({ fileChecksum }) {
      const bundle = await loadBundle(config.sql, fileChecksum);
      if (bundle === undefined) throw new BowlineError("notFound", "bundle.unknown", `There is no CPK ${fileChecksum}.`, { fileChecksum });
      return bundle;
    },
    members: ({ groupId }) => loadMembers(config.sql, groupId),
    groupParameters: ({ groupId, hash }) => loadParameters(config.sql, groupId, hash),
  };
}

const cpiInfo = ({ name, version, signerSummaryHash, fileChecksum, groupId, groupPolicy, timestamp, cpks }: StoredCpi): CpiInfo => ({
  id: { cpiName: name, cpiVersion: version, signerSummaryHash },
  cpiFileFullChecksum: fileChecksum,
  groupId,
  groupPolicy,
  timestamp,
  cpks,
});
