// Coins of one owner, who tries to spend them twice.

import { cordapp as bundle, type FlowContext, flow, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { Coin, CoinContract } from "./contract.ts";

async function begin(context: FlowContext) {
  const [{ ledgerKeys }, [notary], now] = await Promise.all([context.members.mine(), context.notaries.all(), context.now()]);
  const key = ledgerKeys[0] ?? "";
  const builder = transaction()
    .notary(notary?.name ?? "")
    .until(now + 5 * 60_000)
    .signedBy(key);
  return { key, builder };
}

/** So many coins in one transaction, whose id it returns. */
export const Issue = flow({
  name: "e2e.Issue",
  startable: true,
  input: Type.Object({ count: Type.Integer() }),
  output: Type.String(),
  async call(context, { count }) {
    const { key, builder } = await begin(context);
    let proposal = builder.command(CoinContract, "Issue");
    for (let i = 0; i < count; i++) proposal = proposal.output(Coin, { owner: key });
    return (await context.ledger.finalize(await context.ledger.sign(proposal.build()), [])).id;
  },
});

/** It is signed at once, and finalised after a while: others have signed another transaction of the same coin by then. */
export const Spend = flow({
  name: "e2e.Spend",
  startable: true,
  input: Type.Object({ coin: Type.String(), shows: Type.Array(Type.String()), waitMs: Type.Integer() }),
  output: Type.String(),
  async call(context, { coin, shows, waitMs }) {
    const { builder } = await begin(context);
    const proposal = builder
      .input(coin)
      .reference(...shows)
      .command(CoinContract, "Spend");
    const signed = await context.ledger.sign(proposal.build());
    await context.sleep(waitMs);
    return (await context.ledger.finalize(signed, [])).id;
  },
});

export const cordapp = bundle({ flows: [Issue, Spend], states: [], contracts: [] });
