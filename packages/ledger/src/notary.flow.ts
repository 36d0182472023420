// The two ends of a notarisation: `askNotary`, which finality calls, and the responder that a notary's virtual node runs.

import { type Data, invariant } from "@bowline/base";
import { type FlowContext, FlowError, type NotaryInfo, type Protocol, responder } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { ask } from "./asking.ts";
import { filterForNotary } from "./filter.ts";
import { Bytes } from "./leaves.ts";
import { NOTARY_READS_MAX, NOTARY_RETRY_MAX_MS, NOTARY_RETRY_MIN_MS, NOTARY_SESSION_TIMEOUT_MS } from "./limits.ts";
import type { NotaryMode } from "./ports.ts";
import type { Transaction } from "./transaction.ts";

export const NON_VALIDATING_PROTOCOL: Protocol = { name: "com.r3.corda.notary.plugin.nonvalidating", versions: [1] };

const STRICT = { additionalProperties: false } as const;
const Request = Type.Object({ filtered: Bytes, mode: Type.Enum(["write", "read"]) }, STRICT);
const Answer = Type.Object(
  {
    kind: Type.Enum(["accepted", "refused", "retry", "malformed"]),
    signature: Bytes,
    code: Type.String({ maxLength: 128 }),
    message: Type.String({ maxLength: 2_048 }),
    retryAfterMs: Type.Optional(Type.Integer({ minimum: 0, maximum: NOTARY_RETRY_MAX_MS })),
  },
  STRICT,
);

/** What a notary's virtual node runs. Whether it is one, and under which name and key, is the uniqueness role's to know. */
export const notaryResponder = responder({
  name: "com.r3.corda.notary.plugin.nonvalidating",
  answers: NON_VALIDATING_PROTOCOL,
  call: async (context, session) => {
    const { filtered, mode } = await session.receive(Request);
    const answer = await ask(context, "uniqueness.notarise", { originator: session.counterparty, filtered, mode });
    await session.send({ ...answer });
  },
});

/**
 * Asks until the answer is final: its signature record, still to be verified. Until the transaction's upper bound in the
 * given mode; after it by READ, which is decisive then. Undefined where the notary stays silent even so.
 */
export async function askNotary(
  context: FlowContext,
  transaction: Transaction,
  notary: NotaryInfo | undefined,
  mode: NotaryMode,
): Promise<Uint8Array | undefined> {
  if (notary === undefined || notary.members.length === 0)
    throw new FlowError("ledger.notaryUnknown", `The group parameters list no notary ${transaction.notary} that any member runs.`);
  const filtered = filterForNotary(transaction);
  let reads = 0;
  for (let attempt = 0, asking = mode; ; attempt++) {
    const answer = await askOnce(context, notary, attempt, { filtered, mode: asking });
    if ("word" in answer) return answer.word;
    const now = await context.now();
    const isPast = now >= transaction.timeWindow.until;
    if (isPast && ++reads > NOTARY_READS_MAX) return undefined;
    if (isPast) asking = "read";
    const backOff = Math.max(Math.min(NOTARY_RETRY_MIN_MS * 2 ** attempt, NOTARY_RETRY_MAX_MS), answer.retryAfterMs);
    // Past the bound the answer is final at once: no use in sleeping much beyond it.
    await context.sleep(isPast ? backOff : Math.min(backOff, transaction.timeWindow.until - now));
  }
}

/** One question: undefined where the answer is not final, or none came. */
export async function askNotaryOnce(context: FlowContext, transaction: Transaction, mode: NotaryMode): Promise<Uint8Array | undefined> {
  const notary = await context.notaries.lookup(transaction.notary);
  if (notary === undefined || notary.members.length === 0) return undefined;
  const answer = await askOnce(context, notary, 0, { filtered: filterForNotary(transaction), mode });
  return "word" in answer ? answer.word : undefined;
}

/** A word, or when it may help to ask again. */
async function askOnce(
  context: FlowContext,
  notary: NotaryInfo,
  attempt: number,
  request: Data,
): Promise<{ readonly word: Uint8Array } | { readonly retryAfterMs: number }> {
  const member = notary.members[attempt % notary.members.length];
  invariant(member !== undefined, "a notary that is asked has members");
  let answer: Static<typeof Answer>;
  try {
    const session = await context.initiate(member, { protocol: NON_VALIDATING_PROTOCOL, timeoutMs: NOTARY_SESSION_TIMEOUT_MS });
    answer = await session.sendAndReceive(request, Answer);
  } catch (thrown) {
    if (!(thrown instanceof FlowError)) throw thrown;
    context.log.warn("the notary did not answer", { notary: notary.name, reason: thrown.message });
    return { retryAfterMs: 0 };
  }
  if (answer.kind === "malformed") throw new FlowError(answer.code, `Notary ${notary.name}: ${answer.message}`);
  if (answer.kind !== "retry") return { word: answer.signature };
  context.log.info("the notary has not decided", { notary: notary.name, code: answer.code });
  return { retryAfterMs: answer.retryAfterMs ?? 0 };
}
