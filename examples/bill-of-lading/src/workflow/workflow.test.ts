// The flows of all parties on a whole network in this process: the real engine, ledger and notary, in virtual time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { transaction } from "@bowline/sdk";
import { createNetwork, days, minutes, type Network, type NetworkNode, simulate } from "@bowline/testing";
import { Accreditation } from "../contract/accreditation.ts";
import { Bill, BillContract, type BillData } from "../contract/bill.ts";
import { cordapp as contracts } from "../contract/index.ts";
import { Pledge, PledgeContract } from "../contract/pledge.ts";
import { AccreditCarrier, RevokeAccreditation } from "./accreditations.ts";
import { AGREEMENT } from "./agreement.ts";
import { EndorseBill, IssueBill, ListBills, SurrenderBill } from "./bills.ts";
import { cordapp as flows } from "./index.ts";
import { ForeclosePledge, PledgeBill, ReleasePledge } from "./pledges.ts";

const MEMBERS = ["Registry", "Carrier", "Exporter", "Importer", "Bank"] as const;
const COMPANIES = { cordapps: [contracts, flows], members: MEMBERS, startsAt: Date.UTC(2030, 0, 1) };
const nameOf = (member: (typeof MEMBERS)[number]) => `O=${member}, L=London, C=GB`;
const [CARRIER, EXPORTER, IMPORTER, BANK] = [nameOf("Carrier"), nameOf("Exporter"), nameOf("Importer"), nameOf("Bank")];
const TERMS = {
  number: "BL-1",
  goods: { description: "Coffee, green", packages: 320, grossWeightKg: "19200" },
  vessel: "MV Halyard",
  portOfLoading: "Santos",
  portOfDischarge: "Hamburg",
};
const ISSUE = { ...TERMS, to: [EXPORTER] };
const number = TERMS.number;

const partiesOf = (network: Network) => ({
  network,
  registry: network.node("Registry"),
  carrier: network.node("Carrier"),
  exporter: network.node("Exporter"),
  importer: network.node("Importer"),
  bank: network.node("Bank"),
});
type Parties = ReturnType<typeof partiesOf>;

/** A network in which the carrier is accredited for all of 2030. */
async function companies(): Promise<Parties> {
  const parties = partiesOf(await createNetwork(COMPANIES));
  await parties.registry.start(AccreditCarrier, { carrier: CARRIER, validUntil: "2030-12-31" });
  return parties;
}

async function billsOf(node: NetworkNode): Promise<readonly string[]> {
  return (await node.start(ListBills, {})).map((bill) => `${bill.number} ${bill.holders.length} ${bill.pledgedUntil ?? "free"}`);
}

/** Accredited, issued, pledged and released, handed on to two together, and surrendered. */
async function live({ network, registry, carrier, exporter, importer, bank }: Parties): Promise<void> {
  await registry.start(AccreditCarrier, { carrier: CARRIER, validUntil: "2030-12-31" });
  await network.settle();
  await carrier.start(IssueBill, ISSUE);
  await network.settle();
  await exporter.start(PledgeBill, { number, bank: BANK, dueDate: "2030-03-31" });
  await network.settle();
  assert.deepEqual([await billsOf(exporter), await billsOf(bank)], [[], ["BL-1 1 2030-03-31"]]);
  await bank.start(ReleasePledge, { number });
  await network.settle();
  await exporter.start(EndorseBill, { number, to: [IMPORTER, BANK] });
  await network.settle();
  assert.deepEqual([await billsOf(exporter), await billsOf(importer), await billsOf(bank)], [[], ["BL-1 2 free"], ["BL-1 2 free"]]);
  await importer.start(SurrenderBill, { number });
  await network.settle();
  for (const node of [carrier, exporter, importer, bank]) assert.deepEqual(await billsOf(node), []);
}

test("a bill lives from its issue to the goods", async () => live(partiesOf(await createNetwork(COMPANIES))));

test("on every bad day too", () => simulate({ ...COMPANIES, seeds: 8 }, (network) => live(partiesOf(network))));

test("a carrier that is not accredited, or was, or no more, issues nothing", async () => {
  const { network, registry, carrier, exporter } = await companies();
  await assert.rejects(exporter.start(IssueBill, { ...ISSUE, to: [IMPORTER] }), { type: "lading.notAccredited" });
  await carrier.start(IssueBill, ISSUE);
  await carrier.start(IssueBill, { ...ISSUE, number: "BL-2" });
  await registry.start(RevokeAccreditation, { carrier: CARRIER });
  await assert.rejects(carrier.start(IssueBill, { ...ISSUE, number: "BL-3" }), { type: "notary.referenceStateConflict" });
  await registry.start(AccreditCarrier, { carrier: CARRIER, validUntil: "2030-01-31" });
  await network.advance(days(31));
  await assert.rejects(carrier.start(IssueBill, { ...ISSUE, number: "BL-4" }), { type: "lading.notAccredited" });
  assert.deepEqual(await billsOf(exporter), ["BL-1 1 free", "BL-2 1 free"], "what was issued stays");
});

test("many bills refer to one accreditation, at once", async () => {
  const { carrier, exporter, network } = await companies();
  await Promise.all(["A", "B", "C", "D"].map((each) => carrier.start(IssueBill, { ...ISSUE, number: each })));
  await network.settle();
  assert.equal((await billsOf(exporter)).length, 4);
});

test("who holds a bill together moves it when enough of them sign", async () => {
  const { network, carrier, exporter, importer, bank } = await companies();
  await carrier.start(IssueBill, { ...ISSUE, to: [EXPORTER, IMPORTER, BANK], threshold: 2 });
  await network.settle();
  const alone = exporter.start(EndorseBill, { number, to: [EXPORTER], cosigners: [] });
  await assert.rejects(alone, { type: "ledger.signaturesMissing" });
  network.crash("Bank");
  await exporter.start(EndorseBill, { number, to: [IMPORTER], cosigners: [IMPORTER] });
  await network.restart("Bank");
  await network.settle();
  assert.deepEqual([await billsOf(exporter), await billsOf(importer)], [[], ["BL-1 1 free"]]);
  await assert.rejects(bank.start(EndorseBill, { number, to: [BANK], cosigners: [IMPORTER] }), "it is spent, whoever has not heard");
});

test("a bank may not keep a bill before the due day is over, and may then", async () => {
  const { network, carrier, exporter, bank } = await companies();
  await carrier.start(IssueBill, ISSUE);
  await exporter.start(PledgeBill, { number, bank: BANK, dueDate: "2030-01-10" });
  await assert.rejects(bank.start(ForeclosePledge, { number }), { type: "lading.notDue" });
  await assert.rejects(bank.start(EndorseBill, { number, to: [BANK] }), { message: /encumbrance/ });
  await assert.rejects(bank.start(SurrenderBill, { number }), { message: /encumbrance/ });
  await network.advance(days(10));
  await bank.start(ForeclosePledge, { number });
  assert.deepEqual(await billsOf(bank), ["BL-1 1 free"]);
  await bank.start(SurrenderBill, { number });
});

test("a bank that writes its own flows may not keep it either", async () => {
  const { network, carrier, exporter, bank } = await companies();
  await carrier.start(IssueBill, ISSUE);
  await exporter.start(PledgeBill, { number, bank: BANK, dueDate: "2030-01-10" });
  const foreclose = (from: number, until: number) =>
    bank.run({ initiates: AGREEMENT }, async (context) => {
      const [{ states: bills }, { states: pledges }] = [await context.vault.find(Bill), await context.vault.find(Pledge)];
      const [bill, pledge] = [bills[0], pledges[0]];
      assert.ok(bill !== undefined && pledge !== undefined);
      const proposal = transaction()
        .notary(bill.notary)
        .from(from)
        .until(until)
        .input(bill, pledge)
        .output(Bill, bill.state.data)
        .command(BillContract, "Endorse")
        .command(PledgeContract, "Foreclose")
        .signedBy(bank.key)
        .build();
      await context.ledger.finalize(await context.ledger.sign(proposal), []);
    });
  const due = Date.UTC(2030, 0, 11);
  await assert.rejects(foreclose(due - 1, due + 60_000), { message: /before its due day is over/ });
  await network.advance(due - network.now - minutes(2));
  await foreclose(due, due + minutes(10));
  assert.ok(network.now >= due, "the notary's clock decides when it may be");
  assert.deepEqual(await billsOf(bank), ["BL-1 1 free"]);
});

test("what is no change of this member's bills is refused with its reason", async () => {
  const { carrier, exporter, importer, bank, registry } = await companies();
  await assert.rejects(registry.start(AccreditCarrier, { carrier: nameOf("Registry"), validUntil: "2030-12-31" }), {
    type: "lading.ownRegistry",
  });
  await assert.rejects(registry.start(AccreditCarrier, { carrier: CARRIER, validUntil: "2029-12-31" }), { type: "lading.dayInvalid" });
  await assert.rejects(registry.start(RevokeAccreditation, { carrier: IMPORTER }), { type: "lading.notAccredited" });
  await assert.rejects(carrier.start(IssueBill, { ...ISSUE, to: [EXPORTER, EXPORTER] }), { type: "lading.holderInvalid" });
  await assert.rejects(carrier.start(IssueBill, { ...ISSUE, threshold: 2 }), { type: "lading.holderInvalid" });
  await assert.rejects(carrier.start(IssueBill, { ...ISSUE, to: ["O=Dora, L=Madrid, C=ES"] }), { type: "lading.partyUnknown" });
  await carrier.start(IssueBill, ISSUE);
  await assert.rejects(importer.start(EndorseBill, { number, to: [IMPORTER] }), { type: "lading.unknown" });
  await assert.rejects(exporter.start(PledgeBill, { number, bank: BANK, dueDate: "2030-02-30" }), { type: "lading.dayInvalid" });
  await assert.rejects(exporter.start(ReleasePledge, { number }), { type: "lading.notPledged" });
  assert.deepEqual(await billsOf(bank), []);
});

test("nobody agrees to what is not the asker's to ask, or names a key that is not the party's", async () => {
  const { network, carrier, exporter } = await companies();
  const party = ({ name, key }: NetworkNode) => ({ name: name as string, key });
  /** What the carrier proposes when nobody's flow but its own binds it. */
  const propose = (change: Partial<BillData>) =>
    carrier.run({ initiates: AGREEMENT }, async (context) => {
      const { states } = await context.vault.find(Accreditation);
      const [accreditation] = states;
      assert.ok(accreditation !== undefined);
      const holder = { parties: [party(exporter)], threshold: 1, key: exporter.key };
      const honest: BillData = { id: null, carrier: party(carrier), registry: accreditation.state.data.registry, terms: TERMS, holder };
      const bill = { ...honest, ...change };
      const proposal = transaction()
        .notary(network.notary as string)
        .until((await context.now()) + 60_000)
        .reference(accreditation)
        .output(Bill, bill)
        .command(BillContract, "Issue")
        .signedBy(carrier.key, ...bill.holder.parties.map(({ key }) => key))
        .build();
      const session = await context.initiate(EXPORTER);
      await context.ledger.finalize(await context.ledger.sign(proposal), [session]);
    });
  const stranger = { parties: [{ name: IMPORTER, key: carrier.key }], threshold: 1, key: carrier.key };
  await assert.rejects(propose({ holder: stranger }), { type: "lading.refused", message: /has no part/ });
  const misnamed = { parties: [{ name: EXPORTER, key: carrier.key }], threshold: 1, key: carrier.key };
  await assert.rejects(propose({ holder: misnamed }), { type: "lading.refused", message: /not one of its ledger keys/ });
  await propose({});
});
