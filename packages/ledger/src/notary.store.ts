// What a notary does with a batch of requests. The uniqueness role runs it:
//
//   const answers = await notarise(requests, self, { store, metadata, sign });
//
// Guarantees: the notary signs its final words, good and bad, and only those. Its signature is the last that happens before the
// commit, stands in the log with what it decides, and leaves only after the commit.

import { invariant, type SecureHash } from "@bowline/base";
import { keyIdOf } from "@bowline/crypto";
import { logLeaf, wordsOf } from "./history.ts";
import { type Examined, examine, type NotarySelf } from "./notary.ts";
import type { NotariseRequest, NotaryAnswer, UniquenessStore, Verdict } from "./ports.ts";
import { batchOf, encodeSignature, type NotaryWord, type SignatureMetadata } from "./signatures.ts";

/** What the notary has of the world: its memory, and its key by way of whoever holds it. */
export interface NotaryWorld {
  readonly store: Pick<UniquenessStore, "notarise">;
  readonly metadata: SignatureMetadata;
  /** Signs with `NotarySelf.key`. */
  sign(preimage: Uint8Array): Promise<Uint8Array>;
}

/** Answers in the order of the requests: one commit for all of them, and one signature for all that it decides. */
export async function notarise(
  requests: readonly NotariseRequest[],
  self: NotarySelf,
  { store, metadata, sign }: NotaryWorld,
): Promise<readonly NotaryAnswer[]> {
  const examined = requests.map((request) => examine(request, self));
  const spends = examined.flatMap((one) => (one.kind === "spend" ? [one.spend] : []));
  if (spends.length === 0) return examined.map((one) => (one as Extract<Examined, { kind: "malformed" }>).answer);
  const { verdicts, seal } = await store.notarise(spends, async (decisions, encoded) => {
    const batch = batchOf(wordsOf(decisions), self.key, metadata, (index) => logLeaf(index, encoded));
    const signature = await sign(batch.preimage);
    const records = batch.sealed(signature).map(encodeSignature);
    const given = new Map(decisions.decisions.map(({ spend }, i) => [spend.transactionId, records[i] as Uint8Array]));
    return { record: encodeSignature({ by: keyIdOf(self.key), signature, metadata }), given };
  });
  const byId = new Map(spends.map(({ transactionId }, i) => [transactionId, verdicts[i] as Verdict]));
  const repeated = await sayAgain(byId, seal?.given, self, { metadata, sign });
  return examined.map((one) => {
    if (one.kind === "malformed") return one.answer;
    const { transactionId } = one.spend;
    return answerOf(byId.get(transactionId) as Verdict, seal?.given.get(transactionId) ?? repeated.get(transactionId));
  });
}

/** What was decided before is said again, under a signature of today. */
async function sayAgain(
  verdicts: ReadonlyMap<SecureHash, Verdict>,
  given: ReadonlyMap<SecureHash, Uint8Array> | undefined,
  self: NotarySelf,
  { metadata, sign }: Pick<NotaryWorld, "metadata" | "sign">,
): Promise<ReadonlyMap<SecureHash, Uint8Array>> {
  const words = [...verdicts].flatMap(([transactionId, verdict]): NotaryWord[] =>
    verdict.kind === "retry" || given?.has(transactionId) ? [] : [{ ...verdict, transactionId }],
  );
  if (words.length === 0) return new Map();
  const batch = batchOf(words, self.key, metadata);
  const records = batch.sealed(await sign(batch.preimage)).map(encodeSignature);
  return new Map(words.map(({ transactionId }, i) => [transactionId, records[i] as Uint8Array]));
}

function answerOf(verdict: Verdict, signature: Uint8Array | undefined): NotaryAnswer {
  if (verdict.kind === "retry") return { ...verdict, signature: new Uint8Array() };
  const said = verdict.kind === "accepted" ? { code: "", message: "" } : { code: verdict.code, message: verdict.message };
  invariant(signature !== undefined, "every final word is signed");
  return { kind: verdict.kind, signature, ...said };
}
