// Which tokens a claim gets: decided here, on values; carried out by `tokens.store.ts` and `tokens.memory.ts`.
//
// Guarantees: a claim's tokens sum up to at least what it asks for, and are in no other live claim; the same claim id with the
// same criteria has the same tokens for as long as the claim lives. A claim ends with its time, with its flow, or by release.
//
// A tag pattern is a regular expression of the safe kind: without references back and without look-around every engine that
// builds an automaton, as PostgreSQL's does, decides it in time linear in the tag; repetition is bounded, so the automaton is small.

import { badRequest, type Data, encode } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import { decimal } from "@bowline/sdk";
import type { ClaimedToken, TokenBalance, TokenCriteria, TokenFilter } from "@bowline/sdk/tokens";
import {
  CLAIM_MS_DEFAULT,
  CLAIM_MS_MAX,
  CLAIM_TOKENS_MAX,
  TAG_PATTERN_CHARACTERS_MAX,
  TAG_PATTERN_REPEATS_MAX,
  TOKEN_TEXT_CHARACTERS_MAX,
} from "./limits.ts";

export type { ClaimedToken, TokenBalance, TokenFilter } from "@bowline/sdk/tokens";

/** A claim as a store carries it out. */
export interface ClaimRequest {
  /** The flow's id and the path of the step that asks. */
  readonly id: string;
  readonly flowId: string;
  /** Of what is asked. */
  readonly hash: Uint8Array;
  readonly filter: TokenFilter;
  readonly strategy: "random" | "priority";
  readonly amount: string;
  readonly holdMs: number;
}

export type ClaimOutcome =
  | { readonly kind: "claimed"; readonly tokens: readonly ClaimedToken[] }
  | { readonly kind: "insufficient" }
  /** There is enough, in more pieces than one transaction should consume. */
  | { readonly kind: "tooMany" };

/**
 * Picks tokens and marks them, for this vault's flows: `testTokens` is its contract.
 *
 * - No token is in two live claims at once, however many claims are made at once, by however many processes.
 * - What is insufficient was so when nobody else was in the middle of claiming.
 */
export interface TokenStore {
  /** In the order of the requests. */
  claim(requests: readonly ClaimRequest[]): Promise<readonly ClaimOutcome[]>;
  balance(filter: TokenFilter): Promise<TokenBalance>;
  /** Of every pool, by name, at most `limit` of them: for operators. */
  balances(limit: number): Promise<readonly PoolBalance[]>;
}

/** All tokens of one type, issuer, symbol and notary. */
export interface PoolBalance extends TokenBalance {
  readonly tokenType: string;
  readonly issuer: string;
  readonly symbol: string;
  readonly notary: string;
  readonly tokens: number;
}

/** What a flow asks, checked. Throws `tokens.badCriteria`. */
export function claimRequest(flowId: string, path: string, criteria: TokenCriteria): ClaimRequest {
  const { amount, strategy = "random", holdMs = CLAIM_MS_DEFAULT, ...rest } = criteria;
  const filter = checkedFilter(rest);
  if (strategy !== "random" && strategy !== "priority") throw badCriteria(`there is no strategy ${String(strategy)}`);
  if (!Number.isSafeInteger(holdMs) || holdMs < 1 || holdMs > CLAIM_MS_MAX)
    throw badCriteria(`a claim lasts for 1 to ${CLAIM_MS_MAX} milliseconds, not ${holdMs}`);
  const asked = { ...filter, amount: checkedAmount(amount), strategy, holdMs };
  return { id: `${flowId}:${path}`, flowId, hash: sha256(encode(asked as Data)), filter, strategy, amount: asked.amount, holdMs };
}

/** Throws `tokens.badCriteria`. */
export function checkedFilter(filter: TokenFilter): TokenFilter {
  const { tokenType, issuer, symbol, notary, owner, tagPattern } = filter;
  for (const [name, text] of Object.entries({ tokenType, issuer, symbol, notary, owner }))
    if (text !== undefined && (typeof text !== "string" || text.length > TOKEN_TEXT_CHARACTERS_MAX || text.includes("\0")))
      throw badCriteria(`${name} is a text of at most ${TOKEN_TEXT_CHARACTERS_MAX} characters`);
  if (tagPattern !== undefined) {
    const fault = tagPatternFault(tagPattern);
    if (fault !== undefined) throw badCriteria(`the tag pattern ${JSON.stringify(tagPattern.slice(0, 200))} ${fault}`);
  }
  return {
    tokenType,
    issuer,
    symbol,
    notary,
    ...(owner === undefined ? {} : { owner }),
    ...(tagPattern === undefined ? {} : { tagPattern }),
  };
}

function checkedAmount(amount: unknown): string {
  const text = typeof amount === "bigint" ? amount.toString() : amount;
  if (typeof text !== "string" || !/^(0|[1-9]\d{0,29})(\.\d{1,24})?$/.test(text) || !decimal.isPositive(text))
    throw badCriteria("the amount is a decimal above zero, with at most 30 digits before the point and 24 behind it");
  return decimal.canonical(text);
}

const badCriteria = (why: string) => badRequest("tokens.badCriteria", `Tokens cannot be selected: ${why}.`, {});

// --- Selection ---

/** Requests that any token suits equally well: they are served together. */
export interface ClaimGroup {
  readonly filter: TokenFilter;
  readonly strategy: ClaimRequest["strategy"];
  readonly requests: readonly ClaimRequest[];
}

export function groupsOf(requests: readonly ClaimRequest[]): readonly ClaimGroup[] {
  const groups = new Map<string, ClaimGroup & { readonly requests: ClaimRequest[] }>();
  for (const request of requests) {
    const { filter, strategy } = request;
    const { tokenType, issuer, symbol, notary, owner, tagPattern } = filter;
    const key = JSON.stringify([tokenType, issuer, symbol, notary, owner, tagPattern, strategy]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { filter, strategy, requests: [request] });
    else group.requests.push(request);
  }
  return [...groups.values()];
}

/**
 * Each request takes from the front of what is left until it has enough. Those that find too little take nothing, and leave
 * it to the ones behind them.
 */
export function allocate(requests: readonly ClaimRequest[], candidates: readonly ClaimedToken[]): ReadonlyMap<string, ClaimOutcome> {
  const outcomes = new Map<string, ClaimOutcome>();
  let at = 0;
  for (const { id, amount } of requests) {
    let end = at;
    let sum = "0";
    while (end < candidates.length && end - at < CLAIM_TOKENS_MAX && decimal.compare(sum, amount) < 0)
      sum = decimal.add(sum, (candidates[end++] as ClaimedToken).amount);
    if (decimal.compare(sum, amount) >= 0) {
      outcomes.set(id, { kind: "claimed", tokens: candidates.slice(at, end) });
      at = end;
    } else outcomes.set(id, { kind: end - at === CLAIM_TOKENS_MAX ? "tooMany" : "insufficient" });
  }
  return outcomes;
}

// --- Tag patterns ---

/** Why a pattern is not taken; undefined where it is. What is taken means the same to PostgreSQL and to JavaScript (flags `su`). */
export function tagPatternFault(pattern: string): string | undefined {
  if (pattern.length > TAG_PATTERN_CHARACTERS_MAX) return `is longer than ${TAG_PATTERN_CHARACTERS_MAX} characters`;
  if (!/^[\x20-\x7e]*$/.test(pattern)) return "has characters that are not printable ASCII";
  const parts = [...pattern.matchAll(PART)];
  const covered = parts.reduce((length, [part]) => length + part.length, 0);
  if (covered !== pattern.length) return "uses what is not taken: write characters, classes, groups, |, ^, $, *, +, ? and {n,m}";
  const fault = shapeFault(parts.map((part) => part.groups ?? {}));
  if (fault !== undefined) return fault;
  try {
    new RegExp(pattern, "su");
    return undefined;
  } catch {
    return "has a class whose characters are out of order"; // All that is left of what can be wrong.
  }
}

/** What a pattern is made of. In a class, what either engine would read in a way of its own is left out. */
const PART =
  /(?<open>\(\?:|\((?!\?))|(?<close>\))|(?<repeat>[*+?](?![*+?{])|\{(?<from>\d{1,3})(?:(?<comma>,)(?<to>\d{1,3})?)?\}(?![*+?{]))|(?<other>\||[\^$])|(?<atom>\[\^?(?:\\[\\\]^-]|[A-Za-z0-9 _.:,;!#%&@~=+*/<>$"'`?()|{}](?:-[A-Za-z0-9])?)+\]|\\[dD.\\^$|?*+(){}[\]/]|[^\\[\](){}|*+?^$])/gsy;

type Part = Readonly<Record<string, string | undefined>>;

/** Brackets match, a repetition follows what can be repeated, and all repetitions together stay small. */
function shapeFault(parts: readonly Part[]): string | undefined {
  // Of each open group, how often the largest of what is in it may repeat.
  const groups: number[] = [1];
  let previous: { repeats: number } | undefined;
  for (const { open, close, repeat, from, comma, to, other, atom } of parts) {
    if (atom !== undefined) previous = { repeats: 1 };
    else if (other !== undefined) previous = undefined;
    else if (open !== undefined) {
      groups.push(1);
      previous = undefined;
    } else if (close !== undefined) {
      const repeats = groups.pop() as number;
      if (groups.length === 0) return "closes a group that is not open";
      previous = { repeats };
      groups.push(Math.max(groups.pop() as number, repeats));
    } else if (repeat !== undefined) {
      if (previous === undefined) return `repeats nothing by ${repeat}`;
      const times = from === undefined ? 1 : Math.max(Number(from), Number(to ?? from), 1);
      if (to !== undefined && Number(to) < Number(from)) return `repeats from ${from} to ${to} times`;
      const repeats = previous.repeats * times * (comma !== undefined && to === undefined ? 2 : 1);
      if (repeats > TAG_PATTERN_REPEATS_MAX) return `repeats something more than ${TAG_PATTERN_REPEATS_MAX} times`;
      groups.push(Math.max(groups.pop() as number, repeats));
      previous = undefined;
    }
  }
  return groups.length === 1 ? undefined : "leaves a group open";
}
