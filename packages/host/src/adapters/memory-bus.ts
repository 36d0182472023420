// The bus of one process: queues in memory.
//
// Guarantees: records of one key reach one subscriber of each group in the order of their publishing, at least once. A batch
// that a subscriber rejects comes again, after a back-off, before anything later of its partition. Records are lost only
// with the process: whoever must not lose one has it in an outbox.

import { type Bus, type BusConsumer, type BusRecord, type Clock, type Subscription, unavailable } from "@bowline/base";

/** Keys are spread over so many queues per topic and group; those of one queue wait for each other. */
const PARTITIONS = 16;
const BATCH_MAX = 256;
/** Records waiting in one group of one topic; past it `publish` refuses, and outboxes send again later. */
const QUEUED_MAX = 100_000;
const BACKOFF_FIRST_MS = 20;
const BACKOFF_MAX_MS = 5_000;

export function createMemoryBus(clock: Clock): Bus {
  const topics = new Map<string, Map<string, Group>>();
  let closed = false;

  return {
    async publish(records) {
      if (closed) throw unavailable("bus.closed", "The bus is closed: this worker is stopping.");
      for (const [topic, groups] of topics)
        for (const group of groups.values()) group.admit(records.filter((record) => record.topic === topic));
    },
    async subscribe(topic, name, consumer) {
      const groups = topics.get(topic) ?? new Map<string, Group>();
      const group = groups.get(name) ?? new Group(clock);
      topics.set(topic, groups.set(name, group));
      return group.join(consumer);
    },
    async close() {
      closed = true;
      await Promise.all([...topics.values()].flatMap((groups) => [...groups.values()].map((group) => group.close())));
    },
  };
}

/** The subscribers that share the records of one topic. */
class Group {
  readonly #partitions: readonly Partition[];
  #members: BusConsumer[] = [];

  constructor(clock: Clock) {
    this.#partitions = Array.from({ length: PARTITIONS }, () => new Partition(clock));
  }

  admit(records: readonly BusRecord[]): void {
    if (records.length === 0) return;
    const queued = this.#partitions.reduce((total, partition) => total + partition.queued, 0);
    if (queued + records.length > QUEUED_MAX)
      throw unavailable("bus.full", `${queued} messages wait on this bus, which is all it holds. Workers must catch up first.`);
    for (const record of records) this.#partition(record.key).push(record);
  }

  async join(consumer: BusConsumer): Promise<Subscription> {
    this.#members.push(consumer);
    await this.#share();
    return {
      close: async () => {
        this.#members = this.#members.filter((member) => member !== consumer);
        await this.#share();
        await consumer.revoked?.();
      },
    };
  }

  async close(): Promise<void> {
    this.#members = [];
    await this.#share();
  }

  /** Each partition has one owner; it changes hands only between two batches. */
  async #share(): Promise<void> {
    const members = this.#members;
    await Promise.all(this.#partitions.map((partition, index) => partition.own(members[index % Math.max(1, members.length)])));
  }

  #partition(key: string): Partition {
    let hash = 0;
    for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
    return this.#partitions[(hash >>> 0) % PARTITIONS] as Partition;
  }
}

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
