import type { Instant, SecureHash } from "@bowline/base";
import type { StateRef } from "@bowline/sdk";
import { encodeDecisions, FIRST_HEAD, headAfter, type LogEntry } from "./history.ts";
import type { UniquenessStore, Verdict } from "./ports.ts";
import { judge } from "./uniqueness.ts";

/** A notary's memory that lasts as long as the process. */
export function memoryUniqueness(now: () => Instant): UniquenessStore {
  const verdicts = new Map<SecureHash, Verdict>();
  const states = new Map<StateRef, SecureHash | null>();
  const log: LogEntry[] = [];
  // As a database would, one batch after the other, whatever the sealing waits for.
  let turn: Promise<unknown> = Promise.resolve();
  return {
    notarise(batch, seal) {
      const mine = turn.then(async () => {
        const at = now();
        const judgement = judge(batch, { verdicts, states }, at);
        if (judgement.decided.length === 0) return { verdicts: judgement.verdicts, seal: undefined };
        const decisions = { at, decisions: judgement.decided };
        const encoded = encodeDecisions(decisions);
        const sealed = await seal(decisions, encoded);
        for (const { spend, refusal } of judgement.decided)
          verdicts.set(spend.transactionId, refusal === null ? { kind: "accepted", at } : { ...refusal, kind: "refused" });
        for (const ref of judgement.issued) states.set(ref, null);
        for (const [ref, by] of judgement.consumed) states.set(ref, by);
        const head = headAfter(log.at(-1)?.head ?? FIRST_HEAD, encoded);
        log.push({ seq: log.length + 1, head, decisions: encoded, seal: sealed.record });
        return { verdicts: judgement.verdicts, seal: sealed };
      });
      turn = mine.catch(() => undefined);
      return mine;
    },
    log: async (after, limit) => ({ entries: log.slice(after, after + limit), last: log.length }),
  };
}
