export { memoryEntities } from "./entities.memory.ts";
export { type EntityStore, entityStore } from "./entities.store.ts";
export {
  type EntityCall,
  type EntityDescriptions,
  type EntityRead,
  entityReadOf,
  entityWritesOf,
  isEntityWrite,
} from "./entities.ts";
export type { CpkIdentity } from "./leaves.ts";
export { ledgerFlows } from "./ledger-flows.ts";
export type {
  LedgerServices,
  ListedState,
  VaultCommit,
  VaultRead,
  VaultStore,
} from "./ports.ts";
export { signedBytesOf } from "./signatures.ts";
export { decodeSigned } from "./transaction.ts";
export { type MemoryVault, memoryVault } from "./vault.memory.ts";
export { vaultStore } from "./vault.store.ts";
export {
  type ContractCall,
  completeVerification,
  concludeVerification,
  decodeContractResult,
  packagesOf,
  planVerification,
  type VerificationReply,
} from "./verification.ts";
