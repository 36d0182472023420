// What leaves a worker without a commit of its own: messages that are committed, acknowledgements that found none to
// ride on, and news for outboxes. All of it may be lost: outboxes send again.

import type { Clock, Log, ShortHash } from "@bowline/base";
import { BowlineError, type Bus, type BusRecord } from "@bowline/base";
import { ACKNOWLEDGE_MS } from "./limits.ts";
import { type Digest, sessionRecord } from "./messages.ts";
import type { Acknowledgement, FlowPersistence, SessionMessage } from "./ports.ts";

interface World {
  readonly bus: Bus;
  readonly persistence: Pick<FlowPersistence, "acknowledge">;
  readonly clock: Clock;
  readonly log: Log;
  readonly digest: Digest;
}

export class Courier {
  readonly #world: World;
  #outgoing: SessionMessage[] = [];
  /** By session and side: the latest says it all. */
  readonly #owed = new Map<string, SessionMessage>();
  readonly #acknowledged = new Map<ShortHash, Map<string, Acknowledgement>>();
  #cancelTimer: (() => void) | undefined;
  #inFlight = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** What is published in one turn of the loop is one call to the bus. */
  publish(messages: readonly SessionMessage[]): void {
    if (this.#outgoing.length === 0) queueMicrotask(() => this.#send());
    for (const message of messages) {
      this.#outgoing.push(message);
      const owed = this.#owed.get(keyOf(message));
      if (owed !== undefined && owed.acknowledged <= message.acknowledged) this.#owed.delete(keyOf(message));
    }
  }

  /** For flows that others run: who does not hear it finds the flow when its lease runs out. */
  wake(records: readonly BusRecord[]): void {
    void this.#track("wake-ups not published", () => this.#world.bus.publish(records));
  }

  owe(message: SessionMessage): void {
    const owed = this.#owed.get(keyOf(message));
    if (owed === undefined || saysMore(message, owed)) this.#owed.set(keyOf(message), message);
    this.#arm();
  }

  acknowledged(vnode: ShortHash, acknowledgements: readonly Acknowledgement[]): void {
    let known = this.#acknowledged.get(vnode);
    if (known === undefined) {
      known = new Map();
      this.#acknowledged.set(vnode, known);
    }
    for (const acknowledgement of acknowledgements) {
      const key = keyOf(acknowledgement);
      if ((known.get(key)?.sequence ?? 0) < acknowledgement.sequence) known.set(key, acknowledgement);
    }
    this.#arm();
  }

  /** Nothing is on its way out of this worker. */
  get idle(): boolean {
    return this.#inFlight === 0 && this.#outgoing.length === 0;
  }

  /** Sends all that waits for its time. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const owed = [...this.#owed.values()];
    this.#owed.clear();
    if (owed.length > 0) this.publish(owed);
    for (const [vnode, known] of this.#acknowledged) {
      const acknowledgements = [...known.values()];
      void this.#track("acknowledgements not stored", () => this.#world.persistence.acknowledge({ vnode, acknowledgements }));
    }
    this.#acknowledged.clear();
  }

  #arm(): void {
    this.#cancelTimer ??= this.#world.clock.after(ACKNOWLEDGE_MS, () => this.flush());
  }

  #send(): void {
    const { bus, digest } = this.#world;
    const messages = this.#outgoing;
    this.#outgoing = [];
    void this.#track("messages not published", () => bus.publish(messages.map((message) => sessionRecord(message, digest))));
  }

  async #track(failed: string, work: () => Promise<unknown>): Promise<void> {
    this.#inFlight++;
    try {
      await work();
    } catch (cause) {
      // The outbox keeps them: they are sent again when their time comes.
      const facts = cause instanceof BowlineError ? { code: cause.code } : { cause: String(cause) };
      this.#world.log.warn(failed, facts);
    } finally {
      this.#inFlight--;
    }
  }
}

const readIn = ({ read, acknowledged }: SessionMessage): number => read ?? acknowledged;

const saysMore = (one: SessionMessage, other: SessionMessage): boolean =>
  one.acknowledged > other.acknowledged || (one.acknowledged === other.acknowledged && readIn(one) > readIn(other));

const keyOf = ({ session, from }: { readonly session: string; readonly from: string }): string => `${from} ${session}`;
