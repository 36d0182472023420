// The flows of all parties against a ledger in miniature: vaults, sessions and finality of one process, and the real
// contract. What a real network adds (signatures, a notary, crashes) is the platform's to prove.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type {
  Data,
  Failure,
  FiberReport,
  FiberStart,
  MemberInfo,
  Outcome,
  StateAndRef,
  Syscall,
  TransactionProposal,
  TransactionView,
  X500Name,
} from "@bowline/sdk";
import { cordapp as contracts } from "../contract/index.ts";
import { OBLIGATION, OBLIGATION_CONTRACT, type ObligationData } from "../contract/obligation.ts";
import { cordapp } from "./index.ts";

const NOTARY = "O=Notary Service, L=Zurich, C=CH" as X500Name;
const ALICE = "O=Alice, L=London, C=GB" as X500Name;
const BOB = "O=Bob, L=Paris, C=FR" as X500Name;
const CHARLIE = "O=Charlie, L=Berlin, C=DE" as X500Name;
const NOW = Date.UTC(2026, 0, 1);

/** What the four platform flows take, all in one. */
interface PlatformInput {
  readonly proposal: TransactionProposal;
  readonly session?: { readonly id: string };
  readonly sessions: readonly { readonly id: string }[];
  readonly record: Uint8Array;
  readonly refusal: Failure | null;
}

class MiniatureLedger {
  readonly vaults = new Map<X500Name, StateAndRef[]>([ALICE, BOB, CHARLIE].map((name) => [name, []]));
  /** Set to make a proposal dishonest after its initiator's own checks. */
  tamper: ((transaction: TransactionView) => TransactionView) | undefined;
  readonly #ends = new Map<string, (outcome: Outcome) => void>();
  readonly #starts = new Map<string, FiberStart>();
  readonly #proposals = new Map<string, TransactionView>();
  readonly #sessions = new Map<
    string,
    { readonly from: X500Name; readonly to: X500Name; readonly protocol: string; proposal?: TransactionView; refusal?: Failure }
  >();
  #count = 0;

  /** What a flow returned; throws the failure that it ended with. */
  async run(me: X500Name, flow: string, input: Data): Promise<Data> {
    const outcome = await this.#start({ kind: "called", flow: `com.example.obligation.${flow}`, input, ...this.#fiber(me) });
    if ("error" in outcome) throw Object.assign(new Error(outcome.error.message), { type: outcome.error.type });
    return outcome.ok;
  }

  obligations(of: X500Name): readonly ObligationData[] {
    return (this.vaults.get(of) ?? []).map(({ state }) => state.data as ObligationData);
  }

  #fiber(me: X500Name) {
    this.#count += 1;
    return { fiber: `${this.#count}/`, path: "", identity: { flowId: String(this.#count), me, groupId: "group" } };
  }

  #start(start: FiberStart): Promise<Outcome> {
    this.#starts.set(start.fiber, start);
    const ended = new Promise<Outcome>((end) => this.#ends.set(start.fiber, end));
    cordapp.start(start);
    void this.#pump();
    return ended;
  }

  async #pump(): Promise<void> {
    await setImmediate();
    for (const { fiber, syscalls, finished } of cordapp.collect()) {
      if (syscalls.length > 0) void this.#settle(fiber, syscalls);
      if (finished !== undefined) this.#ends.get(fiber)?.(finished);
    }
  }

  /** What was asked together is answered together, as the engine does where it can. */
  async #settle(fiber: string, syscalls: FiberReport["syscalls"]): Promise<void> {
    const me = (this.#starts.get(fiber) as FiberStart).identity.me;
    const outcomes = await Promise.all(syscalls.map(({ call }) => this.#answer(me, call)));
    cordapp.deliver(syscalls.map(({ path }, i) => ({ fiber, path, outcome: structuredClone(outcomes[i] as Outcome) })));
    await this.#pump();
  }

  async #answer(me: X500Name, call: Syscall): Promise<Outcome> {
    switch (call.kind) {
      case "clock.now":
        return { ok: NOW };
      case "members.find":
        return { ok: members.filter(({ name }) => call.name === undefined || name === call.name) as unknown as Data };
      case "notaries.find":
        return { ok: [{ name: NOTARY, key: "N", protocol: "p", backchainRequired: true, members: [] }] };
      case "vault.find": {
        const { where = {}, limit = 100, after = "0" } = call.query;
        const found = (this.vaults.get(me) ?? []).filter(({ state }) =>
          Object.entries(where).every(([path, value]) => member(state.data, path) === value),
        );
        const next = Number(after) + limit;
        return { ok: { states: found.slice(Number(after), next) as unknown as Data, next: next < found.length ? String(next) : null } };
      }
      case "session.open": {
        this.#count += 1;
        this.#sessions.set(String(this.#count), { from: me, to: call.counterparty, protocol: call.protocol.name });
        return { ok: String(this.#count) };
      }
      case "platform":
        return this.#platform(call.flow, call.input as unknown as PlatformInput);
      default:
        return { ok: null };
    }
  }

  async #platform(flow: string, input: PlatformInput): Promise<Outcome> {
    const session = this.#sessions.get(input.session?.id ?? "");
    if (flow === "ledger.sign") return this.#sign(input.proposal);
    if (flow === "ledger.receiveProposal") return { ok: signed(session?.proposal as TransactionView) };
    if (flow === "ledger.answerProposal") {
      if (session !== undefined && input.refusal !== null) session.refusal = input.refusal;
      return { ok: input.refusal === null ? signed(session?.proposal as TransactionView) : null };
    }
    return this.#finalize(String.fromCharCode(...input.record), input.sessions);
  }

  #sign(proposal: TransactionProposal): Outcome {
    this.#count += 1;
    const id = `SHA-256:${this.#count}`;
    const resolve = (ref: string) => [...this.vaults.values()].flat().find((state) => state.ref === ref) as StateAndRef;
    const view: TransactionView = {
      ...proposal,
      id,
      inputs: proposal.inputs.map(resolve),
      references: [],
      outputs: proposal.outputs.map((state, index) => ({ ref: `${id}:${index}`, state, notary: proposal.notary })),
    };
    const [violation] = contracts.verify(structuredClone(view) as unknown as Data, [OBLIGATION_CONTRACT]);
    if (violation !== undefined) return { error: violation.failure };
    this.#proposals.set(id, view);
    return { ok: signed(view) };
  }

  async #finalize(id: string, sessions: readonly { readonly id: string }[]): Promise<Outcome> {
    const honest = this.#proposals.get(id) as TransactionView;
    const view = this.tamper?.(honest) ?? honest;
    for (const { id: sessionId } of sessions) {
      const session = this.#sessions.get(sessionId);
      assert.ok(session !== undefined);
      session.proposal = view;
      const answering = cordapp.manifest.flows.find(({ answers }) => answers?.name === session.protocol);
      const start = { kind: "initiated", flow: answering?.name ?? "", session: sessionId, counterparty: session.from, version: 1 } as const;
      await this.#start({ ...start, ...this.#fiber(session.to) });
      if (session.refusal !== undefined) return { error: session.refusal };
    }
    this.#record(view);
    return { ok: signed(view) };
  }

  #record(view: TransactionView): void {
    for (const [name, states] of this.vaults) {
      const key = keyOf(name);
      const kept = states.filter(({ ref }) => view.inputs.every((input) => input.ref !== ref));
      const mine = view.outputs.filter(({ state }) =>
        contracts.describeState({ type: OBLIGATION, data: state.data }).participants.includes(key),
      );
      this.vaults.set(name, [...kept, ...mine]);
    }
  }
}

const keyOf = (name: X500Name): string => `KEY of ${name}`;
const members: readonly MemberInfo[] = [ALICE, BOB, CHARLIE].map((name) => ({ name, status: "ACTIVE", ledgerKeys: [keyOf(name)] }));
const member = (data: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], data);
const signed = (view: TransactionView): Data => ({
  id: view.id,
  transaction: view as unknown as Data,
  record: Uint8Array.from(view.id, (c) => c.charCodeAt(0)),
});
const terms = { id: "AL-1", creditor: BOB as string, amount: "120.5", currency: "EUR", dueDate: "2035-06-30" };

let ledger: MiniatureLedger;
beforeEach(() => {
  ledger = new MiniatureLedger();
});

test("an obligation is issued, handed on and settled, and every party sees the same", async () => {
  await ledger.run(ALICE, "IssueObligation", terms);
  assert.deepEqual(ledger.obligations(ALICE), ledger.obligations(BOB));
  assert.equal(ledger.obligations(ALICE)[0]?.remaining, "120.50");
  await ledger.run(BOB, "TransferObligation", { id: "AL-1", newCreditor: CHARLIE });
  assert.deepEqual(ledger.obligations(BOB), []);
  assert.deepEqual(ledger.obligations(ALICE), ledger.obligations(CHARLIE));
  const settled = await ledger.run(ALICE, "SettleObligation", { id: "AL-1", amount: "20.50" });
  assert.equal((settled as { remaining: string }).remaining, "100.00");
  await ledger.run(ALICE, "SettleObligation", { id: "AL-1" });
  assert.deepEqual([ledger.obligations(ALICE), ledger.obligations(CHARLIE)], [[], []]);
});

test("positions add up what stands, per currency, from either side", async () => {
  const issue = (from: X500Name, change: Partial<typeof terms>) => ledger.run(from, "IssueObligation", { ...terms, ...change });
  await issue(ALICE, { id: "1", amount: "0.10" });
  await issue(ALICE, { id: "2", amount: "0.20" });
  await issue(BOB, { id: "3", creditor: ALICE, amount: "700", currency: "JPY" });
  await issue(BOB, { id: "4", creditor: ALICE, amount: "1.00" });
  assert.deepEqual(await ledger.run(ALICE, "ListPositions", {}), {
    obligations: 4,
    positions: [
      { currency: "EUR", owes: "0.30", owed: "1.00" },
      { currency: "JPY", owes: "0", owed: "700" },
    ],
  });
  assert.deepEqual(await ledger.run(CHARLIE, "ListPositions", {}), { obligations: 0, positions: [] });
});

test("what cannot be issued is refused with its reason, and leaves no trace", async () => {
  const refused = (change: Partial<typeof terms>, type: string) =>
    assert.rejects(ledger.run(ALICE, "IssueObligation", { ...terms, ...change }), { type });
  await refused({ creditor: "O=Dora, L=Madrid, C=ES" }, "obligation.partyUnknown");
  await refused({ creditor: ALICE }, "obligation.ownCreditor");
  await refused({ amount: "-1" }, "flow.invalidInput");
  await refused({ amount: "0.00" }, "obligation.amountInvalid");
  await refused({ amount: "1.005" }, "obligation.amountInvalid");
  await refused({ currency: "EUX" }, "obligation.amountInvalid");
  await refused({ dueDate: "2035-02-30" }, "obligation.dueDateInvalid");
  await refused({ dueDate: "2025-12-30" }, "obligation.dueDatePast");
  assert.deepEqual(ledger.obligations(ALICE), []);
  await ledger.run(ALICE, "IssueObligation", terms);
  await refused({}, "obligation.idTaken");
});

test("only what stands, and only by the right party, is handed on or settled", async () => {
  await ledger.run(ALICE, "IssueObligation", terms);
  await assert.rejects(ledger.run(ALICE, "TransferObligation", { id: "AL-1", newCreditor: CHARLIE }), { type: "obligation.unknown" });
  await assert.rejects(ledger.run(BOB, "TransferObligation", { id: "AL-1", newCreditor: ALICE }), { type: "obligation.ownCreditor" });
  await assert.rejects(ledger.run(BOB, "TransferObligation", { id: "AL-1", newCreditor: BOB }), { type: "obligation.sameCreditor" });
  await assert.rejects(ledger.run(BOB, "SettleObligation", { id: "AL-1" }), { type: "obligation.unknown" });
  await assert.rejects(ledger.run(ALICE, "SettleObligation", { id: "AL-1", amount: "120.51" }), { type: "obligation.tooMuch" });
  await assert.rejects(ledger.run(ALICE, "SettleObligation", { id: "AL-1", amount: "0" }), { type: "obligation.amountInvalid" });
});

test("a responder signs nothing that is not its own, or not what it was asked", async () => {
  const data = (view: TransactionView, change: Partial<ObligationData>): TransactionView => ({
    ...view,
    outputs: view.outputs.map((output) => ({
      ...output,
      state: { ...output.state, data: { ...(output.state.data as ObligationData), ...change } },
    })),
  });
  const dishonest: [string, (view: TransactionView) => TransactionView][] = [
    ["not the creditor", (view) => data(view, { creditor: { name: CHARLIE, key: keyOf(CHARLIE) } })],
    ["Only the debtor itself", (view) => data(view, { debtor: { name: CHARLIE, key: keyOf(CHARLIE) } })],
    ["not one of its ledger keys", (view) => data(view, { debtor: { name: ALICE, key: "another's" } })],
    ["is past", (view) => data(view, { dueDate: "2020-01-01" })],
    ["no currency", (view) => data(view, { amount: { value: "1.00", currency: "EUX" } })],
    [
      "not a transaction of command Issue",
      (view) => ({ ...view, commands: view.commands.map((command) => ({ ...command, type: "Transfer" })) }),
    ],
  ];
  for (const [reason, tamper] of dishonest) {
    ledger.tamper = tamper;
    await assert.rejects(ledger.run(ALICE, "IssueObligation", terms), { type: "obligation.refused", message: new RegExp(reason) });
  }
  assert.deepEqual(ledger.obligations(ALICE), []);
});
