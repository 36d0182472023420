// The notary's whole decision: the first spender wins, and a transaction that was decided on gets its old verdict.
//
// A refusal is final only if it is stored: whoever hears it may write the transaction off, so nobody may succeed with it
// later. What may still turn out well (too early, a state not known yet) is `retry`, until the upper bound has passed: then
// it is refused like anything late. A read past the bound is refused too, and stored, so that no write in flight can win.

import type { Instant, SecureHash } from "@bowline/base";
import type { StateRef } from "@bowline/sdk";
import type { Decision } from "./history.ts";
import { stateRef } from "./leaves.ts";
import { REFUSAL_CHARACTERS_MAX } from "./limits.ts";
import type { Spend, Verdict } from "./ports.ts";

/** What is remembered of the transactions and states of a batch. */
export interface Past {
  readonly verdicts: ReadonlyMap<SecureHash, Verdict>;
  /** Issued states: the transaction that consumed each, or null. A state that is not here was never issued. */
  readonly states: ReadonlyMap<StateRef, SecureHash | null>;
}

export interface Judgement {
  /** In the order of the batch. */
  readonly verdicts: readonly Verdict[];
  /** What there is to remember: each transaction once. */
  readonly decided: readonly Decision[];
  readonly issued: readonly StateRef[];
  readonly consumed: ReadonlyMap<StateRef, SecureHash>;
}

/** `now` is the clock of the store, read after all that `past` holds was locked. */
export function judge(batch: readonly Spend[], past: Past, now: Instant): Judgement {
  const known = new Map(past.verdicts);
  const states = new Map(past.states);
  const decided: Decision[] = [];
  const issued: StateRef[] = [];
  const consumed = new Map<StateRef, SecureHash>();
  const verdicts = batch.map((spend) => {
    const old = known.get(spend.transactionId);
    if (old !== undefined) return old;
    const verdict =
      spend.refusal !== undefined
        ? refused(spend.refusal.code, spend.refusal.message)
        : spend.mode === "write"
          ? verdictOn(spend, states, now)
          : verdictOfRead(spend, now);
    if (verdict.kind === "retry") return verdict;
    known.set(spend.transactionId, verdict);
    decided.push({ spend, refusal: verdict.kind === "accepted" ? null : verdict });
    if (verdict.kind === "accepted") {
      for (const ref of spend.inputs) {
        states.set(ref, spend.transactionId);
        consumed.set(ref, spend.transactionId);
      }
      for (let index = 0; index < spend.outputCount; index++) {
        const ref = stateRef(spend.transactionId, index);
        states.set(ref, null);
        issued.push(ref);
      }
    }
    return verdict;
  });
  return { verdicts, decided, issued, consumed };
}

function verdictOn({ inputs, references, from, until }: Spend, states: Past["states"], now: Instant): Verdict {
  const malformed = firstRepeat([...inputs, ...references]);
  if (malformed !== undefined) return refused("notary.malformedRequest", `State ${malformed} stands in it twice.`);
  const spent = inputs.filter((ref) => typeof states.get(ref) === "string");
  if (spent.length > 0) return refused("notary.inputStateConflict", told("Consumed by another transaction:", spent, states));
  const gone = references.filter((ref) => typeof states.get(ref) === "string");
  if (gone.length > 0)
    return refused("notary.referenceStateConflict", told("Referred to, and consumed by another transaction:", gone, states));
  if (now >= until) return tooLate(until, now);
  if (from !== undefined && now < from) return tooEarly(from, now);
  const unknown = inputs.filter((ref) => !states.has(ref));
  if (unknown.length > 0) return retry("notary.inputStateUnknown", told("Not issued under this notary, so far:", unknown, states));
  const missing = references.filter((ref) => !states.has(ref));
  if (missing.length > 0) return retry("notary.referenceStateUnknown", told("Not issued under this notary, so far:", missing, states));
  return { kind: "accepted", at: now };
}

function verdictOfRead({ from, until }: Spend, now: Instant): Verdict {
  if (now >= until) return tooLate(until, now);
  if (from !== undefined && now < from) return tooEarly(from, now);
  return retry("notary.notPreviouslySeen", "This transaction has not been notarised so far.");
}

const tooEarly = (from: Instant, now: Instant): Verdict => ({
  ...retry("notary.timeWindowBeforeLowerBound", `The time window opens at ${from}, and it is ${now}.`),
  retryAfterMs: from - now,
});

const tooLate = (until: Instant, now: Instant) =>
  refused("notary.timeWindowOutOfBounds", `The time window closed at ${until}, and it is ${now}.`);

/** A list that is longer than a stored message may be ends with a count. */
function told(what: string, refs: readonly StateRef[], states: Past["states"]): string {
  let message = what;
  for (const [i, ref] of refs.entries()) {
    const by = states.get(ref);
    const item = typeof by === "string" ? ` ${ref} by ${by}` : ` ${ref}`;
    const rest = ` and ${refs.length - i} more`;
    if (message.length + item.length + rest.length + 2 > REFUSAL_CHARACTERS_MAX) return `${message}${rest}.`;
    message += i === refs.length - 1 ? `${item}.` : `${item},`;
  }
  return message;
}

function firstRepeat(refs: readonly StateRef[]): StateRef | undefined {
  const seen = new Set<StateRef>();
  return refs.find((ref) => seen.size === seen.add(ref).size);
}

const refused = (code: string, message: string): Verdict => ({ kind: "refused", code, message });
const retry = (code: string, message: string): Extract<Verdict, { kind: "retry" }> => ({ kind: "retry", code, message });
