// States that are amounts: what is consumed may be split and merged in any way, and none of it may come or go.

import type { Data } from "@bowline/base";
import { type BrokenRule, type Change, type Constraint, unless } from "./change.ts";
import { decimal } from "./decimal.ts";
import { FlowError } from "./failure.ts";

export interface FungibleOptions<T> {
  /** How much the state is worth: an exact decimal as text, or an integer. */
  amount(state: T): string | number | bigint;
  /** What one of them can stand in for another of: the currency and the issuer, say. All of them where nothing is said. */
  kind?(state: T): string | readonly string[];
}

/** How much of one kind is consumed and created. */
interface Totals {
  readonly consumed: string;
  readonly created: string;
}
const NONE: Totals = { consumed: "0", created: "0" };

interface Amounts {
  /** One for each kind. */
  readonly totals: readonly Totals[];
  /** Of what is created. */
  readonly arePositive: boolean;
}

/**
 * Amounts are more than zero. Of every kind, an update creates as much as it consumes, and a delete creates less.
 *
 * @example fungible({ amount: ({ amount }) => amount, kind: ({ currency, issuer }) => [currency, issuer.key] })
 */
export const fungible = <T extends Data>(options: FungibleOptions<T>): Constraint<T> => ({
  bounds: true,
  broken(change) {
    const amounts = amountsOf(change, options);
    const areExact = unless(
      amounts !== undefined,
      "fungible.amountInvalid",
      "amounts are exact decimals of at most 60 digits, 30 of them behind the point",
    );
    return amounts === undefined ? areExact : brokenAmounts(change.kind, amounts);
  },
});

function brokenAmounts(kind: Change["kind"], { totals, arePositive }: Amounts): readonly BrokenRule[] {
  return [...unless(arePositive, "fungible.notPositive", "every amount that is created is more than zero"), ...brokenTotals(kind, totals)];
}

function brokenTotals(kind: Change["kind"], totals: readonly Totals[]): readonly BrokenRule[] {
  const every = (holds: (difference: number) => boolean): boolean =>
    totals.every(({ consumed, created }) => holds(decimal.compare(consumed, created)));
  switch (kind) {
    case "create":
      return [];
    case "update":
      return unless(
        every((difference) => difference === 0),
        "fungible.notConserved",
        "of every kind as much is created as is consumed",
      );
    case "delete":
      return unless(
        every((difference) => difference > 0),
        "fungible.notReduced",
        "of every kind less is created than is consumed",
      );
  }
}

/** Undefined where an amount, or a sum of amounts, is none that exact decimals can say. */
function amountsOf<T extends Data>({ consumed, created }: Change<T>, { amount, kind = () => "" }: FungibleOptions<T>): Amounts | undefined {
  const totals = new Map<string, Totals>();
  const add = (side: keyof Totals, state: T, text: string): void => {
    const key = JSON.stringify(kind(state)); // As JSON no two lists of texts are one text.
    const before = totals.get(key) ?? NONE;
    totals.set(key, { ...before, [side]: decimal.add(before[side], text) });
  };
  try {
    const made = created.map(({ state }) => ({ data: state.data, text: `${amount(state.data)}` }));
    for (const { state } of consumed) add("consumed", state.data, `${amount(state.data)}`);
    for (const { data, text } of made) add("created", data, text);
    return { totals: [...totals.values()], arePositive: made.every(({ text }) => decimal.isPositive(text)) };
  } catch (thrown) {
    if (thrown instanceof FlowError && thrown.type === "decimal.invalid") return undefined;
    throw thrown;
  }
}
