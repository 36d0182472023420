// `@bowline/ledger/notary`: what runs a notary.

export { NON_VALIDATING_PROTOCOL } from "./notary.flow.ts";
export { notarise } from "./notary.store.ts";
export { type NotariseRequest, type NotarySelf, notarySelf } from "./notary.ts";
export type { NotaryAnswer, UniquenessStore } from "./ports.ts";
export { memoryUniqueness } from "./uniqueness.memory.ts";
export { uniquenessStore } from "./uniqueness.store.ts";
