// What a member owes and is owed, per currency, over all obligations that stand.

import { decimal, type FlowContext, flow } from "@bowline/sdk";
import * as Type from "typebox";
import { written } from "../contract/money.ts";
import { Currency, Decimal, Obligation } from "../contract/obligation.ts";
import type { StandingObligation } from "./standing.ts";

const PAGE = 1_000;

const Position = Type.Object({ currency: Currency, owes: Decimal, owed: Decimal });
type Position = Type.Static<typeof Position>;

export const ListPositions = flow({
  name: "com.example.obligation.ListPositions",
  startable: true,
  input: Type.Object({}, { additionalProperties: false }),
  output: Type.Object({ obligations: Type.Integer(), positions: Type.Array(Position) }),
  async call(context) {
    const totals = new Map<string, Position>();
    let obligations = 0;
    for await (const { state } of standing(context)) {
      const { debtor, amount, remaining } = state.data;
      const { currency } = amount;
      const total = totals.get(currency) ?? { currency, owes: written("0", currency), owed: written("0", currency) };
      const side = debtor.name === context.me ? "owes" : "owed";
      totals.set(currency, { ...total, [side]: written(decimal.add(total[side], remaining), currency) });
      obligations += 1;
    }
    const positions = [...totals.values()].sort((a, b) => (a.currency < b.currency ? -1 : 1));
    return { obligations, positions };
  },
});

async function* standing(context: FlowContext): AsyncGenerator<StandingObligation> {
  for (let after: string | undefined; ; ) {
    const page = await context.vault.find(Obligation, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    yield* page.states;
    if (page.next === undefined) return;
    after = page.next;
  }
}
