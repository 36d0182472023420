// Where a process meets the world, and the world as a decision may see it. Adapters live in `host`; memory implementations live beside their contract suites.

/** A moment, in milliseconds since 1970 UTC. */
export type Instant = number;

/** The world as a decision may see it: it arrives as an argument, so that a whole network runs from one seed. */
export interface Env {
  readonly now: Instant;
  /** `length` unpredictable bytes (from a seed in a simulation). */
  random(length: number): Uint8Array;
}

/** One statement. `name` makes it a prepared statement of the connection; the same name always has the same text. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** A transaction, or a connection outside one. Statements that are sent without awaiting the one before are pipelined, in order. */
export interface Sql {
  query<Row = Record<string, unknown>>(statement: Statement | string, values?: readonly unknown[]): Promise<Row[]>;
}

/** One logical database, through one user. */
export interface Database {
  /** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Single statements, each its own transaction. */
  readonly sql: Sql;
  close(): Promise<void>;
}

/** A message between processes. Those of one key arrive in order, at least once. */
export interface BusRecord {
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
}

/** What a subscriber does. Offsets are committed after `records` resolves; a rejection redelivers the batch after a back-off. */
export interface BusConsumer {
  records(batch: readonly BusRecord[]): Promise<void>;
  /** These keys are this subscriber's from now on. Whoever had them before may have died in the middle of something. */
  assigned?(keys: (key: string) => boolean): void;
  /** These keys go to another: finish the commit in flight and drop what is in memory. They go when this resolves. */
  revoked?(keys: (key: string) => boolean): Promise<void>;
}

export interface Subscription {
  /** Whether records of this key come here. It may have changed by the time the answer is used. */
  owns(key: string): boolean;
  close(): Promise<void>;
}

/**
 * Carries messages, at least once, ordered per key. It may repeat and delay; whoever must not lose anything has an outbox.
 * Each record goes to one subscriber of each group that takes its topic; a key has the same subscriber in all topics of a group.
 */
export interface Bus {
  publish(records: readonly BusRecord[]): Promise<void>;
  subscribe(topics: readonly string[], group: string, consumer: BusConsumer): Promise<Subscription>;
  close(): Promise<void>;
}

/** Time and timers for shells: real ones in a process, virtual ones in a simulation. */
export interface Clock {
  now(): Instant;
  /** Runs `work` once after `delayMs`; the result cancels it. */
  after(delayMs: number, work: () => void): () => void;
}

/** Constant messages, facts as fields. Never keys, payloads or secrets. */
export interface Log {
  error(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  debug(message: string, facts?: Readonly<Record<string, unknown>>): void;
}
