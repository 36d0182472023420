// The rules of accreditations, bills and pledges, each broken alone.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type { Data, StateAndRef, StateDefinition, TransactionView } from "@bowline/sdk";
import { Accreditation } from "./accreditation.ts";
import { Bill, type BillData, holderOf } from "./bill.ts";
import { cordapp } from "./index.ts";
import { Pledge, type PledgeData } from "./pledge.ts";

/** Real keys: those that stand for several are made of them. */
const party = (name: string) => ({
  name: `O=${name}, L=London, C=GB`,
  key: generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" }).toString("base64"),
});
const [registry, carrier, exporter, importer, bank] = ["Registry", "Carrier", "Exporter", "Importer", "Bank"].map(party) as [
  ReturnType<typeof party>,
  ReturnType<typeof party>,
  ReturnType<typeof party>,
  ReturnType<typeof party>,
  ReturnType<typeof party>,
];
const REF = `SHA-256:${"AB".repeat(32)}:0`;
const accreditation = { registry, carrier, validUntil: "2030-12-31" };
const issued: BillData = {
  id: null,
  carrier,
  registry,
  terms: {
    number: "BL-1",
    goods: { description: "Coffee, green", packages: 320, grossWeightKg: "19200" },
    vessel: "MV Halyard",
    portOfLoading: "Santos",
    portOfDischarge: "Hamburg",
  },
  holder: holderOf([exporter], 1),
};
const held = (by: readonly { name: string; key: string }[], threshold = by.length): BillData => ({
  ...issued,
  id: REF,
  holder: holderOf(by, threshold),
});
const pledge: PledgeData = { bill: REF, pledger: issued.holder, bank, dueDate: "2030-03-31" };

type Item = readonly [StateDefinition<never>, Data, { readonly ref?: string; readonly encumbrance?: string }?];
const item = (definition: unknown, data: unknown, more: Item[2] = {}): Item => [definition as StateDefinition<never>, data as Data, more];

interface Change {
  readonly commands: readonly (readonly [StateDefinition<never> | typeof Bill | typeof Pledge | typeof Accreditation, string])[];
  readonly before?: readonly Item[];
  readonly after?: readonly Item[];
  readonly refers?: readonly Item[];
  readonly signed: readonly { readonly key: string }[];
  readonly from?: number;
  readonly until?: number;
}

function broken({ commands, before = [], after = [], refers = [], signed, from, until = Date.UTC(2030, 0, 1) }: Change): string {
  const states = (items: readonly Item[], id: string): StateAndRef[] =>
    items.map(([{ name, contract, version }, data, more], index) => ({
      ref: `SHA-256:${id.repeat(32)}:${index}`,
      notary: "O=Notary Service, L=Zurich, C=CH" as StateAndRef["notary"],
      ...more,
      state: { type: name, version, contract, data },
    }));
  const transaction: TransactionView = {
    id: `SHA-256:${"CD".repeat(32)}`,
    notary: "O=Notary Service, L=Zurich, C=CH" as TransactionView["notary"],
    timeWindow: { until, ...(from === undefined ? {} : { from }) },
    inputs: states(before, "AB"),
    references: states(refers, "EF"),
    outputs: states(after, "CD"),
    commands: commands.map(([{ contract }, type]) => ({ type, contract, data: {} })),
    signatories: signed.map(({ key }) => key),
  };
  const judges = [...new Set([...before, ...after].map(([{ contract }]) => contract))];
  return cordapp
    .verify(structuredClone(transaction) as unknown as Data, judges)
    .map(({ failure }) => failure.details?.["rules"] ?? failure.message)
    .join("; ");
}

const issue: Change = {
  commands: [[Bill, "Issue"]],
  after: [item(Bill, issued)],
  refers: [item(Accreditation, accreditation)],
  signed: [carrier, exporter],
};
const endorse: Change = {
  commands: [[Bill, "Endorse"]],
  before: [item(Bill, issued)],
  after: [item(Bill, held([importer]))],
  signed: [exporter, importer],
};
const pledging: Change = {
  commands: [
    [Bill, "Endorse"],
    [Pledge, "Pledge"],
  ],
  before: [item(Bill, issued)],
  after: [item(Bill, held([bank]), { encumbrance: "p" }), item(Pledge, pledge, { encumbrance: "p" })],
  signed: [exporter, bank],
};
const release: Change = {
  commands: [
    [Bill, "Endorse"],
    [Pledge, "Release"],
  ],
  before: [item(Bill, held([bank])), item(Pledge, pledge)],
  after: [item(Bill, held([exporter]))],
  signed: [bank, exporter],
};
const foreclose: Change = {
  ...release,
  commands: [
    [Bill, "Endorse"],
    [Pledge, "Foreclose"],
  ],
  after: [item(Bill, held([bank]))],
  signed: [bank],
  from: Date.UTC(2030, 3, 1),
  until: Date.UTC(2030, 3, 2),
};

test("accredited, issued, handed on, pledged, released, kept, surrendered", () => {
  assert.equal(broken({ commands: [[Accreditation, "Accredit"]], after: [item(Accreditation, accreditation)], signed: [registry] }), "");
  assert.equal(broken({ commands: [[Accreditation, "Revoke"]], before: [item(Accreditation, accreditation)], signed: [registry] }), "");
  for (const change of [issue, endorse, pledging, release, foreclose]) assert.equal(broken(change), "");
  assert.equal(broken({ commands: [[Bill, "Surrender"]], before: [item(Bill, held([importer]))], signed: [importer, carrier] }), "");
});

test("a registry speaks for itself alone", () => {
  const accredit = (change: Partial<typeof accreditation>, signed = [registry]) =>
    broken({ commands: [[Accreditation, "Accredit"]], after: [item(Accreditation, { ...accreditation, ...change })], signed });
  assert.equal(accredit({}, [carrier]), "issuable.createUnsigned");
  assert.match(accredit({ carrier: registry }), /nobody accredits itself/);
  assert.match(accredit({ validUntil: "2030-02-30" }), /one of the calendar/);
  assert.equal(
    broken({ commands: [[Accreditation, "Revoke"]], before: [item(Accreditation, accreditation)], signed: [carrier] }),
    "issuable.deleteUnsigned",
  );
});

test("a bill refers to an accreditation of its carrier by its registry, which is not over", () => {
  const refers = (change: Partial<typeof accreditation>) =>
    broken({ ...issue, refers: [item(Accreditation, { ...accreditation, ...change })] });
  assert.match(broken({ ...issue, refers: [] }), /has accredited its carrier/);
  assert.match(refers({ carrier: exporter }), /has accredited its carrier/);
  assert.match(refers({ registry: exporter }), /has accredited its carrier/);
  assert.match(refers({ validUntil: "2029-12-30" }), /not over/);
  assert.equal(refers({ validUntil: "2029-12-31" }), "", "the last day counts, to its end");
});

test("who becomes a holder signs, and holders together have the key of all of them", () => {
  assert.match(broken({ ...issue, signed: [carrier] }), /becomes a holder signs/);
  assert.match(broken({ ...endorse, signed: [exporter] }), /becomes a holder signs/);
  const joint = held([importer, bank], 1);
  assert.equal(broken({ ...endorse, after: [item(Bill, joint)], signed: [exporter, importer, bank] }), "");
  assert.match(broken({ ...endorse, after: [item(Bill, joint)], signed: [exporter, importer] }), /becomes a holder signs/);
  const forged = { ...joint, holder: { ...joint.holder, key: importer.key } };
  assert.match(broken({ ...endorse, after: [item(Bill, forged)], signed: [exporter, importer, bank] }), /key is that of its parties/);
  assert.equal(broken({ ...endorse, before: [item(Bill, joint, { ref: REF })], signed: [importer] }), "ownable.ownerUnsigned");
});

test("an endorsement changes nothing but the holder", () => {
  const after = held([importer]);
  const others: Partial<BillData>[] = [
    { registry: exporter },
    { terms: { ...after.terms, vessel: "MV Other" } },
    { terms: { ...after.terms, goods: { ...after.terms.goods, packages: 321 } } },
  ];
  for (const other of others) assert.match(broken({ ...endorse, after: [item(Bill, { ...after, ...other })] }), /nothing but the holder/);
  assert.match(broken({ ...endorse, after: [item(Bill, { ...after, id: null })] }), /called by the reference/);
  assert.equal(broken({ ...endorse, after: [item(Bill, { ...after, id: REF.replaceAll("AB", "BA") })] }), "identifiable.idUnknown");
  assert.equal(broken({ ...endorse, after: [item(Bill, after), item(Bill, after)] }), "update.multiplies identifiable.idRepeated");
});

test("a pledge binds the bill that it is of, in the hands of the bank", () => {
  const [bill, paper] = [item(Bill, held([bank]), { encumbrance: "p" }), item(Pledge, pledge, { encumbrance: "p" })];
  const refused = (change: Partial<Change>, rule: RegExp) => assert.match(broken({ ...pledging, ...change }), rule);
  refused(
    { after: [item(Bill, held([importer]), { encumbrance: "p" }), paper], signed: [exporter, importer, bank] },
    /the bank holds a bill/,
  );
  refused(
    { after: [bill, item(Pledge, { ...pledge, pledger: holderOf([importer], 1) }, { encumbrance: "p" })] },
    /pledges a bill is its holder/,
  );
  refused({ after: [item(Bill, held([bank])), item(Pledge, pledge)] }, /one encumbrance/);
  refused({ after: [bill, item(Pledge, pledge, { encumbrance: "q" })] }, /one encumbrance/);
  refused({ after: [bill, paper, item(Accreditation, accreditation, { encumbrance: "p" })] }, /nothing else is in it/);
  refused({ after: [bill, item(Pledge, { ...pledge, dueDate: "2029-12-30" }, { encumbrance: "p" })] }, /not over/);
  refused(
    { after: [bill, item(Pledge, { ...pledge, bill: REF.replaceAll("AB", "BA") }, { encumbrance: "p" })] },
    /handed on in the same transaction/,
  );
});

test("a pledge ends by giving back, or after its day, and never without the bill", () => {
  assert.match(broken({ ...release, after: [item(Bill, held([importer]))], signed: [bank, importer] }), /goes back to its pledger/);
  assert.match(broken({ ...release, after: [item(Bill, held([exporter]), { encumbrance: "p" })] }), /is free/);
  assert.equal(broken({ ...release, signed: [exporter] }), "ownable.ownerUnsigned; ownable.ownerUnsigned");
  assert.match(broken({ ...release, commands: [[Pledge, "Release"]], before: [item(Pledge, pledge)], after: [] }), /handed on in the same/);
  assert.match(broken({ ...foreclose, from: Date.UTC(2030, 3, 1) - 1 }), /before its due day is over/);
  const { from: _from, ...always } = foreclose;
  assert.match(broken(always), /before its due day is over/);
  assert.match(broken({ ...foreclose, after: [item(Bill, held([exporter]))], signed: [bank, exporter] }), /stays with the bank/);
});
