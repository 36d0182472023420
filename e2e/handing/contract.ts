// Money that two sign for: whoever gives it, and whoever takes it.

import { cordapp as bundle, contract, decimal, requireThat, type StateAndRef, state } from "@bowline/sdk";
import * as Type from "typebox";

export const Cash = state({
  name: "e2e.Cash",
  version: 1,
  contract: "e2e.CashContract",
  schema: Type.Object({ owner: Type.String(), amount: Type.String() }),
  participants: ({ owner }) => [owner],
  token: ({ amount }) => ({ issuer: "e2e", symbol: "EUR", amount }),
});

const sumOf = (states: readonly StateAndRef[]): string => decimal.sum(states.map(({ state }) => (state.data as { amount: string }).amount));

export const CashContract = contract({
  name: "e2e.CashContract",
  commands: { Issue: Type.Object({}), Hand: Type.Object({}) },
  verify({ inputs, outputs, commands }) {
    const isIssue = commands.some(({ type }) => type === "Issue");
    requireThat(isIssue ? inputs.length === 0 : decimal.equals(sumOf(inputs), sumOf(outputs)), "Handing over neither makes nor destroys.");
  },
});

export const cordapp = bundle({ flows: [], states: [Cash], contracts: [CashContract] });
