// Hints between the processes of one PostgreSQL: where something was published, and that members come or go. Nobody relies
// on one: what is not heard is found by the next poll. One statement in flight; what is to be said meanwhile is the next.

import type { Clock, Log } from "@bowline/base";
import pg from "pg";
import type { ConnectionDetails } from "../services.ts";

const CHANNEL = "bowline_bus";
const MEMBERS = "members";
const RECONNECT_MS = 1_000;

export interface Hints {
  records(partitions: ReadonlySet<number>): void;
  members(): void;
  close(): Promise<void>;
}

export function createHints(options: {
  readonly connection: ConnectionDetails;
  readonly clock: Clock;
  readonly log: Log;
  /** All of them where hints may have been missed. */
  readonly onRecords: (partitions: ReadonlySet<number> | "all") => void;
  readonly onMembers: () => void;
}): Hints {
  const { clock, log, onRecords, onMembers } = options;
  const { schema: _, ...place } = options.connection;
  const unsaid = new Set<string>();
  let client: pg.Client | undefined;
  let speaking: Promise<void> | undefined;
  let closed = false;

  async function connect(): Promise<void> {
    const fresh = new pg.Client({ ...place, application_name: "bowline", keepAlive: true });
    fresh.on("error", () => undefined);
    fresh.once("end", () => {
      if (client === fresh) client = undefined;
      if (!closed) clock.after(RECONNECT_MS, () => void connect());
    });
    fresh.on("notification", ({ processId, payload }) => {
      const mine = processId === (fresh as unknown as { processID?: number }).processID;
      if (!mine) hear(payload ?? "");
    });
    try {
      await fresh.connect();
      await fresh.query(`LISTEN ${CHANNEL}`);
      if (closed) return void fresh.end();
      client = fresh;
      onRecords("all");
      void speak();
    } catch (cause) {
      log.debug("no hints of other processes", { cause: String(cause) });
      fresh.end().catch(() => undefined);
    }
  }

  function hear(payload: string): void {
    const words = payload.split(" ");
    if (words.includes(MEMBERS)) onMembers();
    const partitions = words.filter((word) => /^\d{1,6}$/.test(word)).map(Number);
    if (partitions.length > 0) onRecords(new Set(partitions));
  }

  function speak(): Promise<void> {
    speaking ??= sayAll().finally(() => {
      speaking = undefined;
    });
    return speaking;
  }

  async function sayAll(): Promise<void> {
    try {
      while (unsaid.size > 0 && client !== undefined) {
        const payload = [...unsaid].join(" ");
        unsaid.clear();
        await client.query("SELECT pg_notify($1, $2)", [CHANNEL, payload]);
      }
    } catch (cause) {
      log.debug("a hint was lost", { cause: String(cause) });
    }
  }

  void connect();
  return {
    records(partitions) {
      for (const partition of partitions) unsaid.add(String(partition));
      if (partitions.size > 0) void speak();
    },
    members() {
      unsaid.add(MEMBERS);
      void speak();
    },
    async close() {
      await speak();
      closed = true;
      await client?.end().catch(() => undefined);
    },
  };
}
