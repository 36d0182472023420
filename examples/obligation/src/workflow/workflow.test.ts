// The flows of all parties on a whole network in this process: the real engine, ledger and notary, in virtual time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { transaction } from "@bowline/sdk";
import { createNetwork, type Network, type NetworkNode, simulate } from "@bowline/testing";
import { cordapp as contracts } from "../contract/index.ts";
import { Obligation, type ObligationData } from "../contract/obligation.ts";
import { ObligationContract } from "../contract/rules.ts";
import { cordapp as flows } from "./index.ts";
import { AgreeToObligation, IssueObligation } from "./issue-obligation.ts";
import { ListPositions } from "./list-positions.ts";
import { SettleObligation } from "./settle-obligation.ts";
import { TransferObligation } from "./transfer-obligation.ts";

const COMPANIES = { cordapps: [contracts, flows], members: ["Alice", "Bob", "Charlie"] };

interface Parties {
  readonly network: Network;
  readonly alice: NetworkNode;
  readonly bob: NetworkNode;
  readonly charlie: NetworkNode;
}

const partiesOf = (network: Network): Parties => ({
  network,
  alice: network.node("Alice"),
  bob: network.node("Bob"),
  charlie: network.node("Charlie"),
});
const companies = async (): Promise<Parties> => partiesOf(await createNetwork(COMPANIES));

async function obligationsOf(node: NetworkNode): Promise<readonly ObligationData[]> {
  return (await node.vault.find(Obligation)).map(({ state }) => state.data);
}

const terms = ({ bob }: Parties) => ({ id: "AL-1", creditor: bob.name as string, amount: "120.5", currency: "EUR", dueDate: "2035-06-30" });

/** Issued by Alice to Bob, handed on to Charlie, settled in part and then in whole. */
async function live({ alice, bob, charlie, ...parties }: Parties): Promise<void> {
  await alice.start(IssueObligation, terms({ alice, bob, charlie, ...parties }));
  await parties.network.settle();
  assert.deepEqual(await obligationsOf(alice), await obligationsOf(bob));
  assert.equal((await obligationsOf(alice))[0]?.remaining, "120.50");
  await bob.start(TransferObligation, { id: "AL-1", newCreditor: charlie.name });
  await parties.network.settle();
  assert.deepEqual(await obligationsOf(bob), []);
  assert.deepEqual(await obligationsOf(alice), await obligationsOf(charlie));
  const settled = await alice.start(SettleObligation, { id: "AL-1", amount: "20.50" });
  assert.equal(settled.remaining, "100.00");
  await alice.start(SettleObligation, { id: "AL-1" });
  await parties.network.settle();
  assert.deepEqual([await obligationsOf(alice), await obligationsOf(charlie)], [[], []]);
}

test("an obligation is issued, handed on and settled, and every party sees the same", async () => live(await companies()));

test("it is so with messages lost, repeated and overtaken", () =>
  simulate({ ...COMPANIES, seeds: 5, faults: { loss: 0.1, repeats: 0.1, delayMs: 50 } }, (network) => live(partiesOf(network))));

test("it is so with processes that die at any step and databases that are away", () =>
  simulate({ ...COMPANIES, seeds: 5, faults: { crashes: 0.002, outages: 0.02, evictions: 0.02 } }, (network) => live(partiesOf(network))));

test("positions add up what stands, per currency, from either side", async () => {
  const parties = await companies();
  const { alice, bob, charlie } = parties;
  const owed = terms(parties);
  await alice.start(IssueObligation, { ...owed, id: "1", amount: "0.10" });
  await alice.start(IssueObligation, { ...owed, id: "2", amount: "0.20" });
  await bob.start(IssueObligation, { ...owed, id: "3", creditor: alice.name, amount: "700", currency: "JPY" });
  await bob.start(IssueObligation, { ...owed, id: "4", creditor: alice.name, amount: "1.00" });
  assert.deepEqual(await alice.start(ListPositions, {}), {
    obligations: 4,
    positions: [
      { currency: "EUR", owes: "0.30", owed: "1.00" },
      { currency: "JPY", owes: "0", owed: "700" },
    ],
  });
  assert.deepEqual(await charlie.start(ListPositions, {}), { obligations: 0, positions: [] });
});

test("what cannot be issued is refused with its reason, and leaves no trace", async () => {
  const parties = await companies();
  const { alice } = parties;
  const refused = (change: Partial<ReturnType<typeof terms>>, type: string) =>
    assert.rejects(alice.start(IssueObligation, { ...terms(parties), ...change }), { type });
  await refused({ creditor: "O=Dora, L=Madrid, C=ES" }, "obligation.partyUnknown");
  await refused({ creditor: alice.name }, "obligation.ownCreditor");
  await refused({ amount: "-1" }, "flow.invalidInput");
  await refused({ amount: "0.00" }, "obligation.amountInvalid");
  await refused({ amount: "1.005" }, "obligation.amountInvalid");
  await refused({ currency: "EUX" }, "obligation.amountInvalid");
  await refused({ dueDate: "2035-02-30" }, "obligation.dueDateInvalid");
  await refused({ dueDate: "2029-12-30" }, "obligation.dueDatePast");
  assert.deepEqual(await obligationsOf(alice), []);
  await alice.start(IssueObligation, terms(parties));
  await refused({}, "obligation.idTaken");
});

test("only what stands, and only by the right party, is handed on or settled", async () => {
  const parties = await companies();
  const { alice, bob, charlie } = parties;
  await alice.start(IssueObligation, terms(parties));
  const transfer = (from: NetworkNode, to: NetworkNode) => from.start(TransferObligation, { id: "AL-1", newCreditor: to.name });
  await assert.rejects(transfer(alice, charlie), { type: "obligation.unknown" });
  await assert.rejects(transfer(bob, alice), { type: "obligation.ownCreditor" });
  await assert.rejects(transfer(bob, bob), { type: "obligation.sameCreditor" });
  await assert.rejects(bob.start(SettleObligation, { id: "AL-1" }), { type: "obligation.unknown" });
  await assert.rejects(alice.start(SettleObligation, { id: "AL-1", amount: "120.51" }), { type: "obligation.tooMuch" });
  await assert.rejects(alice.start(SettleObligation, { id: "AL-1", amount: "0" }), { type: "obligation.amountInvalid" });
});

test("of two that settle the same at once, the notary lets one through", async () => {
  const parties = await companies();
  await parties.alice.start(IssueObligation, terms(parties));
  const settling = ["20.00", "30.00"].map((amount) => parties.alice.start(SettleObligation, { id: "AL-1", amount }));
  const ends = await Promise.allSettled(settling);
  assert.deepEqual(ends.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.equal((await obligationsOf(parties.bob)).length, 1);
});

test("a responder signs nothing that is not its own, or not what it was asked", async () => {
  const parties = await companies();
  const { alice, bob, charlie, network } = parties;
  const as = ({ name, key }: NetworkNode, change: { key?: string } = {}) => ({ name: name as string, key, ...change });
  const honest: ObligationData = {
    id: "AL-1",
    debtor: as(alice),
    creditor: as(bob),
    amount: { value: "120.50", currency: "EUR" },
    remaining: "120.50",
    dueDate: "2035-06-30",
  };
  /** What Alice proposes when nobody's flow but her own binds her. */
  const propose = (change: Partial<ObligationData>, signers: readonly NetworkNode[]) =>
    alice.run({ initiates: AgreeToObligation.answers }, async (context) => {
      const proposal = transaction()
        .notary(network.notary as string)
        .until((await context.now()) + 60_000)
        .output(Obligation, { ...honest, ...change })
        .command(ObligationContract, "Issue")
        .signedBy(...signers.map(({ key }) => key))
        .build();
      const session = await context.initiate(bob.name);
      await context.ledger.finalize(await context.ledger.sign(proposal), [session]);
    });
  const refused = (reason: RegExp, change: Partial<ObligationData>, signers = [alice, bob]) =>
    assert.rejects(propose(change, signers), { type: "obligation.refused", message: reason });
  await refused(/not the creditor/, { creditor: { name: charlie.name, key: bob.key } });
  await refused(/Only the debtor itself/, { debtor: { name: charlie.name, key: alice.key } });
  await refused(/not one of its ledger keys/, { creditor: as(bob, { key: alice.key }), debtor: as(alice, { key: bob.key }) });
  assert.deepEqual(await obligationsOf(bob), []);
  await propose({}, [alice, bob]);
  const misuse = bob.run({ initiates: AgreeToObligation.answers }, async (context) => {
    const { states } = await context.vault.find(Obligation);
    const [standing] = states;
    assert.ok(standing !== undefined);
    const proposal = transaction()
      .notary(standing.notary)
      .until((await context.now()) + 60_000)
      .input(standing)
      .output(Obligation, { ...(standing.state.data as ObligationData), creditor: as(charlie) })
      .command(ObligationContract, "Transfer")
      .signedBy(alice.key, bob.key, charlie.key)
      .build();
    const sessions = [await context.initiate(alice.name), await context.initiate(charlie.name)];
    await context.ledger.finalize(await context.ledger.sign(proposal), sessions);
  });
  await assert.rejects(misuse, { message: /not a transaction of command Issue/ });
});
