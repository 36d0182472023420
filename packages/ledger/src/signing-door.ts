// `@bowline/ledger/signing`: what keys sign of the ledger, and the records in which their signatures travel.

export { parseTransactionId } from "./leaves.ts";
export { SIGNED_AT_ONCE_MAX } from "./limits.ts";
export { batchOf, decodeSignature, encodeSignature, notaryPreimage, togetherOf, transactionPreimage } from "./signatures.ts";
