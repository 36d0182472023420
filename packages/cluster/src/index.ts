export { loadStanding } from "./access-rows.store.ts";
export { ensureBuiltInRoles, ensureFirstAdmin } from "./access-setup.store.ts";
export { BUILT_IN_ROLES, flowExecutorRole, type RoleTemplate } from "./built-in-roles.ts";
export { loadCertificates, saveCertificate } from "./certificates.store.ts";
export { type CertificateUsage, checkAlias, parseUsage } from "./certificates.ts";
export { ensureConnection, loadConnection, type StoredConnection } from "./connections.store.ts";
export {
  failInterruptedUploads,
  failUpload,
  loadBundle,
  loadCpiMigrations,
  loadCpis,
  loadUpload,
  type NewCpk,
  type StoredCpi,
  type StoredRefusal,
  saveCpi,
  saveUploadProgress,
  startUpload,
  UPLOAD_DONE,
  type UploadProgress,
} from "./cpi.store.ts";
export {
  CONFIG_DATABASE,
  CRYPTO_DATABASE,
  type DatabasePlan,
  type Privilege,
  RBAC_DATABASE,
  type UserKind,
  userName,
  VIRTUAL_NODES_CONNECTION,
  type VirtualNodeDatabase,
  virtualNodeDatabase,
} from "./databases.ts";
export type { CodeTrust, JarSigner } from "./jar.ts";
export type { CpkMigration } from "./migrations.ts";
export {
  buildCpb,
  buildCpi,
  buildCpk,
  type CpiContents,
  type CpkContents,
  type CpkSource,
  packageFileName,
  readCpb,
  readCpi,
} from "./package.ts";
export { decodeManifest } from "./package-manifest.ts";
export { checkPassword, hashPassword, SALT_LENGTH } from "./password.ts";
export {
  loadIdentity,
  loadOperation,
  loadUnfinishedOperations,
  loadVirtualNodes,
  type StoredVirtualNode,
  saveOperation,
  saveSchemaLevel,
  saveVirtualNode,
  setOperationState,
  type VirtualNodeConnections,
} from "./virtual-nodes.store.ts";
export { type CreationRequest, checkCreation, failureState, type Operation, operationStatus } from "./virtual-nodes.ts";
