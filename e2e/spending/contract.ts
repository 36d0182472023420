// A coin, which its owner may make, show and spend as it likes.

import { cordapp as bundle, contract, requireThat, state } from "@bowline/sdk";
import * as Type from "typebox";

export const Coin = state({
  name: "e2e.Coin",
  version: 1,
  contract: "e2e.CoinContract",
  schema: Type.Object({ owner: Type.String() }),
  participants: ({ owner }) => [owner],
});

export const CoinContract = contract({
  name: "e2e.CoinContract",
  commands: { Issue: Type.Object({}), Spend: Type.Object({}) },
  verify({ inputs, outputs, commands }) {
    const isIssue = commands.some(({ type }) => type === "Issue");
    requireThat(isIssue ? inputs.length === 0 : outputs.length === 0, "A coin is issued from nothing, and spent to nothing.");
  },
});

export const cordapp = bundle({ flows: [], states: [Coin], contracts: [CoinContract] });
