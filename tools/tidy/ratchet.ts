// Rules that code broke before they were rules, or breaks for a reason. What is on the list is let through; the list may
// only shrink: an entry that is better than listed, or gone, is a finding too.

import type { Finding } from "./house.ts";

/** By rule, then by file (or `file#name`): how much of it there is. */
export type Ratchet = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface Measure {
  readonly key: string;
  readonly where: string;
  /** What is over the limit; measures within the limit are not handed in. */
  readonly value: number;
  readonly message: string;
}

export function throughRatchet(ratchet: Ratchet, rule: string, measures: readonly Measure[]): Finding[] {
  const listed = ratchet[rule] ?? {};
  const measured = new Map(measures.map(({ key, value }) => [key, value]));
  const worse = measures.filter(({ key, value }) => value > (listed[key] ?? 0)).map(({ where, message }) => ({ where, message }));
  const better = Object.entries(listed)
    .filter(([key, value]) => (measured.get(key) ?? 0) < value)
    .map(([key, value]) => ({
      where: "tools/tidy/ratchet.json",
      message: `${rule} lists ${key} with ${value}, and it is ${measured.get(key) ?? "no more"}. Run \`npm run tidy -- --shrink\`.`,
    }));
  return [...worse, ...better];
}

/** The list with every entry lowered to what is measured, and without those that are gone. */
export function shrunk(ratchet: Ratchet, measure: (rule: string) => readonly Measure[]): Ratchet {
  const rules = Object.entries(ratchet).map(([rule, listed]) => {
    const measured = new Map(measure(rule).map(({ key, value }) => [key, value]));
    const kept = Object.entries(listed).flatMap(([key, value]) => {
      const now = Math.min(value, measured.get(key) ?? 0);
      return now > 0 ? [[key, now] as const] : [];
    });
    return [rule, Object.fromEntries(kept)] as const;
  });
  return Object.fromEntries(rules);
}
