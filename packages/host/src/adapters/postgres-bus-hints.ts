// Hints between the processes of one PostgreSQL: where something was published, and that members come or go. Nobody relies
// on one: what is not heard is found by the next poll. One statement in flight; what is to be said meanwhile is the next.

import type { Clock, Log } from "@bowline/base";
import pg from "pg";
import type { ConnectionDetails } from "../services.ts";

const CHANNEL = "bowline_bus";
const MEMBERS = "members";
const RECONNECT_MS = 1_000;

export interface HintsOptions {
  readonly connection: ConnectionDetails;
  readonly clock: Clock;
  readonly log: Log;
  /** All of them where hints may have been missed. */
  readonly onRecords: (partitions: ReadonlySet<number> | "all") => void;
  readonly onMembers: () => void;
}

export class BusHints {
  readonly #options: HintsOptions;
  readonly #unsaid = new Set<string>();
  #client: pg.Client | undefined;
  #speaking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: HintsOptions) {
    this.#options = options;
    void this.#connect();
  }

  /** The server's process for this connection; null while there is none. */
  get backend(): number | null {
    return backendOf(this.#client) ?? null;
  }

  records(partitions: ReadonlySet<number>): void {
    for (const partition of partitions) this.#unsaid.add(String(partition));
    if (partitions.size > 0) void this.#speak();
  }

  members(): void {
    this.#unsaid.add(MEMBERS);
    void this.#speak();
  }

  async close(): Promise<void> {
    await this.#speak();
    this.#isClosed = true;
    await this.#client?.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    const { clock, log, onRecords } = this.#options;
    const { schema: _, ...place } = this.#options.connection;
    const client = new pg.Client({ ...place, application_name: "bowline", keepAlive: true });
    client.on("error", () => undefined);
    client.once("end", () => {
      if (this.#client === client) this.#client = undefined;
      if (!this.#isClosed) clock.after(RECONNECT_MS, () => void this.#connect());
    });
    client.on("notification", ({ processId, payload }) => {
      if (processId !== backendOf(client)) this.#hear(payload ?? "");
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      if (this.#isClosed) return void client.end();
      this.#client = client;
      onRecords("all");
      void this.#speak();
    } catch (cause) {
      log.debug("no hints of other processes", { cause: String(cause) });
      client.end().catch(() => undefined);
    }
  }

  #hear(payload: string): void {
    const words = payload.split(" ");
    if (words.includes(MEMBERS)) this.#options.onMembers();
    const partitions = words.filter((word) => /^\d{1,6}$/.test(word)).map(Number);
    if (partitions.length > 0) this.#options.onRecords(new Set(partitions));
  }

  #speak(): Promise<void> {
    this.#speaking ??= this.#sayAll().finally(() => {
      this.#speaking = undefined;
    });
    return this.#speaking;
  }

  async #sayAll(): Promise<void> {
    try {
      while (this.#unsaid.size > 0 && this.#client !== undefined) {
        const payload = [...this.#unsaid].join(" ");
        this.#unsaid.clear();
        await this.#client.query("SELECT pg_notify($1, $2)", [CHANNEL, payload]);
      }
    } catch (cause) {
      this.#options.log.debug("a hint was lost", { cause: String(cause) });
    }
  }
}

/** Its types leave it out. */
const backendOf = (client: pg.Client | undefined): number | undefined => (client as { processID?: number } | undefined)?.processID;
