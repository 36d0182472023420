// Fungible states as tokens. A state type says what each of its states is worth (`token`), and a flow claims as many as it
// needs, so that flows of one member that pay at the same moment pick different states.
//
// A claim is for this member's own flows alone: what decides about a state is its notary. It ends with the flow, or after
// its time; the same step claims the same tokens, however often it is run again.

import type { X500Name } from "@bowline/base";
import Type from "typebox";
import { decimal } from "./decimal.ts";
import { FlowError } from "./failure.ts";
import { fitting, plain } from "./plain.ts";
import type { StateRef } from "./transaction.ts";

/** An exact decimal: text, or a whole number as bigint. */
export type TokenAmount = string | bigint;

/** What a state is worth, and what it is found by. Texts of at most 255 characters. */
export interface Token {
  /** The name of the state type where nothing is said. */
  readonly tokenType?: string;
  /** Who stands for it, such as the hash of a key. */
  readonly issuer: string;
  readonly symbol: string;
  /** More than zero; at most 30 digits before the point and 24 behind it. */
  readonly amount: TokenAmount;
  readonly tag?: string;
  /** Who may spend it, such as the hash of a key. */
  readonly owner?: string;
  /** The strategy `priority` takes the lowest first, and those without one last. */
  readonly priority?: number;
}

/** As the platform keeps it. */
export interface TokenDescription extends Token {
  readonly tokenType: string;
  readonly amount: string;
}

/** The tokens of one pool: type, issuer, symbol and notary; of these, those of an owner and with a tag. */
export interface TokenFilter {
  readonly tokenType: string;
  readonly issuer: string;
  readonly symbol: string;
  readonly notary: X500Name | string;
  readonly owner?: string;
  /**
   * Must match somewhere in the tag. Characters, classes, groups, alternatives, anchors and repetition; no look-around, no back
   * references, nothing that could take long.
   */
  readonly tagPattern?: string;
}

export interface TokenCriteria extends TokenFilter {
  /** The sum of what is claimed is at least so much. */
  readonly amount: TokenAmount;
  /** `random` where nothing is said: flows that claim at once seldom meet. */
  readonly strategy?: "random" | "priority";
  /** How long the claim lasts where the flow does not end before: ten minutes where nothing is said, a day at most. */
  readonly holdMs?: number;
}

export interface ClaimedToken {
  readonly ref: StateRef;
  readonly amount: string;
  readonly tag?: string;
  readonly owner?: string;
  readonly priority?: number;
}

export interface TokenClaim {
  readonly id: string;
  readonly tokens: readonly ClaimedToken[];
  /** Of all its tokens. */
  readonly amount: string;
  /** For a transaction: what `inputs` takes. */
  readonly refs: readonly StateRef[];
  /** Ends the claim. Those that were used stay out of reach for as long as it would have lasted; the others are free at once. */
  useAndRelease(used: readonly StateRef[]): Promise<void>;
}

export interface TokenBalance {
  /** Of all that match, whether claimed or not. */
  readonly total: string;
  /** Of those that nobody has claimed. */
  readonly available: string;
}

export interface Tokens {
  /** Null where the tokens that match, and that no other flow has claimed, are too few. */
  tryClaim(criteria: TokenCriteria): Promise<TokenClaim | null>;
  balance(filter: TokenFilter): Promise<TokenBalance>;
  /**
   * Claims, and has `use` spend what is claimed, as inputs of a transaction that it makes final. Where the notary says that an
   * input is spent already, or others have claimed too much, it waits a little and does it again with other tokens. Fails with
   * `tokens.insufficient` where there is not so much, and with whatever `use` fails with besides.
   *
   * @example
   * await ctx.tokens.spend({ ...pool, amount: "12.50" }, async (claim) => {
   *   const change = decimal.subtract(claim.amount, "12.50");
   *   // build, sign and finalize with claim.refs as inputs
   * });
   */
  spend<T>(criteria: TokenCriteria, use: (claim: TokenClaim) => Promise<T>, options?: { readonly attemptsMax?: number }): Promise<T>;
}

/** Canonical. Throws `decimal.invalid`. */
export const amountText = (amount: TokenAmount): string => (typeof amount === "bigint" ? amount.toString() : decimal.canonical(amount));

/** As it lies in a database: without U+0000. */
const Text = Type.String({ maxLength: 255, pattern: "^[^\\u0000]*$" });
const Described = Type.Object(
  {
    tokenType: Type.String({ minLength: 1, maxLength: 255 }),
    issuer: Text,
    symbol: Text,
    amount: Type.String({ pattern: "^(0|[1-9][0-9]{0,29})(\\.[0-9]{1,24})?$" }),
    tag: Type.Optional(Text),
    owner: Type.Optional(Text),
    priority: Type.Optional(Type.Integer()),
  },
  { additionalProperties: false },
);

/** What an author's `token` said of a state of this type. Throws `state.tokenInvalid`. */
export function describeToken(stateType: string, token: Token): TokenDescription {
  const what = `the token of ${stateType}`;
  const said = plain({ tokenType: stateType, ...token }, what) as { readonly amount?: unknown };
  const amount = typeof token.amount === "bigint" || typeof token.amount === "string" ? amountText(token.amount) : said.amount;
  const described = fitting(Described, { ...said, amount }, "state.tokenInvalid", what);
  if (decimal.isPositive(described.amount)) return described;
  throw new FlowError("state.tokenInvalid", `${what} is worth ${described.amount}, and must be worth more than nothing.`);
}
