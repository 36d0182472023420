// A bill of lading: a carrier's receipt for goods, and the title to them. Whoever holds it may hand it on, and gets the goods
// for it from the carrier. Several may hold it together, under a key of which enough of them must sign.

import { requireThat, state, type TransactionView } from "@bowline/sdk";
import {
  type Change,
  constrainedContract,
  identifiable,
  isSignedBy,
  issuable,
  ownable,
  Party,
  rulesFor,
  StatePointer,
} from "@bowline/sdk/contracts";
import { compositeKeys } from "@bowline/sdk/crypto";
import { canonical } from "@bowline/sdk/encoding";
import * as Type from "typebox";
import { Accreditation, endOfDay } from "./accreditation.ts";

const STRICT = { additionalProperties: false };
const HOLDERS_MAX = 8;

export const Holder = Type.Object(
  {
    parties: Type.Array(Party, { minItems: 1, maxItems: HOLDERS_MAX }),
    /** How many of them must sign. */
    threshold: Type.Integer({ minimum: 1, maximum: HOLDERS_MAX }),
    /** The party's own where it is one, and one that stands for them all where they are several. */
    key: Party.properties.key,
  },
  STRICT,
);
export type Holder = Type.Static<typeof Holder>;

/** Throws `crypto.compositeInvalid` where two parties have one key, or more must sign than there are. */
export function holderOf(parties: readonly Party[], threshold: number): Holder {
  const [first] = parties;
  const children = parties.map(({ key }) => ({ key, weight: 1 }));
  const key = parties.length === 1 ? (first?.key ?? "") : compositeKeys.compose({ threshold, children });
  return { parties: [...parties], threshold, key };
}

export const Goods = Type.Object(
  {
    description: Type.String({ minLength: 1, maxLength: 1_000 }),
    packages: Type.Integer({ minimum: 1 }),
    grossWeightKg: Type.String({ pattern: "^(0|[1-9][0-9]{0,11})(\\.[0-9]{1,3})?$" }),
  },
  STRICT,
);

/** What is agreed when the bill is issued, and never changes. */
export const Terms = Type.Object(
  {
    number: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$", description: "The carrier's own number of the bill." }),
    goods: Goods,
    vessel: Type.String({ minLength: 1, maxLength: 200 }),
    portOfLoading: Type.String({ minLength: 1, maxLength: 200 }),
    portOfDischarge: Type.String({ minLength: 1, maxLength: 200 }),
  },
  STRICT,
);

export const BillData = Type.Object(
  {
    /** Null until it is first handed on; then the reference of the state that it was issued as. */
    id: Type.Union([StatePointer, Type.Null()]),
    carrier: Party,
    /** Who has accredited the carrier. Whether to believe that one is for whoever takes the bill to say. */
    registry: Party,
    terms: Terms,
    holder: Holder,
  },
  STRICT,
);
export type BillData = Type.Static<typeof BillData>;

export const Bill = state({
  name: "com.example.lading.Bill",
  version: 1,
  contract: "com.example.lading.BillContract",
  schema: BillData,
  participants: ({ holder }) => holder.parties.map(({ key }) => key),
});

type BillChange = Change<BillData>;

export const BillContract = constrainedContract({
  name: "com.example.lading.BillContract",
  rules: [
    rulesFor(Bill, {
      commands: {
        Issue: { change: "create", verify: verifyIssue },
        Endorse: { change: "update", verify: verifyEndorsement },
        Surrender: { change: "delete", verify: ({ consumed }) => requireThat(consumed.length === 1, "one bill is surrendered at a time") },
      },
      constraints: [identifiable(({ id }) => id), issuable(({ carrier }) => carrier.key), ownable(({ holder }) => holder.key)],
    }),
  ],
});

function verifyIssue({ created, transaction }: BillChange): void {
  const bill = created[0]?.state.data;
  requireThat(bill !== undefined && created.length === 1, "one bill is issued at a time");
  const accreditation = transaction.references
    .filter(({ state }) => state.type === Accreditation.name)
    .map(({ state }) => state.data as Type.Static<typeof Accreditation.schema>)
    .find(({ carrier, registry }) => isSame(carrier, bill.carrier) && isSame(registry, bill.registry));
  requireThat(accreditation !== undefined, "the bill's registry has accredited its carrier, and the transaction refers to that");
  const end = endOfDay(accreditation.validUntil);
  requireThat(end !== undefined && transaction.timeWindow.until <= end, "the accreditation is not over when the bill is issued");
  requireHolder(bill, transaction);
}

function verifyEndorsement({ consumed, created, transaction }: BillChange): void {
  const before: BillData | undefined = consumed[0]?.state.data;
  const after: BillData | undefined = created[0]?.state.data;
  requireThat(
    before !== undefined && after !== undefined && consumed.length === 1 && created.length === 1,
    "one bill is endorsed at a time",
  );
  requireThat(isSame({ ...before, id: after.id, holder: after.holder }, after), "an endorsement changes nothing but the holder");
  requireThat(after.id !== null, "a bill that is handed on is called by the reference that it was issued as");
  requireHolder(after, transaction);
}

/** Nobody holds a bill unasked, and whoever holds it together must all have agreed to that. */
function requireHolder({ holder }: BillData, transaction: TransactionView): void {
  const { parties, threshold, key } = holder;
  requireThat(threshold <= parties.length && holderOf(parties, threshold).key === key, "the holder's key is that of its parties");
  requireThat(
    parties.every((party) => isSignedBy({ transaction }, party.key)),
    "whoever becomes a holder signs",
  );
}

export const isSame = (a: unknown, b: unknown): boolean => canonical.encode(a).join() === canonical.encode(b).join();
