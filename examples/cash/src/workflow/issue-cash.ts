// An issuer promises an amount to an owner: to itself where nobody is named.

import { flow, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { Amount, Cash, CashContract, Currency } from "../contract/cash.ts";
import { positive } from "./coins.ts";
import { AGREEMENT_MS, chooseNotary, MemberName, partyNamed, partyOf } from "./parties.ts";
import { CASH } from "./pay-cash.ts";

/** Started by the issuer. */
export const IssueCash = flow({
  name: "com.example.cash.IssueCash",
  startable: true,
  initiates: CASH,
  input: Type.Object(
    {
      amount: Amount,
      currency: Currency,
      to: Type.Optional(MemberName("The X.500 name of the first owner; the issuer itself where absent.")),
    },
    { additionalProperties: false },
  ),
  output: Type.Object({ transaction: Type.String() }),
  async call(context, { amount, currency, to = context.me }) {
    const [mine, owner, notary, now] = await Promise.all([
      context.members.mine(),
      partyNamed(context, to),
      chooseNotary(context),
      context.now(),
    ]);
    const issuer = partyOf(mine);
    const proposal = transaction()
      .notary(notary.name)
      .until(now + AGREEMENT_MS)
      .output(Cash, { issuer, owner, amount: positive(amount), currency })
      .command(CashContract, "Issue")
      .signedBy(issuer.key)
      .build();
    const sessions = owner.name === context.me ? [] : [await context.initiate(owner.name)];
    const final = await context.ledger.finalize(await context.ledger.sign(proposal), sessions);
    return { transaction: final.id };
  },
});
