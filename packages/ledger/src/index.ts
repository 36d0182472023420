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
export { ledgerFlows } from "./finality.flow.ts";
export type { CpkIdentity } from "./leaves.ts";
export { NON_VALIDATING_PROTOCOL } from "./notary.flow.ts";
export { examine, type NotariseRequest, type NotarySelf, pendingAnswers, spendsOf } from "./notary.ts";
export type { LedgerServices, ListedState, NotaryAnswer, UniquenessStore, VaultCommit, VaultRead, VaultStore } from "./ports.ts";
export {
  decodeSignature,
  encodeSignature,
  notaryPreimage,
  type SignatureMetadata,
  signedBytesOf,
  transactionPreimage,
} from "./signatures.ts";
export { decodeSigned } from "./transaction.ts";
export { memoryUniqueness } from "./uniqueness.memory.ts";
export { uniquenessStore } from "./uniqueness.store.ts";
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
