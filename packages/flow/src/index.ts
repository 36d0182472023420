export { inProcessFibers } from "./fibers.ts";
export { createMemoryFlowStore, type MemoryFlowStoreOptions } from "./flow.memory.ts";
export { createFlowStore, type VaultHook } from "./flow.store.ts";
export type { Bundle } from "./flow-state.ts";
export { createGroupCommit, createGroupStart } from "./group-commit.ts";
export {
  type Digest,
  decodeMessage,
  encodeMessage,
  responderFlowId,
  SESSION_TOPIC,
  sessionRecord,
  WAKE_TOPIC,
  wakeRecord,
} from "./messages.ts";
export type {
  Acknowledgement,
  CommitOutcome,
  Fibers,
  FlowDirectory,
  FlowOrigin,
  FlowPersistence,
  FlowRow,
  FlowSnapshot,
  FlowStart,
  FlowStatus,
  FlowStore,
  InboxKey,
  JournalRow,
  Responder,
  Services,
  SessionMessage,
  SessionRow,
  SessionStatus,
  StartOutcome,
  StepCommit,
  SyscallClass,
  SyscallContext,
  Waiting,
} from "./ports.ts";
export { clientStart } from "./start.ts";
export { createFlowWorker, type FlowWorker, type FlowWorkerOptions } from "./worker.ts";
