// Members tell each other where they are to be paid.

import { FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { Account, AccountData, Currency, Member } from "./entities.ts";

export const ACCOUNTS = { name: "com.example.accounts", versions: [1] };

const Kept = Type.Object({ kept: Type.Boolean() }, { additionalProperties: false });

/** Keeps an account of this member, and tells the members that are to pay there. */
export const PublishAccount = flow({
  name: "com.example.accounts.PublishAccount",
  startable: true,
  initiates: ACCOUNTS,
  input: Type.Object(
    { ...Type.Omit(AccountData, ["owner"]).properties, tell: Type.Array(Member, { maxItems: 100 }) },
    { additionalProperties: false },
  ),
  output: Type.Object({ told: Type.Integer() }),
  async call(context, { tell, ...account }) {
    const mine = { ...account, owner: context.me };
    await context.persistence.merge(Account, mine);
    for (const name of tell) {
      const session = await context.initiate(name);
      await session.sendAndReceive(mine, Kept);
    }
    return { told: tell.length };
  },
});

/** What others say of their own accounts. Nobody speaks for somebody else. */
export const KeepAccount = responder({
  name: "com.example.accounts.KeepAccount",
  answers: ACCOUNTS,
  async call(context, session) {
    const account = await session.receive(AccountData);
    if (account.owner !== session.counterparty)
      throw new FlowError("accounts.notTheOwner", `${session.counterparty} may not say where ${account.owner} is to be paid.`);
    await context.persistence.merge(Account, account);
    await session.send({ kept: true });
  },
});

/** All accounts in one currency that this member knows, its own among them. */
export const ListAccounts = flow({
  name: "com.example.accounts.ListAccounts",
  startable: true,
  input: Type.Object({ currency: Currency }, { additionalProperties: false }),
  output: Type.Array(AccountData),
  async call(context, { currency }) {
    const accounts = [];
    for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
      const page = await context.persistence.query(Account, "inCurrency", { currency }, after === undefined ? {} : { after });
      accounts.push(...page.items);
      after = page.next;
    }
    return accounts;
  },
});
