// How a transaction that its flow left unverified comes to its end, whoever died: whoever knows the notary's word is asked for
// it, then the notary, by READ.
//
// `ledger.repair` is started by the transaction's own time (`repair.ts`), tries once and ends; what it cannot decide is tried
// again. After the upper bound of the time window the notary's answer is final, so that nothing stays undecided for longer than
// its notary is away. `bowline.ledger.Outcome` answers on every member: a party that comes late needs no session of the flow
// that it missed. Who asks proves that it has the transaction, by its salt: an id alone tells nobody who signed.

import { equalBytes, utf8, type X500Name } from "@bowline/base";
import { hmacSha256, leafKeys } from "@bowline/crypto";
import { type FlowContext, FlowError, type Protocol, responder } from "@bowline/sdk";
import { worded } from "@bowline/sdk/transaction-rules";
import Type from "typebox";
import { ask, platformFlow, type Viewed, writeVault } from "./asking.ts";
import { resolveHere } from "./backchain.flow.ts";
import { conclude, keysInvolved, withSignatures } from "./conclusion.flow.ts";
import { Bytes, TransactionId } from "./leaves.ts";
import { OUTCOME_SESSION_TIMEOUT_MS, SIGNATURES_MAX } from "./limits.ts";
import { askNotaryOnce } from "./notary.flow.ts";
import { decodeSignature, encodeSignature, encodeWords, type TransactionSignature } from "./signatures.ts";
import { carry } from "./signing.flow.ts";
import { decodeSigned, encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";

export const OUTCOME_PROTOCOL: Protocol = { name: "bowline.ledger.outcome", versions: [1] };

const STRICT = { additionalProperties: false } as const;
const Question = Type.Object({ id: TransactionId, proof: Bytes }, STRICT);
const Answer = Type.Object({ signatures: Type.Array(Bytes, { maxItems: SIGNATURES_MAX }) }, STRICT);

/** What a flow that the transaction's time has started is called by. */
export const REPAIR_FLOW = "ledger.repair";

export const repair = platformFlow({
  name: REPAIR_FLOW,
  input: Type.Object({ id: TransactionId }, STRICT),
  call: async (context, { id }) => {
    const [row] = await ask(context, "vault.transactions", { ids: [id] });
    if (row?.status !== "U") return { status: row?.status ?? null };
    const { carried, keys } = await verifyStored(context, decodeSigned(row.bytes));
    const signed = await askParticipants(context, carried.signed);
    const word = wordIn(signed) ?? (await askNotaryOnce(context, signed.transaction, "read"));
    if (word === undefined) {
      await writeVault(context, { kind: "signatures", id, signatures: signed.signatures.map(encodeSignature) });
      return { status: "U" };
    }
    const { kind } = await conclude(context, carried, signed, word, keys);
    return { status: kind === "accepted" ? "V" : "I" };
  },
});

/** What this member knows of how a transaction ended, for those who have it. */
export const outcomeResponder = responder({
  name: "bowline.ledger.Outcome",
  answers: OUTCOME_PROTOCOL,
  call: async (context, session) => {
    const { id, proof } = await session.receive(Question);
    const [row] = await ask(context, "vault.transactions", { ids: [id] });
    const known = row == null ? undefined : decodeSigned(row.bytes);
    const mayKnow = known !== undefined && equalBytes(proof, proofOf(known.transaction, session.counterparty));
    await session.send({ signatures: mayKnow ? known.signatures.map(encodeSignature) : [] });
  },
});

/**
 * The transaction with all signatures that its participants have, and the notary's word where one of them knows it. `first`
 * is asked before the others; who is silent, or lies, is passed over.
 */
export async function askParticipants(context: FlowContext, signed: SignedTransaction, first?: X500Name): Promise<SignedTransaction> {
  const { transaction } = signed;
  let known = signed;
  for (const member of await participantsOf(context, transaction, first)) {
    const fresh = await askParticipant(context, transaction, member);
    // The first signature of a key that is kept stays: what does not hold must not take the place of what does.
    const gained = withSignatures(known, fresh);
    const [state] = await ask(context, "verification.signatures", { transactions: [encodeSigned(gained)] });
    if (state === undefined || state.invalid.length > 0) continue;
    known = gained;
    if (state.notary !== null && (state.missing.length === 0 || state.notary.kind === "refused")) break;
  }
  return known;
}

/** The notary's word, where it is among the signatures. */
export function wordIn({ signatures }: SignedTransaction): Uint8Array | undefined {
  const words = signatures.filter(({ batch }) => batch !== undefined);
  return words.length === 0 ? undefined : encodeWords(words);
}

async function participantsOf(context: FlowContext, { signatories }: Transaction, first?: X500Name): Promise<ReadonlySet<X500Name>> {
  const signers = await Promise.all(signatories.flatMap(leafKeys).map((key) => context.members.lookupByKey(key)));
  const names = [...(first === undefined ? [] : [first]), ...signers.flatMap((member) => (member === undefined ? [] : [member.name]))];
  return new Set(names.filter((name) => name !== context.me));
}

async function askParticipant(context: FlowContext, transaction: Transaction, member: X500Name): Promise<readonly TransactionSignature[]> {
  try {
    const session = await context.initiate(member, { protocol: OUTCOME_PROTOCOL, timeoutMs: OUTCOME_SESSION_TIMEOUT_MS });
    const question = { id: transaction.id, proof: proofOf(transaction, context.me) };
    const { signatures } = await session.sendAndReceive(question, Answer);
    return signatures.map(decodeSignature);
  } catch (thrown) {
    context.log.info("a participant did not say what became of a transaction", { member, reason: String(thrown) });
    return [];
  }
}

/** Who has the salt has the transaction; who overhears the proof cannot use it as another. */
const proofOf = ({ id, salt }: Transaction, asking: X500Name): Uint8Array => hmacSha256(salt, utf8(`bowline/outcome/1\0${id}\0${asking}`));

/** Of a row that is not verified yet, content and signatures anew. */
export async function verifyStored(context: FlowContext, signed: SignedTransaction): Promise<{ carried: Viewed; keys: readonly string[] }> {
  const { transaction } = signed;
  const [resolved, parameters] = await Promise.all([
    resolveHere(context, transaction),
    ask(context, "membership.groupParameters", { hash: transaction.metadata.membershipGroupParametersHash }),
  ]);
  const request = { transaction: encodeSigned(signed), ...resolved, groupParameters: parameters.bytes, verified: null };
  const reply = await ask(context, "verification.verify", request);
  if (!reply.valid)
    throw new FlowError("ledger.transactionInvalid", `Transaction ${transaction.id} is not valid: ${worded(reply.violations)}.`);
  const carried = carry(signed, reply);
  const { keys } = await ask(context, "crypto.filterMyKeys", { keys: keysInvolved(carried) });
  return { carried, keys };
}
