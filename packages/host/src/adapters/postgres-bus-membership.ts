// Who has which partitions. Every process says each second that its subscribers live, buries those that have not said so
// within the session timeout (sooner where the server says that their connection is gone as well), gives what it has too much of, and takes what is free, in one transaction that one process
// at a time runs. So partitions move only from one who has let go, or is dead, to one who has less than its share.

import { type Clock, type Database, type Log, type Sql, unavailable } from "@bowline/base";
import type { BusSubscriber } from "./postgres-bus-subscriber.ts";

const HEARTBEAT_MS = 1_000;
/** Who has not been heard of for so long is dead. */
export const SESSION_MS = 6_000;
/** Who has not been heard of for so long, and is not connected any more, is dead too. */
const SILENCE_MS = 2_500;
const FORGET_EVERY_MS = 60_000;
/** A group that nobody used for so long goes, with its records; one that was handed what nobody else has goes when it has none. */
const UNUSED_SECONDS = 600;
/** Records waiting in all groups; past it `publish` refuses, and outboxes send again later. */
const QUEUED_MAX = 100_000;
const SETTLE_ROUNDS_MAX = 4;

export interface Share {
  readonly partition: number;
  readonly owner: string | null;
}

/** What a member of a group is to give and to take, so that all have as many as each other, and none moves without need. */
export function fairShare(me: string, members: readonly string[], partitions: readonly Share[]): { give: number[]; take: number[] } {
  const rank = [...members].sort().indexOf(me);
  if (rank < 0) return { give: [], take: [] };
  const quota = Math.floor(partitions.length / members.length) + (rank < partitions.length % members.length ? 1 : 0);
  const owned = (owner: string | null) =>
    partitions
      .filter((share) => share.owner === owner)
      .map(({ partition }) => partition)
      .sort((a, b) => a - b);
  const mine = owned(me);
  return { give: mine.slice(quota), take: owned(null).slice(0, Math.max(0, quota - mine.length)) };
}

interface Options {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells the other processes that there is something to take, or somebody to share with. */
  readonly announce: () => void;
  /** The server's process for the connection that this process listens on. */
  readonly backend: () => number | null;
}

interface Seen {
  readonly members: readonly { readonly id: string; readonly group_id: number }[];
  readonly partitions: readonly (Share & { readonly group_id: number })[];
}

export class BusMembership {
  readonly #options: Options;
  readonly #subscribers = new Set<BusSubscriber>();
  /** Of any group, at another process. */
  #elsewhere: ReadonlySet<number> = new Set();
  #queued = 0;
  /** By this machine's steady clock: past it others may think us dead. */
  #aliveUntil = Number.POSITIVE_INFINITY;
  #forgottenAt = performance.now();
  readonly #giving = new Set<Promise<void>>();
  #round: Promise<unknown> = Promise.resolve();
  #cancelHeartbeat: (() => void) | undefined;
  #isClosed = false;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Throws `bus.full` where subscribers do not keep up. */
  checkRoom(): void {
    if (this.#queued > QUEUED_MAX)
      throw unavailable("bus.full", `${QUEUED_MAX} messages wait on this bus, which is all it holds. Workers must catch up first.`);
  }

  elsewhere(partitions: ReadonlySet<number>): ReadonlySet<number> {
    return this.#subscribers.size === 0 ? partitions : partitions.intersection(this.#elsewhere);
  }

  wake(partitions: ReadonlySet<number> | "all"): void {
    for (const subscriber of this.#subscribers)
      if (partitions === "all" || subscriber.partitions.some((partition) => partitions.has(partition))) subscriber.wake();
  }

  /** A round as soon as can be: somebody says that there is something to share. */
  soon(): void {
    this.#schedule(0);
  }

  async join(subscriber: BusSubscriber): Promise<void> {
    this.#subscribers.add(subscriber);
    this.#round = this.#round.then(() => this.#meet([...this.#subscribers]));
    await this.#round.catch((cause: unknown) => {
      this.#subscribers.delete(subscriber);
      this.#round = Promise.resolve();
      throw cause;
    });
    // What another subscriber of this process has too much of is shared before this returns.
    for (let rounds = 0, moved = true; moved && rounds < SETTLE_ROUNDS_MAX; rounds++) {
      await Promise.all(this.#giving);
      moved = await this.#next();
    }
    this.#options.announce();
    this.#schedule(HEARTBEAT_MS);
  }

  async leave(subscriber: BusSubscriber): Promise<void> {
    if (!this.#subscribers.has(subscriber)) return;
    try {
      // Heartbeats go on until it has let go.
      await subscriber.give(subscriber.partitions, async () => {
        this.#subscribers.delete(subscriber);
        await this.#round; // Which may still say that it lives.
        await this.#options.database.sql.query(LEAVE, [subscriber.id]);
      });
    } finally {
      this.#subscribers.delete(subscriber);
      subscriber.stop();
    }
    await this.#next();
    this.#options.announce();
  }

  async close(): Promise<void> {
    for (const subscriber of [...this.#subscribers])
      await this.leave(subscriber).catch((cause: unknown) => {
        // It is dead to the others when its time is over.
        this.#options.log.warn("a subscriber could not say that it leaves", { cause: String(cause) });
      });
    this.#isClosed = true;
    this.#cancelHeartbeat?.();
    await this.#round;
  }

  #schedule(delayMs: number): void {
    this.#cancelHeartbeat?.();
    if (this.#isClosed) return;
    this.#cancelHeartbeat = this.#options.clock.after(delayMs, () => {
      this.#schedule(HEARTBEAT_MS);
      void this.#next();
    });
  }

  /** The next round, after those that are under way. Whether something of this process was given or taken. */
  #next(): Promise<boolean> {
    const round = this.#round.then(() => this.#carryOut());
    this.#round = round;
    return round;
  }

  async #carryOut(): Promise<boolean> {
    const { log } = this.#options;
    const subscribers = [...this.#subscribers];
    if (subscribers.length === 0) return false;
    const said = performance.now();
    try {
      const gives = await this.#meet(subscribers);
      this.#aliveUntil = said + SESSION_MS;
      return gives;
    } catch (cause) {
      log.warn("the bus could not be reached", { cause: cause instanceof Error ? cause.message : String(cause) });
      if (performance.now() > this.#aliveUntil) for (const subscriber of subscribers) subscriber.lose(subscriber.partitions);
      return false;
    }
  }

  /** One round with the other processes. What is to be given is given after it: that takes its time. */
  async #meet(subscribers: readonly BusSubscriber[]): Promise<boolean> {
    const taken = new Map<BusSubscriber, readonly number[]>();
    const seen = await this.#options.database.transaction(async (sql) => {
      await lock(sql);
      void sql.query(LIVE, [subscribers.map(({ id }) => id), subscribers.map(({ group }) => group), SESSION_MS, this.#options.backend()]);
      void sql.query(BURY, [SESSION_MS - SILENCE_MS]);
      void sql.query(ORPHAN);
      const seen = await this.#look(sql);
      for (const subscriber of subscribers) {
        const { take } = shareOf(subscriber, seen);
        if (take.length > 0) await sql.query(TAKE, [subscriber.group, subscriber.id, take]);
        taken.set(subscriber, take);
      }
      return seen;
    });
    const ours = new Set(subscribers.map(({ id }) => id));
    this.#elsewhere = new Set(seen.partitions.filter(({ owner }) => owner !== null && !ours.has(owner)).map(({ partition }) => partition));
    let moved = false;
    for (const subscriber of subscribers) {
      const theirs = new Set([...(taken.get(subscriber) ?? []), ...ownedBy(subscriber, seen)]);
      const lost = subscriber.partitions.filter((partition) => subscriber.owns(partition) && !theirs.has(partition));
      const gained = [...theirs].filter((partition) => !subscriber.partitions.includes(partition));
      if (lost.length > 0) subscriber.lose(lost);
      if (gained.length > 0) subscriber.gain(gained);
      const give = shareOf(subscriber, seen).give.filter((partition) => subscriber.owns(partition));
      if (give.length > 0) this.#give(subscriber, give);
      moved ||= gained.length > 0 || give.length > 0;
    }
    return moved;
  }

  #give(subscriber: BusSubscriber, partitions: readonly number[]): void {
    const { database, log, announce } = this.#options;
    const giving = subscriber
      .give(partitions, async () => void (await database.sql.query(FREE, [subscriber.id, partitions])))
      .then(announce)
      .catch((cause: unknown) => log.warn("partitions could not be given away", { cause: String(cause) }))
      .finally(() => this.#giving.delete(giving));
    this.#giving.add(giving);
  }

  async #look(sql: Sql): Promise<Seen> {
    if (performance.now() - this.#forgottenAt > FORGET_EVERY_MS) {
      this.#forgottenAt = performance.now();
      void forget(sql);
    }
    const [members, partitions, queued] = await Promise.all([
      sql.query<Seen["members"][number]>("SELECT id, group_id FROM bus_member"),
      sql.query<Seen["partitions"][number]>("SELECT group_id, partition, owner FROM bus_partition"),
      sql.query<{ queued: number }>(QUEUED, [QUEUED_MAX + 1]),
    ]);
    this.#queued = queued[0]?.queued ?? 0;
    return { members, partitions };
  }
}

/** Groups that nobody uses go, with their records. */
export async function forget(sql: Sql): Promise<void> {
  void sql.query(USED);
  void sql.query(FORGET_GROUPS, [UNUSED_SECONDS]);
  await sql.query("DELETE FROM bus_record r WHERE NOT EXISTS (SELECT FROM bus_group g WHERE g.id = r.group_id)");
}

function shareOf({ id, group }: BusSubscriber, { members, partitions }: Seen): ReturnType<typeof fairShare> {
  const inGroup = ({ group_id }: { readonly group_id: number }) => group_id === group;
  return fairShare(
    id,
    members.filter(inGroup).map((member) => member.id),
    partitions.filter(inGroup),
  );
}

const ownedBy = ({ id }: BusSubscriber, { partitions }: Seen): readonly number[] =>
  partitions.filter(({ owner }) => owner === id).map(({ partition }) => partition);

/** One process at a time decides. */
const lock = (sql: Sql) => sql.query("SELECT pg_advisory_xact_lock(hashtext('bus'), hashtext(current_schema()))");

const statement = (name: string, text: string) => ({ name: `bus.${name}`, text });

const LIVE = statement(
  "live",
  `INSERT INTO bus_member (id, group_id, alive_until, backend)
   SELECT id, group_id, clock_timestamp() + $3::int * interval '1 millisecond', $4 FROM unnest($1::uuid[], $2::int[]) AS m(id, group_id)
   ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until, backend = excluded.backend`,
);
const BURY = statement(
  "bury",
  `DELETE FROM bus_member WHERE alive_until < clock_timestamp()
   OR (alive_until < clock_timestamp() + $1::int * interval '1 millisecond'
       AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = bus_member.backend AND a.usename = current_user))`,
);
const ORPHAN = statement(
  "orphan",
  "UPDATE bus_partition p SET owner = NULL WHERE owner IS NOT NULL AND NOT EXISTS (SELECT FROM bus_member m WHERE m.id = p.owner)",
);
const TAKE = statement("own", "UPDATE bus_partition SET owner = $2 WHERE group_id = $1 AND partition = ANY($3::int[]) AND owner IS NULL");
const FREE = statement("free", "UPDATE bus_partition SET owner = NULL WHERE owner = $1 AND partition = ANY($2::int[])");
const LEAVE = statement(
  "leave",
  "WITH gone AS (DELETE FROM bus_member WHERE id = $1) UPDATE bus_partition SET owner = NULL WHERE owner = $1",
);
const QUEUED = statement("queued", "SELECT count(*)::int AS queued FROM (SELECT FROM bus_record LIMIT $1) AS waiting");
const USED = statement("used", "UPDATE bus_group SET used_at = clock_timestamp() WHERE id IN (SELECT group_id FROM bus_member)");
const FORGET_GROUPS = statement(
  "forget",
  `DELETE FROM bus_group g WHERE used_at < clock_timestamp() - $1::int * interval '1 second'
    AND NOT (kept AND EXISTS (SELECT FROM bus_record r WHERE r.group_id = g.id))`,
);
