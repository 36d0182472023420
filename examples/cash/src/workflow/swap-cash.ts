// Two owners swap cash of one issuer for as much of another's, in one transaction: either both have what they wanted, or nobody has
// given anything. Each puts its own coins in and gets its own change, before either signs.

import { type FlowContext, FlowError, flow, responder, type TransactionBuilder } from "@bowline/sdk";
import type { Party } from "@bowline/sdk/contracts";
import { digest } from "@bowline/sdk/crypto";
import { canonical, dataOf } from "@bowline/sdk/encoding";
import * as Type from "typebox";
import { Amount, Cash, CashContract, type CashData, Currency } from "../contract/cash.ts";
import { spendCash } from "./coins.ts";
import { agreeThat, checkKey, MemberName, partyNamed } from "./parties.ts";

const SWAP = { name: "com.example.cash.swap", versions: [1] };

/** Started by one of them. */
export const SwapCash = flow({
  name: "com.example.cash.SwapCash",
  startable: true,
  initiates: SWAP,
  input: Type.Object(
    {
      with: MemberName("The other owner's X.500 name."),
      give: MemberName("Whose cash is given."),
      take: MemberName("Whose cash is taken for it."),
      amount: Amount,
      currency: Currency,
    },
    { additionalProperties: false },
  ),
  output: Type.Object({ transaction: Type.String(), change: Type.String() }),
  async call(context, { with: name, give, take, amount: asked, currency }) {
    const other = await partyNamed(context, name);
    if (other.name === context.me || give === take)
      throw new FlowError("cash.swapEmpty", "A swap is of two owners, and of two issuers' cash.");
    const taken = await partyNamed(context, take);
    return spendCash(context, { issuer: give, amount: asked, currency }, async ({ builder, issuer, amount, change }) => {
      const offer = builder.output(Cash, { issuer, owner: other, amount, currency }).command(CashContract, "Pay");
      const session = await context.initiate(other.name);
      await session.send(taken.name);
      const agreed = await context.ledger.sendAndReceiveTransactionBuilder(offer, session);
      await checkAdded(context, { offer, agreed, from: other, sum: { issuer: taken, amount, currency } });
      const final = await context.ledger.finalize(await context.ledger.sign(agreed.build()), [session]);
      return { transaction: final.id, change };
    });
  },
});

/** Run by the other, who gives what it is asked for if as much of somebody else's cash is in it. */
export const AnswerSwap = responder({
  name: "com.example.cash.AnswerSwap",
  answers: SWAP,
  async call(context, session) {
    const wanted = await session.receive(Type.String());
    const offer = await context.ledger.receiveTransactionBuilder(session);
    const [offered, ...more] = cashIn(offer).filter(({ owner }) => owner.name === context.me);
    agreeThat(offered !== undefined && more.length === 0, `There is not one coin in it for ${context.me}.`);
    await checkKey(context, offered.owner);
    await checkKey(context, offered.issuer);
    const { amount, currency } = offered;
    agreeThat(offered.issuer.name !== wanted, "Cash of one issuer is not swapped.");
    const owner = await partyNamed(context, session.counterparty);
    const give = async ({ builder, issuer }: { readonly builder: TransactionBuilder; readonly issuer: Party }): Promise<void> => {
      const answer = builder.output(Cash, { issuer, owner, amount, currency });
      await context.ledger.sendUpdatedTransactionBuilder(answer, session);
      const { id } = await context.ledger.receiveFinality(session, ({ inputs, outputs }) => {
        const { gathered } = answer;
        agreeThat(
          isSame(
            inputs.map(({ ref }) => ref),
            gathered.inputs,
          ),
          "Other coins are used than were put in.",
        );
        agreeThat(
          isSame(
            outputs.map(({ state }) => state.data),
            gathered.outputs.map(({ data }) => data),
          ),
          "Other coins come of it.",
        );
      });
      context.log.info("cash swapped", { transaction: id });
    };
    await spendCash(context, { issuer: wanted, amount, currency }, give, offer);
  },
});

interface Swap {
  readonly offer: TransactionBuilder;
  readonly agreed: TransactionBuilder;
  readonly from: Party;
  /** What is to come of it. */
  readonly sum: Pick<CashData, "issuer" | "amount" | "currency">;
}

/** Whoever adds could give us our own coins: so what is put in has to be the other's. */
async function checkAdded(context: FlowContext, { offer, agreed, from, sum }: Swap): Promise<void> {
  const { inputs, commands } = agreed.gathered;
  const added = await context.vault.resolve(inputs.slice(offer.gathered.inputs.length));
  agreeThat(
    commands.length === 1 && added.every((coin) => dataOf(Cash, coin).owner.name === from.name),
    `${from.name} puts in what is not its own.`,
  );
  const mine = cashIn(agreed)
    .slice(cashIn(offer).length)
    .filter(({ owner }) => owner.name === context.me);
  agreeThat(
    mine.length === 1 && mine.every(({ issuer, amount, currency }) => isSame({ issuer, amount, currency }, sum)),
    `${from.name} gives something else than ${sum.amount} ${sum.currency} of ${sum.issuer.name}.`,
  );
  for (const { owner } of mine) await checkKey(context, owner);
}

const cashIn = ({ gathered }: TransactionBuilder): readonly CashData[] =>
  gathered.outputs.map((state) => dataOf(Cash, { ref: "an output", state }));

const isSame = (one: unknown, other: unknown): boolean => digest.hash(canonical.encode(one)) === digest.hash(canonical.encode(other));
