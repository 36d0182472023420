// The workflow package: how members come to agree. Each member may run its own; only the contract binds all.

import { cordapp as bundle } from "@bowline/sdk";
import { AccreditCarrier, NoteAccreditation, RevokeAccreditation } from "./accreditations.ts";
import { AgreeToChange } from "./agreement.ts";
import { EndorseBill, IssueBill, ListBills, SurrenderBill } from "./bills.ts";
import { ForeclosePledge, PledgeBill, ReleasePledge } from "./pledges.ts";

export const cordapp = bundle({
  flows: [
    AccreditCarrier,
    NoteAccreditation,
    RevokeAccreditation,
    IssueBill,
    EndorseBill,
    SurrenderBill,
    PledgeBill,
    ReleasePledge,
    ForeclosePledge,
    AgreeToChange,
    ListBills,
  ],
  states: [],
  contracts: [],
});
