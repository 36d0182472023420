// The workflow package: how members come to agree. Each member may run its own; only the contract binds all.

import { cordapp as bundle } from "@bowline/sdk";
import { AgreeToObligation, IssueObligation } from "./issue-obligation.ts";
import { ListPositions } from "./list-positions.ts";
import { ConfirmSettlement, SettleObligation } from "./settle-obligation.ts";
import { AgreeToTransfer, TransferObligation } from "./transfer-obligation.ts";

export const cordapp = bundle({
  flows: [IssueObligation, AgreeToObligation, TransferObligation, AgreeToTransfer, SettleObligation, ConfirmSettlement, ListPositions],
  states: [],
  contracts: [],
});
