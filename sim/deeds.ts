// What is done on a day of the ledger, as data: notes are issued, moved, split, merged, redeemed, tied together, shown to others and
// spent twice, by members of whom some do not want what they are offered.

import type { Data } from "@bowline/base";
import { type Chance, integerBelow } from "@bowline/testing/world";

/** When the notary may accept it. */
export type Window = "wide" | "short" | "early" | "expired";

/** A transaction beside what it does. */
export interface Manner {
  readonly window: Window;
  /** Members that are shown it, and get nothing. */
  readonly observers: readonly string[];
  /** Who gets something signs as well. */
  readonly cosigned: boolean;
  readonly refusedBy: readonly string[];
  /** It refers to a note that others may consume meanwhile. */
  readonly refers: boolean;
}

export type Deed =
  | {
      readonly deed: "issue";
      readonly symbol: string;
      readonly amounts: readonly number[];
      readonly to: string;
      readonly partner: string | null;
      /** The notes can only be spent together. */
      readonly bound: boolean;
      readonly manner: Manner;
    }
  /** With tokens that are claimed, or with whatever lies in the vault: then others may take the same. */
  | {
      readonly deed: "pay";
      readonly symbol: string;
      readonly amount: number;
      readonly to: string;
      readonly by: "claim" | "vault";
      readonly manner: Manner;
    }
  /** All notes into one. */
  | { readonly deed: "merge"; readonly symbol: string; readonly manner: Manner }
  | { readonly deed: "redeem"; readonly symbol: string; readonly amount: number; readonly manner: Manner }
  /** Two transactions at once with the same note, and then one that refers to it. */
  | { readonly deed: "twice"; readonly symbol: string; readonly to: readonly [string, string] }
  /** One transaction made final by two flows at once. */
  | { readonly deed: "again"; readonly symbol: string; readonly to: string }
  /** Claims, rests, and gives back; the claim may be over by then. */
  | { readonly deed: "hold"; readonly symbol: string; readonly amount: number; readonly holdMs: number; readonly restMs: number }
  /** Kept as a draft, and taken up later. */
  | { readonly deed: "draft"; readonly symbol: string; readonly to: string; readonly restMs: number }
  /** Shows parts of a transaction, once as they are and once doctored. */
  | { readonly deed: "show"; readonly to: string; readonly lot: number }
  /** Sends a final transaction to one that has no part in it. */
  | { readonly deed: "hand"; readonly to: string }
  /** Makes money from nothing, and when it is refused goes on without who refused. Only a hostile member gets that far. */
  | { readonly deed: "forge"; readonly symbol: string; readonly to: string };

const pick = <T>(chance: Chance, choices: readonly T[]): T => choices[integerBelow(chance, choices.length)] as T;

export const SYMBOLS = ["EUR", "USD"] as const;
/** What is forged, so that it is known wherever it turns up. */
export const FORGED = "FOOLS";

export function drawIssue(chance: Chance, members: readonly string[], symbol: string, to = pick(chance, members)): Deed {
  const bound = chance() < 0.15;
  return {
    deed: "issue",
    symbol,
    amounts: Array.from({ length: (bound ? 2 : 1) + integerBelow(chance, 3) }, () => 1 + integerBelow(chance, 20)),
    to,
    partner: chance() < 0.2 ? pick(chance, members) : null,
    bound,
    manner: { ...drawManner(chance, members), refers: false },
  };
}

export function drawDeed(chance: Chance, members: readonly string[], symbols: readonly string[]): Deed {
  const symbol = pick(chance, symbols);
  const to = pick(chance, members);
  const manner = drawManner(chance, members);
  const amount = 1 + integerBelow(chance, 12);
  switch (pick(chance, KINDS)) {
    case "merge":
      return { deed: "merge", symbol, manner };
    case "redeem":
      return { deed: "redeem", symbol, amount, manner };
    case "twice":
      return { deed: "twice", symbol, to: [to, pick(chance, members)] };
    case "again":
      return { deed: "again", symbol, to };
    case "hold":
      return { deed: "hold", symbol, amount, holdMs: pick(chance, [50, 5_000, 600_000]), restMs: pick(chance, [1, 4_000, 60_000]) };
    case "draft":
      return { deed: "draft", symbol, to, restMs: pick(chance, [1, 20_000]) };
    case "show":
      return { deed: "show", to, lot: integerBelow(chance, 2 ** 31) };
    case "hand":
      return { deed: "hand", to };
    case "forge":
      return { deed: "forge", symbol: FORGED, to };
    case "pay":
      return { deed: "pay", symbol, amount, to, by: chance() < 0.6 ? "claim" : "vault", manner };
  }
}

const KINDS: readonly Exclude<Deed["deed"], "issue">[] = [
  ...(["pay", "pay", "pay", "pay", "pay", "twice", "twice", "again", "merge"] as const),
  ...(["redeem", "hold", "draft", "show", "hand", "forge"] as const),
];

function drawManner(chance: Chance, members: readonly string[]): Manner {
  const some = (likelihood: number) => members.filter(() => chance() < likelihood);
  return {
    window: chance() < 0.75 ? "wide" : pick(chance, ["short", "early", "expired"]),
    observers: some(0.1),
    cosigned: chance() < 0.25,
    refusedBy: some(0.07),
    refers: chance() < 0.3,
  };
}

export const deedInput = (deed: Deed): Data => ({ deed: deed as unknown as Data });
