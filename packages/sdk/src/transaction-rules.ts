// The rules that every transaction keeps, whatever its contracts say. One list, in the order in which it is published: an author's builder
// goes through it, the platform's builder again, and every member who verifies. Each rule has a code of its own, and all that are broken are
// reported together.
//
// There is no rule that inputs be older than outputs. A state is named by the hash of the transaction that made it, so that none can be
// consumed before it was made; and a transaction says when it may be accepted, not when it was, so that there are no two times to compare.

import type { X500Name } from "@bowline/base";
import type { StateRef, TimeWindow, TransactionProposal } from "./transaction.ts";

export interface RuleFailure {
  /** Stable: see docs/errors.md. */
  readonly code: string;
  readonly message: string;
}

/** What a builder holds, whole or not. */
export interface GatheredTransaction extends Omit<TransactionProposal, "notary" | "timeWindow"> {
  readonly notary?: X500Name;
  readonly from?: number;
  readonly until?: number;
}

/** What the rules look at, of a transaction that is gathered or that is there. */
export interface RuledTransaction {
  readonly notary: string | undefined;
  readonly timeWindow: Partial<TimeWindow> | undefined;
  readonly inputs: readonly StateRef[];
  readonly references: readonly StateRef[];
  readonly outputs: readonly { readonly encumbrance?: string }[];
  readonly commands: readonly unknown[];
  readonly signatories: readonly string[];
}

export function* brokenTransactionRules(transaction: RuledTransaction): Generator<RuleFailure> {
  const { notary, timeWindow, inputs, references, outputs, commands, signatories } = transaction;
  if (notary === undefined) yield broken("notaryMissing", "it needs a notary");
  yield* brokenWindow(timeWindow);
  for (const [tag, size] of encumbranceSizes(outputs))
    if (size < 2) yield broken("encumbranceTooSmall", `encumbrance ${tag} holds one output only; it takes two to bind each other`);
  if (signatories.length === 0) yield broken("signatoryMissing", "it needs a signatory");
  yield* repeated(signatories, "signatoryRepeated", "signatory");
  if (inputs.length === 0 && outputs.length === 0) yield broken("stateMissing", "it needs an input or an output");
  yield* repeated(inputs, "inputRepeated", "input");
  yield* repeated(references, "referenceRepeated", "reference");
  const consumed = new Set(inputs);
  for (const ref of references) if (consumed.has(ref)) yield broken("inputReferenced", `${ref} is both an input and a reference`);
  if (commands.length === 0) yield broken("commandMissing", "it needs a command");
}

/** Members of each encumbrance, by its tag. */
export function encumbranceSizes(outputs: RuledTransaction["outputs"]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { encumbrance } of outputs) if (encumbrance !== undefined) sizes.set(encumbrance, (sizes.get(encumbrance) ?? 0) + 1);
  return sizes;
}

/** As an error's details hold them. */
export const listed = (failures: readonly RuleFailure[]): { readonly failures: string } => ({
  failures: failures.map(({ code, message }) => `${code}: ${message}`).join("\n"),
});

/** As a sentence goes on. */
export const worded = (failures: readonly RuleFailure[]): string => failures.map(({ message }) => message).join("; ");

function* brokenWindow(window: RuledTransaction["timeWindow"]): Generator<RuleFailure> {
  if (window?.until === undefined || !isTime(window.until)) {
    yield broken("timeWindowMissing", "it needs a time window: say `until` when it ends");
    return;
  }
  const { from, until } = window;
  if (from !== undefined && (!isTime(from) || from >= until))
    yield broken("timeWindowEmpty", `its time window from ${from} until ${until} contains no moment`);
}

const isTime = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

function* repeated(items: readonly string[], rule: string, what: string): Generator<RuleFailure> {
  const seen = new Set<string>();
  for (const item of items) {
    if (seen.has(item)) yield broken(rule, `${what} ${item} stands twice`);
    seen.add(item);
  }
}

const broken = (rule: string, message: string): RuleFailure => ({ code: `transaction.${rule}`, message });
