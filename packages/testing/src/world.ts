// A whole network in one process: the flow workers, the ledger's flows, keys, vaults and the notary's memory of all members,
// in virtual time, over a bus and processes that fail. The kit's `Network` is its face for authors; the simulator of the
// engine drives it directly.

import {
  type Data,
  decode,
  encode,
  type Instant,
  invariant,
  type Log,
  type SecureHash,
  type ShortHash,
  unavailable,
  type X500Name,
} from "@bowline/base";
import { topicOf } from "@bowline/cluster/external-routes";
import {
  clientStart,
  createGroupCommit,
  createGroupStart,
  type FlowPersistence,
  type FlowRow,
  type FlowStart,
  type FlowStatus,
  type Responder,
  type StartOutcome,
  type StepCommit,
  startedRow,
  wakeRecord,
} from "@bowline/flow";
import { createFlowServices, type SyscallRoles } from "@bowline/host/syscalls";
import { entityReadOf, ledgerFlows } from "@bowline/ledger";
import { memoryUniqueness, type UniquenessStore } from "@bowline/ledger/notary";
import { type QueryDescriptions, stateQueryPlan } from "@bowline/ledger/queries";
import { type DueRepair, OUTCOME_PROTOCOL, REPAIR_FLOW, type UnverifiedTransaction } from "@bowline/ledger/upkeep";
import { type CordappBundle, cordapp } from "@bowline/sdk";
import { FaultyBus } from "./bus.ts";
import { bytesOf, type Chance, integerBelow, seeded, uuidOf } from "./chance.ts";
import { type Faults, happens } from "./faults.ts";
import { createMembership, GROUP_ID, type MemberPlan, type Membership, type NotaryPlan, type Party } from "./members.ts";
import { Process, restartAfterMs, type Surroundings } from "./process.ts";
import { createRoles } from "./roles.ts";
import { allFlows, type CheckChannel, type EntitiesOf, isOver, memoryStorage, type Storage } from "./storage.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly startsAt: Instant;
  readonly members: readonly MemberPlan[];
  readonly faults: Faults;
  /** Processes of each member, each of which believes that all its flows are its own. */
  readonly owners?: number;
  /** Flows that one process keeps in memory. */
  readonly hotFlowsMax?: number;
  /** How far each process's clock may be off, either way. Databases agree on the time. */
  readonly clocksOffMs?: number;
  /** One that does not verify, and needs one signature, where nothing is said. */
  readonly notary?: NotaryPlan;
  /** Processes of the uniqueness role. */
  readonly notaryWorkers?: number;
  storage?(party: Party, now: () => Instant): Promise<Storage>;
  /** What one of the notary's virtual nodes remembers. */
  uniqueness?(now: () => Instant, party: Party): UniquenessStore;
  /** What a member's flows call, between the flows and the roles: to look at it, or to lie. */
  roles?(party: Party, roles: SyscallRoles, membership: Membership): SyscallRoles;
}

/** One member, as long as the network lives. */
export interface Place {
  readonly party: Party;
  readonly storage: Storage;
  readonly start: (start: FlowStart) => Promise<StartOutcome>;
  readonly commit: ReturnType<typeof createGroupCommit>;
  processes: Process[];
  /** Crashed on purpose: it stays so until somebody restarts it. */
  down: boolean;
}

export interface LogLine {
  readonly level: keyof Log;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly member: X500Name;
  readonly at: Instant;
}

export interface FlowRequest {
  readonly flowName: string;
  readonly bundle: SecureHash | "platform";
  readonly input: Data;
  readonly requestId: string;
  /** No row is inserted before: its first commit does so, as where flows run in the persistence role's own process. */
  readonly begins?: boolean;
}

/** After that a row is inserted for a flow whose first commit has not come. */
const BEGIN_MS = 250;

export class World {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly membership: Membership;
  readonly places: ReadonlyMap<X500Name, Place>;
  readonly logs: LogLine[] = [];
  faults: Faults;
  /** Hears of every commit that a store has accepted. */
  onCommit: ((name: X500Name, commit: StepCommit) => void) | undefined;
  /** Processes that have died so far. */
  crashes = 0;
  /** Moments so far at which a process could have died: before and after each call that one made of the world. */
  moments = 0;
  /** The process whose moment this is dies at it. */
  crashAt: number | undefined;
  readonly #statuses = new Map<string, FlowStatus>();
  readonly #owners: number;
  readonly #bus: FaultyBus;
  readonly #around: Surroundings;
  readonly #platform: CordappBundle;
  /** Beside those of the members' packages. */
  readonly #bundles = new Map<string, CordappBundle>();
  #processes = 0;

  /** A network whose processes run. */
  static async create(options: WorldOptions): Promise<World> {
    const time = new VirtualTime(options.startsAt);
    const chance = seeded(options.seed);
    const membership = createMembership(options.members, chance, options.startsAt, options.notary);
    const places = new Map<X500Name, Place>();
    for (const party of membership.parties.values()) {
      const storage =
        (await options.storage?.(party, () => time.now)) ?? memoryStorage(() => time.now, entitiesOf(party), checkChannel(party));
      const { flows } = storage;
      places.set(party.name, {
        party,
        storage,
        start: createGroupStart(flows),
        commit: createGroupCommit(flows),
        processes: [],
        down: false,
      });
    }
    const world = new World(options, { time, chance, membership, places });
    for (const place of places.values()) await world.#populate(place);
    return world;
  }

  private constructor(options: WorldOptions, parts: Pick<World, "time" | "chance" | "membership" | "places">) {
    this.time = parts.time;
    this.chance = parts.chance;
    this.membership = parts.membership;
    this.places = parts.places;
    this.faults = options.faults;
    this.#owners = options.owners ?? 1;
    this.#platform = cordapp({ flows: ledgerFlows, states: [], contracts: [] });
    const clock = this.time.clock(() => true);
    this.#bus = new FaultyBus({ clock, chance: this.chance, faults: () => this.faults, parties: this.membership.parties });
    this.#around = this.#surroundings(options);
    this.time.nextWake = (all) => this.#nextWake(all);
  }

  place(name: X500Name): Place {
    const place = this.places.get(name);
    invariant(place !== undefined, `${name} is a member of this network`);
    return place;
  }

  /** Starts a flow as the persistence role does for a client. */
  async start(name: X500Name, request: FlowRequest): Promise<StartOutcome> {
    const place = this.place(name);
    const { requestId: clientRequestId, input, begins = false, ...flow } = request;
    const start = clientStart({
      ...flow,
      // As it would arrive over REST: a value of its own.
      input: decode(encode(input)),
      clientRequestId,
      id: uuidOf(this.chance),
      seed: bytesOf(this.chance, 32),
      identity: { me: name, groupId: GROUP_ID },
      startedBy: "test",
      now: this.time.now,
    });
    const row = startedRow(start);
    if (begins && (await this.#begins(place, row))) return { kind: "started", row };
    const outcome = await this.time.track(place.start(start));
    if (outcome.row.id === row.id) this.#bus.publish([wakeRecord(place.party.vnode, outcome.row)]);
    this.time.stir();
    return outcome;
  }

  /** Whether the flow's first commit has inserted it, soon enough for who asked. */
  #begins({ party }: Place, row: FlowRow): Promise<boolean> {
    this.#bus.publish([wakeRecord(party.vnode, row, true)]);
    this.time.stir();
    return this.time.wait(() => this.#statuses.has(row.id), this.time.now + BEGIN_MS);
  }

  async kill(name: X500Name, flowId: string): Promise<boolean> {
    const { party, storage } = this.place(name);
    const found = await this.time.track(storage.flows.requestKill(flowId, this.time.now));
    if (found) this.#bus.publish([wakeRecord(party.vnode, { id: flowId })]);
    this.time.stir();
    return found;
  }

  /** Whether a flow is over, or parked. */
  isAtRest(flowId: string): boolean {
    const status = this.#statuses.get(flowId);
    return status !== undefined && status !== "RUNNING" && status !== "START_REQUESTED";
  }

  /** Ends all processes of a member, as `kill -9` does; they stay so. */
  crash(name: X500Name): void {
    const place = this.place(name);
    place.down = true;
    for (const process of place.processes) process.crash();
  }

  async restart(name: X500Name): Promise<void> {
    const place = this.place(name);
    place.down = false;
    await this.#populate(place);
  }

  /** A bundle that no member's package brings. */
  addBundle(name: string, bundle: CordappBundle): void {
    this.#bundles.set(name, bundle);
  }

  async close(): Promise<void> {
    for (const { processes, storage } of this.places.values()) {
      for (const process of [...processes]) process.crash();
      await storage.close();
    }
  }

  async #populate(place: Place): Promise<void> {
    this.time.stir();
    while (!place.down && place.processes.length < this.#owners) {
      const process = new Process(place.party, this.#around);
      place.processes.push(process);
      await process.start(`process ${++this.#processes}`);
    }
  }

  #surroundings(options: WorldOptions): Surroundings {
    const byVnode = new Map([...this.places.values()].map((place) => [place.party.vnode, place]));
    const placeOf = (vnode: ShortHash): Place => {
      const place = byVnode.get(vnode);
      invariant(place !== undefined, `virtual node ${vnode} is of this network`);
      return place;
    };
    const roles = createRoles({
      membership: this.membership,
      uniqueness: (party) => (options.uniqueness ?? memoryUniqueness)(() => this.time.now, party),
      ...(options.notaryWorkers === undefined ? {} : { notaryWorkers: options.notaryWorkers }),
      pick: (count) => integerBelow(this.chance, count),
      moment: async () => {
        await this.time.turn();
        if (happens(this.chance, this.faults.crashes + this.faults.outages))
          throw unavailable("testing.outage", "A process of a role died, because this network's faults say so.");
      },
      now: () => this.time.now,
      readVault: async (vnode, read) => placeOf(vnode).storage.readVault(read),
      readEntities: async ({ vnode, bundle, call }) => {
        const { party, storage } = placeOf(vnode);
        return storage.readEntities(entityReadOf(entitiesOf(party)(bundle), call));
      },
      queryVault: async ({ vnode, bundle, call }) => {
        const { party, storage } = placeOf(vnode);
        return storage.queryVault(stateQueryPlan(call, describedBy(party, bundle)));
      },
      tokens: (vnode) => placeOf(vnode).storage.tokens,
    });
    const callable = new Map<Party, ReturnType<typeof createFlowServices>>();
    for (const { party } of this.places.values())
      callable.set(party, createFlowServices(options.roles?.(party, roles, this.membership) ?? roles, this.membership.directory));
    return {
      time: this.time,
      chance: this.chance,
      faults: () => this.faults,
      bus: this.#bus,
      directory: this.membership.directory,
      services: (party) => {
        const own = callable.get(party);
        invariant(own !== undefined, `${party.name} is a member of this network`);
        return own;
      },
      hotFlowsMax: options.hotFlowsMax,
      clocksOffMs: options.clocksOffMs ?? 0,
      persistence: ({ name }) =>
        persistenceOf(this.place(name), {
          committed: (commit) => {
            this.#statuses.set(commit.flowId, commit.status);
            this.onCommit?.(name, commit);
          },
          repair: ({ id, attempt }) =>
            this.start(name, { flowName: REPAIR_FLOW, bundle: "platform", input: { id }, requestId: `${REPAIR_FLOW} ${id} ${attempt}` }),
        }),
      responders: (party) => this.#responders(party),
      bundle: (name) => this.#bundle(name),
      log: (party) => this.#log(party),
      isDoomed: () => ++this.moments === this.crashAt,
      crashed: (process) => this.#crashed(process),
    };
  }

  #bundle(name: string): CordappBundle {
    const bundle = name === "platform" ? this.#platform : (this.#bundles.get(name) ?? this.membership.packages.get(name as SecureHash));
    invariant(bundle !== undefined, `bundle ${name} is of this network`);
    return bundle;
  }

  /** The responders of a member's packages, and of the platform what every member answers, or a notary. */
  #responders({ packages, isNotary }: Party): readonly Responder[] {
    const of = ({ manifest }: CordappBundle, bundle: Responder["bundle"]): Responder[] =>
      manifest.flows.flatMap(({ name, answers }) => (answers === undefined ? [] : [{ protocol: answers, flowName: name, bundle }]));
    return [
      ...packages.flatMap(({ bundle, fileChecksum }) => of(bundle, fileChecksum)),
      ...of(this.#platform, "platform").filter(({ protocol }) => isNotary || protocol.name === OUTCOME_PROTOCOL.name),
    ];
  }

  #crashed(process: Process): void {
    this.crashes++;
    const place = this.place(process.party.name);
    place.processes = place.processes.filter((other) => other !== process);
    if (place.down) return;
    this.time.clock(() => true).after(restartAfterMs(this.chance), () => void this.#populate(place));
  }

  #log({ name }: Party): Log {
    const at =
      (level: keyof Log): Log["info"] =>
      (message, facts = {}) =>
        void this.logs.push({ level, message, facts, member: name, at: this.time.now });
    return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  }

  async #nextWake(all: boolean): Promise<Instant | null> {
    let earliest: Instant | null = null;
    for (const { storage, processes } of this.places.values()) {
      if (processes.length === 0) continue;
      for (const row of await allFlows(storage.flows)) {
        if (isOver(row) || row.status === "PARKED" || row.wakeAt === null) continue;
        earliest = Math.min(earliest ?? Number.POSITIVE_INFINITY, row.wakeAt);
      }
      const unverified = all
        ? ((await storage.readVault({ kind: "unverified", limit: 1 })) as unknown as readonly UnverifiedTransaction[])
        : [];
      for (const { nextAttemptAt } of unverified) earliest = Math.min(earliest ?? Number.POSITIVE_INFINITY, nextAttemptAt);
    }
    return earliest;
  }
}

/** The persistence role of one virtual node. */
const entitiesOf =
  (party: Party): EntitiesOf =>
  (bundle) =>
    describedBy(party, bundle).entities;

/** A flow that a test writes in place knows the entities and queries of all the member's packages. */
function describedBy({ packages }: Party, bundle: SecureHash): Required<QueryDescriptions> {
  const owner = packages.find(({ fileChecksum }) => fileChecksum === bundle);
  const manifests = (owner === undefined ? packages : [owner]).map((each) => each.bundle.manifest);
  return { entities: manifests.flatMap(({ entities = [] }) => entities), queries: manifests.flatMap(({ queries = [] }) => queries) };
}

/** As a real node checks it: by what the package says. */
const checkChannel =
  ({ vnode, packages }: Party): CheckChannel =>
  ({ bundle, channel }) => {
    const owner = packages.find(({ fileChecksum }) => fileChecksum === bundle);
    const declared = (owner === undefined ? packages : [owner]).flatMap(({ bundle: { manifest } }) => manifest.channels ?? []);
    topicOf(vnode, channel, { channels: declared });
  };

function persistenceOf(
  { party: { vnode }, storage: { flows, dueRepairs }, commit }: Place,
  { committed, repair }: { readonly committed: (commit: StepCommit) => void; readonly repair: (due: DueRepair) => Promise<unknown> },
): FlowPersistence {
  return {
    load: ({ flowIds }) => flows.load(flowIds),
    async commit(request) {
      const outcome = await commit(request.commit);
      if (outcome.kind === "committed") committed(request.commit);
      return outcome;
    },
    async acknowledge({ acknowledgements }) {
      await flows.acknowledge(acknowledgements);
      return null;
    },
    async due({ now, leaseUntil, limit }) {
      for (const repairing of await dueRepairs(now, limit)) await repair(repairing);
      const due = await flows.due(now, leaseUntil, limit);
      const messages = await flows.unacknowledged(now, limit);
      return { flows: due.map((flowId) => ({ vnode, flowId })), messages };
    },
    dueBefore: async ({ until }) => (await flows.dueBefore(until)).map((flowId) => ({ vnode, flowId })),
  };
}
