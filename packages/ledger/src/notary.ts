// What a non-validating notary does with a batch of requests, on values. The uniqueness role runs it:
//
//   const examined = requests.map((request) => examine(request, self));
//   const verdicts = await store.notarise(spendsOf(examined));           // one transaction
//   const pending = pendingAnswers(examined, verdicts, self, { timestamp, spec, platformVersion });
//   return pending.answers(pending.preimage && (await sign(pending.preimage)));  // one signature, after the commit
//
// Guarantees: the notary decides only on complete, proven lists, under its own name and key. It signs its final words, good and
// bad, and only those: what a client sent wrongly is no word on the transaction, since another may send it rightly. Nothing is
// signed that is not committed.

import { BowlineError, type X500Name } from "@bowline/base";
import { leafKeys } from "@bowline/crypto";
import type { NotaryInfo, PublicKeyText } from "@bowline/sdk";
import { type NotaryRequest, readForNotary } from "./filter.ts";
import { notaryKeysOf } from "./group-parameters.ts";
import type { NotaryAnswer, NotaryMode, Spend, Verdict } from "./ports.ts";
import { batchOf, encodeSignature, type NotaryWord, type SignatureMetadata } from "./signatures.ts";

/** Who this notary is. */
export interface NotarySelf {
  readonly groupId: string;
  /** The service's name, as transactions write it. */
  readonly service: X500Name;
  /** The keys of the service that transactions may name: today's, and those it had before. */
  readonly serviceKeys: readonly PublicKeyText[];
  /** This virtual node's own, which signs: a service key itself, or a part of one. */
  readonly key: PublicKeyText;
}

/** Who a member is as a notary, by the group parameters; undefined where it runs none, or its key is no part of the service's. */
export function notarySelf(groupId: string, info: NotaryInfo | undefined, key: PublicKeyText | undefined): NotarySelf | undefined {
  if (info === undefined || key === undefined) return undefined;
  const serviceKeys = notaryKeysOf(info).filter((named) => leafKeys(named).includes(key));
  return serviceKeys.length === 0 ? undefined : { groupId, service: info.name, serviceKeys, key };
}

export interface NotariseRequest {
  readonly originator: X500Name;
  /** `filterForNotary` of the transaction. */
  readonly filtered: Uint8Array;
  readonly mode: NotaryMode;
}

export type Examined = { readonly kind: "spend"; readonly spend: Spend } | { readonly kind: "malformed"; readonly answer: NotaryAnswer };

export function examine({ originator, filtered, mode }: NotariseRequest, self: NotarySelf): Examined {
  let request: NotaryRequest;
  try {
    request = readForNotary(filtered);
  } catch (error) {
    if (!(error instanceof BowlineError)) throw error;
    return malformed(error.message);
  }
  const { id, groupId, notary, notaryKey, timeWindow, inputs, references, outputCount } = request;
  if (groupId !== self.groupId) return malformed(`It is of group ${groupId}; this notary serves ${self.groupId}.`);
  if (notary !== self.service) return malformed(`It names notary ${notary}; this is ${self.service}.`);
  if (!self.serviceKeys.includes(notaryKey)) return malformed(`It names a key of ${self.service} that this notary does not sign for.`);
  return { kind: "spend", spend: { transactionId: id, originator, inputs, references, outputCount, ...timeWindow, mode } };
}

export const spendsOf = (examined: readonly Examined[]): readonly Spend[] =>
  examined.flatMap((one) => (one.kind === "spend" ? [one.spend] : []));

export interface PendingAnswers {
  /** What to sign; undefined where no verdict is final. */
  readonly preimage: Uint8Array | undefined;
  /** In the order of the requests. */
  readonly answers: (signature: Uint8Array | undefined) => readonly NotaryAnswer[];
}

/** `verdicts` in the order of `spendsOf(examined)`. */
export function pendingAnswers(
  examined: readonly Examined[],
  verdicts: readonly Verdict[],
  self: NotarySelf,
  metadata: SignatureMetadata,
): PendingAnswers {
  const spends = spendsOf(examined);
  const words = new Map<string, NotaryWord>();
  spends.forEach(({ transactionId }, i) => {
    const verdict = verdicts[i] as Verdict;
    // Of one transaction there is one word, however often the batch asks for it.
    if (verdict.kind !== "retry") words.set(transactionId, { ...verdict, transactionId });
  });
  const batch = words.size === 0 ? undefined : batchOf([...words.values()], self.key, metadata);
  return {
    preimage: batch?.preimage,
    answers: (signature) => {
      const sealed = batch === undefined || signature === undefined ? [] : batch.sealed(signature).map(encodeSignature);
      const signatures = new Map([...words.keys()].map((id, i) => [id, sealed[i]]));
      let next = 0;
      return examined.map((one) => {
        if (one.kind === "malformed") return one.answer;
        const verdict = verdicts[next++] as Verdict;
        const signed = signatures.get(one.spend.transactionId);
        return answerOf(verdict, signed);
      });
    },
  };
}

function answerOf(verdict: Verdict, signature: Uint8Array | undefined): NotaryAnswer {
  const said = verdict.kind === "accepted" ? { code: "", message: "" } : { code: verdict.code, message: verdict.message };
  if (verdict.kind === "retry" || signature === undefined) return { kind: "retry", signature: new Uint8Array(), ...said };
  return { kind: verdict.kind, signature, ...said };
}

const malformed = (message: string): Examined => ({
  kind: "malformed",
  answer: { kind: "malformed", signature: new Uint8Array(), code: "notary.malformedRequest", message },
});
