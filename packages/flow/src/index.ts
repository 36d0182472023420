export { createGroupCommit, createGroupStart } from "./batches.ts";
export { inProcessFibers } from "./fibers.ts";
export { createMemoryFlowStore } from "./flow.memory.ts";
export { createFlowStore } from "./flow.store.ts";
export { wakeRecord } from "./messages.ts";
export type {
  Fibers,
  FlowDirectory,
  FlowFilter,
  FlowInspection,
  FlowPage,
  FlowPersistence,
  FlowRow,
  FlowStart,
  FlowStatus,
  FlowStore,
  Responder,
  Services,
  StartOutcome,
  StepCommit,
  SyscallClass,
  SyscallContext,
} from "./ports.ts";
export { clientStart, startedRow } from "./rows.ts";
export { createFlowWorker } from "./worker.ts";
