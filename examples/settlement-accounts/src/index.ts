import { cordapp as bundle } from "@bowline/sdk";
import { KeepAccount, ListAccounts, PublishAccount } from "./accounts.ts";
import { Account, Payment } from "./entities.ts";
import { InstructPayment, ListPayments, NotePayment } from "./payments.ts";

export const cordapp = bundle({
  flows: [PublishAccount, KeepAccount, ListAccounts, InstructPayment, NotePayment, ListPayments],
  states: [],
  contracts: [],
  entities: [Account, Payment],
});
