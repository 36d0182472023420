// One process of one member: the real flow worker, on ports that fail as the network's faults say.
//
// A crash is what it is in the world: all that the process still wants, publishes, commits or is told afterwards is lost.
// Every call that it makes of the world may be its last one, before the call takes effect or after.

import { type Bus, type BusConsumer, type Clock, type Log, unavailable } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import { createFlowWorker, type Fibers, type FlowPersistence, inProcessFibers, type Responder, type Services } from "@bowline/flow";
import type { Directory } from "@bowline/host/syscalls";
import type { CordappBundle } from "@bowline/sdk";
import type { FaultyBus, Reader } from "./bus.ts";
import { bytesOf, type Chance, integerBelow } from "./chance.ts";
import { type Faults, happens } from "./faults.ts";
import type { Party } from "./members.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a process has of the world. Everything here outlives it. */
export interface Surroundings {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly faults: () => Faults;
  readonly bus: FaultyBus;
  readonly directory: Directory;
  /** Of this member's own virtual node. */
  persistence(party: Party): FlowPersistence;
  services(party: Party): Services;
  readonly hotFlowsMax: number | undefined;
  /** How far the clock of a new process may be off. */
  readonly clocksOffMs: number;
  responders(party: Party): readonly Responder[];
  /** Of a CorDapp by its checksum, or of the platform. */
  bundle(name: string): CordappBundle;
  log(party: Party): Log;
  /** Asked at each moment at which a process may die: whether it is to. */
  isDoomed(): boolean;
  crashed(process: Process): void;
}

export class Process {
  readonly party: Party;
  readonly #around: Surroundings;
  readonly #reader: Reader;
  readonly #instances = new Map<string, Fibers>();
  readonly #clock: Clock;
  #alive = true;
  /** Heaps stay until then. */
  #sparedUntil = 0;

  constructor(party: Party, around: Surroundings) {
    this.party = party;
    this.#around = around;
    this.#reader = { member: party.name, consumers: new Map() };
    const { time, chance, clocksOffMs } = around;
    const aheadMs = clocksOffMs === 0 ? 0 : integerBelow(chance, 2 * clocksOffMs + 1) - clocksOffMs;
    this.#clock = time.clock(() => this.#alive, aheadMs);
  }

  get alive(): boolean {
    return this.#alive;
  }

  async start(id: string): Promise<void> {
    const { bus, chance, directory, hotFlowsMax } = this.#around;
    bus.join(this.#reader);
    const worker = createFlowWorker({
      clock: this.#clock,
      random: (length) => bytesOf(chance, length),
      digest: sha256,
      log: this.#log(),
      workerId: id,
      bus: this.#bus(),
      persistence: this.#persistence(),
      directory: {
        hosted: async (name, groupId) => {
          const node = name === this.party.name ? await directory.hosted(name, groupId) : undefined;
          return node && { vnode: node.holdingIdentity.shortHash, responders: this.#around.responders(this.party) };
        },
      },
      services: this.#services(),
      fibers: async (bundle) => this.#fibers(bundle),
      ...(hotFlowsMax === undefined ? {} : { hotFlowsMax }),
    });
    await worker.start();
  }

  crash(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#around.bus.leave(this.#reader);
    this.#around.crashed(this);
  }

  #log(): Log {
    const log = this.#around.log(this.party);
    const at =
      (level: keyof Log): Log["info"] =>
      (message, facts) => {
        if (this.#alive) log[level](message, facts);
      };
    return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  }

  #bus(): Bus {
    return {
      publish: (records) => this.#through(async () => this.#around.bus.publish(records)),
      subscribe: async (topics: readonly string[], _group: string, consumer: BusConsumer) => {
        for (const topic of topics) this.#reader.consumers.set(topic, consumer);
        // Whoever had these flows before may have died in the middle of something.
        this.#clock.after(0, () => consumer.assigned?.(() => true));
        // Of several processes each believes that all flows are its own: the fence alone decides.
        return { owns: () => true, close: async () => this.#reader.consumers.clear() };
      },
      close: async () => {},
    };
  }

  #persistence(): FlowPersistence {
    const { time } = this.#around;
    const persistence = this.#around.persistence(this.party);
    return {
      load: (request) => this.#through(() => persistence.load(request)),
      commit: (request) => this.#through(() => persistence.commit(request)),
      acknowledge: (request) => this.#through(() => persistence.acknowledge(request)),
      dueBefore: (request) => this.#through(() => persistence.dueBefore(request)),
      due: async (request) => {
        // A look that finds nothing is no event, and no occasion for faults: an idle network is a quiet one.
        const found = await time.track(persistence.due(request));
        return found.flows.length + found.messages.length === 0 ? this.#answered(found) : this.#through(async () => found);
      },
    };
  }

  #services(): Services {
    const services = this.#around.services(this.party);
    return {
      classify: (call, trusted) => services.classify(call, trusted),
      perform: (call, context) => this.#through(() => services.perform(call, context)),
    };
  }

  #fibers(name: string): Fibers {
    const { chance, faults, time } = this.#around;
    const known = this.#instances.get(name);
    const isSpared = time.now < this.#sparedUntil;
    if (known !== undefined && (isSpared || !happens(chance, faults().evictions))) return known;
    if (known !== undefined) this.#sparedUntil = time.now + SPARED_MS;
    time.stir();
    const fibers = inProcessFibers(this.#around.bundle(name).fresh(), () => time.turn());
    this.#instances.set(name, fibers);
    return fibers;
  }

  async #through<T>(call: () => Promise<T>): Promise<T> {
    this.#around.time.stir();
    this.#meetFate();
    if (!this.#alive) return never();
    const answer = await this.#around.time.track(call());
    if (this.#alive) this.#meetFate();
    return this.#answered(answer);
  }

  #answered<T>(answer: T): Promise<T> {
    return this.#alive ? Promise.resolve(answer) : never();
  }

  #meetFate(): void {
    const { chance, faults } = this.#around;
    const { crashes, outages } = faults();
    if (this.#around.isDoomed() || happens(chance, crashes)) this.crash();
    else if (happens(chance, outages))
      throw unavailable("testing.outage", "The other side of this call is away, because this network's faults say so.");
  }
}

/** After a loss no other comes for so long: a flow that has done much has to be run again in between, or it is never done. */
const SPARED_MS = 250;

/** When a process that a fault has ended is there again. */
export const restartAfterMs = (chance: Chance): number => integerBelow(chance, 30_000);

const never = <T>(): Promise<T> => new Promise<T>(() => {});
