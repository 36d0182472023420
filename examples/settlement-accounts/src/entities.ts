// What this application keeps in tables of its own. The files in `migration/` make the tables.

import { entity } from "@bowline/sdk";
import * as Type from "typebox";

export const Member = Type.String({ minLength: 1, maxLength: 512, description: "An X.500 name." });
export const Currency = Type.String({ pattern: "^[A-Z]{3}$" });
const STRICT = { additionalProperties: false };

export const AccountData = Type.Object(
  {
    owner: Member,
    currency: Currency,
    iban: Type.String({ pattern: "^[A-Z]{2}[0-9A-Z]{13,32}$" }),
    bank: Type.Optional(Type.Object({ name: Type.String({ maxLength: 200 }), city: Type.String({ maxLength: 200 }) }, STRICT)),
  },
  STRICT,
);

/** Where a member is to be paid, by currency. */
export const Account = entity({
  name: "com.example.accounts.Account",
  schema: AccountData,
  key: ["owner", "currency"],
  queries: { inCurrency: { where: [{ property: "currency", operator: "=" }] } },
});

export const PaymentData = Type.Object(
  {
    debtor: Member,
    reference: Type.String({ minLength: 1, maxLength: 64 }),
    creditor: Member,
    currency: Currency,
    amount: Type.Integer({ minimum: 1, description: "In the currency's smallest unit." }),
    iban: Type.String(),
    instructedAt: Type.Integer(),
    note: Type.Optional(Type.String({ maxLength: 1_000 })),
  },
  STRICT,
);

/** A payment by one of the members to another. A debtor uses a reference once. */
export const Payment = entity({
  name: "com.example.accounts.Payment",
  schema: PaymentData,
  key: ["debtor", "reference"],
  queries: {
    newest: {
      where: [
        { property: "creditor", operator: "=" },
        { property: "amount", operator: ">=", parameter: "atLeast" },
      ],
      orderBy: ["instructedAt"],
      descending: true,
    },
  },
});
