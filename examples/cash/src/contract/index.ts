// The contract package: what cash is and what may be done with it. Verified by everyone, for ever.

import { cordapp as bundle } from "@bowline/sdk";
import { Cash, CashContract } from "./cash.ts";

export const cordapp = bundle({ flows: [], states: [Cash], contracts: [CashContract] });
