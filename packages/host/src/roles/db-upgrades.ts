// The upgrade of a virtual node to another version of its CPI, as a durable operation.
//
// Guarantees: only what is missing of the new version's migrations runs, so an upgrade that was interrupted goes on; the virtual node
// is of the new version in one transaction, at the end. Flows that have begun stay in the code in which they began, which is kept: no package
// is ever removed. Flows that begin afterwards, and what answers new sessions, are the new version's.

import { BowlineError, invariant, type SecureHash, shortHash } from "@bowline/base";
import {
  loadCpis,
  loadVirtualNodes,
  type Operation,
  type StoredCpi,
  type StoredVirtualNode,
  setOperationState,
  virtualNodeDatabase,
} from "@bowline/cluster";
import { EXTERNAL_MESSAGING } from "@bowline/cluster/config-sections";
import { loadConfig } from "@bowline/cluster/config-store";
import { externalRoutes } from "@bowline/cluster/external-routes";
import { checkUpgrade } from "@bowline/cluster/upgrade-rules";
import { saveUpgrade, upgradeNode } from "@bowline/cluster/upgrades-store";
import type { DbService } from "../services.ts";
import { provisionEntities, provisionIndexes } from "./db-entities.ts";
import { asCreator, membershipOf, usersOf, type VirtualNodesOptions } from "./virtual-node-parts.ts";

type UpgradeOperation = Extract<Operation, { type: "UPGRADE_VIRTUAL_NODE" }>;

/** Saves the operation; its id. Throws `vnode.unknown`, `cpi.unknown`, and as `checkUpgrade`. */
export async function beginUpgrade(
  { config, now }: VirtualNodesOptions,
  { vnode, cpiFileChecksum }: Parameters<DbService["upgradeVirtualNode"]>[0],
): Promise<string> {
  const cpis = await loadCpis(config.sql);
  const target = cpis.find(({ fileChecksum }) => shortHash(fileChecksum) === cpiFileChecksum.toUpperCase());
  if (target === undefined)
    throw new BowlineError("notFound", "cpi.unknown", `There is no CPI with checksum ${cpiFileChecksum}.`, { cpiFileChecksum });
  return config.transaction(async (sql) => {
    await sql.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`virtual node ${vnode}`]);
    const node = (await loadVirtualNodes(sql)).find(({ identity }) => identity.shortHash === vnode);
    if (node === undefined) throw new BowlineError("notFound", "vnode.unknown", `There is no virtual node ${vnode}.`, { id: vnode });
    const current = cpiOf(cpis, node.cpi.fileChecksum);
    checkUpgrade(node.operationInProgress, current, target);
    membershipOf(target, node.identity.x500Name);
    const requestId = `${vnode}${shortHash(current.fileChecksum)}${shortHash(target.fileChecksum)}`;
    await saveUpgrade(sql, requestId, { vnode, from: current.fileChecksum, to: target.fileChecksum }, now());
    return requestId;
  });
}

export async function performUpgrade(options: VirtualNodesOptions, { requestId, data }: UpgradeOperation): Promise<void> {
  const { config, now, log } = options;
  const [nodes, cpis, stored] = await Promise.all([
    loadVirtualNodes(config.sql),
    loadCpis(config.sql),
    loadConfig(config.sql, EXTERNAL_MESSAGING.name),
  ]);
  const node = nodes.find(({ identity }) => identity.shortHash === data.vnode);
  invariant(node !== undefined, `virtual node ${data.vnode} is not deleted while it is upgraded`);
  const [from, to] = [cpiOf(cpis, data.from), cpiOf(cpis, data.to)];
  const { users } = await usersOf(options, virtualNodeDatabase("vault", data.vnode));
  await asCreator(options, (creator) =>
    provisionEntities(options, { creator, vnode: data.vnode, cpi: to.fileChecksum, writer: users.dml.user }),
  );
  await provisionIndexes(options, users.ddl, to);
  const previousRoutes = routesKept(node, from, stored?.source ?? "");
  await config.transaction(async (sql) => {
    await upgradeNode(sql, data.vnode, to, previousRoutes);
    await setOperationState(sql, requestId, "COMPLETED", null, now());
  });
  // Flows that go on in the old code find what they found, if more slowly. What stays here, the next upgrade takes away.
  await provisionIndexes(options, users.ddl, to, "dropped").catch((cause: unknown) =>
    log.warn("indexes of an earlier version were left in a vault", { vnode: data.vnode, cause: String(cause) }),
  );
}

/** Of versions that had channels; a version that is left again is listed once, as it was last. */
function routesKept(
  { identity, previousRoutes }: StoredVirtualNode,
  { name, version, signerSummaryHash, cpks }: StoredCpi,
  source: string,
) {
  const others = previousRoutes.filter(({ cpiIdentifier }) => cpiIdentifier.cpiVersion !== version);
  const manifests = cpks.map(({ manifest }) => manifest);
  const routes = externalRoutes(identity.shortHash, manifests, EXTERNAL_MESSAGING.read(source).routeDefaults);
  return routes.length === 0 ? others : [...others, { cpiIdentifier: { cpiName: name, cpiVersion: version, signerSummaryHash }, routes }];
}

function cpiOf(cpis: readonly StoredCpi[], checksum: SecureHash): StoredCpi {
  const cpi = cpis.find(({ fileChecksum }) => fileChecksum === checksum);
  invariant(cpi !== undefined, `CPI ${checksum} is there: no package is ever removed`);
  return cpi;
}
