// Cash: an amount of a currency that an issuer promises to whoever owns it. It is split and merged at will; cash of two
// issuers, or of two currencies, is never one.

import { decimal, state } from "@bowline/sdk";
import { constrainedContract, fungible, issuable, ownable, Party, rulesFor } from "@bowline/sdk/contracts";
import { digest } from "@bowline/sdk/crypto";
import * as Type from "typebox";

/** What a client may say: an exact decimal without sign. */
export const Amount = Type.String({ pattern: "^(0|[1-9][0-9]{0,17})(\\.[0-9]{1,6})?$", description: "A decimal such as 12.50." });
export const Currency = Type.String({ pattern: "^[A-Z]{3}$", description: "Three capital letters, as in ISO 4217." });

export const CashData = Type.Object(
  {
    issuer: Party,
    owner: Party,
    /** In canonical form, so that equal amounts are equal text. */
    amount: Type.String({ pattern: "^(0|[1-9][0-9]{0,29})(\\.[0-9]{0,5}[1-9])?$" }),
    currency: Currency,
  },
  { additionalProperties: false },
);
export type CashData = Type.Static<typeof CashData>;

export const Cash = state({
  name: "com.example.cash.Cash",
  version: 1,
  contract: "com.example.cash.CashContract",
  schema: CashData,
  participants: ({ owner }) => [owner.key],
  token: ({ issuer, owner, amount, currency }) => ({ issuer: keyHash(issuer.key), owner: keyHash(owner.key), symbol: currency, amount }),
});

export const CashContract = constrainedContract({
  name: "com.example.cash.CashContract",
  rules: [
    rulesFor(Cash, {
      commands: { Issue: "create", Pay: "update", Redeem: "delete" },
      constraints: [
        fungible({ amount: ({ amount }) => amount, kind: ({ issuer, currency }) => [issuer.name, issuer.key, currency] }),
        issuable(({ issuer }) => issuer.key),
        ownable(({ owner }) => owner.key),
      ],
    }),
  ],
});

/** What tokens are found by: keys of some schemes are longer than a token's texts may be. */
export const keyHash = (key: string): string => digest.hash(key);

export const written = (amount: string): string => decimal.canonical(amount);
