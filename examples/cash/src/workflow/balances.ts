// What this member holds.

import { decimal, flow } from "@bowline/sdk";
import * as Type from "typebox";
import { Cash, Currency, keyHash } from "../contract/cash.ts";
import { chooseNotary, MemberName, partyNamed } from "./parties.ts";

const PAGE = 1_000;

/** Of one issuer and one currency: all of it, and what no payment under way has claimed. */
export const GetBalance = flow({
  name: "com.example.cash.GetBalance",
  startable: true,
  input: Type.Object({ issuer: MemberName("The issuer's X.500 name."), currency: Currency }, { additionalProperties: false }),
  output: Type.Object({ total: Type.String(), available: Type.String() }),
  async call(context, { issuer, currency }) {
    const [{ key }, notary] = await Promise.all([partyNamed(context, issuer), chooseNotary(context)]);
    return context.tokens.balance({ tokenType: Cash.name, issuer: keyHash(key), symbol: currency, notary: notary.name });
  },
});

const Holding = Type.Object({ issuer: Type.String(), currency: Currency, amount: Type.String(), coins: Type.Integer() });
type Holding = Type.Static<typeof Holding>;

/** All cash, by issuer and currency. */
export const ListCash = flow({
  name: "com.example.cash.ListCash",
  startable: true,
  input: Type.Object({}, { additionalProperties: false }),
  output: Type.Array(Holding),
  async call({ vault }) {
    const holdings = new Map<string, Holding>();
    let after: string | undefined;
    do {
      const page = await vault.find(Cash, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { state } of page.states) {
        const { issuer, currency, amount } = state.data;
        const key = JSON.stringify([issuer.name, currency]);
        const held = holdings.get(key) ?? { issuer: issuer.name, currency, amount: "0", coins: 0 };
        holdings.set(key, { ...held, amount: decimal.add(held.amount, amount), coins: held.coins + 1 });
      }
      after = page.next;
    } while (after !== undefined);
    return [...holdings.values()].sort((a, b) => (`${a.issuer} ${a.currency}` < `${b.issuer} ${b.currency}` ? -1 : 1));
  },
});
