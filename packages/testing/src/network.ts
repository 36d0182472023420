// What an author's test has in hand: a network, its members, and what may go wrong in it.

import { BowlineError, type Data, encode, type Instant, type SecureHash, utf8, type X500Name } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import type { FlowRow } from "@bowline/flow";
import {
  type CordappBundle,
  cordapp,
  type FlowContext,
  type FlowDefinition,
  flow as flowOf,
  type Outcome,
  type Protocol,
  type StateAndRef,
  type StateDefinition,
} from "@bowline/sdk";
import { dataOf } from "@bowline/sdk/encoding";
import type { Static, TSchema } from "typebox";
import * as Type from "typebox";
import { type Faults, NO_FAULTS } from "./faults.ts";
import { type MemberPlan, nameOf, ONE_NOTARY } from "./members.ts";
import { type Progress, RunningFlow } from "./running-flow.ts";
import { allFlows } from "./storage.ts";
import { type LogLine, type Place, World } from "./world.ts";

export interface NetworkOptions {
  /** What every member runs, unless it says otherwise: what the packages' entries export as `cordapp`. */
  readonly cordapps?: readonly CordappBundle[];
  /** `Alice` is `O=Alice, L=London, C=GB`. A member with CorDapps of its own may be of another version, or hostile. */
  readonly members: readonly (string | { readonly name: string; readonly cordapps: readonly CordappBundle[] })[];
  /** Whether there is a notary, as there is where nothing is said; one that verifies contracts itself spares the others the past of states. */
  readonly notary?: boolean | "verifying";
  /** The same seed gives the same run. 1 where nothing is said. */
  readonly seed?: number;
  /** None where nothing is said. */
  readonly faults?: Partial<Faults>;
  /** Where time begins: on 1 January 2030 where nothing is said. */
  readonly startsAt?: Instant;
}

export interface StartOptions {
  /** A second start with the same id is the same flow, as over REST. */
  readonly requestId?: string;
}

/** One step of a flow, as its journal holds it. */
export interface JournalStep {
  readonly path: string;
  readonly kind: string;
  readonly outcome: Outcome;
  readonly at: Instant;
}

const STARTS_AT = Date.UTC(2030, 0, 1);

/** A network whose members are there. It costs milliseconds, and needs no closing. */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  const { cordapps = [], notary = true, seed = 1, faults = {}, startsAt = STARTS_AT } = options;
  const members: MemberPlan[] = options.members.map((member) => {
    const { name, ...own } = typeof member === "string" ? { name: member, cordapps } : member;
    return { name: nameOf(name), cordapps: own.cordapps, isNotary: false };
  });
  if (notary !== false) members.push({ name: nameOf("Notary"), cordapps: [], isNotary: true });
  const plan = { ...ONE_NOTARY, verifies: notary === "verifying" };
  return new Network(await World.create({ seed, startsAt, members, notary: plan, faults: { ...NO_FAULTS, ...faults } }));
}

export class Network {
  readonly #world: World;
  readonly #nodes = new Map<X500Name, NetworkNode>();

  constructor(world: World) {
    this.#world = world;
    for (const place of world.places.values()) this.#nodes.set(place.party.name, new NetworkNode(world, place));
  }

  get now(): Instant {
    return this.#world.time.now;
  }

  /** The name of the notary service, where there is one. */
  get notary(): X500Name | undefined {
    return this.#world.membership.notary?.name;
  }

  node(name: string): NetworkNode {
    const node = this.#nodes.get(nameOf(name));
    if (node !== undefined) return node;
    const names = [...this.#nodes.keys()].join("; ");
    throw new BowlineError("notFound", "testing.memberUnknown", `${nameOf(name)} is not in this network: ${names} are.`);
  }

  /** Lets that much time pass, and everything happen that happens in it. */
  async advance(durationMs: number): Promise<void> {
    await this.#world.time.wait(() => false, this.now + durationMs);
  }

  /** Until nothing happens any more: messages have arrived, and what failed to has been repeated. Sleeps go on. */
  async settle(): Promise<void> {
    const { time } = this.#world;
    time.stir();
    await time.wait(() => time.quietMs >= SETTLED_MS);
  }

  /** Ends a member's process as `kill -9` does. Its database stays; messages to it are lost until it is there again. */
  crash(name: string): void {
    this.#world.crash(this.node(name).name);
  }

  async restart(name: string): Promise<void> {
    await this.#world.restart(this.node(name).name);
  }

  /** How many moments there were at which a process could have died: before and after each call that it made of the world. */
  get moments(): number {
    return this.#world.moments;
  }

  /** Whichever process has this moment dies at it, and is there again within half a minute. Moments are counted from 1. */
  crashAt(moment: number): void {
    this.#world.crashAt = moment;
  }

  /** From now on these things go wrong, and no others. `faults({})` heals the network. */
  faults(faults: Partial<Faults>): void {
    this.#world.faults = { ...NO_FAULTS, ...faults };
  }
}

/** A message that nobody has acknowledged is sent again within a minute. */
const SETTLED_MS = 65_000;

/** One member, and what its operator and its clients can do and see. */
export class NetworkNode {
  readonly name: X500Name;
  /** Its ledger key. */
  readonly key: string;
  readonly #world: World;
  readonly #place: Place;
  #requests = 0;

  constructor(world: World, place: Place) {
    this.#world = world;
    this.#place = place;
    this.name = place.party.name;
    this.key = place.party.publicKey;
  }

  /** Starts a flow as a client does. Awaited it is what the flow returns; a flow that fails throws its author's error. */
  start<I extends TSchema, O extends TSchema>(
    flow: FlowDefinition<I, O>,
    input: Static<I>,
    { requestId }: StartOptions = {},
  ): RunningFlow<Static<O>> {
    const owner = this.#place.party.packages.find(({ bundle }) => bundle.manifest.flows.some(({ name }) => name === flow.name));
    if (owner === undefined) throw new BowlineError("notFound", "flow.unknown", `${this.name} has no CorDapp with flow ${flow.name}.`);
    if (!flow.startable)
      throw new BowlineError("badRequest", "flow.notStartable", `${flow.name} is for other flows to call. Try it as sub-flow of \`run\`.`);
    return this.#started({ flowName: flow.name, bundle: owner.fileChecksum, input: input as Data, requestId });
  }

  /**
   * Runs a flow that the test writes where it stands: to call sub-flows, or to be a peer that does what no honest one would.
   *
   * @example await mallory.run({ initiates: PING }, async (context) => (await context.initiate(bob.name)).send({ not: "what it expects" }))
   */
  run<T>(options: { readonly initiates?: Protocol }, call: (context: FlowContext) => Promise<T>): RunningFlow<T> {
    const flowName = `test.${this.name}.${++this.#requests}`;
    const bundle = secureHashOf(utf8(flowName));
    const inline = flowOf({ name: flowName, startable: true, ...options, input: Type.Null(), call: (context) => call(context) });
    this.#world.addBundle(bundle, cordapp({ flows: [inline], states: [], contracts: [] }));
    return this.#started({ flowName, bundle, input: null, requestId: undefined });
  }

  /** The states that this member holds, oldest first. */
  readonly vault = {
    find: async <S extends TSchema>(
      state: StateDefinition<S>,
      query: { readonly consumed?: boolean; readonly where?: Readonly<Record<string, string | number | boolean>> } = {},
    ): Promise<readonly StateAndRef<Static<S> & Data>[]> => {
      const found = await this.#place.storage.readVault({ kind: "find", query: { ...query, state: state.name, limit: 1_000 } });
      const { states } = found as unknown as { readonly states: readonly StateAndRef[] };
      return states.map((whole) => ({
        ...whole,
        state: { ...whole.state, version: state.version, data: dataOf(state, whole) as Static<S> & Data },
      }));
    },
  };

  /** What flows here have sent to systems outside, oldest first; each once, though a crash may make a relay repeat it in the world. */
  get externalMessages(): readonly { readonly channel: string; readonly id: string; readonly message: string }[] {
    return this.#place.storage.externalMessages.map(({ channel, id, message }) => ({ channel, id, message }));
  }

  /** Every flow that runs or ran here, responders included, oldest first. */
  async flows(): Promise<readonly Pick<FlowRow, "id" | "flowName" | "status" | "outcome">[]> {
    return allFlows(this.#place.storage.flows);
  }

  /** What a flow asked, step by step, and what it got. Steps of a platform flow that is over are one. */
  async journal(flow: string | RunningFlow<unknown>): Promise<readonly JournalStep[]> {
    const id = typeof flow === "string" ? flow : await flow.id();
    const [snapshot] = await this.#place.storage.flows.load([id]);
    const inOrder = [...(snapshot?.journal ?? [])].sort((a, b) => a.activation - b.activation || a.ordinal - b.ordinal);
    return inOrder.map(({ path, kind, outcome, at }) => ({ path, kind, outcome, at }));
  }

  /** As an operator does. False where the flow is over. */
  async kill(flow: string | RunningFlow<unknown>): Promise<boolean> {
    return this.#world.kill(this.name, typeof flow === "string" ? flow : await flow.id());
  }

  /** What flows here have logged, and what the engine has. */
  get logs(): readonly LogLine[] {
    return this.#world.logs.filter(({ member }) => member === this.name);
  }

  #started<T>(request: { flowName: string; bundle: SecureHash; input: Data; requestId: string | undefined }): RunningFlow<T> {
    encode(request.input); // What cannot be sent is refused where it is said.
    const { flows } = this.#place.storage;
    const progress: Progress = {
      started: this.#world.start(this.name, { ...request, requestId: request.requestId ?? `request ${++this.#requests}` }),
      row: async (id) => (await flows.load([id]))[0]?.row,
      over: (id) => this.#world.time.wait(() => this.#world.isAtRest(id)),
    };
    return new RunningFlow<T>(progress);
  }
}
