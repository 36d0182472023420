// Several members and a notary in one process, for tests: their flows run through the sdk's own activation protocol, their
// vaults and the notary's memory are the memory implementations, and time passes only when nobody has anything else to do.
// What a flow writes is applied, and what it sends arrives, in the order in which it asked; so a test sees every order that a
// step commit could have, cut as finely as can be.

import { BowlineError, type Data, invariant, type SecureHash, utf8, type X500Name } from "@bowline/base";
import { sha256, signSync } from "@bowline/crypto";
import {
  type CordappBundle,
  cordapp,
  type FlowDefinition,
  NO_PROPERTIES,
  type Outcome,
  type ResponderDefinition,
  type SessionId,
  type Syscall,
} from "@bowline/sdk";
import { checkDependencies, dependenciesMac } from "./dependencies.ts";
import { decodeGroupParameters } from "./group-parameters.ts";
import { ledgerFlows } from "./ledger-flows.ts";
import { REPAIR_BATCH_MAX } from "./limits.ts";
import { notarise } from "./notary.store.ts";
import type { LedgerServices, UniquenessStore, VaultRead, VerifiableTransaction } from "./ports.ts";
import { REPAIR_FLOW } from "./repair.flow.ts";
import {
  CPI,
  GROUP_ID,
  MAC_KEY,
  NOW,
  PACKAGE,
  PLATFORM_VERSION,
  type Sample,
  signatureOf,
  signaturesOf,
  verifyWith,
} from "./sample.memory.ts";
import { checkSignatures, encodeSignature } from "./signatures.ts";
import { decodeSigned } from "./transaction.ts";
import { memoryUniqueness } from "./uniqueness.memory.ts";
import { type MemoryVault, memoryVault } from "./vault.memory.ts";

export interface Message {
  readonly from: X500Name;
  readonly to: X500Name;
  /** Who interferes may put another in its place. */
  payload: Data;
}

interface Session {
  readonly id: SessionId;
  readonly protocol: string;
  readonly ends: readonly [End, End];
}

/** One side of a session. */
interface End {
  readonly owner: X500Name;
  flow: string | undefined;
  readonly inbox: Data[];
  state: "open" | "closed" | "failed";
}

interface Running {
  readonly id: string;
  readonly owner: X500Name;
  readonly name: string;
  readonly finish: (outcome: Outcome) => void;
}

type Wait = { readonly fiber: string; readonly path: string; readonly flow: Running; readonly receives: readonly SessionId[] };
/** What roles answer, and not the engine itself. */
type RoleCall = Extract<
  Syscall,
  { kind: "members.find" | "notaries.find" | "vault.find" | "vault.resolve" | "vault.transaction" | "vault.write" | "service" }
>;
type Timer = { readonly at: number; readonly fiber: string; readonly path: string };

/** Says of a message whether it arrives. A session whose message does not arrive has failed on both sides. */
export type Interference = (message: Message) => "arrives" | "lost";

export class MemoryNetwork {
  now = NOW;
  readonly sample: Sample;
  uniqueness: UniquenessStore = memoryUniqueness(() => this.now);
  /** Service calls by name, so that tests can hold the count down. */
  readonly calls = new Map<string, number>();
  interference: Interference = () => "arrives";
  readonly #vaults = new Map<X500Name, MemoryVault>();
  readonly #bundles: { readonly author: CordappBundle; readonly platform: CordappBundle };
  readonly #responders = new Map<string, string>();
  readonly #running = new Map<string, Running>();
  /** By fiber: the flow it belongs to, and for a child the step of its parent that waits for it. */
  readonly #fibers = new Map<string, { readonly flow: Running; readonly parent?: { readonly fiber: string; readonly path: string } }>();
  readonly #sessions = new Map<SessionId, Session>();
  readonly #dead = new Set<X500Name>();
  #waits: Wait[] = [];
  #timers: Timer[] = [];
  #started = 0;

  constructor(sample: Sample, flows: readonly (FlowDefinition | ResponderDefinition)[]) {
    this.sample = sample;
    this.#bundles = {
      author: cordapp({ flows, states: [], contracts: [] }),
      platform: cordapp({ flows: ledgerFlows, states: [], contracts: [] }),
    };
    for (const flow of [...flows, ...ledgerFlows]) if (flow.kind === "responder") this.#responders.set(flow.answers.name, flow.name);
  }

  vault(name: X500Name): MemoryVault {
    const known = this.#vaults.get(name);
    if (known !== undefined) return known;
    const vault = memoryVault({ macKey: MAC_KEY, now: () => this.now });
    this.#vaults.set(name, vault);
    return vault;
  }

  /** What their own times have come for, in all vaults: as persistence does. */
  async repair(): Promise<void> {
    for (const [owner, vault] of this.#vaults)
      for (const { id } of vault.dueRepairs(this.now, REPAIR_BATCH_MAX))
        this.#start(owner, REPAIR_FLOW, { kind: "called", input: { id } }, () => {});
    await this.settle();
  }

  /** The member is gone: its flows end, those of them that have ended at others stay so, and nothing reaches it. */
  die(owner: X500Name): void {
    this.#dead.add(owner);
    for (const [id, flow] of this.#running) {
      if (flow.owner !== owner) continue;
      this.#running.delete(id);
      for (const [fiber, known] of this.#fibers) {
        if (known.flow !== flow) continue;
        this.#fibers.delete(fiber);
        this.#waits = this.#waits.filter((wait) => wait.fiber !== fiber);
        this.#timers = this.#timers.filter((timer) => timer.fiber !== fiber);
      }
      for (const session of this.#sessions.values()) for (const end of session.ends) if (end.flow === id) this.#end(session, "failed");
    }
  }

  /** It is there again, with what its vault holds. */
  revive(owner: X500Name): void {
    this.#dead.delete(owner);
  }

  /** The same members, vaults and notary with other flows: a new version of everybody's application. */
  adopt(earlier: MemoryNetwork): void {
    for (const [name, vault] of earlier.#vaults) this.#vaults.set(name, vault);
    this.uniqueness = earlier.uniqueness;
  }

  /** Starts a flow and runs the network until it ends. */
  async run(owner: X500Name, flow: string, input: Data): Promise<Outcome> {
    let ended: Outcome | undefined;
    this.#start(owner, flow, { kind: "called", input }, (outcome) => {
      ended = outcome;
    });
    await this.settle(() => ended !== undefined);
    invariant(ended !== undefined, `flow ${flow} waits for something that never comes`);
    return ended;
  }

  /** Starts a flow; whoever started it is not told how it ends. */
  start(owner: X500Name, flow: string, input: Data): void {
    this.#start(owner, flow, { kind: "called", input }, () => {});
  }

  /** Runs until nothing moves, and time with it, or until `done`. */
  async settle(done: () => boolean = () => false): Promise<void> {
    for (;;) {
      while (await this.#lap()) {}
      if (done()) return;
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) return;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      this.#deliver(next.fiber, next.path, { ok: null });
    }
  }

  #start(
    owner: X500Name,
    name: string,
    how: { kind: "called"; input: Data } | { kind: "initiated"; session: SessionId; counterparty: X500Name },
    finish: (outcome: Outcome) => void,
  ): Running {
    const flow: Running = { id: `flow-${++this.#started}`, owner, name, finish };
    this.#running.set(flow.id, flow);
    const fiber = `${flow.id}/`;
    this.#fibers.set(fiber, { flow });
    const identity = { flowId: flow.id, me: owner, groupId: GROUP_ID, properties: NO_PROPERTIES };
    const start = { fiber, path: "", flow: name, identity };
    this.#bundleOf(name).start(how.kind === "called" ? { ...start, ...how } : { ...start, ...how, version: 1 });
    return flow;
  }

  #bundleOf(flow: string): CordappBundle {
    return ledgerFlows.some(({ name }) => name === flow) ? this.#bundles.platform : this.#bundles.author;
  }

  async #lap(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    const reports = [...this.#bundles.author.collect(), ...this.#bundles.platform.collect()];
    for (const { fiber, syscalls, finished } of reports) {
      const known = this.#fibers.get(fiber);
      if (known === undefined) continue;
      for (const { path, call } of syscalls) await this.#answer(known.flow, fiber, path, call);
      if (finished !== undefined) this.#finished(fiber, finished);
    }
    return this.#wake() || reports.length > 0;
  }

  #finished(fiber: string, outcome: Outcome): void {
    const { flow, parent } = this.#fibers.get(fiber) as { flow: Running; parent?: { fiber: string; path: string } };
    this.#fibers.delete(fiber);
    if (parent !== undefined) {
      this.#deliver(parent.fiber, parent.path, outcome);
      return;
    }
    this.#running.delete(flow.id);
    for (const session of this.#sessions.values())
      for (const end of session.ends) if (end.flow === flow.id) this.#end(session, "ok" in outcome ? "closed" : "failed");
    flow.finish(outcome);
  }

  #end(session: Session, state: "closed" | "failed"): void {
    for (const end of session.ends) if (end.state === "open") end.state = state;
  }

  async #answer(flow: Running, fiber: string, path: string, call: Syscall): Promise<void> {
    switch (call.kind) {
      case "session.open": {
        const id = `${flow.id}:${path}`;
        const end = (owner: X500Name, by: string | undefined): End => ({ owner, flow: by, inbox: [], state: "open" });
        this.#sessions.set(id, { id, protocol: call.protocol.name, ends: [end(flow.owner, flow.id), end(call.counterparty, undefined)] });
        return this.#deliver(fiber, path, { ok: id });
      }
      case "session.exchange": {
        const failed = call.sends.map(({ session, payload }) => this.#send(flow, session, payload)).includes(false);
        if (failed) return this.#deliver(fiber, path, sessionFailed);
        this.#waits.push({ fiber, path, flow, receives: call.receives });
        return;
      }
      case "session.close":
        for (const id of call.sessions) this.#end(this.#sessions.get(id) as Session, "closed");
        return this.#deliver(fiber, path, { ok: null });
      case "clock.now":
        return this.#deliver(fiber, path, { ok: this.now });
      case "clock.sleep":
        this.#timers.push({ at: this.now + call.durationMs, fiber, path });
        return;
      case "subFlow":
        return this.#deliver(fiber, path, call.outcome ?? { ok: null });
      case "patched":
        return this.#deliver(fiber, path, { ok: true });
      case "checkpoint":
        return this.#deliver(fiber, path, { ok: null });
      case "random":
        return this.#deliver(fiber, path, { ok: sha256(utf8(`${flow.id} ${path}`)).slice(0, call.length) });
      case "platform": {
        const child = `${flow.id}/${path}`;
        this.#fibers.set(child, { flow, parent: { fiber, path } });
        const identity = { flowId: flow.id, me: flow.owner, groupId: GROUP_ID, properties: NO_PROPERTIES };
        return this.#bundles.platform.start({ fiber: child, path, flow: call.flow, identity, kind: "called", input: call.input });
      }
      case "session.info":
      case "group.parameters":
      case "keys.sign":
      case "keys.mine":
      case "keys.compose":
      case "entity.write":
      case "entity.find":
      case "entity.query":
      case "vault.query":
      case "tokens.claim":
      case "tokens.balance":
      case "tokens.release":
      case "external.send":
        throw new Error(`The ledger's flows do not ask ${call.kind}.`);
      default:
        return this.#deliver(fiber, path, await this.#perform(flow, call));
    }
  }

  #send(flow: Running, id: SessionId, payload: Data): boolean {
    const session = this.#sessions.get(id) as Session;
    const [own, other] = this.#sides(session, flow);
    if (own.state === "failed") return false;
    const message: Message = { from: own.owner, to: other.owner, payload };
    const lost = this.interference(message) === "lost";
    // Who interferes may kill either of them.
    if (lost || this.#dead.has(own.owner) || this.#dead.has(other.owner)) {
      this.#end(session, "failed");
      return true;
    }
    other.inbox.push(message.payload);
    if (other.flow === undefined) {
      const name = this.#responders.get(session.protocol) as string;
      const how = { kind: "initiated", session: id, counterparty: own.owner } as const;
      other.flow = this.#start(other.owner, name, how, () => {}).id;
    }
    return true;
  }

  #sides({ ends }: Session, flow: Running): readonly [End, End] {
    return ends[0].flow === flow.id ? ends : [ends[1], ends[0]];
  }

  /** Settles the waits whose messages are there, or never will be. */
  #wake(): boolean {
    const before = this.#waits;
    this.#waits = [];
    for (const wait of before) {
      const ends = wait.receives.map((id) => this.#sides(this.#sessions.get(id) as Session, wait.flow)[0]);
      if (ends.every(({ inbox }) => inbox.length > 0))
        this.#deliver(wait.fiber, wait.path, { ok: ends.map(({ inbox }) => inbox.shift() as Data) });
      else if (ends.some(({ state, inbox }) => state !== "open" && inbox.length === 0)) this.#deliver(wait.fiber, wait.path, sessionFailed);
      else this.#waits.push(wait);
    }
    return this.#waits.length < before.length;
  }

  #deliver(fiber: string, path: string, outcome: Outcome): void {
    const running = this.#fibers.get(fiber);
    if (running === undefined) return;
    const isChild = running.parent !== undefined;
    (isChild ? this.#bundles.platform : this.#bundleOf(running.flow.name)).deliver([{ fiber, path, outcome }]);
  }

  async #perform(flow: Running, call: RoleCall): Promise<Outcome> {
    try {
      return { ok: await this.#service(flow, call) };
    } catch (thrown) {
      if (!(thrown instanceof BowlineError)) throw thrown;
      return { error: { type: thrown.code, message: thrown.message, details: thrown.details } };
    }
  }

  async #service(flow: Running, call: RoleCall): Promise<Data> {
    const vault = this.vault(flow.owner);
    switch (call.kind) {
      case "members.find":
        return this.sample.members.filter(({ name }) => call.name === undefined || name === call.name) as unknown as Data;
      case "notaries.find":
        return [this.sample.notary].filter(({ name }) => call.name === undefined || name === call.name) as unknown as Data;
      case "vault.find":
        return vault.read({ kind: "find", query: call.query });
      case "vault.resolve":
        return vault.read({ kind: "resolve", refs: call.refs });
      case "vault.transaction":
        return vault.read({ kind: "view", id: call.id });
      case "vault.write":
        vault.apply([{ flowId: flow.id, writes: call.writes }]);
        return null;
      case "service":
        this.calls.set(call.service, (this.calls.get(call.service) ?? 0) + 1);
        return (await this.#role(flow, call.service as keyof LedgerServices, call.request)) as Data;
    }
  }

  async #role(flow: Running, service: keyof LedgerServices, request: Data): Promise<unknown> {
    const asked = <Name extends keyof LedgerServices>(_name: Name) => request as unknown as LedgerServices[Name]["request"];
    const own = Object.values(this.sample.parties).find(({ name }) => name === flow.owner);
    switch (service) {
      case "crypto.filterMyKeys":
        return { keys: asked(service).keys.filter((key) => key === own?.keys.publicKey) };
      case "crypto.signTransaction": {
        const { transactionId, key, timestamp } = asked(service);
        invariant(own !== undefined && own.keys.publicKey === key, "a member signs with its own keys");
        return { signature: encodeSignature(signatureOf(transactionId as SecureHash, own.keys, timestamp)) };
      }
      case "crypto.signTransactions": {
        const { transactionIds, key, timestamp } = asked(service);
        invariant(own !== undefined && own.keys.publicKey === key, "a member signs with its own keys");
        return { signatures: signaturesOf(transactionIds as readonly SecureHash[], own.keys, timestamp).map(encodeSignature) };
      }
      case "verification.verify": {
        const { transaction, verified, ...context } = asked(service);
        return verifyWith(decodeSigned(transaction), context, verified);
      }
      case "verification.signatures":
        return asked(service)
          .transactions.map(decodeSigned)
          .map(({ transaction, signatures }) => checkSignatures(transaction, signatures));
      case "verification.dependencies": {
        const { proving, dependencies, groupParameters } = asked(service);
        const resolved = checkDependencies(proving, dependencies, decodeGroupParameters(groupParameters));
        return { ...resolved, mac: dependenciesMac(MAC_KEY, dependencies) };
      }
      case "verification.verifyHere": {
        const rows = await this.vault(flow.owner).read({ kind: "verifiable", ...asked(service) });
        return (rows as unknown as readonly VerifiableTransaction[]).map(({ bytes, inputs, references }) => {
          const context = { inputs, references, groupParameters: this.sample.parameters.bytes };
          const { view: _, signatures: __, ...reply } = verifyWith(decodeSigned(bytes), context, null);
          return reply;
        });
      }
      case "uniqueness.admit":
        return null;
      case "uniqueness.notarise":
        return this.#notarise(asked(service));
      case "membership.groupParameters":
        return { ...this.sample.parameters };
      case "cluster.packages":
        return { cpi: CPI, contracts: [PACKAGE], platformVersion: PLATFORM_VERSION };
      case "vault.sources":
      case "vault.transactions":
      case "vault.unresolved":
      case "vault.dependencies":
      case "vault.ancestors":
      case "vault.history": {
        const kind = service.slice("vault.".length);
        return this.vault(flow.owner).read({ kind, ...(request as object) } as VaultRead);
      }
    }
  }

  async #notarise(request: LedgerServices["uniqueness.notarise"]["request"]) {
    const { self, notaryKeys } = this.sample;
    const [answer] = await notarise([request], self, {
      store: this.uniqueness,
      metadata: { timestamp: this.now, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION },
      sign: async (preimage) => signSync(notaryKeys.privateKey, preimage),
    });
    return answer;
  }
}

const sessionFailed: Outcome = { error: { type: "session.failed", message: "The session is gone." } };
