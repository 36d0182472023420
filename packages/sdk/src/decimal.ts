// Exact decimals as text, for amounts: what floating point must never touch. Reckoned on integers, so nothing rounds.
//
// Canonical form: no exponent, no plus sign, no leading zeros, no zero without need behind the point, and no negative
// zero; so equal numbers are equal text, and text is what canonical bytes carry.

import { FlowError } from "./failure.ts";

/** `unscaled` / 10^`scale`. */
export interface Decimal {
  readonly unscaled: bigint;
  readonly scale: number;
}

/** Digits behind the point, and in all. */
const SCALE_MAX = 30;
const DIGITS_MAX = 60;
const PATTERN = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?$/;

/**
 * @example decimal.add("0.1", "0.2") // "0.3"
 * @example decimal.fixed("12.5", 2) // "12.50"
 */
export const decimal = /* @__PURE__ */ Object.freeze({
  /** As a pattern of JSON Schema: an exact decimal in any length that `parse` takes. */
  pattern: "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$",

  /** Throws `decimal.invalid` on anything but plain decimal digits, or more of them than 60, or than 30 behind the point. */
  parse(text: string): Decimal {
    const [, sign, whole, fraction = ""] = PATTERN.exec(text) ?? [];
    if (whole === undefined) throw invalid(text, "is not a decimal such as -12.50");
    if (fraction.length > SCALE_MAX) throw invalid(text, `has more than ${SCALE_MAX} digits behind the point`);
    if (whole.length + fraction.length > DIGITS_MAX) throw invalid(text, `has more than ${DIGITS_MAX} digits`);
    const digits = BigInt(whole + fraction);
    return { unscaled: sign === "-" ? -digits : digits, scale: fraction.length };
  },

  /** Canonical text. */
  format: ({ unscaled, scale }: Decimal): string => {
    let [digits, point] = [unscaled, scale];
    while (point > 0 && digits % 10n === 0n) {
      digits /= 10n;
      point--;
    }
    return write(digits, point);
  },

  /** With exactly `scale` digits behind the point, as a currency writes it. Throws `decimal.inexact` where that would round. */
  fixed(text: string, scale: number): string {
    const value = decimal.parse(decimal.canonical(text));
    if (value.scale > scale) throw new FlowError("decimal.inexact", `${text} has more than ${scale} digits behind the point.`);
    return write(value.unscaled * 10n ** BigInt(scale - value.scale), scale);
  },

  canonical: (text: string): string => decimal.format(decimal.parse(text)),
  add: (a: string, b: string): string => combine(a, b, (x, y) => x + y),
  subtract: (a: string, b: string): string => combine(a, b, (x, y) => x - y),
  negate: (text: string): string => combine("0", text, (x, y) => x - y),
  /** Exact: the digits behind the point add up. */
  multiply(a: string, b: string): string {
    const [x, y] = [decimal.parse(a), decimal.parse(b)];
    return bounded({ unscaled: x.unscaled * y.unscaled, scale: x.scale + y.scale });
  },
  sum: (texts: readonly string[]): string => texts.reduce(decimal.add, "0"),

  /** Negative, zero or positive, as for sorting. */
  compare(a: string, b: string): number {
    const { x, y } = aligned(a, b);
    return x < y ? -1 : x > y ? 1 : 0;
  },
  equals: (a: string, b: string): boolean => decimal.compare(a, b) === 0,
  isPositive: (text: string): boolean => decimal.parse(text).unscaled > 0n,
} as const);

function aligned(a: string, b: string): { readonly x: bigint; readonly y: bigint; readonly scale: number } {
  const [left, right] = [decimal.parse(a), decimal.parse(b)];
  const scale = Math.max(left.scale, right.scale);
  return {
    x: left.unscaled * 10n ** BigInt(scale - left.scale),
    y: right.unscaled * 10n ** BigInt(scale - right.scale),
    scale,
  };
}

function combine(a: string, b: string, operation: (x: bigint, y: bigint) => bigint): string {
  const { x, y, scale } = aligned(a, b);
  return bounded({ unscaled: operation(x, y), scale });
}

/** A result that `parse` would refuse is refused here. */
function bounded(value: Decimal): string {
  const text = decimal.format(value);
  decimal.parse(text);
  return text;
}

function write(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? "-" : "";
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

const invalid = (text: string, why: string): FlowError => new FlowError("decimal.invalid", `"${text.slice(0, DIGITS_MAX)}" ${why}.`);
