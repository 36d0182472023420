import type { Instant, SecureHash } from "@bowline/base";
import type { StateRef } from "@bowline/sdk";
import type { UniquenessStore, Verdict } from "./ports.ts";
import { judge } from "./uniqueness.ts";

/** A notary's memory that lasts as long as the process. */
export function memoryUniqueness(now: () => Instant): UniquenessStore {
  const verdicts = new Map<SecureHash, Verdict>();
  const states = new Map<StateRef, SecureHash | null>();
  return {
    async notarise(batch) {
      const judgement = judge(batch, { verdicts, states }, now());
      for (const { spend, verdict } of judgement.decided) verdicts.set(spend.transactionId, verdict);
      for (const ref of judgement.issued) states.set(ref, null);
      for (const [ref, by] of judgement.consumed) states.set(ref, by);
      return judgement.verdicts;
    },
  };
}
