// The bus of one process: queues in memory.
//
// Guarantees: records of one key reach one subscriber of each group in the order of their publishing, at least once. A batch
// that a subscriber rejects comes again, after a back-off, before anything later of its partition. Records are lost only
// with the process: whoever must not lose one has it in an outbox.

import { type BusConsumer, type BusRecord, type Clock, type Subscription, unavailable } from "@bowline/base";
import type { DurableBus } from "./durable-bus.ts";

/** Keys are spread over so many queues per group; those of one queue wait for each other. */
export const PARTITIONS = 16;
const BATCH_MAX = 256;
/** Records waiting in one group; past it `publish` refuses, and outboxes send again later. */
const QUEUED_MAX = 100_000;
/** How long who hands records over waits for their subscribers. */
const HAND_OVER_MS = 5_000;
const BACKOFF_FIRST_MS = 20;
const BACKOFF_MAX_MS = 5_000;

export function createMemoryBus(clock: Clock): DurableBus {
  const groups = new Map<string, Group>();
  let closed = false;

  return {
    async publish(records) {
      if (closed) throw unavailable("bus.closed", "The bus is closed: this worker is stopping.");
      for (const group of groups.values()) group.admit(records);
    },
    async handOver(records) {
      if (closed) throw unavailable("bus.closed", "The bus is closed: this worker is stopping.");
      const readers = [...groups.values()].filter((group) => records.some(({ topic }) => group.reads(topic)));
      const unread = records.find(({ topic }) => !readers.some((group) => group.reads(topic)));
      if (unread !== undefined) throw unavailable("bus.unread", `Nobody reads the topic ${unread.topic} now.`);
      await Promise.all(readers.map((group) => group.take(records)));
    },
    async subscribe(topics, name, consumer) {
      const group = groups.get(name) ?? new Group(clock);
      groups.set(name, group);
      return group.join(topics, consumer);
    },
    async close() {
      closed = true;
      await Promise.all([...groups.values()].map((group) => group.close()));
    },
  };
}

/** The same in every process. */
export function partitionOf(key: string): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
  return (hash >>> 0) % PARTITIONS;
}

/** The subscribers that share the records of some topics. */
class Group {
  readonly #topics = new Set<string>();
  readonly #partitions: readonly Partition[];
  #members: BusConsumer[] = [];
  #shared: Promise<void> = Promise.resolve();

  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#partitions = Array.from({ length: PARTITIONS }, () => new Partition(clock));
  }

  admit(published: readonly BusRecord[]): void {
    const records = published.filter(({ topic }) => this.#topics.has(topic));
    if (records.length === 0) return;
    const queued = this.#partitions.reduce((total, partition) => total + partition.queued, 0);
    if (queued + records.length > QUEUED_MAX)
      throw unavailable("bus.full", `${queued} messages wait on this bus, which is all it holds. Workers must catch up first.`);
    for (const record of records) this.#partition(record.key).push({ record, isWithdrawn: false });
  }

  reads(topic: string): boolean {
    return this.#topics.has(topic) && this.#members.length > 0;
  }

  /** Resolves when subscribers have taken them; what they have not within a time is theirs no more. */
  async take(records: readonly BusRecord[]): Promise<void> {
    const waiting = records
      .filter(({ topic }) => this.#topics.has(topic))
      .map((record) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        return { entry: { record, taken: resolve, isWithdrawn: false }, promise };
      });
    for (const { entry } of waiting) this.#partition(entry.record.key).push(entry);
    const late = Promise.withResolvers<never>();
    const cancel = this.#clock.after(HAND_OVER_MS, () => {
      for (const { entry } of waiting) entry.isWithdrawn = true;
      late.reject(unavailable("bus.slow", "A subscriber has not taken what it was handed."));
    });
    await Promise.race([Promise.all(waiting.map(({ promise }) => promise)), late.promise]).finally(cancel);
  }

  async join(topics: readonly string[], consumer: BusConsumer): Promise<Subscription> {
    for (const topic of topics) this.#topics.add(topic);
    this.#members.push(consumer);
    await this.#share();
    return {
      owns: (key) => this.#partition(key).owner === consumer,
      close: async () => {
        this.#members = this.#members.filter((member) => member !== consumer);
        await this.#share();
      },
    };
  }

  async close(): Promise<void> {
    this.#members = [];
    await this.#share();
  }

  /** Each partition has one owner; it changes hands only between two batches, and when its owner has let go of it. */
  #share(): Promise<void> {
    const moved = this.#shared.then(() => this.#move());
    this.#shared = moved.catch(() => undefined); // Told to whoever asked for this one.
    return moved;
  }

  async #move(): Promise<void> {
    const members = this.#members;
    const moving = this.#partitions
      .map((partition, index) => ({ partition, from: partition.owner, to: members[index % Math.max(1, members.length)] }))
      .filter(({ from, to }) => from !== to);
    const of = (owner: BusConsumer, side: "from" | "to") => {
      const theirs = new Set(moving.filter((move) => move[side] === owner).map(({ partition }) => partition));
      return (key: string) => theirs.has(this.#partition(key));
    };
    await Promise.all(moving.map(({ partition }) => partition.own(undefined)));
    await Promise.all(unique(moving.map(({ from }) => from)).map((owner) => owner.revoked?.(of(owner, "from"))));
    await Promise.all(moving.map(({ partition, to }) => partition.own(to)));
    for (const owner of unique(moving.map(({ to }) => to))) owner.assigned?.(of(owner, "to"));
  }

  #partition(key: string): Partition {
    return this.#partitions[partitionOf(key)] as Partition;
  }
}

const unique = (owners: readonly (BusConsumer | undefined)[]): readonly BusConsumer[] => [
  ...new Set(owners.filter((owner) => owner !== undefined)),
];

interface Entry {
  readonly record: BusRecord;
  readonly taken?: () => void;
  isWithdrawn: boolean;
}

class Partition {
  readonly #clock: Clock;
  #waiting: Entry[] = [];
  #owner: BusConsumer | undefined;
  #running: Promise<void> | undefined;
  #cancelBackoff: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get queued(): number {
    return this.#waiting.length;
  }

  get owner(): BusConsumer | undefined {
    return this.#owner;
  }

  push(entry: Entry): void {
    this.#waiting.push(entry);
    this.#run();
  }

  /** Resolves when the owner before has finished the batch in its hands. */
  async own(owner: BusConsumer | undefined): Promise<void> {
    if (owner === this.#owner) return;
    this.#owner = undefined;
    this.#cancelBackoff?.();
    await this.#running;
    this.#owner = owner;
    this.#run();
  }

  #run(): void {
    if (this.#running !== undefined || this.#owner === undefined || this.#waiting.length === 0) return;
    this.#running = this.#deliver().finally(() => {
      this.#running = undefined;
      this.#run();
    });
  }

  async #deliver(): Promise<void> {
    for (let backoff = BACKOFF_FIRST_MS; this.#owner !== undefined && this.#waiting.length > 0; ) {
      const batch = this.#waiting.slice(0, BATCH_MAX);
      const records = batch.filter(({ isWithdrawn }) => !isWithdrawn).map(({ record }) => record);
      try {
        if (records.length > 0) await this.#owner.records(records);
        this.#waiting.splice(0, batch.length);
        for (const { taken } of batch) taken?.();
        backoff = BACKOFF_FIRST_MS;
      } catch {
        // The subscriber has said why, in its own log; here the batch only waits.
        await this.#pause(backoff);
        backoff = Math.min(backoff * 2, BACKOFF_MAX_MS);
      }
    }
  }

  #pause(durationMs: number): Promise<void> {
    return new Promise((resume) => {
      const cancel = this.#clock.after(durationMs, resume);
      this.#cancelBackoff = () => {
        cancel();
        resume();
      };
    });
  }
}
