// The workflow package: how members come to agree. Each member may run its own; only the contract binds all.

import { cordapp as bundle } from "@bowline/sdk";
import { GetBalance, ListCash } from "./balances.ts";
import { IssueCash } from "./issue-cash.ts";
import { AcceptCash, PayCash } from "./pay-cash.ts";
import { ConfirmRedemption, RedeemCash } from "./redeem-cash.ts";
import { AnswerSwap, SwapCash } from "./swap-cash.ts";

export const cordapp = bundle({
  flows: [IssueCash, PayCash, AcceptCash, RedeemCash, ConfirmRedemption, SwapCash, AnswerSwap, GetBalance, ListCash],
  states: [],
  contracts: [],
});
