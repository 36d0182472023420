// The bus of several processes on one PostgreSQL, in a schema of its own (sql/bus).
//
// Guarantees: records of one key reach one subscriber of each group in the order of their publishing, at least once: a row
// goes when its subscriber has taken it. A subscriber whose process dies is followed by another of its group within the
// session timeout; one that joins or leaves takes or gives whole partitions, and nobody else notices. Commits here do not
// wait for the disk: a server that crashes may lose the last moments, which outboxes send again.
//
// Publishes that meet are one statement, and none overtakes another of this process. Notifications are hints alone, sent
// on a connection of their own: the poll is the truth.

import { type BusRecord, type Clock, type Log, unavailable } from "@bowline/base";
import type { ConnectionDetails } from "../services.ts";
import type { DurableBus } from "./durable-bus.ts";
import { PARTITIONS, partitionOf } from "./memory-bus.ts";
import { openDatabase } from "./postgres.ts";
import { BusHints } from "./postgres-bus-hints.ts";
import { BusMembership } from "./postgres-bus-membership.ts";
import { BusSubscriber } from "./postgres-bus-subscriber.ts";

const CONNECTIONS_MAX = 4;
/** Records of one statement. */
const PUBLISH_MAX = 1_000;
/** What a process that stops in the middle of a transaction may hold up the others. */
const SETTINGS = { synchronous_commit: "off", idle_in_transaction_session_timeout: "3000" };

export interface PostgresBusOptions {
  /** Of the bus's own user, in its own schema. */
  readonly connection: ConnectionDetails;
  readonly clock: Clock;
  readonly log: Log;
}

export function createPostgresBus({ connection, clock, log }: PostgresBusOptions): DurableBus {
  const database = openDatabase({ ...connection, connectionsMax: CONNECTIONS_MAX, settings: SETTINGS, log });
  const hints = new BusHints({
    connection,
    clock,
    log,
    onRecords: (partitions) => membership.wake(partitions),
    onMembers: () => membership.soon(),
  });
  const membership = new BusMembership({ database, clock, log, announce: () => hints.members(), backend: () => hints.backend });
  const publisher = new Publisher(async (records) => {
    await database.sql.query(PUBLISH, valuesOf(records));
    announce(records);
  });
  function announce(records: readonly BusRecord[]): void {
    const touched = new Set(records.map(({ key }) => partitionOf(key)));
    membership.wake(touched);
    hints.records(membership.elsewhere(touched));
  }
  let closed = false;

  return {
    async publish(records) {
      if (closed) throw unavailable("bus.closed", "The bus is closed: this worker is stopping.");
      membership.checkRoom();
      if (records.length > 0) await publisher.publish(records);
    },
    async handOver(records) {
      if (closed) throw unavailable("bus.closed", "The bus is closed: this worker is stopping.");
      if (records.length === 0) return;
      membership.checkRoom();
      const topics = [...new Set(records.map(({ topic }) => topic))];
      await database.transaction(async (sql) => {
        await sql.query("SET LOCAL synchronous_commit = on"); // Nobody else has them from here on.
        const [unread] = await sql.query<{ topic: string }>(KEEP, [topics]);
        if (unread !== undefined) throw unavailable("bus.unread", `Nobody reads the topic ${unread.topic} now.`);
        await sql.query(PUBLISH, valuesOf(records));
      });
      announce(records);
    },
    async subscribe(topics, name, consumer) {
      const [group] = await database.sql.query<{ id: number }>(JOIN, [name, topics, PARTITIONS]);
      const subscriber = new BusSubscriber({ database, clock, log, group: group?.id ?? 0, consumer });
      await membership.join(subscriber);
      return { owns: (key) => subscriber.owns(partitionOf(key)), close: () => membership.leave(subscriber) };
    },
    async close() {
      closed = true;
      await membership.close();
      await hints.close();
      await database.close();
    },
  };
}

const valuesOf = (records: readonly BusRecord[]): readonly unknown[] => [
  records.map(({ topic }) => topic),
  records.map(({ key }) => partitionOf(key)),
  records.map(({ key }) => key),
  records.map(({ value }) => value),
];

/** Topics that nobody reads now. Groups of the others are not forgotten while they have records. */
const KEEP = {
  name: "bus.keep",
  text: `WITH asked AS (SELECT topic FROM unnest($1::text[]) AS topic),
    kept AS (UPDATE bus_group SET kept = true WHERE NOT kept AND id IN (SELECT b.group_id FROM bus_topic b JOIN asked USING (topic)))
    SELECT topic FROM asked a WHERE NOT EXISTS (SELECT FROM bus_topic b WHERE b.topic = a.topic)
      OR EXISTS (SELECT FROM bus_topic b WHERE b.topic = a.topic
        AND NOT EXISTS (SELECT FROM bus_member m WHERE m.group_id = b.group_id AND m.alive_until > clock_timestamp()))`,
};

const PUBLISH = {
  name: "bus.publish",
  text: `INSERT INTO bus_record (group_id, partition, topic, key, value)
    SELECT t.group_id, r.partition, r.topic, r.key, r.value
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bytea[]) WITH ORDINALITY AS r(topic, partition, key, value, place)
    JOIN bus_topic t ON t.topic = r.topic ORDER BY r.place`,
};

const JOIN = {
  text: `WITH made AS (
      INSERT INTO bus_group (name, used_at) VALUES ($1, clock_timestamp())
      ON CONFLICT (name) DO UPDATE SET used_at = excluded.used_at RETURNING id),
    topics AS (INSERT INTO bus_topic (topic, group_id) SELECT topic, id FROM made, unnest($2::text[]) AS topic ON CONFLICT DO NOTHING),
    partitions AS (
      INSERT INTO bus_partition (group_id, partition) SELECT id, partition FROM made, generate_series(0, $3::int - 1) AS partition
      ON CONFLICT DO NOTHING)
    SELECT id FROM made`,
};

interface Waiting {
  readonly records: readonly BusRecord[];
  readonly published: () => void;
  readonly failed: (cause: unknown) => void;
}

/** One statement in flight; what is published meanwhile is the next one. */
class Publisher {
  readonly #insert: (records: readonly BusRecord[]) => Promise<void>;
  #waiting: Waiting[] = [];
  #isSending = false;

  constructor(insert: (records: readonly BusRecord[]) => Promise<void>) {
    this.#insert = insert;
  }

  publish(records: readonly BusRecord[]): Promise<void> {
    return new Promise((published, failed) => {
      this.#waiting.push({ records, published, failed });
      if (!this.#isSending) void this.#send();
    });
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const group = this.#next();
      try {
        await this.#insert(group.flatMap(({ records }) => records));
        for (const { published } of group) published();
      } catch (cause) {
        for (const { failed } of group) failed(cause);
      }
    }
    this.#isSending = false;
  }

  #next(): readonly Waiting[] {
    let count = 0;
    let records = 0;
    for (const waiting of this.#waiting) {
      records += waiting.records.length;
      if (count > 0 && records > PUBLISH_MAX) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }
}
