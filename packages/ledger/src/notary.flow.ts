// The two ends of a notarisation: `askNotary`, which finality calls, and the responders that a notary's virtual node runs.
//
// What a client shows depends on whether the notary verifies (`backchainRequired` is false) or not; which flow answers is the
// protocol's, as the group parameters name it, in a version that both sides speak. A client believes no answer: it takes
// what is signed, and asks again, each time the next of the service's virtual nodes, until the upper bound has passed.

import { type Data, invariant, type X500Name } from "@bowline/base";
import { keyIdOf, leafKeys } from "@bowline/crypto";
import { type FlowContext, FlowError, type NotaryInfo, type Protocol, responder } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { ask } from "./asking.ts";
import type { FilteredDependency } from "./dependencies.ts";
import { filterForNotary } from "./filter.ts";
import { Bytes } from "./leaves.ts";
import { NOTARY_READS_MAX, NOTARY_RETRY_MAX_MS, NOTARY_RETRY_MIN_MS, NOTARY_SESSION_TIMEOUT_MS } from "./limits.ts";
import type { NotaryAnswer, NotaryMode } from "./ports.ts";
import { checkSignatures, decodeSignature, encodeSignature, encodeWords, type TransactionSignature, validWords } from "./signatures.ts";
import { encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";
import { verifyForNotary, WholeRequest } from "./verifying-notary.flow.ts";

export const NON_VALIDATING_PROTOCOL: Protocol = { name: "com.r3.corda.notary.plugin.nonvalidating", versions: [1] };
export const CONTRACT_VERIFYING_PROTOCOL: Protocol = { name: "com.r3.corda.notary.plugin.contractverifying", versions: [1] };
/** Of what a client shows, in either form. A notary of another protocol is shown the same. */
const SPOKEN: readonly number[] = [1];

const STRICT = { additionalProperties: false } as const;
const FilteredRequest = Type.Object({ filtered: Bytes, mode: Type.Enum(["write", "read"]), signature: Type.Optional(Bytes) }, STRICT);
const Answer = Type.Object(
  {
    kind: Type.Enum(["accepted", "refused", "retry", "malformed"]),
    signature: Bytes,
    code: Type.String({ maxLength: 128 }),
    message: Type.String({ maxLength: 2_048 }),
    retryAfterMs: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  STRICT,
);

/** What a notary's virtual node runs. Whether it is one, and under which name and key, is the uniqueness role's to know. */
export const notaryResponder = responder({
  name: "com.r3.corda.notary.plugin.nonvalidating",
  answers: NON_VALIDATING_PROTOCOL,
  call: async (context, session) => {
    const request = await session.receive(FilteredRequest);
    const answer = await ask(context, "uniqueness.notarise", { originator: session.counterparty, ...request });
    await session.send({ ...answer });
  },
});

/** What a notary's virtual node runs that verifies what it decides on. To be asked for an outcome it need not see the whole. */
export const verifyingNotaryResponder = responder({
  name: "com.r3.corda.notary.plugin.contractverifying",
  answers: CONTRACT_VERIFYING_PROTOCOL,
  call: async (context, session) => {
    const request = await session.receive(Type.Union([WholeRequest, FilteredRequest]));
    const originator = session.counterparty;
    const answer: NotaryAnswer =
      "filtered" in request
        ? await ask(context, "uniqueness.notarise", { originator, ...request })
        : await verifyForNotary(context, originator, request);
    await session.send({ ...answer });
  },
});

/**
 * Asks until the answer is final: the records of the notary's words, as `decodeWords` reads them, still to be verified. Until
 * the transaction's upper bound in the given mode; after it by READ, which is decisive then. Undefined where the notary stays
 * silent even so. `dependencies` are needed where the notary verifies; where none are given, this vault's own rows are shown.
 */
export async function askNotary(
  context: FlowContext,
  signed: SignedTransaction,
  notary: NotaryInfo | undefined,
  mode: NotaryMode,
  dependencies?: readonly FilteredDependency[],
): Promise<Uint8Array | undefined> {
  const { transaction } = signed;
  if (notary === undefined || notary.members.length === 0)
    throw new FlowError("ledger.notaryUnknown", `The group parameters list no notary ${transaction.notary} that any member runs.`);
  const protocol = protocolOf(notary);
  const written = mode === "read" ? undefined : await writeRequest(context, signed, notary, dependencies);
  const given: TransactionSignature[] = [];
  let reads = 0;
  for (let attempt = 0, asking = mode; ; attempt++) {
    const request = asking === "write" && written !== undefined ? written : { filtered: filterForNotary(transaction), mode: asking };
    const answer = await askOnce(context, notary, { member: nextMember(notary, transaction, attempt), protocol, request });
    if ("word" in answer) {
      const words = notary.members.length === 1 ? [decodeSignature(answer.word)] : collect(transaction, given, answer.word);
      if (words !== undefined) return encodeWords(words);
      // One of several that must sign has signed: the next is asked at once, but nobody for ever.
      if (given.length > attempt) continue;
    }
    const now = await context.now();
    const { from = now, until } = transaction.timeWindow;
    const isPast = now >= until;
    if (isPast && ++reads > NOTARY_READS_MAX) return undefined;
    if (isPast) asking = "read";
    // A notary that says when to come again may only be right about a window that has not opened yet.
    const least = "word" in answer ? 0 : Math.min(answer.retryAfterMs, Math.max(NOTARY_RETRY_MAX_MS, from - now));
    const backOff = Math.max(Math.min(NOTARY_RETRY_MIN_MS * 2 ** attempt, NOTARY_RETRY_MAX_MS), least);
    // Past the bound the answer is final at once: no use in sleeping much beyond it.
    await context.sleep(isPast ? backOff : Math.min(backOff, until - now));
  }
}

/** Each of the service's virtual nodes one question, until the answer is final: undefined where it is not. */
export async function askNotaryOnce(context: FlowContext, transaction: Transaction, mode: NotaryMode): Promise<Uint8Array | undefined> {
  const notary = await context.notaries.lookup(transaction.notary);
  if (notary === undefined) return undefined;
  const [protocol, request] = [protocolOf(notary), { filtered: filterForNotary(transaction), mode }];
  const given: TransactionSignature[] = [];
  for (const attempt of notary.members.keys()) {
    const answer = await askOnce(context, notary, { member: nextMember(notary, transaction, attempt), protocol, request });
    if (!("word" in answer)) continue;
    const words = notary.members.length === 1 ? [decodeSignature(answer.word)] : collect(transaction, given, answer.word);
    if (words !== undefined) return encodeWords(words);
  }
  return undefined;
}

/** The protocol as the group parameters name it, in the versions that this client speaks of it. */
function protocolOf({ name, protocol, versions = [1] }: NotaryInfo): Protocol {
  const spoken = versions.filter((version) => SPOKEN.includes(version));
  if (spoken.length > 0) return { name: protocol, versions: spoken };
  throw new FlowError(
    "ledger.notaryVersionUnknown",
    `Notary ${name} speaks ${protocol} in version ${versions.join(", ")}; this platform does in ${SPOKEN.join(", ")}.`,
  );
}

/** Not all clients begin with the same one, and each goes on to the next. */
function nextMember({ members }: NotaryInfo, { id }: Transaction, attempt: number): X500Name {
  const member = members[(Number.parseInt(id.slice(-4), 16) + attempt) % members.length];
  invariant(member !== undefined, "a notary that is asked has members");
  return member;
}

/** All words when they are enough for the key; a word that is not the notary's on this transaction counts for nothing. */
function collect(transaction: Transaction, given: TransactionSignature[], word: Uint8Array): readonly TransactionSignature[] | undefined {
  const [valid] = validWords(transaction, [decodeSignature(word)]);
  if (valid !== undefined && given.every(({ by }) => by !== valid.by)) given.push(valid);
  return checkSignatures(transaction, given).notary === null ? undefined : given;
}

async function writeRequest(
  context: FlowContext,
  signed: SignedTransaction,
  notary: NotaryInfo,
  dependencies: readonly FilteredDependency[] | undefined,
): Promise<Data> {
  if (notary.backchainRequired && notary.requesterSigns === true) return signedRequest(signed);
  if (notary.backchainRequired) return { filtered: filterForNotary(signed.transaction), mode: "write" };
  const refs = [...signed.transaction.inputs, ...signed.transaction.references];
  const shown = dependencies ?? (refs.length === 0 ? [] : await ask(context, "vault.dependencies", { refs }));
  return { transaction: encodeSigned(signed), dependencies: shown as unknown as Data };
}

/** With one of the signatures, and a proof that it is a signatory's: of all that signed the notary sees one. */
function signedRequest({ transaction, signatures }: SignedTransaction): Data {
  for (const signature of signatures) {
    const place = transaction.signatories.findIndex((key) => leafKeys(key).some((leaf) => keyIdOf(leaf) === signature.by));
    if (place >= 0) return { filtered: filterForNotary(transaction, [place]), mode: "write", signature: encodeSignature(signature) };
  }
  throw new FlowError(
    "notary.signatureMissing",
    `No signatory has signed ${transaction.id}, and its notary decides only for those who show a signature.`,
  );
}

/** A word, or when it may help to ask again. */
async function askOnce(
  context: FlowContext,
  notary: NotaryInfo,
  { member, protocol, request }: { readonly member: X500Name; readonly protocol: Protocol; readonly request: Data },
): Promise<{ readonly word: Uint8Array } | { readonly retryAfterMs: number }> {
  let answer: Static<typeof Answer>;
  try {
    const session = await context.initiate(member, { protocol, timeoutMs: NOTARY_SESSION_TIMEOUT_MS });
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
