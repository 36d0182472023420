// The contract package: what accreditations, bills and pledges are, and what may be done with them. Verified by everyone, for ever.

import { cordapp as bundle } from "@bowline/sdk";
import { Accreditation, AccreditationContract } from "./accreditation.ts";
import { Bill, BillContract } from "./bill.ts";
import { Pledge, PledgeContract } from "./pledge.ts";

export const cordapp = bundle({
  flows: [],
  states: [Accreditation, Bill, Pledge],
  contracts: [AccreditationContract, BillContract, PledgeContract],
});
