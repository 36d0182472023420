export type { Data, X500Name } from "@bowline/base";
export type {
  ContractViolation,
  CordappBundle,
  CordappManifest,
  Delivery,
  EntityDescription,
  EntityProperty,
  FiberReport,
  FiberStart,
  FlowIdentity,
  StateDescription,
  StepPath,
} from "./activation.ts";
export type { FlowContext, Ledger, Session, SessionOptions, SignedTransaction, Vault } from "./context.ts";
export { type Decimal, decimal } from "./decimal.ts";
export {
  type ContractDefinition,
  type CordappDefinition,
  contract,
  type FlowDefinition,
  flow,
  type ResponderDefinition,
  responder,
  type StateDefinition,
  state,
} from "./definition.ts";
export { type EntityCondition, type EntityDefinition, type EntityQuery, entity, entityFault } from "./entity.ts";
export { type Failure, FlowError, failureOf, type Outcome, requireThat } from "./failure.ts";
export type { GroupParameters, SignedGroupParameters } from "./group.ts";
export type { EntityOf } from "./persistence.ts";
export { type ContextProperties, type FlowProperties, NO_PROPERTIES } from "./properties.ts";
export { cordapp } from "./runtime.ts";
export type {
  AuthorSyscall,
  CounterpartyInfo,
  PlatformFlowName,
  PlatformSyscall,
  Protocol,
  SessionId,
  Syscall,
  VaultQuery,
} from "./syscalls.ts";
export type {
  MemberInfo,
  NotaryInfo,
  PublicKeyText,
  StateAndRef,
  StateData,
  StateRef,
  TimeWindow,
  TransactionProposal,
  TransactionView,
} from "./transaction.ts";
export { type TransactionBuilder, transaction } from "./transaction-builder.ts";
