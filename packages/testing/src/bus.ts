// The bus of a network of the kit: it loses, repeats, delays and reorders as its faults say, and brings each record to one
// live process of the member that it is for.

import type { BusConsumer, BusRecord, Clock, X500Name } from "@bowline/base";
import { decodeMessage, decodeWake, WAKE_TOPIC } from "@bowline/flow/messages";
import { type Chance, integerBelow } from "./chance.ts";
import { type Faults, happens } from "./faults.ts";
import type { Party } from "./members.ts";

/** A process as the bus sees it. */
export interface Reader {
  readonly member: X500Name;
  readonly consumers: Map<string, BusConsumer>;
}

const REDELIVERY_MS = 250;

export class FaultyBus {
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #faults: () => Faults;
  readonly #parties: ReadonlyMap<X500Name, Party>;
  readonly #byVnode: ReadonlyMap<string, X500Name>;
  readonly #readers = new Set<Reader>();

  constructor(options: {
    readonly clock: Clock;
    readonly chance: Chance;
    readonly faults: () => Faults;
    readonly parties: ReadonlyMap<X500Name, Party>;
  }) {
    this.#clock = options.clock;
    this.#chance = options.chance;
    this.#faults = options.faults;
    this.#parties = options.parties;
    this.#byVnode = new Map([...options.parties.values()].map(({ vnode, name }) => [vnode, name]));
  }

  join(reader: Reader): void {
    this.#readers.add(reader);
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader);
  }

  publish(records: readonly BusRecord[]): void {
    for (const record of records) {
      const { loss, repeats } = this.#faults();
      if (!happens(this.#chance, loss)) this.#deliver(record);
      if (happens(this.#chance, repeats)) this.#deliver(record);
    }
  }

  #deliver(record: BusRecord): void {
    const { delayMs } = this.#faults();
    const member = this.#memberOf(record);
    this.#clock.after(delayMs === 0 ? 0 : integerBelow(this.#chance, delayMs), () => {
      const readers = [...this.#readers].filter((reader) => reader.member === member && reader.consumers.has(record.topic));
      // Any of them: an owner that changes all the time is the hardest case for the fence.
      const reader = readers[readers.length < 2 ? 0 : integerBelow(this.#chance, readers.length)];
      reader?.consumers
        .get(record.topic)
        ?.records([record])
        .catch(() => this.#clock.after(REDELIVERY_MS, () => this.publish([record])));
    });
  }

  /** What is for nobody is answered where it comes from. */
  #memberOf(record: BusRecord): X500Name | undefined {
    if (record.topic === WAKE_TOPIC) return this.#byVnode.get(decodeWake(record).vnode);
    const { source, destination } = decodeMessage(record.value);
    return this.#parties.has(destination) ? destination : source;
  }
}
