// A cluster of flow workers in one process, in virtual time and from one seed, with faults: for this package's tests.
//
// A crash is what it is in the world: all that the worker still wants, publishes, commits or is told afterwards is lost.

import { createHash } from "node:crypto";
import {
  type Bus,
  type BusConsumer,
  type BusRecord,
  type Clock,
  type Data,
  type Instant,
  type Log,
  parseName,
  type SecureHash,
  type ShortHash,
  unavailable,
  type X500Name,
} from "@bowline/base";
import { type CordappBundle, type CordappDefinition, cordapp, type FlowProperties, type Outcome, type Syscall } from "@bowline/sdk";
import { createGroupCommit } from "./batches.ts";
import { inProcessFibers } from "./fibers.ts";
import { createMemoryFlowStore } from "./flow.memory.ts";
import type { Bundle } from "./flow-state.ts";
import { wakeRecord } from "./messages.ts";
import type { Fibers, FlowPersistence, FlowRow, FlowStore, Services, SyscallContext } from "./ports.ts";
import { clientStart } from "./rows.ts";
import { createFlowWorker, type FlowWorker } from "./worker.ts";

export const digest = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

export const ALICE = parseName("O=Alice, L=London, C=GB");
export const BOB = parseName("O=Bob, L=Paris, C=FR");
export const GROUP = "6f1d7bc5-2b8e-4d9a-9d06-1d5c5a2f1b11";
const AUTHOR = "SHA-256:AUTHOR" as SecureHash;

/** Chances from 0 to 1 of each fault, each time it may happen. */
export interface Faults {
  readonly drop: number;
  readonly repeat: number;
  /** Longest delay of a message: what is delayed is overtaken. */
  readonly delayMs: number;
  readonly commitUnavailable: number;
  readonly commitAnswerLost: number;
  readonly callUnavailable: number;
  readonly fibersLost: number;
}

export const NO_FAULTS: Faults = {
  drop: 0,
  repeat: 0,
  delayMs: 0,
  commitUnavailable: 0,
  commitAnswerLost: 0,
  callUnavailable: 0,
  fibersLost: 0,
};

export interface TrialOptions {
  readonly seed?: number;
  readonly faults?: Partial<Faults>;
  readonly cordapp: CordappDefinition;
  /** The code of other bundles than the one that flows start in. */
  readonly bundles?: Readonly<Record<SecureHash, CordappDefinition>>;
  /** The platform's flows. */
  readonly platform?: CordappDefinition;
  /** What services answer, by name. A throw is thrown. */
  readonly services?: Readonly<Record<string, (request: Data, context: SyscallContext) => Outcome | Promise<Outcome>>>;
  readonly hotFlowsMax?: number;
  /** Of every flow that a client starts. */
  readonly properties?: FlowProperties;
  /** What the vault refuses. */
  readonly applyVaultWrites?: (flowId: string, writes: readonly Data[]) => void;
}

interface Timer {
  readonly at: Instant;
  readonly order: number;
  readonly work: () => void;
}

/** Small, fast, and the same everywhere (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export class Trial {
  readonly stores: Readonly<Record<string, FlowStore>>;
  /** What services were asked, by the key of the step that asked. */
  readonly calls: { readonly service: string; readonly key: string; readonly request: Data }[] = [];
  readonly logs: { readonly level: string; readonly message: string; readonly facts: unknown }[] = [];
  readonly vault: { readonly flowId: string; readonly write: Data }[] = [];
  /** Counted, so that a test can crash at each of them. */
  commits = 0;
  loads = 0;
  activations = 0;
  /** All that workers have published. */
  readonly published: BusRecord[] = [];
  /** What becomes of a record on its way. */
  onPublish: ((record: BusRecord) => BusRecord) | undefined;
  onCommit: ((count: number) => void) | undefined;
  faults: Faults;
  readonly #options: TrialOptions;
  readonly #chance: () => number;
  readonly #bus: TrialBus;
  readonly #groupCommits = new Map<string, ReturnType<typeof createGroupCommit>>();
  #timers: Timer[] = [];
  #now: Instant = 1_700_000_000_000;
  #order = 0;
  #busy = 0;
  #flows = 0;

  constructor(options: TrialOptions) {
    this.#options = options;
    this.#chance = seeded(options.seed ?? 1);
    this.faults = { ...NO_FAULTS, ...options.faults };
    this.#bus = new TrialBus(
      this.clock(() => true),
      () => this.faults,
      this.#chance,
    );
    const applyVaultWrites = (flowId: string, writes: readonly Data[]): void => {
      options.applyVaultWrites?.(flowId, writes);
      for (const write of writes) this.vault.push({ flowId, write });
    };
    this.stores = Object.fromEntries([ALICE, BOB].map((name) => [vnodeOf(name), createMemoryFlowStore({ applyVaultWrites })]));
    for (const [vnode, store] of Object.entries(this.stores)) this.#groupCommits.set(vnode, createGroupCommit(store));
  }

  get now(): Instant {
    return this.#now;
  }

  /** A worker and the way to kill it. */
  async worker(
    id = "w",
  ): Promise<{ readonly worker: FlowWorker; crash(): void; takeAll(how?: { readonly heard: boolean }): Promise<void> }> {
    let alive = true;
    const isAlive = (): boolean => alive;
    const mine = new Set<BusConsumer>();
    const bus: Bus = {
      publish: async (records) => {
        if (alive) await this.#bus.publish(this.onPublish === undefined ? records : records.map(this.onPublish));
        if (alive) this.published.push(...records);
      },
      subscribe: (topics, group, consumer) => {
        mine.add(consumer);
        return this.#bus.subscribe(topics, group, consumer);
      },
      close: async () => {},
    };
    const bundles = new Map<Bundle, Fibers>();
    const worker = createFlowWorker({
      clock: this.clock(isAlive),
      random: (length) => Uint8Array.from({ length }, () => Math.floor(this.#chance() * 256)),
      digest,
      log: this.#log(),
      workerId: id,
      bus,
      persistence: this.#persistence(isAlive),
      directory: {
        hosted: async (name) =>
          name === ALICE || name === BOB
            ? {
                vnode: vnodeOf(name),
                responders: [...respondersOf(this.#options.cordapp, AUTHOR), ...respondersOf(this.#options.platform, "platform")],
              }
            : undefined,
      },
      services: this.#services(isAlive),
      fibers: async (bundle) => this.#fibers(bundles, bundle),
      ...(this.#options.hotFlowsMax === undefined ? {} : { hotFlowsMax: this.#options.hotFlowsMax }),
    });
    await worker.start();
    return {
      worker,
      crash: () => {
        alive = false;
        for (const consumer of mine) this.#bus.leave(consumer);
      },
      /** Every key is this worker's from now on; those who had them let go of them first, if they hear of it. */
      takeAll: async ({ heard } = { heard: true }) => {
        for (const consumer of mine) await this.#bus.giveAll(consumer, heard);
      },
    };
  }

  /** Starts a flow as the persistence role does for a client. */
  async start(
    flowName: string,
    input: Data,
    options: { readonly me?: X500Name; readonly clientRequestId?: string; readonly bundle?: SecureHash } = {},
  ): Promise<string> {
    const me = options.me ?? ALICE;
    const number = ++this.#flows;
    const vnode = vnodeOf(me);
    const start = clientStart({
      id: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
      seed: digest(Uint8Array.of(number)),
      bundle: options.bundle ?? AUTHOR,
      flowName,
      identity: { me, groupId: GROUP },
      ...(this.#options.properties === undefined ? {} : { properties: this.#options.properties }),
      clientRequestId: options.clientRequestId ?? `r${number}`,
      startedBy: "admin",
      input,
      now: this.#now,
    });
    const [outcome] = (await this.stores[vnode]?.start([start])) ?? [];
    if (outcome === undefined) throw new Error(`no store of ${vnode}`);
    if (outcome.kind === "started") await this.#bus.publish([wakeRecord(vnode, outcome.row)]);
    return outcome.row.id;
  }

  /** What the network may do at any time: bring again what it brought before. */
  async repeat(record: BusRecord): Promise<void> {
    await this.#bus.publish([record]);
  }

  async wake(flowId: string, me: X500Name = ALICE): Promise<void> {
    await this.#bus.publish([wakeRecord(vnodeOf(me), { id: flowId })]);
  }

  async row(flowId: string, me: X500Name = ALICE): Promise<FlowRow> {
    const [snapshot] = (await this.stores[vnodeOf(me)]?.load([flowId])) ?? [];
    if (snapshot === undefined) throw new Error(`no flow ${flowId}`);
    return snapshot.row;
  }

  /** Lets everything happen that can, in order of time, for so long. */
  async run(durationMs: number): Promise<void> {
    const until = this.#now + durationMs;
    for (;;) {
      await this.#settle();
      this.#timers.sort((a, b) => a.at - b.at || a.order - b.order);
      const [next] = this.#timers;
      if (next === undefined || next.at > until) break;
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.work();
    }
    this.#now = until;
  }

  /** Until `condition` holds; fails when it does not within that time. */
  async until(condition: () => Promise<boolean> | boolean, withinMs = 600_000): Promise<void> {
    const deadline = this.#now + withinMs;
    while (!(await condition())) {
      if (this.#now >= deadline) throw new Error(`not within ${withinMs} ms of virtual time`);
      await this.run(100);
    }
  }

  async finished(flowId: string, me: X500Name = ALICE): Promise<FlowRow> {
    await this.until(async () => ["COMPLETED", "FAILED", "KILLED", "PARKED"].includes((await this.row(flowId, me)).status));
    return this.row(flowId, me);
  }

  clock(isAlive: () => boolean): Clock {
    return {
      now: () => this.#now,
      after: (delayMs, work) => {
        const timer: Timer = {
          at: this.#now + Math.max(0, delayMs),
          order: this.#order++,
          work: () => {
            if (isAlive()) work();
          },
        };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer);
        };
      },
    };
  }

  /** Nothing is left to happen at this instant. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#busy > 0) quiet = -1;
    }
  }

  #happens(chance: number): boolean {
    return chance > 0 && this.#chance() < chance;
  }

  #fibers(bundles: Map<Bundle, Fibers>, bundle: Bundle): Fibers {
    const known = bundles.get(bundle);
    if (known !== undefined && !this.#happens(this.faults.fibersLost)) return known;
    const definition = bundle === "platform" ? this.#options.platform : (this.#options.bundles?.[bundle] ?? this.#options.cordapp);
    const built: CordappBundle = cordapp(definition ?? { flows: [], states: [], contracts: [] });
    const fibers = inProcessFibers(built, async () => {
      this.activations++;
      this.#busy++;
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.#busy--;
    });
    bundles.set(bundle, fibers);
    return fibers;
  }

  #persistence(isAlive: () => boolean): FlowPersistence {
    const store = (vnode: ShortHash): FlowStore => {
      const found = this.stores[vnode];
      if (found === undefined) throw new Error(`no store of ${vnode}`);
      return found;
    };
    return {
      load: async ({ vnode, flowIds }) => {
        this.loads++;
        return this.#answerTo(isAlive, await store(vnode).load(flowIds));
      },
      commit: async ({ vnode, commit }) => {
        if (!isAlive()) return never();
        if (this.#happens(this.faults.commitUnavailable)) throw unavailable("trial.down", "The database is away.");
        const outcome = await (this.#groupCommits.get(vnode) ?? never)(commit);
        if (outcome.kind === "committed") {
          this.commits++;
          this.onCommit?.(this.commits);
        }
        if (this.#happens(this.faults.commitAnswerLost)) throw unavailable("trial.lost", "The answer was lost.");
        return this.#answerTo(isAlive, outcome);
      },
      acknowledge: async ({ vnode, acknowledgements }) => {
        if (!isAlive()) return never();
        await store(vnode).acknowledge(acknowledgements);
        return null;
      },
      due: async ({ now, leaseUntil, limit }) => {
        if (!isAlive()) return never();
        const flows = [];
        const messages = [];
        for (const [vnode, each] of Object.entries(this.stores)) {
          for (const flowId of await each.due(now, leaseUntil, limit)) flows.push({ vnode: vnode as ShortHash, flowId });
          messages.push(...(await each.unacknowledged(now, limit)));
        }
        return this.#answerTo(isAlive, { flows, messages });
      },
      dueBefore: async ({ until }) => {
        if (!isAlive()) return never();
        const flows = [];
        for (const [vnode, each] of Object.entries(this.stores))
          for (const flowId of await each.dueBefore(until)) flows.push({ vnode: vnode as ShortHash, flowId });
        return this.#answerTo(isAlive, flows);
      },
    };
  }

  #answerTo<T>(isAlive: () => boolean, value: T): Promise<T> {
    return isAlive() ? Promise.resolve(value) : never();
  }

  #services(isAlive: () => boolean): Services {
    return {
      classify: (call, trusted) => classOf(call, trusted),
      perform: async (call, context) => {
        if (!isAlive()) return never();
        if (this.#happens(this.faults.callUnavailable)) throw unavailable("trial.down", "The service is away.");
        if (call.kind !== "service") return { ok: null };
        this.calls.push({ service: call.service, key: `${context.identity.flowId}/${context.path}`, request: call.request });
        return this.#options.services?.[call.service]?.(call.request, context) ?? { ok: null };
      },
    };
  }

  #log(): Log {
    const at = (level: string) => (message: string, facts?: unknown) => void this.logs.push({ level, message, facts });
    return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  }
}

const never = <T>(): Promise<T> => new Promise<T>(() => {});

export const vnodeOf = (name: X500Name): ShortHash => (name === ALICE ? "A11CE0000000" : "B0B000000000") as ShortHash;

const respondersOf = (definition: CordappDefinition | undefined, bundle: Bundle) =>
  (definition?.flows ?? []).flatMap((flow) => (flow.kind === "responder" ? [{ protocol: flow.answers, flowName: flow.name, bundle }] : []));

/** Services are pure unless their name says otherwise; here author code may ask them too. */
function classOf(call: Syscall, trusted: boolean): ReturnType<Services["classify"]> {
  if (call.kind === "platform") return "child";
  if (call.kind === "external.send") return "write";
  if (call.kind === "vault.write") return trusted ? "write" : "forbidden";
  if (call.kind !== "service") return "pure";
  if (call.service.startsWith("mark.")) return "mark";
  return call.service.startsWith("read.") ? "read" : "pure";
}

/** Loses, repeats and delays, as its faults say; shares a group's records among its subscribers by key. */
class TrialBus implements Bus {
  readonly #clock: Clock;
  readonly #faults: () => Faults;
  readonly #chance: () => number;
  /** Without one, any subscriber gets any record. */
  #owner: BusConsumer | undefined;
  #subscribers: { readonly topics: readonly string[]; readonly consumer: BusConsumer }[] = [];

  constructor(clock: Clock, faults: () => Faults, chance: () => number) {
    this.#clock = clock;
    this.#faults = faults;
    this.#chance = chance;
  }

  async publish(records: readonly BusRecord[]): Promise<void> {
    for (const record of records) {
      const { drop, repeat } = this.#faults();
      if (this.#chance() >= drop) this.#deliver(record);
      if (repeat > 0 && this.#chance() < repeat) this.#deliver(record);
    }
  }

  async subscribe(topics: readonly string[], _group: string, consumer: BusConsumer) {
    const subscriber = { topics, consumer };
    this.#subscribers.push(subscriber);
    return { owns: () => (this.#owner ?? consumer) === consumer, close: async () => this.leave(consumer) };
  }

  async giveAll(owner: BusConsumer, heard: boolean): Promise<void> {
    this.#owner = owner;
    for (const { consumer } of this.#subscribers) if (heard && consumer !== owner) await consumer.revoked?.(() => true);
    owner.assigned?.(() => true);
  }

  leave(consumer: BusConsumer): void {
    this.#subscribers = this.#subscribers.filter((subscriber) => subscriber.consumer !== consumer);
  }

  async close(): Promise<void> {}

  #deliver(record: BusRecord): void {
    const { delayMs } = this.#faults();
    this.#clock.after(delayMs === 0 ? 0 : Math.floor(this.#chance() * delayMs), () => {
      const readers = this.#subscribers.filter(
        ({ topics, consumer }) => topics.includes(record.topic) && (this.#owner ?? consumer) === consumer,
      );
      // Any of them: an owner that changes all the time is the hardest case for the fence.
      const reader = readers[delayMs === 0 ? record.key.length % Math.max(1, readers.length) : Math.floor(this.#chance() * readers.length)];
      void reader?.consumer.records([record]);
    });
  }
}
