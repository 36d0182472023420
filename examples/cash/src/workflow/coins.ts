// Cash that this member holds, claimed for one transaction. Flows that pay at the same moment claim different coins, so that
// they do not meet at the notary.

import { decimal, type FlowContext, FlowError, type TransactionBuilder, transaction } from "@bowline/sdk";
import type { Party } from "@bowline/sdk/contracts";
import { Cash, keyHash, written } from "../contract/cash.ts";
import { AGREEMENT_MS, chooseNotary, partyNamed, partyOf } from "./parties.ts";

/** What is to be spent, and by whom it was issued. */
export interface Spend {
  readonly issuer: string;
  readonly currency: string;
  readonly amount: string;
}

/** A transaction with the coins as inputs and the change as an output: what it pays for is for the caller to add. */
export interface Claimed {
  readonly builder: TransactionBuilder;
  readonly issuer: Party;
  readonly amount: string;
  /** What comes back to this member. */
  readonly change: string;
}

/**
 * Claims coins and has `use` spend them, again with others where the notary says that one is spent already; `onto` what somebody
 * else has begun they are spent once, since it is for that one to begin again. Throws `cash.amountInvalid`, and
 * `tokens.insufficient` where there is not so much.
 */
export async function spendCash<T>(
  context: FlowContext,
  spend: Spend,
  use: (claimed: Claimed) => Promise<T>,
  onto?: TransactionBuilder,
): Promise<T> {
  const amount = positive(spend.amount);
  const [issuer, mine, notary] = await Promise.all([partyNamed(context, spend.issuer), context.members.mine(), chooseNotary(context)]);
  const { currency } = spend;
  const pool = { tokenType: Cash.name, issuer: keyHash(issuer.key), symbol: currency, notary: notary.name };
  const attempts = onto === undefined ? {} : { attemptsMax: 1 };
  return context.tokens.spend(
    { ...pool, amount },
    async (claim) => {
      const change = decimal.subtract(claim.amount, amount);
      const begun =
        onto ??
        transaction()
          .notary(notary.name)
          .until((await context.now()) + AGREEMENT_MS);
      const spending = begun.input(...claim.refs).signedBy(...ownersOf(claim.tokens, mine.ledgerKeys));
      const builder = decimal.isPositive(change)
        ? spending.output(Cash, { issuer, owner: partyOf(mine), amount: change, currency })
        : spending;
      return use({ builder, issuer, amount, change });
    },
    attempts,
  );
}

/** Coins may be owned by keys of this member that are not its newest. */
const ownersOf = (tokens: readonly { readonly owner?: string }[], keys: readonly string[]): readonly string[] =>
  keys.filter((key) => tokens.some(({ owner }) => owner === keyHash(key)));

/** In canonical form. Throws `cash.amountInvalid` where it is nothing. */
export function positive(amount: string): string {
  if (!decimal.isPositive(amount)) throw new FlowError("cash.amountInvalid", `The amount ${amount} is not more than zero.`, { amount });
  return written(amount);
}
