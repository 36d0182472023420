// The flow role's loop: a shell around the engine. It decides nothing; it carries out effects and brings back events.
//
// Whatever it forgets, by a crash or to make room, the database tells again: flows by their wake-up time, messages by
// their senders' outboxes. So it never waits for anything before it takes the next event of another flow.

import { BowlineError, type Bus, type BusRecord, type Clock, type Env, type Log, type ShortHash, type Subscription } from "@bowline/base";
import { Activations } from "./batches.ts";
import { Courier } from "./courier.ts";
import { begin, isResting, step } from "./engine.ts";
import {
  type Bundle,
  type Carry,
  type Effect,
  type FlowEvent,
  type FlowState,
  NOTHING_CARRIED,
  type Patience,
  type Rules,
} from "./flow-state.ts";
import { DRAIN_MS, HOT_FLOWS_MAX, LEASE_MS, RETRY_FIRST_MS, RETRY_FOR_MS, SWEEP_MAX, SWEEP_MS } from "./limits.ts";
import {
  answerOfHost,
  chooseResponder,
  type Digest,
  decodeMessage,
  decodeWake,
  type Opened,
  openedBy,
  opposite,
  SESSION_TOPIC,
  WAKE_TOPIC,
  type Wake,
  wakeRecord,
} from "./messages.ts";
import type {
  Fibers,
  FlowDirectory,
  FlowPersistence,
  FlowRow,
  FlowSnapshot,
  FlowStart,
  Services,
  SessionMessage,
  StepCommit,
} from "./ports.ts";
import { responderStart } from "./rows.ts";
import { isTalkative } from "./sessions.ts";
import { backOff, brokenAt } from "./trouble.ts";

export interface FlowWorkerOptions {
  readonly clock: Clock;
  readonly random: Env["random"];
  /** SHA-256. */
  readonly digest: Digest;
  readonly log: Log;
  readonly workerId: string;
  readonly bus: Bus;
  readonly persistence: FlowPersistence;
  readonly directory: FlowDirectory;
  readonly services: Services;
  /** Another object than before means that all fibers of the one before are gone. */
  fibers(bundle: Bundle): Promise<Fibers>;
  /** Flows kept in memory while they wait. */
  readonly hotFlowsMax?: number;
  readonly patience?: Patience;
}

export interface FlowWorker {
  start(): Promise<void>;
  /** Takes nothing new, finishes what is in flight within its time, forgets the rest. */
  stop(): Promise<void>;
}

export const createFlowWorker = (options: FlowWorkerOptions): FlowWorker => new Worker(options);

const GROUP = "flow";

/** Some of all keys; a key is a flow's id. */
type Keys = (key: string) => boolean;

/** A flow that this worker knows of. Without a state it is being loaded. */
interface Slot {
  readonly vnode: ShortHash;
  readonly flowId: string;
  state: FlowState | undefined;
  /** Arrived while it is being loaded. */
  arrived: SessionMessage[];
  carry: Carry;
  /** May have broken the isolate it shared: it runs alone until it has committed. */
  suspect: boolean;
  /** How often, and since when, its code was not to be had. */
  losses: number;
  downSince: number | undefined;
  /** Another worker has its key now: it goes when the commit in flight is answered. */
  leaving: boolean;
  /** Its row has changed while a commit was in flight. */
  lookAfter: boolean;
  timer: { readonly at: number; readonly cancel: () => void } | undefined;
}

class Worker implements FlowWorker {
  readonly #options: FlowWorkerOptions;
  readonly #rules: Rules;
  readonly #activations: Activations;
  readonly #courier: Courier;
  /** Least recently used first. */
  readonly #slots = new Map<string, Slot>();
  readonly #loads = new Map<ShortHash, Slot[]>();
  #subscription: Subscription | undefined;
  #cancelSweep: (() => void) | undefined;
  #stopped = false;

  constructor(options: FlowWorkerOptions) {
    this.#options = options;
    this.#rules = {
      classify: (call, trusted) => options.services.classify(call, trusted),
      digest: options.digest,
      ...(options.patience === undefined ? {} : { patience: options.patience }),
    };
    this.#activations = new Activations((bundle) => options.fibers(bundle));
    this.#courier = new Courier(options);
  }

  async start(): Promise<void> {
    const { bus } = this.#options;
    this.#subscription = await bus.subscribe([SESSION_TOPIC, WAKE_TOPIC], GROUP, {
      records: (batch) => this.#take(batch),
      assigned: (keys) => void this.#inherit(keys),
      revoked: (keys) => this.#handOver(keys),
    });
    void this.#sweep();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelSweep?.();
    const deadline = this.#options.clock.now() + DRAIN_MS;
    await this.#subscription?.close();
    const isAtRest = ({ state }: Slot): boolean => state !== undefined && isResting(state);
    await this.#patiently(() => [...this.#slots.values()].every(isAtRest) && this.#courier.idle, deadline);
    this.#courier.flush();
    await this.#patiently(() => this.#courier.idle, deadline);
    for (const slot of [...this.#slots.values()]) this.#drop(slot);
  }

  /** Until it is done, or the deadline. */
  async #patiently(isDone: () => boolean, deadline: number): Promise<void> {
    const { clock } = this.#options;
    while (!isDone() && clock.now() < deadline) await new Promise<void>((resolve) => clock.after(DRAIN_STEP_MS, resolve));
  }

  // --- Whose flows are whose ---

  /** Flows that run have a lease in the database: whoever holds those of these keys holds them no more. */
  async #inherit(keys: Keys): Promise<void> {
    const { persistence, clock, log } = this.#options;
    try {
      const leased = await persistence.dueBefore({ until: clock.now() + LEASE_MS });
      if (!this.#stopped) for (const { vnode, flowId } of leased) if (keys(flowId)) this.#slotOf(vnode, flowId);
    } catch (cause) {
      log.warn("flows of another worker not looked for", factsOf(cause)); // Their leases run out.
    }
  }

  /** A flow goes with its last commit; one that is in the middle of something goes on elsewhere, from there. */
  async #handOver(keys: Keys): Promise<void> {
    const leaving = [...this.#slots.values()].filter(({ flowId }) => keys(flowId));
    const isSettled = ({ state }: Slot): boolean => state === undefined || (this.#stopped ? isResting(state) : state.pending === undefined);
    for (const slot of leaving) slot.leaving = !this.#stopped;
    await this.#patiently(() => leaving.every(isSettled), this.#options.clock.now() + DRAIN_MS);
    for (const slot of leaving) this.#drop(slot);
  }

  // --- What comes in ---

  /** A record that cannot be read will never be: it is said once, and the rest goes on. */
  async #take(batch: readonly BusRecord[]): Promise<void> {
    for (const record of batch) {
      try {
        if (record.topic === SESSION_TOPIC) await this.#message(record);
        else this.#wake(decodeWake(record));
      } catch (cause) {
        if (cause instanceof BowlineError && cause.kind === "unavailable") throw cause;
        this.#options.log.error("record dropped", { topic: record.topic, key: record.key, ...factsOf(cause) });
      }
    }
  }

  async #message(record: BusRecord): Promise<void> {
    const message = decodeMessage(record.value);
    if (message.expiresAt <= this.#options.clock.now()) return;
    const hosted = await this.#options.directory.hosted(message.destination, message.groupId);
    if (hosted === undefined) return this.#answer(message, "session.counterpartyUnknown", `${message.destination} is not a member here.`);
    if (message.body.kind === "acknowledge") {
      const { session, from, acknowledged } = message;
      this.#courier.acknowledged(hosted.vnode, [{ session, from: opposite(from), sequence: acknowledged }]);
      const known = this.#slots.get(record.key);
      if (known !== undefined && isTalkative(known.state?.sessions.get(session)))
        this.#post(known, { kind: "arrived", messages: [message] });
      return;
    }
    const opened = this.#slots.has(record.key) ? undefined : openedBy(message, hosted.responders, this.#options.clock.now());
    if (opened !== undefined) {
      // It was sent just now, so that nobody looks for a row: where there is one all the same (a bus may repeat) the first
      // commit meets its fence, and the flow is loaded.
      const slot = this.#remember(hosted.vnode, record.key);
      if (slot !== undefined) this.#open(slot, opened, [message]);
      return;
    }
    const slot = this.#slotOf(hosted.vnode, record.key);
    if (slot === undefined) return;
    if (slot.state === undefined) slot.arrived.push(message);
    else this.#post(slot, { kind: "arrived", messages: [message] });
  }

  #wake({ vnode, flowId, row, begins }: Wake): void {
    const known = this.#slots.get(flowId);
    if (known !== undefined) this.#lookAt(known);
    else if (row === null || row.version !== 0) this.#slotOf(vnode, flowId);
    else {
      // Just started, so that its row is all there is.
      const slot = this.#remember(vnode, flowId);
      if (slot !== undefined) this.#begin(slot, { row, journal: [], sessions: [], inbox: [] }, begins ? startOf(row) : undefined);
    }
  }

  async #sweep(): Promise<void> {
    const { clock, persistence, log } = this.#options;
    let full = false;
    try {
      const now = clock.now();
      for (const slot of [...this.#slots.values()])
        if (slot.state !== undefined && !isResting(slot.state)) this.#post(slot, { kind: "time" });
      const { flows, messages } = await persistence.due({ now, leaseUntil: now + LEASE_MS, limit: SWEEP_MAX });
      if (this.#stopped) return;
      this.#due(flows);
      if (messages.length > 0) this.#courier.publish(messages.map((message) => ({ ...message, again: true })));
      full = flows.length + messages.length >= SWEEP_MAX;
    } catch (cause) {
      log.warn("sweep failed", factsOf(cause));
    }
    if (!this.#stopped) this.#cancelSweep = clock.after(full ? 0 : SWEEP_MS, () => void this.#sweep());
  }

  /** What is not in this memory may be in another's: the bus knows whose it is. */
  #due(flows: readonly { readonly vnode: ShortHash; readonly flowId: string }[]): void {
    const elsewhere: BusRecord[] = [];
    for (const { vnode, flowId } of flows) {
      const slot = this.#slots.get(flowId);
      if (slot !== undefined) this.#lookAt(slot);
      else if (this.#subscription?.owns(flowId) !== false) this.#slotOf(vnode, flowId);
      else elsewhere.push(wakeRecord(vnode, { id: flowId }));
    }
    if (elsewhere.length > 0) this.#courier.wake(elsewhere);
  }

  #lookAt(slot: Slot): void {
    const wakeAt = slot.state?.row.wakeAt ?? null;
    if (wakeAt !== null && wakeAt <= this.#options.clock.now()) this.#post(slot, { kind: "time" });
    else void this.#recheck(slot);
  }

  // --- Memory ---

  /** The flow's slot, if there is room; where it is new the flow is loaded, with others that were met in this turn of the loop. */
  #slotOf(vnode: ShortHash, flowId: string): Slot | undefined {
    const known = this.#slots.get(flowId);
    if (known !== undefined) {
      this.#touch(known);
      return known;
    }
    const slot = this.#remember(vnode, flowId);
    if (slot !== undefined) this.#load(slot);
    return slot;
  }

  /** Undefined where memory is full of flows that run: the sweep brings this one again, and outboxes its messages. */
  #remember(vnode: ShortHash, flowId: string): Slot | undefined {
    if (!this.#hasRoom()) return undefined;
    const slot: Slot = {
      vnode,
      flowId,
      state: undefined,
      arrived: [],
      carry: NOTHING_CARRIED,
      suspect: false,
      losses: 0,
      downSince: undefined,
      leaving: false,
      lookAfter: false,
      timer: undefined,
    };
    this.#slots.set(flowId, slot);
    return slot;
  }

  /** Flows that only wait make room, the least recently used of them first; flows that run stay. */
  #hasRoom(): boolean {
    let excess = this.#slots.size + 1 - (this.#options.hotFlowsMax ?? HOT_FLOWS_MAX);
    let looks = EVICTION_LOOKS_MAX;
    for (const slot of this.#slots.values()) {
      if (excess <= 0 || looks-- === 0) break;
      if (slot.state !== undefined && isResting(slot.state)) {
        this.#drop(slot);
        excess--;
      } else this.#touch(slot); // So that the next look finds others.
    }
    return excess <= 0;
  }

  #touch(slot: Slot): void {
    this.#slots.delete(slot.flowId);
    this.#slots.set(slot.flowId, slot);
  }

  #drop(slot: Slot): void {
    const { state } = slot;
    if (state !== undefined) for (const { bundle, id } of state.fibers.values()) this.#activations.drop(bundle, id);
    if (state !== undefined) state.over = true;
    slot.state = undefined;
    slot.timer?.cancel();
    slot.timer = undefined;
    if (this.#slots.get(slot.flowId) === slot) this.#slots.delete(slot.flowId);
  }

  #load(slot: Slot): void {
    const waiting = this.#loads.get(slot.vnode);
    if (waiting !== undefined) {
      waiting.push(slot);
      return;
    }
    this.#loads.set(slot.vnode, [slot]);
    queueMicrotask(() => {
      const slots = this.#loads.get(slot.vnode) ?? [];
      this.#loads.delete(slot.vnode);
      void this.#loadAll(slot.vnode, slots);
    });
  }

  async #loadAll(vnode: ShortHash, slots: readonly Slot[]): Promise<void> {
    const { persistence, clock, log } = this.#options;
    try {
      const snapshots = await persistence.load({ vnode, flowIds: slots.map(({ flowId }) => flowId) });
      const byId = new Map(snapshots.map((snapshot) => [snapshot.row.id, snapshot]));
      for (const slot of slots) {
        const snapshot = byId.get(slot.flowId);
        if (this.#slots.get(slot.flowId) !== slot || slot.state !== undefined) continue;
        if (snapshot === undefined) await this.#meet(slot);
        else this.#begin(slot, snapshot);
      }
    } catch (cause) {
      log.warn("flows not loaded", { vnode, ...factsOf(cause) });
      const again = slots.filter((slot) => slot.state === undefined);
      if (this.#stopped) return;
      clock.after(RETRY_FIRST_MS, () => {
        for (const slot of again) if (this.#slots.get(slot.flowId) === slot && slot.state === undefined) this.#load(slot);
      });
    }
  }

  /** No such flow: what arrived for it starts one, or is answered that there is none. */
  async #meet(slot: Slot): Promise<void> {
    const { directory } = this.#options;
    const messages = [...slot.carry.messages, ...slot.arrived];
    const now = this.#options.clock.now();
    const opening = messages.find(({ from, init }) => from === "initiator" && init !== undefined && init.expiresAt > now);
    const hosted = opening === undefined ? undefined : await directory.hosted(opening.destination, opening.groupId);
    if (this.#slots.get(slot.flowId) !== slot) return;
    if (opening?.init === undefined || hosted === undefined) {
      this.#drop(slot);
      for (const message of messages) this.#answer(message, "session.unknown", "There is no such session here, or no longer.");
      return;
    }
    const { protocol } = opening.init;
    const chosen = chooseResponder(hosted.responders, protocol);
    if (chosen !== undefined) return this.#open(slot, { opening, ...chosen });
    this.#drop(slot);
    const text = `${opening.destination} answers no version of ${protocol.name} among ${protocol.versions.join(", ")}.`;
    for (const message of messages) this.#answer(message, "session.protocolUnknown", text);
  }

  /** Begins the flow that answers; its first commit inserts it. */
  #open(slot: Slot, opened: Opened, arrived: readonly SessionMessage[] = []): void {
    const { clock, random } = this.#options;
    slot.arrived.push(...arrived);
    const { row, session } = responderStart({ ...opened, flowId: slot.flowId, seed: random(32), now: clock.now() });
    this.#begin(slot, { row, journal: [], sessions: [session], inbox: [] }, { ...startOf(row), session });
  }

  /** Somebody says that the row has changed: a kill, a retry, another owner. */
  async #recheck(slot: Slot): Promise<void> {
    const { state } = slot;
    slot.lookAfter = false;
    if (state === undefined) return;
    try {
      const [snapshot] = await this.#options.persistence.load({ vnode: slot.vnode, flowIds: [slot.flowId] });
      if (snapshot === undefined || slot.state !== state) return;
      if (state.pending !== undefined) {
        // The commit in flight meets the fence, and tells; or it was faster, and then nothing would tell.
        slot.lookAfter = true;
        return;
      }
      if (snapshot.row.version <= state.row.version && !snapshot.row.kill) return;
      this.#reload(slot, { messages: state.volatile, refusals: state.refusals, careful: state.careful }, snapshot);
    } catch (cause) {
      this.#options.log.warn("flow not looked at", { flowId: slot.flowId, ...factsOf(cause) });
    }
  }

  #reload(slot: Slot, carry: Carry, snapshot?: FlowSnapshot): void {
    const { state } = slot;
    if (state !== undefined) for (const { bundle, id } of state.fibers.values()) this.#activations.drop(bundle, id);
    slot.state = undefined;
    slot.carry = carry;
    if (snapshot === undefined) this.#load(slot);
    else this.#begin(slot, snapshot);
  }

  // --- The engine ---

  #env(): Env {
    return { now: this.#options.clock.now(), random: this.#options.random };
  }

  #begin(slot: Slot, snapshot: FlowSnapshot, start?: FlowStart): void {
    const carry = { ...slot.carry, messages: [...slot.carry.messages, ...slot.arrived] };
    slot.arrived = [];
    slot.carry = NOTHING_CARRIED;
    const { state, effects } = begin(this.#rules, { snapshot, carry, ...(start === undefined ? {} : { start }) }, this.#env());
    slot.state = state;
    this.#carryOut(slot, state, effects);
  }

  #post(slot: Slot, event: FlowEvent): void {
    const { state } = slot;
    if (state === undefined || state.over) return;
    let effects: readonly Effect[];
    try {
      effects = step(this.#rules, state, event, this.#env());
    } catch (cause) {
      // A bug of ours: this flow stands still for an operator, the others go on.
      this.#options.log.error("engine failed", { flowId: slot.flowId, event: event.kind, ...factsOf(cause) });
      if (event.kind === "broken") this.#drop(slot);
      else this.#post(slot, { kind: "broken", failure: brokenAt(null, "flow.engineFailed", cause) });
      return;
    }
    this.#carryOut(slot, state, effects);
  }

  #carryOut(slot: Slot, state: FlowState, effects: readonly Effect[]): void {
    // An answer to memory that is gone is nobody's.
    const answer = (event: FlowEvent): void => {
      if (slot.state === state) this.#post(slot, event);
    };
    for (const effect of effects) {
      switch (effect.kind) {
        case "activate":
          void this.#activate(slot, effect, answer);
          break;
        case "perform":
          void this.#perform(effect, answer);
          break;
        case "commit":
          void this.#commit(slot, state, effect.commit, answer);
          break;
        case "publish":
          this.#courier.publish(effect.messages);
          break;
        case "owe":
          this.#courier.owe(effect.message);
          break;
        case "acknowledged":
          this.#courier.acknowledged(slot.vnode, effect.acknowledgements);
          break;
        case "wakeAt":
          this.#arm(slot, effect.at);
          break;
        case "log":
          this.#options.log[effect.level](effect.message, { ...whoSays(slot, state), facts: effect.facts });
          break;
        case "dropFibers":
          for (const { bundle, id } of effect.fibers) this.#activations.drop(bundle, id);
          break;
        case "reload":
          if (slot.state !== state) break;
          // Overtaken by the worker that has its key now: that one goes on, and outboxes tell it what arrived here.
          if (this.#subscription?.owns(slot.flowId) === false) this.#drop(slot);
          else this.#reload(slot, effect.carry);
          break;
        case "forget":
          this.#options.log.debug("flow ended", { flowId: slot.flowId, flow: state.row.flowName, status: state.row.status });
          if (slot.state === state) this.#drop(slot);
          break;
      }
    }
  }

  // --- What goes out ---

  async #activate(slot: Slot, { bundle, starts, deliveries }: Extract<Effect, { kind: "activate" }>, answer: Answer): Promise<void> {
    const reply = await this.#activations.request(bundle, { starts, deliveries, alone: slot.suspect });
    if (reply.kind === "reports") return answer({ kind: "activated", reports: reply.reports });
    if (reply.kind === "failed") return answer({ kind: "activationFailed", failure: reply.failure });
    slot.suspect ||= reply.suspect;
    if (reply.down === undefined) return answer({ kind: "fibersLost" });
    const { clock, random, patience } = this.#options;
    slot.downSince ??= clock.now();
    const attempts = slot.losses++;
    if (clock.now() - slot.downSince < (patience?.retryForMs ?? RETRY_FOR_MS)) {
      clock.after(backOff(attempts, random), () => answer({ kind: "fibersLost" }));
      return;
    }
    const details = { attempts: String(attempts + 1), since: String(slot.downSince) };
    answer({ kind: "activationFailed", failure: { ...reply.down, details } });
  }

  async #perform({ path, call, context }: Extract<Effect, { kind: "perform" }>, answer: Answer): Promise<void> {
    try {
      answer({ kind: "answered", path, outcome: await this.#options.services.perform(call, context) });
    } catch (cause) {
      if (cause instanceof BowlineError && cause.kind === "unavailable") {
        return answer({ kind: "delayed", path, failure: { type: cause.code, message: cause.message } });
      }
      const { flowId } = context.identity;
      this.#options.log.error("call failed", { flowId, path, call: call.kind, ...factsOf(cause) });
      const type = cause instanceof BowlineError ? cause.code : "flow.callFailed";
      answer({ kind: "broken", failure: brokenAt({ path, call }, type, cause) });
    }
  }

  /** The same commit until it is answered: its id tells a repeat from a stranger's. */
  async #commit(slot: Slot, state: FlowState, commit: StepCommit, answer: Answer): Promise<void> {
    for (let attempt = 0; slot.state === state; attempt++) {
      try {
        const outcome = await this.#options.persistence.commit({ vnode: slot.vnode, commit });
        if (outcome.kind === "committed") {
          slot.suspect = false;
          slot.losses = 0;
          slot.downSince = undefined;
        }
        answer({ kind: "committed", outcome });
        if (slot.leaving) this.#drop(slot);
        else if (slot.lookAfter) void this.#recheck(slot);
        return;
      } catch (cause) {
        if (!(cause instanceof BowlineError && cause.kind === "unavailable")) {
          this.#options.log.error("commit failed", { flowId: slot.flowId, ...factsOf(cause) });
          const code = cause instanceof BowlineError ? cause.code : "flow.commitFailed";
          return answer({ kind: "committed", outcome: { kind: "refused", code, message: messageOf(cause) } });
        }
        await new Promise<void>((resolve) => this.#options.clock.after(backOff(attempt, this.#options.random), resolve));
      }
    }
  }

  #answer(message: SessionMessage, type: string, text: string): void {
    const answer = answerOfHost(message, type, text);
    if (answer !== undefined) this.#courier.publish([answer]);
  }

  #arm(slot: Slot, at: number): void {
    const { clock } = this.#options;
    if (slot.timer !== undefined && slot.timer.at <= at && slot.timer.at > clock.now()) return;
    slot.timer?.cancel();
    slot.timer = undefined;
    // The sweep finds what is far away.
    if (at - clock.now() > LEASE_MS) return;
    const cancel = clock.after(Math.max(0, at - clock.now()), () => {
      slot.timer = undefined;
      this.#post(slot, { kind: "time" });
    });
    slot.timer = { at, cancel };
  }
}

const DRAIN_STEP_MS = 10;
/** Flows that are looked at to make room for one. */
const EVICTION_LOOKS_MAX = 64;

type Answer = (event: FlowEvent) => void;

/** By what an operator finds the flow of a log line: its own id, and what began it. */
const whoSays = ({ flowId, vnode }: Slot, { row: { flowName, origin } }: FlowState): Record<string, unknown> => ({
  flowId,
  flow: flowName,
  vnode,
  ...(origin.kind === "client" ? { clientRequestId: origin.clientRequestId } : { session: origin.session }),
});

/** What its first commit inserts. */
const startOf = ({ id, bundle, flowName, identity, origin, seed, wakeAt, createdAt }: FlowRow): FlowStart => ({
  row: { id, bundle, flowName, identity, origin, seed, wakeAt, createdAt },
});

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

const factsOf = (cause: unknown): Record<string, unknown> =>
  cause instanceof BowlineError
    ? { code: cause.code, cause: cause.message }
    : { cause: cause instanceof Error ? cause.stack : String(cause) };
