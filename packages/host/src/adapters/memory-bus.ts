// The bus of one process: queues in memory.
//
// Guarantees: records of one key reach one subscriber of each group in the order of their publishing, at least once. A batch
// that a subscriber rejects comes again, after a back-off, before anything later of its partition. Records are lost only
// with the process: whoever must not lose one has it in an outbox.

import { type Bus, type BusConsumer, type BusRecord, type Clock, type Subscription, unavailable } from "@bowline/base";

/** Keys are spread over so many queues per group; those of one queue wait for each other. */
export const PARTITIONS = 16;
const BATCH_MAX = 256;
/** Records waiting in one group; past it `publish` refuses, and outboxes send again later. */
const QUEUED_MAX = 100_000;
const BACKOFF_FIRST_MS = 20;
const BACKOFF_MAX_MS = 5_000;

export function createMemoryBus(clock: Clock): Bus {
  const groups = new Map<string, Group>();
  let closed = false;

  return {
    async publish(records) {
      if (closed) throw unavailable("bus.closed", "The bus is closed: this worker is stopping.");
      for (const group of groups.values()) group.admit(records);
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

  constructor(clock: Clock) {
    this.#partitions = Array.from({ length: PARTITIONS }, () => new Partition(clock));
  }

  admit(published: readonly BusRecord[]): void {
    const records = published.filter(({ topic }) => this.#topics.has(topic));
    if (records.length === 0) return;
    const queued = this.#partitions.reduce((total, partition) => total + partition.queued, 0);
    if (queued + records.length > QUEUED_MAX)
      throw unavailable("bus.full", `${queued} messages wait on this bus, which is all it holds. Workers must catch up first.`);
    for (const record of records) this.#partition(record.key).push(record);
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

class Partition {
  readonly #clock: Clock;
  #waiting: BusRecord[] = [];
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

  push(record: BusRecord): void {
    this.#waiting.push(record);
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
      try {
        await this.#owner.records(batch);
        this.#waiting.splice(0, batch.length);
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
