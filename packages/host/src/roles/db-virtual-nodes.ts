// Virtual nodes: the durable operations that make one and upgrade one, and the list of those there are.
//
// Guarantees: for one identity there is at most one virtual node and one operation; an operation that was interrupted
// anywhere is taken up at the next start, and finds what it had done; a virtual node is listed when it is complete.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { PLATFORM_VERSION, SOFTWARE_VERSION } from "@bowline/api";
import {
  BowlineError,
  type Database,
  type HoldingIdentity,
  invariant,
  parseName,
  type SecureHash,
  type ShortHash,
  shortHash,
} from "@bowline/base";
import {
  checkCreation,
  type DatabasePlan,
  failureState,
  loadCpis,
  loadIdentity,
  loadOperation,
  loadUnfinishedOperations,
  loadVirtualNodes,
  type Operation,
  operationStatus,
  type StoredCpi,
  type StoredVirtualNode,
  saveOperation,
  saveSchemaLevel,
  saveVirtualNode,
  setOperationState,
  type VirtualNodeConnections,
  type VirtualNodeDatabase,
  virtualNodeDatabase,
} from "@bowline/cluster";
import { EXTERNAL_MESSAGING } from "@bowline/cluster/config-sections";
import { loadConfig } from "@bowline/cluster/config-store";
import { type ExternalRoute, externalRoutes } from "@bowline/cluster/external-routes";
import { endUpgrade } from "@bowline/cluster/upgrades-store";
import { DEFAULT_SCHEME, holdingIdentity } from "@bowline/crypto";
import { type KeyUse, planKeys, registerStatic, type StaticMember, type StaticNetworkPolicy, saveMember } from "@bowline/membership";
import type { PublicKeyText } from "@bowline/sdk";
import { migrationLevel } from "../adapters/migrate.ts";
import type { DbService, VirtualNodeInfo } from "../services.ts";
import { provisionEntities, provisionIndexes } from "./db-entities.ts";
import { admitNotary, ensureStaticNetwork } from "./db-networks.ts";
import { beginUpgrade, performUpgrade } from "./db-upgrades.ts";
import type { MigrationSets } from "./migrations.ts";
import { provisionSchema } from "./provision.ts";
import { ifFree, inTurn } from "./turns.ts";
import { asCreator, membershipOf, usersOf, type VirtualNodesOptions } from "./virtual-node-parts.ts";

export interface VirtualNodes {
  readonly service: Pick<DbService, "createVirtualNode" | "upgradeVirtualNode" | "virtualNodeStatus" | "virtualNodes">;
  /** Brings the schemas of an older program up to date, and takes up what was interrupted. */
  resume(): Promise<void>;
  /** Those that nobody is at. */
  resumeOperations(): Promise<void>;
}

/** A database or a crypto role that is away for longer fails the operation; it can be asked for again. */
const ATTEMPTS_MAX = 6;
const BACKOFF_MS = 500;

export function createVirtualNodes(options: VirtualNodesOptions): VirtualNodes {
  const { config, queue, now } = options;
  const service: VirtualNodes["service"] = {
    async createVirtualNode({ cpiFileChecksum, x500Name }) {
      const name = parseName(x500Name);
      const cpi = await findCpi(config, cpiFileChecksum);
      const { policy } = membershipOf(cpi, name);
      const identity = holdingIdentity(name, policy.groupId);
      const requestId = identity.shortHash;
      await config.transaction(async (sql) => {
        await sql.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`virtual node ${requestId}`]);
        checkCreation(identity, await loadIdentity(sql, requestId));
        await saveOperation(sql, identity, { x500Name: name, groupId: policy.groupId, cpiFileChecksum: cpi.fileChecksum }, now());
      });
      queue.add(() => perform(options, requestId));
      return { requestId };
    },
    async upgradeVirtualNode(request) {
      const requestId = await beginUpgrade(options, request);
      queue.add(() => perform(options, requestId));
      return { requestId };
    },
    async virtualNodeStatus({ requestId }) {
      const operation = await loadOperation(config.sql, requestId.toUpperCase());
      if (operation === undefined)
        throw new BowlineError("notFound", "vnode.requestUnknown", `There is no request ${requestId}.`, { requestId });
      return operationStatus(operation);
    },
    async virtualNodes() {
      const [nodes, cpis, stored] = await Promise.all([
        loadVirtualNodes(config.sql),
        loadCpis(config.sql),
        loadConfig(config.sql, EXTERNAL_MESSAGING.name),
      ]);
      const { routeDefaults: defaults } = EXTERNAL_MESSAGING.read(stored?.source ?? "");
      const packages = new Map(cpis.map(({ fileChecksum, cpks }) => [fileChecksum, cpks.map(({ manifest }) => manifest)]));
      return nodes.map((node) =>
        infoOf(node, externalRoutes(node.identity.shortHash, packages.get(node.cpi.fileChecksum) ?? [], defaults)),
      );
    },
  };
  return {
    service,
    async resume() {
      for (const node of await loadVirtualNodes(config.sql)) await upgradeSchemas(options, node);
      await this.resumeOperations();
    },
    async resumeOperations() {
      for (const { requestId } of await loadUnfinishedOperations(config.sql)) queue.add(() => perform(options, requestId));
    },
  };
}

function infoOf(
  { identity, cpi, connections, statuses, operationInProgress, previousRoutes }: StoredVirtualNode,
  current: readonly ExternalRoute[],
): VirtualNodeInfo {
  const externalRoutes = { current, previous: previousRoutes };
  return { holdingIdentity: identity, cpi, connections, statuses, operationInProgress, externalRoutes };
}

async function findCpi(config: Database, checksum: string): Promise<StoredCpi> {
  if (!/^[0-9a-fA-F]{12}$/.test(checksum))
    throw new BowlineError("badRequest", "cpi.checksum", `"${checksum}" is no CPI checksum: it has twelve hexadecimal digits.`, {
      cpiFileChecksum: checksum,
    });
  const cpi = (await loadCpis(config.sql)).find(({ fileChecksum }) => shortHash(fileChecksum) === checksum.toUpperCase());
  if (cpi === undefined)
    throw new BowlineError("badRequest", "cpi.unknown", `There is no CPI with checksum ${checksum}.`, { cpiFileChecksum: checksum });
  return cpi;
}

/** Where another process is at it, or has been, there is nothing to do. */
const perform = (options: VirtualNodesOptions, requestId: string): Promise<void> =>
  ifFree(options.config, `virtual node ${requestId}`, () => performAlone(options, requestId));

async function performAlone(options: VirtualNodesOptions, requestId: string): Promise<void> {
  const { config, now, log } = options;
  for (let attempt = 1; ; attempt++) {
    const operation = await loadOperation(config.sql, requestId);
    invariant(operation !== undefined, `operation ${requestId} was saved before it was queued`);
    if (operation.state !== "ACCEPTED" && operation.state !== "IN_PROGRESS") return;
    try {
      await setOperationState(config.sql, requestId, "IN_PROGRESS", null, now());
      if (operation.type === "CREATE_VIRTUAL_NODE") await create(options, operation);
      else await performUpgrade(options, operation);
      log.info("an operation on a virtual node is complete", { id: requestId, type: operation.type });
      return;
    } catch (error) {
      const away = error instanceof BowlineError && error.kind === "unavailable" && !error.code.startsWith("migration.");
      if (!away || attempt >= ATTEMPTS_MAX) return fail(options, operation, error);
      await sleep(BACKOFF_MS * 2 ** (attempt - 1));
    }
  }
}

async function fail({ config, now, log }: VirtualNodesOptions, operation: Operation, error: unknown): Promise<void> {
  const { requestId, type, data } = operation;
  const known = error instanceof BowlineError;
  log.error("an operation on a virtual node has failed", {
    id: requestId,
    type,
    cause: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  const reason = known ? error.message : "It failed by a fault of the server; its log says more.";
  await config.transaction(async (sql) => {
    await setOperationState(sql, requestId, failureState(error), reason, now());
    if ("vnode" in data) await endUpgrade(sql, data.vnode);
  });
}

async function create(
  options: VirtualNodesOptions,
  { requestId, data }: Extract<Operation, { type: "CREATE_VIRTUAL_NODE" }>,
): Promise<void> {
  const { config, crypto, now } = options;
  const cpi = await loadCpi(config, data.cpiFileChecksum);
  const { policy, member } = membershipOf(cpi, data.x500Name);
  const identity = holdingIdentity(data.x500Name, data.groupId);
  const { connections, schemaLevel } = await provision(options, identity, member, cpi);
  const keys = await makeKeys(options, identity.shortHash, policy, member);
  await ensureStaticNetwork(config, crypto, policy, now());
  const registered = registerStatic({
    policy,
    member,
    keys,
    cpi,
    registrationId: randomUUID(),
    platformVersion: PLATFORM_VERSION,
    softwareVersion: SOFTWARE_VERSION,
    now: now(),
  });
  if (member.notary !== undefined) {
    await saveMember(config.sql, policy.groupId, registered);
    await admitNotary(config, crypto, policy.groupId, member.notary, now());
  }
  await config.transaction(async (sql) => {
    await saveMember(sql, policy.groupId, registered);
    await saveVirtualNode(sql, { id: identity.shortHash, cpi, connections, schemaLevel }, now());
    await setOperationState(sql, requestId, "COMPLETED", null, now());
  });
}

async function loadCpi(config: Database, checksum: SecureHash): Promise<StoredCpi> {
  const cpi = (await loadCpis(config.sql)).find(({ fileChecksum }) => fileChecksum === checksum);
  invariant(cpi !== undefined, `CPI ${checksum} is not deleted while an operation needs it`);
  return cpi;
}

/** Uniqueness belongs to notaries only. */
const databasesOf = (notary: boolean): readonly (keyof MigrationSets["virtualNode"])[] =>
  notary ? ["vault", "crypto", "uniqueness"] : ["vault", "crypto"];

const levelOf = (migrations: MigrationSets, notary: boolean): string =>
  migrationLevel(databasesOf(notary).flatMap((kind) => migrations.virtualNode[kind]));

async function provision(
  options: VirtualNodesOptions,
  identity: HoldingIdentity,
  member: StaticMember,
  cpi: StoredCpi,
): Promise<{ readonly connections: VirtualNodeConnections; readonly schemaLevel: string }> {
  const { migrations, open, random } = options;
  const vnode = identity.shortHash;
  const notary = member.notary !== undefined;
  const ids: Record<string, string> = {};
  await asCreator(options, async (creator) => {
    for (const kind of databasesOf(notary)) {
      const { users, ddlId, dmlId } = await usersOf(options, planOf(kind, identity, member), tokensOf(kind, vnode));
      await provisionSchema({ creator, users, migrations: migrations.virtualNode[kind], open, random });
      ids[`${kind}Ddl`] = ddlId;
      ids[`${kind}Dml`] = dmlId;
      if (kind !== "vault") continue;
      await provisionEntities(options, { creator, vnode, cpi: cpi.fileChecksum, writer: users.dml.user });
      await provisionIndexes(options, users.ddl, cpi);
    }
  });
  const id = (key: keyof VirtualNodeConnections) => ids[key] ?? null;
  return {
    connections: {
      vaultDdl: id("vaultDdl"),
      vaultDml: id("vaultDml"),
      cryptoDdl: id("cryptoDdl"),
      cryptoDml: id("cryptoDml"),
      uniquenessDdl: id("uniquenessDdl"),
      uniquenessDml: id("uniquenessDml"),
    },
    schemaLevel: levelOf(migrations, notary),
  };
}

/** What a notary service remembers lies in one place, whichever of its virtual nodes is asked: two memories would let a state be spent twice. */
function planOf(kind: VirtualNodeDatabase, { shortHash: vnode, groupId }: HoldingIdentity, { notary }: StaticMember): DatabasePlan {
  if (kind !== "uniqueness" || notary === undefined) return virtualNodeDatabase(kind, vnode);
  const { serviceName } = notary;
  return {
    ...virtualNodeDatabase(kind, holdingIdentity(serviceName, groupId).shortHash),
    description: `The memory of notary ${serviceName}`,
  };
}

/** The vault has one user more, for a part of it. */
const tokensOf = (kind: VirtualNodeDatabase, vnode: ShortHash) => (kind === "vault" ? virtualNodeDatabase("tokens", vnode) : undefined);

async function makeKeys(
  { crypto }: VirtualNodesOptions,
  tenant: ShortHash,
  policy: StaticNetworkPolicy,
  member: StaticMember,
): Promise<Partial<Record<KeyUse, PublicKeyText>>> {
  const keys: Partial<Record<KeyUse, PublicKeyText>> = {};
  for (const { use, category, alias } of planKeys(policy, member))
    keys[use] = (await crypto.generateKey({ tenant, alias, category, scheme: DEFAULT_SCHEME })).publicKey;
  return keys;
}

/** Only schemas of another level are opened, so that a start costs nothing per virtual node. Resumable: the level is written last. */
async function upgradeSchemas(options: VirtualNodesOptions, node: StoredVirtualNode): Promise<void> {
  const { config, migrations, open, random, log } = options;
  const notary = node.connections.uniquenessDml !== null;
  const level = levelOf(migrations, notary);
  if (node.schemaLevel === level) return;
  const vnode = node.identity.shortHash;
  await inTurn(config, `schemas of virtual node ${vnode}`, () =>
    asCreator(options, async (creator) => {
      for (const kind of databasesOf(notary)) {
        const plan = virtualNodeDatabase(kind, vnode);
        const shared = kind === "uniqueness" && node.uniqueness !== null ? { schema: node.uniqueness, connection: node.uniqueness } : {};
        const { users } = await usersOf(options, { ...plan, ...shared }, tokensOf(kind, vnode));
        await provisionSchema({ creator, users, migrations: migrations.virtualNode[kind], open, random });
      }
    }),
  );
  await saveSchemaLevel(config.sql, vnode, level);
  log.info("the schemas of a virtual node were migrated", { id: vnode });
}
