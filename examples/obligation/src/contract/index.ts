// The contract package: what an obligation is and what may be done with it. Verified by everyone, for ever.

import { cordapp as bundle } from "@bowline/sdk";
import { Obligation } from "./obligation.ts";
import { ObligationContract } from "./rules.ts";

export const cordapp = bundle({ flows: [], states: [Obligation], contracts: [ObligationContract] });
