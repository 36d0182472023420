export type { InstalledPackage } from "./builder.ts";
export { filterForNotary, filterTransaction, verifyFiltered } from "./filter.ts";
export { ledgerFlows } from "./finality.flow.ts";
export { decodeGroupParameters } from "./group-parameters.ts";
export type { CpkIdentity } from "./leaves.ts";
export { NON_VALIDATING_PROTOCOL } from "./notary.flow.ts";
export { type Examined, examine, type NotariseRequest, type NotarySelf, pendingAnswers, spendsOf } from "./notary.ts";
export type {
  LedgerServices,
  ListedState,
  NotaryAnswer,
  NotaryMode,
  Spend,
  TransactionStatus,
  UniquenessStore,
  VaultCommit,
  VaultRead,
  VaultStore,
  VaultWrite,
  Verdict,
} from "./ports.ts";
export {
  decodeSignature,
  encodeSignature,
  notaryPreimage,
  type SignatureMetadata,
  signedBytesOf,
  transactionPreimage,
} from "./signatures.ts";
export { decodeSigned, type ResolvedState, type SignedTransaction } from "./transaction.ts";
export { memoryUniqueness } from "./uniqueness.memory.ts";
export { uniquenessStore } from "./uniqueness.store.ts";
export { type MemoryVault, memoryVault } from "./vault.memory.ts";
export { vaultStore } from "./vault.store.ts";
export {
  type ContractCall,
  type ContractResult,
  completeVerification,
  concludeVerification,
  packagesOf,
  planVerification,
  type VerificationReply,
} from "./verification.ts";
