// Every bound of the engine, by name and unit. What happens past it stands beside it.

/** Steps of one flow, sub-flows and platform children included: `flow.tooManySteps` fails it. */
export const STEPS_MAX = 100_000;
/** Requests and results of one flow's steps, as canonical bytes: `flow.journalFull` fails it. */
export const JOURNAL_BYTES_MAX = 128 * 1024 * 1024;
/** Sessions of one flow: `session.tooMany` fails the step. */
export const SESSIONS_MAX = 1_000;
/** One payload, as canonical bytes: `session.payloadTooLarge` fails the step. */
export const PAYLOAD_BYTES_MAX = 100 * 1024 * 1024;
/** A payload up to here is one message; what is larger travels in parts of at most the next, and lies in chunks of that size. */
export const INLINE_BYTES_MAX = 64 * 1024;
export const PART_BYTES_MAX = 128 * 1024;
/** How long a chunk lies that no message in a queue refers to. */
export const CHUNK_KEPT_MS = 3_600_000;
/** Characters of a failure that a counterparty is told: what is longer is cut. */
export const FAILURE_TYPE_MAX = 256;
export const FAILURE_MESSAGE_MAX = 4_096;
/**
 * The window of a session: messages that its receiver keeps beyond those that are read, and so at most this many times
 * `PART_BYTES_MAX` bytes. Parts of the payload that is next count as read when they are there. Where it is closed messages stay in
 * the sender's outbox, and a step that sends waits until it opens, or for so long.
 */
export const WINDOW_MESSAGES_MAX = 128;
export const WINDOW_WAIT_MS = 60_000;
/** A receiver that has read so many says so, though nobody asks. */
export const WINDOW_NEWS_MESSAGES = WINDOW_MESSAGES_MAX / 2;
/** Properties that one session hands on, and characters of each: `properties.invalid` or `syscall.invalid` fails the step. */
export const PROPERTIES_MAX = 64;
export const PROPERTY_KEY_CHARS_MAX = 256;
export const PROPERTY_VALUE_CHARS_MAX = 4_096;
/** Bytes of one `random`: `random.invalidLength` fails the step. */
export const RANDOM_BYTES_MAX = 4_096;

/** How long a session waits for its counterparty where the flow says nothing. */
export const SESSION_TIMEOUT_MS = 30 * 60_000;
/** Bounds of what a flow may say. */
export const SESSION_TIMEOUT_MIN_MS = 1_000;
export const SESSION_TIMEOUT_MAX_MS = 30 * 24 * 3_600_000;
/** Longest sleep: about a hundred years. */
export const SLEEP_MS_MAX = 100 * 366 * 24 * 3_600_000;

/** Whose commit is older than this is thought dead, and its flow taken over. */
export const LEASE_MS = 30_000;
/**
 * Leases end at multiples of this: most commits of a flow then leave its row's indexed columns as they were, and cost the
 * database half.
 */
export const LEASE_STEP_MS = 5_000;
/** A message is sent again after this, doubling up to the next, until its expiry. */
export const RESEND_FIRST_MS = 3_000;
export const RESEND_MAX_MS = 60_000;
/** An acknowledgement that found no message to ride on goes alone after this. */
export const ACKNOWLEDGE_MS = 200;
/** A call that found the world down is made again after this, doubling up to the next. */
export const RETRY_FIRST_MS = 250;
export const RETRY_MAX_MS = 30_000;
/** A flow whose call, or whose code, was not to be had for this long is parked. */
export const RETRY_FOR_MS = 30 * 60_000;
/** A flow in which nothing has happened for this long because a call is not answered has failed: `flow.idle`. */
export const IDLE_MS = 30 * 60_000;
/** Characters of a stack that an operator is shown. */
export const STACK_CHARS_MAX = 4_096;

/** How often a worker looks for flows that are due and messages to send again, and how many it takes at once. */
export const SWEEP_MS = 1_000;
export const SWEEP_MAX = 256;
/**
 * Flows that a worker keeps in memory, at some 20 kB each; the least recently used of those that wait go first. Where all run, further ones
 * wait in the database for their next wake-up, and their messages in outboxes.
 */
export const HOT_FLOWS_MAX = 5_000;
/** Flows of one bundle in one activation. */
export const ACTIVATION_FLOWS_MAX = 64;
/** External messages that wait in one virtual node for a reader of one topic. */
export const EXTERNAL_WAITING_MAX = 10_000;

/** External messages that a relay hands to the bus at once. */
export const EXTERNAL_RELAY_MAX = 256;
/** Flows in one transaction. */
export const GROUP_COMMITS_MAX = 64;
/** So many wait before a second transaction goes beside the one in flight: smaller ones cost more than they gain. */
export const BESIDE_COMMITS_MIN = 6;
/** How long a worker that stops waits for calls and commits in flight. */
export const DRAIN_MS = 5_000;
/** Canonical bytes of what a step asked, beyond which its journal row keeps their hash alone. */
export const REQUEST_KEPT_BYTES_MAX = 8_192;
/** Flows on one page of a list: `flow.filterInvalid` past it. */
export const FLOWS_PAGE_MAX = 1_000;
