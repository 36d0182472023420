// An owner pays: coins that are worth at least the amount go in, the amount and the change come out.

import { FlowError, flow, responder, type TransactionView } from "@bowline/sdk";
import * as Type from "typebox";
import { Amount, Cash, CashContract, type CashData, Currency } from "../contract/cash.ts";
import { spendCash } from "./coins.ts";
import { agreeThat, checkKey, MemberName, partyNamed } from "./parties.ts";

/** How whoever becomes an owner is asked to record it. */
export const CASH = { name: "com.example.cash.receive", versions: [1] };

/** Started by the owner. */
export const PayCash = flow({
  name: "com.example.cash.PayCash",
  startable: true,
  initiates: CASH,
  input: Type.Object(
    { to: MemberName("The payee's X.500 name."), issuer: MemberName("Whose cash is paid."), amount: Amount, currency: Currency },
    { additionalProperties: false },
  ),
  output: Type.Object({ transaction: Type.String(), change: Type.String() }),
  async call(context, { to, ...spend }) {
    const payee = await partyNamed(context, to);
    if (payee.name === context.me) throw new FlowError("cash.ownPayee", "Nobody pays itself.");
    return spendCash(context, spend, async ({ builder, issuer, amount, change }) => {
      const proposal = builder
        .output(Cash, { issuer, owner: payee, amount, currency: spend.currency })
        .command(CashContract, "Pay")
        .build();
      const session = await context.initiate(payee.name);
      const final = await context.ledger.finalize(await context.ledger.sign(proposal), [session]);
      return { transaction: final.id, change };
    });
  },
});

/** Run by the payee, and by the first owner of what is issued. Neither signs; what it is given must be worth something to it. */
export const AcceptCash = responder({
  name: "com.example.cash.AcceptCash",
  answers: CASH,
  async call(context, session) {
    const { id } = await context.ledger.receiveFinality(session, async (proposed) => {
      const types = proposed.commands.map(({ type }) => type);
      agreeThat(types.length === 1 && ["Issue", "Pay"].includes(types[0] ?? ""), "This neither issues nor pays cash.");
      const received = cashAmong(proposed.outputs).filter(({ owner }) => owner.name === context.me);
      agreeThat(received.length > 0, `There is nothing in it for ${context.me}.`);
      for (const { issuer, owner } of received) {
        await checkKey(context, owner);
        await checkKey(context, issuer);
      }
    });
    context.log.info("cash received", { transaction: id });
  },
});

/** Schemas were checked before any contract runs, so that the type of the state is the type of its data. */
export const cashAmong = (states: TransactionView["outputs"]): readonly CashData[] =>
  states.filter(({ state }) => state.type === Cash.name).map(({ state }) => state.data as CashData);
