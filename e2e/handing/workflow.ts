// Cash is issued, and handed over; both sides sign.

import { cordapp as bundle, decimal, type FlowContext, flow, responder, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { Cash, CashContract } from "./contract.ts";

const PROTOCOL = { name: "e2e.hand", versions: [1] };
const POOL = { tokenType: Cash.name, issuer: "e2e", symbol: "EUR" };

async function begin(context: FlowContext) {
  const [{ ledgerKeys }, [notary], now] = await Promise.all([context.members.mine(), context.notaries.all(), context.now()]);
  const [key, notaryName] = [ledgerKeys[0] ?? "", notary?.name ?? ""];
  const builder = transaction()
    .notary(notaryName)
    .until(now + 5 * 60_000)
    .signedBy(key);
  return { key, notary: notaryName, builder };
}

const Issue = flow({
  name: "e2e.IssueCash",
  startable: true,
  input: Type.Object({ count: Type.Integer(), amount: Type.String() }),
  async call(context, { count, amount }) {
    const { key, builder } = await begin(context);
    let proposal = builder.command(CashContract, "Issue");
    for (let i = 0; i < count; i++) proposal = proposal.output(Cash, { owner: key, amount });
    return (await context.ledger.finalize(await context.ledger.sign(proposal.build()), [])).id;
  },
});

const Hand = flow({
  name: "e2e.Hand",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ to: Type.String(), amount: Type.String() }),
  async call(context, { to, amount }) {
    const { key, notary, builder } = await begin(context);
    const payee = (await context.members.lookup(to))?.ledgerKeys[0] ?? "";
    return context.tokens.spend({ ...POOL, notary, amount }, async (claim) => {
      const change = decimal.subtract(claim.amount, amount);
      let proposal = builder
        .input(...claim.refs)
        .output(Cash, { owner: payee, amount })
        .command(CashContract, "Hand")
        .signedBy(payee);
      if (decimal.isPositive(change)) proposal = proposal.output(Cash, { owner: key, amount: change });
      const signed = await context.ledger.sign(proposal.build());
      return (await context.ledger.finalize(signed, [await context.initiate(to)])).id;
    });
  },
});

const Take = responder({
  name: "e2e.Take",
  answers: PROTOCOL,
  async call(context, session) {
    await context.ledger.receiveFinality(session, () => {});
  },
});

const Balance = flow({
  name: "e2e.Balance",
  startable: true,
  input: Type.Object({}),
  async call(context) {
    const [notary] = await context.notaries.all();
    return context.tokens.balance({ ...POOL, notary: notary?.name ?? "" });
  },
});

export const cordapp = bundle({ flows: [Issue, Hand, Take, Balance], states: [], contracts: [] });
