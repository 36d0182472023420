// A debtor issues an obligation, and its creditor agrees to it.

import { FlowError, flow, responder, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { problemWith, written } from "../contract/money.ts";
import { Currency, Day, Decimal, endOfDay, Obligation, type ObligationData, ObligationId } from "../contract/obligation.ts";
import { ObligationContract } from "../contract/rules.ts";
import { AGREEMENT_MS, agreeThat, checkKeys, chooseNotary, myself, partyNamed } from "./parties.ts";
import { changeOf, checkCommand, obligationsCalled } from "./standing.ts";

const PROTOCOL = { name: "com.example.obligation.issue", versions: [1] };

/** Started by the debtor. */
export const IssueObligation = flow({
  name: "com.example.obligation.IssueObligation",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object(
    {
      id: ObligationId,
      creditor: Type.String({ minLength: 1, maxLength: 512, description: "The creditor's X.500 name." }),
      amount: Decimal,
      currency: Currency,
      dueDate: Day,
    },
    { additionalProperties: false },
  ),
  output: Type.Object({ id: ObligationId, transaction: Type.String() }),
  async call(context, { id, creditor: creditorName, amount, currency, dueDate }) {
    const [creditor, debtor, notary, now] = await Promise.all([
      partyNamed(context, creditorName),
      myself(context),
      chooseNotary(context),
      context.now(),
    ]);
    if (creditor.name === context.me)
      throw new FlowError("obligation.ownCreditor", "A company cannot owe itself: debtor and creditor differ.");
    const problem = problemWith(amount, currency);
    if (problem !== undefined) throw new FlowError("obligation.amountInvalid", `The amount ${amount} ${problem}.`, { amount, currency });
    const end = endOfDay(dueDate);
    if (end === undefined) throw new FlowError("obligation.dueDateInvalid", `${dueDate} is not a day of the calendar.`, { dueDate });
    if (end <= now + AGREEMENT_MS) throw new FlowError("obligation.dueDatePast", `The due date ${dueDate} is past.`, { dueDate });
    if ((await obligationsCalled(context, id, "debtor")).length > 0)
      throw new FlowError("obligation.idTaken", `An obligation "${id}" of this debtor stands already.`, { id });
    const value = written(amount, currency);
    const proposal = transaction()
      .notary(notary.name)
      .until(now + AGREEMENT_MS)
      .output(Obligation, { id, debtor, creditor, amount: { value, currency }, remaining: value, dueDate })
      .command(ObligationContract, "Issue")
      .signedBy(debtor.key, creditor.key)
      .build();
    const signed = await context.ledger.sign(proposal);
    const session = await context.initiate(creditor.name);
    const final = await context.ledger.finalize(signed, [session]);
    return { id, transaction: final.id };
  },
});

/** Run by the creditor. */
export const AgreeToObligation = responder({
  name: "com.example.obligation.AgreeToObligation",
  answers: PROTOCOL,
  async call(context, session) {
    const now = await context.now();
    const final = await context.ledger.receiveFinality(session, async (proposed) => {
      checkCommand(proposed, "Issue");
      const { after } = changeOf(proposed);
      agreeThat(after !== undefined, "There is no obligation to agree to.");
      checkTerms(after, { debtor: session.counterparty, creditor: context.me, now });
      await checkKeys(context, [after.debtor, after.creditor]);
    });
    context.log.info("obligation agreed to", { transaction: final.id });
  },
});

function checkTerms(
  { debtor, creditor, amount, dueDate }: ObligationData,
  expected: { readonly debtor: string; readonly creditor: string; readonly now: number },
): void {
  agreeThat(creditor.name === expected.creditor, `${expected.creditor} is not the creditor of this obligation.`);
  agreeThat(debtor.name === expected.debtor, "Only the debtor itself may issue an obligation.");
  const problem = problemWith(amount.value, amount.currency);
  agreeThat(problem === undefined, `The amount ${amount.value} ${problem}.`);
  const end = endOfDay(dueDate);
  agreeThat(end !== undefined && end > expected.now, `The due date ${dueDate} is past.`);
}
