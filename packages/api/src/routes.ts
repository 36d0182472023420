import { accessOperations } from "./access.ts";
import * as certificates from "./certificates.ts";
import * as config from "./config.ts";
import * as cpi from "./cpi.ts";
import * as flowOperations from "./flow-operations.ts";
import * as flows from "./flows.ts";
import { hello, protocolVersions } from "./hello.ts";
import * as members from "./members.ts";
import { confirmNotaryHistory, readNotaryHistory, readNotaryStates } from "./notary.ts";
import type { Route } from "./route.ts";
import * as vault from "./vault.ts";
import * as virtualNodes from "./virtual-nodes.ts";

/** Every operation by the name that the server and clients call it. */
export const operations = {
  hello,
  readNotaryHistory,
  readNotaryStates,
  confirmNotaryHistory,
  uploadCpi: cpi.uploadCpi,
  cpiStatus: cpi.cpiStatus,
  listCpis: cpi.listCpis,
  importClusterCertificate: certificates.importClusterCertificate,
  listClusterCertificates: certificates.listClusterCertificates,
  getClusterCertificate: certificates.getClusterCertificate,
  importVirtualNodeCertificate: certificates.importVirtualNodeCertificate,
  listVirtualNodeCertificates: certificates.listVirtualNodeCertificates,
  getVirtualNodeCertificate: certificates.getVirtualNodeCertificate,
  createVirtualNode: virtualNodes.createVirtualNode,
  upgradeVirtualNode: virtualNodes.upgradeVirtualNode,
  virtualNodeStatus: virtualNodes.virtualNodeStatus,
  listVirtualNodes: virtualNodes.listVirtualNodes,
  getVirtualNode: virtualNodes.getVirtualNode,
  getConfig: config.getConfig,
  changeConfig: config.changeConfig,
  startFlow: flows.startFlow,
  listFlows: flows.listFlows,
  getFlow: flows.getFlow,
  getFlowResult: flows.getFlowResult,
  inspectFlow: flowOperations.inspectFlow,
  readJournal: flowOperations.readJournal,
  recordFlow: flowOperations.recordFlow,
  killFlow: flowOperations.killFlow,
  retryFlow: flowOperations.retryFlow,
  listFlowClasses: flows.listFlowClasses,
  startFlowOfClass: flows.startFlowOfClass,
  listMembers: members.listMembers,
  getGroupParameters: members.getGroupParameters,
  listVaultStates: vault.listVaultStates,
  explainVaultQueries: vault.explainVaultQueries,
  getVaultTransaction: vault.getVaultTransaction,
  proveVaultTransaction: vault.proveVaultTransaction,
  listOpenTransactions: vault.listOpenTransactions,
  listTokenBalances: vault.listTokenBalances,
  ...accessOperations,
} as const;

export type Operations = typeof operations;
export type OperationName = keyof Operations;

export const { followFlow } = flowOperations;
export const { followVault } = vault;

export const allRoutes: readonly Route[] = [...Object.values(operations), followFlow, followVault, ...protocolVersions];
export { protocolVersions };
