// An owner gives cash back to its issuer, who keeps the promise: the cash is gone, and the change comes back to the owner.

import { flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { Amount, CashContract, Currency } from "../contract/cash.ts";
import { spendCash } from "./coins.ts";
import { agreeThat, MemberName } from "./parties.ts";
import { cashAmong } from "./pay-cash.ts";

const REDEMPTION = { name: "com.example.cash.redeem", versions: [1] };

/** Started by the owner. */
export const RedeemCash = flow({
  name: "com.example.cash.RedeemCash",
  startable: true,
  initiates: REDEMPTION,
  input: Type.Object(
    { issuer: MemberName("The issuer's X.500 name."), amount: Amount, currency: Currency },
    { additionalProperties: false },
  ),
  output: Type.Object({ transaction: Type.String(), change: Type.String() }),
  call: (context, spend) =>
    spendCash(context, spend, async ({ builder, issuer, change }) => {
      const proposal = builder.command(CashContract, "Redeem").signedBy(issuer.key).build();
      const sessions = issuer.name === context.me ? [] : [await context.initiate(issuer.name)];
      const final = await context.ledger.finalize(await context.ledger.sign(proposal), sessions);
      return { transaction: final.id, change };
    }),
});

/** Run by the issuer, who signs. */
export const ConfirmRedemption = responder({
  name: "com.example.cash.ConfirmRedemption",
  answers: REDEMPTION,
  async call(context, session) {
    const { id } = await context.ledger.receiveFinality(session, (proposed) => {
      agreeThat(proposed.commands.length === 1 && proposed.commands[0]?.type === "Redeem", "This does not redeem cash.");
      agreeThat(
        cashAmong(proposed.inputs).every(({ issuer, owner }) => issuer.name === context.me && owner.name === session.counterparty),
        `${session.counterparty} may redeem what it owns and ${context.me} has issued, and nothing else.`,
      );
    });
    context.log.info("cash redeemed", { transaction: id });
  },
});
