// Every bound of the ledger. A peer controls the bytes that reach a decoder, so each of them is checked before work is done.

/** Wire bytes of one transaction, signatures included. */
export const TRANSACTION_BYTES_MAX = 4 * 1024 * 1024;
/** Decoded transactions that are kept at hand, and the largest of them. */
export const DECODED_TRANSACTIONS_MAX = 256;
export const DECODED_TRANSACTION_BYTES_MAX = 32 * 1024;
/** Leaves of one component group. */
export const GROUP_LEAVES_MAX = 4_096;
/** Signatures that travel with one transaction. */
export const SIGNATURES_MAX = 512;
/** Characters of the name of a state type, a contract, a command, a package or a version. */
export const NAME_CHARACTERS_MAX = 255;
/** A composite key of as many keys as `crypto` allows. */
export const PUBLIC_KEY_CHARACTERS_MAX = 64 * 1024;
/** Characters of the tag that ties an encumbrance group together. */
export const ENCUMBRANCE_TAG_CHARACTERS_MAX = 128;

/** Transactions that one backchain request names. */
export const BACKCHAIN_REQUEST_MAX = 50;
/** An answer to a backchain request ends with the transaction that crosses this; the rest is asked for again. */
export const BACKCHAIN_ANSWER_BYTES_MAX = 1024 * 1024;
/** What one proposal may make its receiver fetch and verify. */
export const BACKCHAIN_TRANSACTIONS_MAX = 10_000;
export const BACKCHAIN_BYTES_MAX = 256 * 1024 * 1024;

/** Waits between two questions to a notary: doubled each time, from the first to the last. */
export const NOTARY_RETRY_MIN_MS = 500;
export const NOTARY_RETRY_MAX_MS = 60_000;
/** Questions after the transaction's upper bound, where only silence can keep the notary from a decisive answer. */
export const NOTARY_READS_MAX = 10;
/** How long a notary's virtual node may keep a client waiting for one answer. */
export const NOTARY_SESSION_TIMEOUT_MS = 60_000;

/** Attempts of one uniqueness batch while other workers change what it read. */
export const UNIQUENESS_ATTEMPTS_MAX = 10;
/** Requests that one uniqueness transaction decides. */
export const UNIQUENESS_BATCH_MAX = 500;
/** Characters of a stored refusal. The rest of a long list of conflicts is told as a count. */
export const REFUSAL_CHARACTERS_MAX = 1_024;

/** Characters of one broken rule, as its contract words it. */
export const VIOLATION_CHARACTERS_MAX = 1_024;

/** States of one page of a vault query. */
export const PAGE_STATES_MAX = 1_000;
export const PAGE_STATES_DEFAULT = 100;

/** Entities, or keys, of one call: `persistence.tooMany` fails the step. */
export const ENTITIES_PER_CALL_MAX = 1_000;
/** Characters of all values of one entity: `persistence.tooLarge` fails the step. */
export const ENTITY_BYTES_MAX = 1024 * 1024;
/** Entities of one page, and where nothing is said. */
export const PAGE_ENTITIES_MAX = 1_000;
export const PAGE_ENTITIES_DEFAULT = 100;
/** A page ends before the entity that crosses this, unless it is the first. */
export const PAGE_ENTITIES_BYTES_MAX = 4 * 1024 * 1024;
