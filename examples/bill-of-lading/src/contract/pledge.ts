// A pledge: a bank holds a bill as security, and owes it back to the pledger. Bill and pledge are one encumbrance, so that the
// bank cannot move the bill without this contract having its say:
//
//   Pledge    the pledger hands the bill to the bank      signed by both
//   Release   the bill goes back to the pledger           signed by the bank, whenever it likes
//   Foreclose the bill stays with the bank, for good      signed by the bank, when the due day is over

import { requireThat, type StateAndRef, state, type TransactionView } from "@bowline/sdk";
import { type Change, constrainedContract, identityOf, isSignedBy, ownable, Party, rulesFor, StatePointer } from "@bowline/sdk/contracts";
import * as Type from "typebox";
import { Day, endOfDay } from "./accreditation.ts";
import { Bill, type BillData, Holder, isSame } from "./bill.ts";

export const PledgeData = Type.Object(
  {
    /** The bill's id. */
    bill: StatePointer,
    /** To whom the bill goes back. */
    pledger: Holder,
    bank: Party,
    /** The last day on which the bank may not keep the bill. */
    dueDate: Day,
  },
  { additionalProperties: false },
);
export type PledgeData = Type.Static<typeof PledgeData>;

export const Pledge = state({
  name: "com.example.lading.Pledge",
  version: 1,
  contract: "com.example.lading.PledgeContract",
  schema: PledgeData,
  participants: ({ pledger, bank }) => [...pledger.parties.map(({ key }) => key), bank.key],
});

type PledgeChange = Change<PledgeData>;

export const PledgeContract = constrainedContract({
  name: "com.example.lading.PledgeContract",
  rules: [
    rulesFor(Pledge, {
      commands: {
        Pledge: { change: "create", verify: verifyPledge },
        Release: { change: "delete", verify: verifyRelease },
        Foreclose: { change: "delete", verify: verifyForeclosure },
      },
      constraints: [ownable(({ bank }) => bank.key)],
    }),
  ],
});

function verifyPledge({ created, transaction }: PledgeChange): void {
  const [pledge] = created;
  requireThat(pledge !== undefined && created.length === 1, "one bill is pledged at a time");
  const { bill, pledger, bank, dueDate } = pledge.state.data;
  const { before, after } = billIn(transaction, bill);
  requireThat(isSame(before.state.data.holder, pledger), "who pledges a bill is its holder");
  requireThat(isHeldBy(after, bank), "the bank holds a bill that is pledged to it");
  const bound = transaction.outputs.filter(({ encumbrance }) => encumbrance !== undefined && encumbrance === pledge.encumbrance);
  requireThat(
    bound.length === 2 && bound.some(({ ref }) => ref === after.ref),
    "bill and pledge are one encumbrance, and nothing else is in it",
  );
  const end = endOfDay(dueDate);
  requireThat(end !== undefined && transaction.timeWindow.until <= end, "the due day is one of the calendar, and not over");
  requireThat(
    [pledger.key, bank.key].every((key) => isSignedBy({ transaction }, key)),
    "pledger and bank sign",
  );
}

function verifyRelease(change: PledgeChange): void {
  const { pledge, after } = pledgedBill(change);
  requireThat(isSame(after.state.data.holder, pledge.pledger), "a bill that is released goes back to its pledger");
}

function verifyForeclosure(change: PledgeChange): void {
  const { pledge, after } = pledgedBill(change);
  requireThat(isHeldBy(after, pledge.bank), "a bill that is foreclosed stays with the bank");
  const [end, { from }] = [endOfDay(pledge.dueDate), change.transaction.timeWindow];
  requireThat(end !== undefined && from !== undefined && from >= end, "a pledge is not foreclosed before its due day is over");
}

/** A pledge that ends, and its bill, which is free again. */
function pledgedBill({ consumed, transaction }: PledgeChange) {
  const pledge = consumed[0]?.state.data;
  requireThat(pledge !== undefined && consumed.length === 1, "one pledge ends at a time");
  const { after } = billIn(transaction, pledge.bill);
  requireThat(after.encumbrance === undefined, "a bill whose pledge ends is free");
  return { pledge, after };
}

/** The bill of this id, as it was and as it is then. That it is the same bill, its own contract sees to. */
function billIn({ inputs, outputs }: TransactionView, id: string) {
  const isBill = (each: StateAndRef): each is StateAndRef<BillData> => each.state.type === Bill.name;
  const before = inputs.filter(isBill).find(({ ref, state }) => identityOf(ref, state.data.id) === id);
  const after = outputs.filter(isBill).find(({ state }) => state.data.id === id);
  requireThat(before !== undefined && after !== undefined, "the bill of the pledge is handed on in the same transaction");
  return { before, after };
}

const isHeldBy = ({ state }: StateAndRef<BillData>, { name, key }: Party): boolean => {
  const { parties, key: holding } = state.data.holder;
  return parties.length === 1 && parties[0]?.name === name && holding === key;
};
