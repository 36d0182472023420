// `@bowline/ledger/notary`: what runs a notary.

export type { LogEntry } from "./history.ts";
export { CONTRACT_VERIFYING_PROTOCOL, NON_VALIDATING_PROTOCOL } from "./notary.flow.ts";
export { notarise } from "./notary.store.ts";
export { type NotarySelf, notarySelf } from "./notary.ts";
export type { NotariseRequest, NotaryAnswer, UniquenessStore } from "./ports.ts";
export { memoryUniqueness } from "./uniqueness.memory.ts";
export { UNIQUENESS_SETTINGS, uniquenessStore } from "./uniqueness.store.ts";
export { confirmHistory, type LogEnd } from "./uniqueness-ground.store.ts";
export { type StateInTable, statesInTable } from "./uniqueness-tables.store.ts";
