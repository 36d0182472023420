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
/** Transactions that a member signs at once. */
export const SIGNED_AT_ONCE_MAX = 100;
/** Characters of the name of a state type, a contract, a command, a package or a version. */
export const NAME_CHARACTERS_MAX = 255;
/** A composite key of as many keys as `crypto` allows. */
export const PUBLIC_KEY_CHARACTERS_MAX = 64 * 1024;
/** Characters of the tag that ties an encumbrance group together. */
export const ENCUMBRANCE_TAG_CHARACTERS_MAX = 128;

/** Transactions that one request for a history names, and requests that wait for their answers at one time. */
export const HISTORY_REQUEST_MAX = 50;
export const HISTORY_REQUESTS_MAX = 4;
/**
 * Ancestors that an answer brings beyond what was asked for: the first time, after one of them was no news, and at most where all
 * of them turn out to be: with it a page is of no more transactions than stay decoded at hand.
 */
export const HISTORY_AHEAD_FIRST = 16;
export const HISTORY_AHEAD_LEAST = 4;
export const HISTORY_AHEAD_MAX = 200;
/** An answer ends with the transaction that crosses this; the rest is asked for again. */
export const HISTORY_ANSWER_BYTES_MAX = 1024 * 1024;
/** What one session may make its receiver fetch and its sender serve: what was fetched stays, and another session goes on from there. */
export const HISTORY_TRANSACTIONS_MAX = 50_000;
export const HISTORY_BYTES_MAX = 96 * 1024 * 1024;
/** How often a sender searches all of a history for what a receiver asks for that goes on from an earlier session. */
export const HISTORY_SEARCHES_MAX = 8;
/** Transactions, and bytes of them, that are verified beside each other and recorded in one commit. */
export const HISTORY_BATCH_MAX = 100;
export const HISTORY_BATCH_BYTES_MAX = 1024 * 1024;

/** When an unverified transaction is first looked after, and how long after its upper bound at the latest. */
export const REPAIR_FIRST_MS = 10 * 60_000;
export const REPAIR_GRACE_MS = 60_000;
/** Waits between attempts: doubled from the first wait to this. */
export const REPAIR_MAX_MS = 6 * 3_600_000;
/** How often a virtual node is looked at for transactions that are due, and how many are taken at once. */
export const REPAIR_SWEEP_MS = 15_000;
export const REPAIR_BATCH_MAX = 64;
/** How long a participant may take to say what it knows of a transaction. */
export const OUTCOME_SESSION_TIMEOUT_MS = 15_000;

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
/** A page of a named query ends before the state that crosses this, unless it is the first. */
export const PAGE_STATES_BYTES_MAX = 4 * 1024 * 1024;
/** Characters of a text that named queries are ordered by, and that their indexes hold: an index of PostgreSQL takes no more than 2,704 bytes. */
export const ORDERED_CHARACTERS = 200;

/** Entities, or keys, of one call: `persistence.tooMany` fails the step. */
export const ENTITIES_PER_CALL_MAX = 1_000;
/** Characters of all values of one entity: `persistence.tooLarge` fails the step. */
export const ENTITY_BYTES_MAX = 1024 * 1024;
/** Entities of one page, and where nothing is said. */
export const PAGE_ENTITIES_MAX = 1_000;
export const PAGE_ENTITIES_DEFAULT = 100;
/** A page ends before the entity that crosses this, unless it is the first. */
export const PAGE_ENTITIES_BYTES_MAX = 4 * 1024 * 1024;

/** How long a claim of tokens lasts where its flow does not end before: where nothing is said, and at most. */
export const CLAIM_MS_DEFAULT = 600_000;
export const CLAIM_MS_MAX = 86_400_000;
/** Tokens of one claim: as many inputs as a transaction should have. */
export const CLAIM_TOKENS_MAX = 1_000;
/** Tokens that one transaction of token selection looks at; it begins with a few for each claim. */
export const CLAIM_CANDIDATES_MAX = 10_000;
export const CLAIM_CANDIDATES_FIRST = 4;
/** Attempts of one batch of claims while other processes answer the same. */
export const CLAIM_ATTEMPTS_MAX = 10;
/** Characters of a token's type, issuer, symbol, tag and owner, and of a notary's name. */
export const TOKEN_TEXT_CHARACTERS_MAX = 255;
/** Characters of a tag pattern, and how often repetitions in repetitions may repeat what is innermost. */
export const TAG_PATTERN_CHARACTERS_MAX = 100;
export const TAG_PATTERN_REPEATS_MAX = 200;
