// A bill as security: its holder pledges it to a bank, which gives it back, or keeps it when the due day is over.

import { type FlowContext, FlowError, flow, type StateAndRef, transaction } from "@bowline/sdk";
import { identityOf } from "@bowline/sdk/contracts";
import * as Type from "typebox";
import { Day, endOfDay } from "../contract/accreditation.ts";
import { Bill, BillContract, type BillData, holderOf } from "../contract/bill.ts";
import { Pledge, PledgeContract, type PledgeData } from "../contract/pledge.ts";
import { AGREEMENT, agree } from "./agreement.ts";
import { AGREEMENT_MS, MemberName, partyNamed } from "./parties.ts";
import { BillNumber, Changed, Cosigners, type StandingBill, signers, standingBill } from "./standing.ts";

/** What binds a bill to its pledge in their transaction. */
const ENCUMBRANCE = "pledge";

/** Started by a holder. */
export const PledgeBill = flow({
  name: "com.example.lading.PledgeBill",
  startable: true,
  initiates: AGREEMENT,
  input: Type.Object(
    { number: BillNumber, bank: MemberName("The bank's X.500 name."), dueDate: Day, ...Cosigners },
    { additionalProperties: false },
  ),
  output: Changed,
  async call(context, { number, bank: name, dueDate, cosigners }) {
    const [bill, bank, now] = await Promise.all([standingBill(context, number), partyNamed(context, name), context.now()]);
    const end = endOfDay(dueDate);
    if (end === undefined || end < now + AGREEMENT_MS)
      throw new FlowError("lading.dayInvalid", `${dueDate} is no day to come.`, { day: dueDate });
    const before: BillData = bill.state.data;
    const pledger = before.holder;
    const id = identityOf(bill.ref, before.id);
    const encumbrance = ENCUMBRANCE;
    const proposal = transaction()
      .notary(bill.notary)
      .until(now + AGREEMENT_MS)
      .input(bill)
      .output(Bill, { ...before, id, holder: holderOf([bank], 1) }, { encumbrance })
      .output(Pledge, { bill: id, pledger, bank, dueDate }, { encumbrance })
      .command(BillContract, "Endorse")
      .command(PledgeContract, "Pledge")
      .signedBy(pledger.key, bank.key)
      .build();
    return { number, transaction: await agree(context, proposal, [...signers(bill, cosigners), bank]) };
  },
});

/** Started by the bank. */
export const ReleasePledge = flow({
  name: "com.example.lading.ReleasePledge",
  startable: true,
  initiates: AGREEMENT,
  input: Type.Object({ number: BillNumber }, { additionalProperties: false }),
  output: Changed,
  async call(context, { number }) {
    const { bill, pledge } = await pledgedBill(context, number);
    const { pledger, bank } = pledge.state.data;
    const before: BillData = bill.state.data;
    const proposal = ending(bill, pledge)
      .until((await context.now()) + AGREEMENT_MS)
      .output(Bill, { ...before, holder: pledger })
      .command(PledgeContract, "Release")
      .signedBy(bank.key, ...pledger.parties.map(({ key }) => key))
      .build();
    return { number, transaction: await agree(context, proposal, pledger.parties) };
  },
});

/** Started by the bank, when the due day is over. The pledger is not asked: nothing that it does can hold this up. */
export const ForeclosePledge = flow({
  name: "com.example.lading.ForeclosePledge",
  startable: true,
  initiates: AGREEMENT,
  input: Type.Object({ number: BillNumber }, { additionalProperties: false }),
  output: Changed,
  async call(context, { number }) {
    const [{ bill, pledge }, now] = await Promise.all([pledgedBill(context, number), context.now()]);
    const { dueDate, bank } = pledge.state.data;
    const end = endOfDay(dueDate) ?? 0;
    if (now < end)
      throw new FlowError("lading.notDue", `The pledge of "${number}" is due on ${dueDate}, and no sooner.`, { number, dueDate });
    const proposal = ending(bill, pledge)
      .from(end)
      .until(now + AGREEMENT_MS)
      .output(Bill, bill.state.data)
      .command(PledgeContract, "Foreclose")
      .signedBy(bank.key)
      .build();
    return { number, transaction: await agree(context, proposal, []) };
  },
});

/** Both go in, or neither: they are one encumbrance. */
const ending = (bill: StandingBill, pledge: StateAndRef<PledgeData>) =>
  transaction().notary(bill.notary).input(bill, pledge).command(BillContract, "Endorse");

/** A bill that this bank holds, and its pledge. Throws `lading.notPledged`. */
async function pledgedBill(context: FlowContext, number: string) {
  const bill = await standingBill(context, number);
  const { states } = await context.vault.find(Pledge, {
    where: { bill: identityOf(bill.ref, bill.state.data.id), "bank.name": context.me },
  });
  const [pledge] = states;
  if (pledge === undefined) throw new FlowError("lading.notPledged", `"${number}" is not pledged to ${context.me}.`, { number });
  return { bill, pledge };
}
