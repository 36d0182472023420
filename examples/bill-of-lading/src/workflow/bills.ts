// A bill's life: a carrier issues it, holders hand it on, and the last one surrenders it for the goods.

import { FlowError, flow, transaction } from "@bowline/sdk";
import { identityOf } from "@bowline/sdk/contracts";
import * as Type from "typebox";
import { Accreditation, endOfDay } from "../contract/accreditation.ts";
import { Bill, BillContract, type BillData, Terms } from "../contract/bill.ts";
import { Pledge } from "../contract/pledge.ts";
import { AGREEMENT, agree } from "./agreement.ts";
import { AGREEMENT_MS, holderNamed, myself } from "./parties.ts";
import { BillNumber, Changed, Cosigners, Holders, type StandingBill, signers, standingBill } from "./standing.ts";

const PAGE = 1_000;

/** Started by the carrier. */
export const IssueBill = flow({
  name: "com.example.lading.IssueBill",
  startable: true,
  initiates: AGREEMENT,
  input: Type.Object({ ...Terms.properties, ...Holders }, { additionalProperties: false }),
  output: Changed,
  async call(context, { to, threshold, ...terms }) {
    const [carrier, holder, now] = await Promise.all([myself(context), holderNamed(context, to, threshold), context.now()]);
    const until = now + AGREEMENT_MS;
    const { states } = await context.vault.find(Accreditation, { where: { "carrier.key": carrier.key } });
    const accreditation = states.at(-1); // The newest: those before it may be revoked, and the carrier not know.
    if (accreditation === undefined || (endOfDay(accreditation.state.data.validUntil) ?? 0) < until)
      throw new FlowError("lading.notAccredited", `No registry has accredited ${context.me} for today.`, { carrier: context.me });
    const proposal = transaction()
      .notary(accreditation.notary)
      .until(until)
      .reference(accreditation)
      .output(Bill, { id: null, carrier, registry: accreditation.state.data.registry, terms, holder })
      .command(BillContract, "Issue")
      .signedBy(carrier.key, ...holder.parties.map(({ key }) => key))
      .build();
    return { number: terms.number, transaction: await agree(context, proposal, holder.parties) };
  },
});

/** Started by a holder. */
export const EndorseBill = flow({
  name: "com.example.lading.EndorseBill",
  startable: true,
  initiates: AGREEMENT,
  input: Type.Object({ number: BillNumber, ...Holders, ...Cosigners }, { additionalProperties: false }),
  output: Changed,
  async call(context, { number, to, threshold, cosigners }) {
    const [bill, holder, now] = await Promise.all([standingBill(context, number), holderNamed(context, to, threshold), context.now()]);
    const before: BillData = bill.state.data;
    const proposal = transaction()
      .notary(bill.notary)
      .until(now + AGREEMENT_MS)
      .input(bill)
      .output(Bill, { ...before, id: identityOf(bill.ref, before.id), holder })
      .command(BillContract, "Endorse")
      .signedBy(before.holder.key, ...holder.parties.map(({ key }) => key))
      .build();
    return { number, transaction: await agree(context, proposal, [...signers(bill, cosigners), ...holder.parties]) };
  },
});

/** Started by a holder; the carrier signs that it has handed out the goods. */
export const SurrenderBill = flow({
  name: "com.example.lading.SurrenderBill",
  startable: true,
  initiates: AGREEMENT,
  input: Type.Object({ number: BillNumber, ...Cosigners }, { additionalProperties: false }),
  output: Changed,
  async call(context, { number, cosigners }) {
    const [bill, now] = await Promise.all([standingBill(context, number), context.now()]);
    const { carrier, holder } = bill.state.data;
    const proposal = transaction()
      .notary(bill.notary)
      .until(now + AGREEMENT_MS)
      .input(bill)
      .command(BillContract, "Surrender")
      .signedBy(holder.key, carrier.key)
      .build();
    return { number, transaction: await agree(context, proposal, [...signers(bill, cosigners), carrier]) };
  },
});

const Held = Type.Object({
  number: BillNumber,
  carrier: Type.String(),
  goods: Type.String(),
  holders: Type.Array(Type.String()),
  /** How many of them must sign. */
  threshold: Type.Integer(),
  pledgedUntil: Type.Union([Type.String(), Type.Null()]),
});

/** The bills that this member holds, alone or with others, and those that a pledge binds. */
export const ListBills = flow({
  name: "com.example.lading.ListBills",
  startable: true,
  input: Type.Object({}, { additionalProperties: false }),
  output: Type.Array(Held),
  async call({ vault }) {
    const [bills, pledges] = await Promise.all([vault.find(Bill, { limit: PAGE }), vault.find(Pledge, { limit: PAGE })]);
    const due = new Map(pledges.states.map(({ state }) => [state.data.bill, state.data.dueDate]));
    return bills.states.map(({ ref, state }: StandingBill) => {
      const { terms, carrier, holder, id } = state.data;
      return {
        number: terms.number,
        carrier: carrier.name,
        goods: terms.goods.description,
        holders: holder.parties.map(({ name }) => name),
        threshold: holder.threshold,
        pledgedUntil: due.get(identityOf(ref, id)) ?? null,
      };
    });
  },
});
