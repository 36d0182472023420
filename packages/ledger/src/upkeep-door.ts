// `@bowline/ledger/upkeep`: what verifies histories where they lie, and looks after what is not decided.

export { checkDependencies, dependenciesMac } from "./dependencies.ts";
export { decodeGroupParameters } from "./group-parameters.ts";
export { REPAIR_BATCH_MAX, REPAIR_SWEEP_MS } from "./limits.ts";
export type {
  DueRepair,
  InvalidTransaction,
  StateChange,
  TransactionStatus,
  UnverifiedTransaction,
  VerifiableTransaction,
} from "./ports.ts";
export { OUTCOME_PROTOCOL, REPAIR_FLOW } from "./repair.flow.ts";
export { signatureState } from "./signatures.ts";
