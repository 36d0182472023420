// One subscriber of a group: it takes the records of its partitions, a batch of each at a time, and deletes them when its
// consumer has taken them. What the consumer rejects comes again, after a back-off, before anything later of its partition.
//
// Nothing is taken that the database does not say is ours, so that who was asleep for too long takes nothing.

import { randomUUID } from "node:crypto";
import type { BusConsumer, BusRecord, Clock, Database, Log } from "@bowline/base";
import { partitionOf } from "./memory-bus.ts";

/** How often what no hint told of is looked for. */
const POLL_MS = 500;
const BATCH_MAX = 256;
const BACKOFF_FIRST_MS = 20;
const BACKOFF_MAX_MS = 5_000;
/** What is not deleted then comes to the next owner once more. */
const DELETE_TRIES_MAX = 3;

interface Partition {
  /** The batch in the consumer's hands. */
  busy: Promise<void> | undefined;
  leaving: boolean;
  retryAt: number;
  backoffMs: number;
}

interface Row extends BusRecord {
  readonly partition: number;
  readonly id: number | bigint;
}

export interface BusSubscriberOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly group: number;
  readonly consumer: BusConsumer;
}

export class BusSubscriber {
  readonly id: string = randomUUID();
  readonly #options: BusSubscriberOptions;
  readonly #partitions = new Map<number, Partition>();
  /** Taken by the consumer, and not yet deleted. */
  #done: Row[] = [];
  #isWanted = false;
  #laps: Promise<void> | undefined;
  #cancelPoll: (() => void) | undefined;

  constructor(options: BusSubscriberOptions) {
    this.#options = options;
  }

  get group(): number {
    return this.#options.group;
  }

  /** Those that leave included: they are ours until they are gone. */
  get partitions(): readonly number[] {
    return [...this.#partitions.keys()];
  }

  owns(partition: number): boolean {
    return this.#partitions.get(partition)?.leaving === false;
  }

  /** Looks for records as soon as it can. */
  wake(): void {
    this.#isWanted = true;
    this.#laps ??= this.#run().finally(() => {
      this.#laps = undefined;
      if (this.#isWanted) this.wake();
    });
  }

  gain(partitions: readonly number[]): void {
    for (const partition of partitions)
      this.#partitions.set(partition, { busy: undefined, leaving: false, retryAt: 0, backoffMs: BACKOFF_FIRST_MS });
    this.#options.consumer.assigned?.(keysOf(partitions));
    this.wake();
  }

  /** The batches in hand are taken, the consumer lets go, and `free` says so to the others: in this order. */
  async give(partitions: readonly number[], free: () => Promise<void>): Promise<void> {
    const leaving = partitions.flatMap((partition) => this.#partitions.get(partition) ?? []);
    for (const partition of leaving) partition.leaving = true;
    await Promise.all(leaving.map(({ busy }) => busy));
    await this.#letGo(partitions);
    const isUnsaid = () => this.#done.some(({ partition }) => partitions.includes(partition));
    for (let tries = 0; isUnsaid() && tries < DELETE_TRIES_MAX; tries++) {
      this.wake();
      await this.#laps;
    }
    await free();
    for (const partition of partitions) this.#partitions.delete(partition);
  }

  /** They are another's already. */
  lose(partitions: readonly number[]): void {
    for (const partition of partitions) this.#partitions.delete(partition);
    void this.#letGo(partitions);
  }

  stop(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
  }

  async #letGo(partitions: readonly number[]): Promise<void> {
    try {
      await this.#options.consumer.revoked?.(keysOf(partitions));
    } catch (cause) {
      this.#options.log.error("a subscriber did not let go of its keys", { cause: String(cause) });
    }
  }

  async #run(): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false;
      this.#cancelPoll?.();
      let waitMs = POLL_MS;
      try {
        await this.#lap();
      } catch (cause) {
        this.#options.log.warn("the bus could not be read", { cause: cause instanceof Error ? cause.message : String(cause) });
        waitMs = BACKOFF_MAX_MS / 10;
      }
      if (this.#partitions.size > 0 || this.#done.length > 0) this.#cancelPoll = this.#options.clock.after(waitMs, () => this.wake());
    }
  }

  /** Deletes what was taken, and takes what is there, in one round trip. */
  async #lap(): Promise<void> {
    const { database, clock, group } = this.#options;
    const done = this.#done;
    const now = clock.now();
    const free = [...this.#partitions].filter(([, { busy, leaving, retryAt }]) => busy === undefined && !leaving && retryAt <= now);
    if (done.length === 0 && free.length === 0) return;
    const rows = await database.transaction(async (sql) => {
      if (done.length > 0) void sql.query(DELETE, [group, done.map(({ partition }) => partition), done.map(({ id }) => id)]);
      if (free.length === 0) return [];
      return sql.query<Row>(TAKE, [group, this.id, free.map(([partition]) => partition), BATCH_MAX]);
    });
    this.#done = this.#done.slice(done.length);
    const batches = Map.groupBy(rows, ({ partition }) => partition);
    for (const [number, partition] of free) {
      const batch = batches.get(number);
      if (batch !== undefined && this.#partitions.get(number) === partition) partition.busy = this.#deliver(partition, batch);
    }
  }

  async #deliver(partition: Partition, batch: readonly Row[]): Promise<void> {
    const { consumer, clock } = this.#options;
    try {
      await consumer.records(batch.map(({ topic, key, value }) => ({ topic, key, value })));
      this.#done.push(...batch);
      partition.backoffMs = BACKOFF_FIRST_MS;
    } catch {
      // The consumer has said why, in its own log; here the batch only waits.
      partition.retryAt = clock.now() + partition.backoffMs;
      clock.after(partition.backoffMs, () => this.wake());
      partition.backoffMs = Math.min(partition.backoffMs * 2, BACKOFF_MAX_MS);
    }
    partition.busy = undefined;
    this.wake();
  }
}

function keysOf(partitions: readonly number[]): (key: string) => boolean {
  const those = new Set(partitions);
  return (key) => those.has(partitionOf(key));
}

const DELETE = {
  name: "bus.delete",
  text: `DELETE FROM bus_record r USING unnest($2::int[], $3::bigint[]) AS d(partition, id)
    WHERE r.group_id = $1 AND r.partition = d.partition AND r.id = d.id`,
};

const TAKE = {
  name: "bus.take",
  text: `SELECT p.partition, r.id, r.topic, r.key, r.value FROM bus_partition p
    CROSS JOIN LATERAL (
      SELECT id, topic, key, value FROM bus_record WHERE group_id = p.group_id AND partition = p.partition ORDER BY id LIMIT $4
    ) AS r
    WHERE p.group_id = $1 AND p.owner = $2 AND p.partition = ANY($3::int[]) ORDER BY p.partition, r.id`,
};
