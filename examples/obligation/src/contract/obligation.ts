// An obligation: a debtor owes a creditor an amount, by a day. Both hold it; every change is signed by all whom it concerns.

import { state } from "@bowline/sdk";
import * as Type from "typebox";

export const OBLIGATION = "com.example.obligation.Obligation";
export const OBLIGATION_CONTRACT = "com.example.obligation.ObligationContract";

/** What the debtor calls the obligation: its own document's number, unique among what it owes. */
export const ObligationId = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$" });

/** An exact decimal without sign; the contract holds it to the decimals of its currency. */
export const Decimal = Type.String({ pattern: "^(0|[1-9][0-9]*)(\\.[0-9]+)?$", maxLength: 24 });

/** Three capital letters; whether ISO 4217 knows them is the contract's to say. */
export const Currency = Type.String({ pattern: "^[A-Z]{3}$" });

/** A day of the calendar, `2035-06-30`. It ends at midnight UTC. */
export const Day = Type.String({ pattern: "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$" });

export const Party = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 512 }),
    /** The ledger key with which this party signs for this obligation. */
    key: Type.String({ minLength: 1, maxLength: 2_048 }),
  },
  { additionalProperties: false },
);
export type Party = Type.Static<typeof Party>;

export const ObligationData = Type.Object(
  {
    id: ObligationId,
    debtor: Party,
    creditor: Party,
    amount: Type.Object({ value: Decimal, currency: Currency }, { additionalProperties: false }),
    /** What is still owed of the amount, in the same currency. */
    remaining: Decimal,
    dueDate: Day,
  },
  { additionalProperties: false },
);
export type ObligationData = Type.Static<typeof ObligationData>;

export const Obligation = state({
  name: OBLIGATION,
  version: 1,
  contract: OBLIGATION_CONTRACT,
  schema: ObligationData,
  participants: ({ debtor, creditor }) => [debtor.key, creditor.key],
});

const DAY_MS = 86_400_000;

/** When the day is over, in milliseconds since 1970; undefined for days that no calendar has, such as 30 February. */
export function endOfDay(day: string): number | undefined {
  const start = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(start) || new Date(start).toISOString().slice(0, 10) !== day) return undefined;
  return start + DAY_MS;
}
