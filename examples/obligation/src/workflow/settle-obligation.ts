// A debtor has paid, in part or in whole, and its creditor confirms.

import { decimal, FlowError, flow, responder, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { problemWith, written } from "../contract/money.ts";
import { Decimal, Obligation, type ObligationData, ObligationId } from "../contract/obligation.ts";
import { ObligationContract } from "../contract/rules.ts";
import { AGREEMENT_MS, agreeThat } from "./parties.ts";
import { changeOf, checkCommand, findObligation } from "./standing.ts";

const PROTOCOL = { name: "com.example.obligation.settle", versions: [1] };

/** Started by the debtor. */
export const SettleObligation = flow({
  name: "com.example.obligation.SettleObligation",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object(
    {
      id: ObligationId,
      /** All that remains, where nothing is said. */
      amount: Type.Optional(Decimal),
    },
    { additionalProperties: false },
  ),
  output: Type.Object({ id: ObligationId, transaction: Type.String(), remaining: Decimal }),
  async call(context, { id, amount: asked }) {
    const standing = await findObligation(context, id, "debtor");
    const before: ObligationData = standing.state.data;
    const { currency } = before.amount;
    const settled = asked ?? before.remaining;
    const problem = problemWith(settled, currency);
    if (problem !== undefined)
      throw new FlowError("obligation.amountInvalid", `The amount ${settled} ${problem}.`, { amount: settled, currency });
    if (decimal.compare(settled, before.remaining) > 0)
      throw new FlowError("obligation.tooMuch", `Only ${before.remaining} ${currency} of "${id}" remain, and ${settled} is more.`, { id });
    const amount = written(settled, currency);
    const remaining = written(decimal.subtract(before.remaining, amount), currency);
    const settling = transaction()
      .notary(standing.notary)
      .until((await context.now()) + AGREEMENT_MS)
      .input(standing)
      .command(ObligationContract, "Settle", { amount })
      .signedBy(before.debtor.key, before.creditor.key);
    const inPart = decimal.isPositive(remaining);
    const signed = await context.ledger.sign((inPart ? settling.output(Obligation, { ...before, remaining }) : settling).build());
    const session = await context.initiate(before.creditor.name);
    const final = await context.ledger.finalize(signed, [session]);
    return { id, transaction: final.id, remaining };
  },
});

/** Run by the creditor. Whether the money has arrived is for its own books to say; the ledger records what both agree on. */
export const ConfirmSettlement = responder({
  name: "com.example.obligation.ConfirmSettlement",
  answers: PROTOCOL,
  async call(context, session) {
    const final = await context.ledger.receiveFinality(session, (proposed) => {
      checkCommand(proposed, "Settle");
      const { before } = changeOf(proposed);
      agreeThat(before !== undefined, "There is no obligation to settle.");
      agreeThat(before.creditor.name === context.me, `${context.me} is not the creditor of this obligation.`);
      agreeThat(before.debtor.name === session.counterparty, "Only the debtor itself may settle an obligation.");
    });
    context.log.info("settlement confirmed", { transaction: final.id });
  },
});
