export { inProcessFibers } from "./fibers.ts";
export { createMemoryFlowStore } from "./flow.memory.ts";
export { createFlowStore, type VaultHook } from "./flow.store.ts";
export type { Bundle } from "./flow-state.ts";
export { createGroupCommit } from "./group-commit.ts";
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
export type * from "./ports.ts";
export { clientStart, startedRow } from "./start.ts";
export { createFlowWorker, type FlowWorker, type FlowWorkerOptions } from "./worker.ts";
