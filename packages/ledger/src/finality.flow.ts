// How a transaction becomes final among its parties.
//
//   initiator                                        responder
//   ledger.sign: build, verify, sign, write U
//   ledger.finalize: -- proposal ----------------->  ledger.receiveProposal: resolve inputs, verify
//                    <-- need | chain, as often ->   (backchain.flow.ts)
//                                                    the author's own checks
//                    <-- signatures | refusal ------  ledger.answerProposal: sign, write U
//   check all; -- signatures (of the others) ----->  check, write
//   ask the notary; write V; -- outcome ---------->  check; write V
//
// Order is what keeps it safe: whoever gives a signature away has the transaction's row in the same commit; the notary's word
// is passed on in a commit that follows, or contains, the initiator's V. Whether the transaction happened is the notary's word
// alone. INVALID is written only with its signed refusal, with a verdict that the content breaks a rule, or as our own refusal
// while we have not signed; anything else that goes wrong leaves U, which its own time asks about later (repair.flow.ts). A
// responder whose initiator falls silent after U asks the participants and then the notary itself, by READ.

import { type Data, decoder } from "@bowline/base";
import { leafKeys } from "@bowline/crypto";
import { type FlowContext, FlowError, type SessionId } from "@bowline/sdk";
import { worded } from "@bowline/sdk/transaction-rules";
import Type, { type Static } from "typebox";
import {
  ask,
  type Carried,
  exchange,
  handBack,
  handOver,
  Party,
  platformFlow,
  Stopped,
  send,
  stopped,
  takeBack,
  writeVault,
} from "./asking.ts";
import { Need, serveHistory } from "./backchain.flow.ts";
import { Shown } from "./backchain.ts";
import {
  accepted,
  conclude,
  keysInvolved,
  type Outcome,
  ofSignatories,
  requireAllSigned,
  verifyAgain,
  withSignatures,
} from "./conclusion.flow.ts";
import { FilteredDependencies, type FilteredDependency } from "./dependencies.ts";
import { groupParametersHash } from "./group-parameters.ts";
import { Bytes } from "./leaves.ts";
import { SIGNATURES_MAX } from "./limits.ts";
import { askNotary } from "./notary.flow.ts";
import { resolvePast, showPast } from "./past.flow.ts";
import type { NotaryMode } from "./ports.ts";
import { askParticipants, wordIn } from "./repair.flow.ts";
import { encodeSignature, type TransactionSignature } from "./signatures.ts";
import { carry, invalidContent, signWith } from "./signing.flow.ts";
import { decodeSigned, dependenciesOf, encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";

const STRICT = { additionalProperties: false } as const;
const Signatures = Type.Object({ kind: Type.Literal("signatures"), signatures: Type.Array(Bytes, { maxItems: SIGNATURES_MAX }) }, STRICT);
/** What an initiator hears. */
const readReply = decoder(
  Type.Union([Signatures, Need, Type.Object({ kind: Type.Literal("refusal"), ...Stopped }, STRICT)]),
  "reply to a proposal",
);
/** What a responder hears, first and later. */
const readProposal = decoder(
  Type.Object({ kind: Type.Literal("proposal"), transaction: Bytes, dependencies: Type.Optional(FilteredDependencies) }, STRICT),
  "proposal",
);
const Progress = Type.Union([
  Signatures,
  Type.Object({ kind: Type.Literal("outcome"), word: Bytes }, STRICT),
  Type.Object({ kind: Type.Literal("abandoned"), ...Stopped }, STRICT),
]);
const readProgress = decoder(Progress, "finality message");

export const finalize = platformFlow({
  name: "ledger.finalize",
  input: Type.Object({ record: Bytes, sessions: Type.Array(Party) }, STRICT),
  call: async (context, { record, sessions }) => {
    const carried = takeBack(record);
    const { transaction } = carried.signed;
    const [{ signatures }, { keys }, dependencies] = await Promise.all([
      verifyAgain(context, carried, carried.signed),
      ask(context, "crypto.filterMyKeys", { keys: keysInvolved(carried) }),
      sessions.length === 0 ? undefined : showPast(context, transaction),
    ]);
    // Our own valid signature is the proof that our row is there: it is given out only together with it.
    if (signatures.invalid.length > 0 || !signatures.signers.some((key) => keys.includes(key)))
      throw new FlowError("ledger.notSigned", `Transaction ${transaction.id} does not carry this member's valid signature: sign it first.`);
    let outcome: Outcome;
    try {
      const signed = await collectSignatures(context, carried, { sessions, dependencies });
      outcome = await conclude(context, carried, signed, await decide(context, signed, "write"), keys);
    } catch (thrown) {
      await tellAll(context, sessions, { kind: "abandoned", ...stopped(thrown) });
      throw thrown;
    }
    await tellAll(context, sessions, { kind: "outcome", word: outcome.word });
    return handBack({ ...carried, signed: accepted(outcome) });
  },
});

export const receiveProposal = platformFlow({
  name: "ledger.receiveProposal",
  input: Type.Object({ session: Party }, STRICT),
  call: async (context, { session }) => {
    const [[proposal], parameters] = await Promise.all([
      exchange(context, [], [session.id], readProposal),
      ask(context, "membership.groupParameters", { hash: null }),
    ]);
    try {
      const { transaction: bytes, dependencies } = proposal as NonNullable<typeof proposal>;
      const signed = decodeSigned(bytes);
      const { transaction } = signed;
      if (transaction.metadata.membershipGroupParametersHash !== groupParametersHash(parameters.bytes))
        throw new FlowError(
          "ledger.groupParametersDiffer",
          `Transaction ${transaction.id} was built under other group parameters than ours.`,
        );
      const resolved = await resolvePast(context, session.id, { proving: transaction, dependencies, groupParameters: parameters.bytes });
      const reply = await ask(context, "verification.verify", {
        transaction: bytes,
        ...resolved,
        groupParameters: parameters.bytes,
        verified: null,
      });
      if (!reply.valid) {
        const { verdict, mac } = reply;
        const reason = worded(reply.violations);
        await writeVault(context, { kind: "invalid", bytes, reason, evidence: { kind: "content", verdict, mac } });
        throw invalidContent(transaction, reply);
      }
      if (reply.signatures.signers.length === 0 || reply.signatures.invalid.length > 0)
        throw new FlowError(
          "ledger.signatureInvalid",
          `Transaction ${transaction.id} came without the signature of a signatory, or with one that is not valid.`,
        );
      await writeVault(context, { kind: "groupParameters", ...parameters });
      return handOver(carry(signed, reply));
    } catch (thrown) {
      await tellAll(context, [session], { kind: "refusal", ...stopped(thrown) });
      throw thrown;
    }
  },
});

export const answerProposal = platformFlow({
  name: "ledger.answerProposal",
  input: Type.Object(
    {
      session: Party,
      record: Bytes,
      refusal: Type.Union([Type.Null(), Type.Object({ type: Type.String(), message: Type.String() }, STRICT)]),
    },
    STRICT,
  ),
  call: async (context, { session, record, refusal }) => {
    const carried = takeBack(record);
    if (refusal !== null) {
      await refuse(context, carried, refusal, session);
      return null;
    }
    const { transaction } = carried.signed;
    const [reply, { keys }, now] = await Promise.all([
      verifyAgain(context, carried, carried.signed),
      ask(context, "crypto.filterMyKeys", { keys: keysInvolved(carried) }),
      context.now(),
    ]);
    const { missing, signers } = reply.signatures;
    const toSign = missing.flatMap(leafKeys).filter((key) => keys.includes(key) && !signers.includes(key));
    const ours = await signWith(context, transaction, toSign, now, transaction.metadata.platformVersion);
    const signed = withSignatures(carried.signed, ours);
    await writeVault(context, { kind: "unverified", status: "U", bytes: encodeSigned(signed) });
    const final = await awaitOutcome(context, { ...carried, signed }, session, ours.map(encodeSignature), keys);
    return handBack({ ...carried, signed: final });
  },
});

/** Sends the proposal to all and answers each until all have signed. What comes back is signed by every signatory. */
async function collectSignatures(
  context: FlowContext,
  carried: Carried,
  { sessions, dependencies }: { readonly sessions: readonly Party[]; readonly dependencies: readonly FilteredDependency[] | undefined },
): Promise<SignedTransaction> {
  const { transaction } = carried.signed;
  const parties = sessions.map(({ id }) => id);
  const proposal = { kind: "proposal", transaction: encodeSigned(carried.signed), ...(dependencies === undefined ? {} : { dependencies }) };
  const shown = new Map(parties.map((party) => [party, new Shown(dependenciesOf(transaction))]));
  const given = new Map<SessionId, readonly TransactionSignature[]>();
  let waiting = parties;
  let sends: { session: SessionId; payload: Data }[] = parties.map((session) => ({ session, payload: proposal }));
  while (waiting.length > 0) {
    const replies = await exchange(context, sends, waiting, readReply);
    sends = [];
    for (const [i, reply] of replies.entries()) {
      const party = waiting[i] as SessionId;
      if (reply.kind === "refusal")
        throw refusedBy(
          sessions.find(({ id }) => id === party),
          reply,
        );
      if (reply.kind === "signatures") given.set(party, ofSignatories(transaction, reply.signatures));
      else sends.push({ session: party, payload: await serveHistory(context, shown.get(party) as Shown, reply) });
    }
    waiting = sends.map(({ session }) => session);
  }
  const collected = [...given.values()].flat();
  const signed = withSignatures(carried.signed, collected);
  await requireAllSigned(context, carried, signed);
  if (collected.length > 0)
    await writeVault(context, { kind: "signatures", id: transaction.id, signatures: collected.map(encodeSignature) });
  if (parties.length > 1) await sendOthers(context, signed, given);
  return signed;
}

/** Each party gets the signatures that it has not: with all of them it could go on without us. */
async function sendOthers(
  context: FlowContext,
  signed: SignedTransaction,
  given: ReadonlyMap<SessionId, readonly TransactionSignature[]>,
): Promise<void> {
  const sends = [...given].map(([session, own]) => {
    const others = signed.signatures.filter(({ by }) => own.every((signature) => signature.by !== by));
    return { session, payload: { kind: "signatures", signatures: others.map(encodeSignature) } };
  });
  await context.syscall({ kind: "session.exchange", sends, receives: [] });
}

/** The notary's final word. */
async function decide(context: FlowContext, signed: SignedTransaction, mode: NotaryMode): Promise<Uint8Array> {
  const { transaction } = signed;
  const word = await askNotary(context, signed, await context.notaries.lookup(transaction.notary), mode);
  if (word !== undefined) return word;
  throw new FlowError(
    "ledger.notaryUnreachable",
    `Notary ${transaction.notary} did not say what became of ${transaction.id}, which stays unverified until it does.`,
  );
}

/** The responder's wait: signatures of the others, then the notary's word, from the initiator or from the notary itself. */
async function awaitOutcome(
  context: FlowContext,
  carried: Carried,
  session: Party,
  ours: readonly Uint8Array[],
  keys: readonly string[],
): Promise<SignedTransaction> {
  let { signed } = carried;
  const { id: sessionId, counterparty } = session;
  let sends = [{ session: sessionId, payload: { kind: "signatures", signatures: ours } }];
  for (let hasOthers = false; ; hasOthers = true) {
    const message = await progress(context, sends, sessionId);
    sends = [];
    if (message?.kind === "abandoned") throw new FlowError(message.type, message.message);
    if (message?.kind === "signatures") {
      if (hasOthers) throw unexpected(counterparty, signed.transaction);
      const others = ofSignatories(signed.transaction, message.signatures);
      signed = withSignatures(signed, others);
      await requireAllSigned(context, carried, signed);
      await writeVault(context, { kind: "signatures", id: signed.transaction.id, signatures: others.map(encodeSignature) });
      continue;
    }
    if (message !== undefined) return accepted(await conclude(context, carried, signed, message.word, keys));
    signed = await askParticipants(context, signed, counterparty);
    const word = wordIn(signed) ?? (await decide(context, signed, "read"));
    return accepted(await conclude(context, carried, signed, word, keys));
  }
}

/** Nothing is to be gained by saying it twice, except that somebody else works. */
const unexpected = (party: string, { id }: Transaction) =>
  new FlowError("ledger.unexpectedMessage", `${party} sent the signatures of ${id} a second time.`, { id });

/** Undefined where the session is lost: then whoever else knows is asked. */
async function progress(
  context: FlowContext,
  sends: readonly { readonly session: SessionId; readonly payload: Data }[],
  session: SessionId,
): Promise<Static<typeof Progress> | undefined> {
  try {
    const [message] = await exchange(context, sends, [session], readProgress);
    return message;
  } catch (thrown) {
    context.log.warn("the initiator of a finality fell silent: participants and notary are asked", { reason: stopped(thrown).message });
    return undefined;
  }
}

/** Our own refusal, before we signed: final where our signature is required, since it will never be given. */
async function refuse(
  context: FlowContext,
  { signed }: Carried,
  refusal: { type: string; message: string },
  session: Party,
): Promise<void> {
  const { keys } = await ask(context, "crypto.filterMyKeys", { keys: signed.transaction.signatories.flatMap(leafKeys) });
  if (keys.length > 0)
    await writeVault(context, { kind: "invalid", bytes: encodeSigned(signed), reason: refusal.message, evidence: { kind: "refusal" } });
  await tellAll(context, [session], { kind: "refusal", ...stopped(new FlowError(refusal.type, refusal.message)) });
}

const refusedBy = (party: Party | undefined, { type, message }: { type: string; message: string }) =>
  new FlowError(type, `${party?.counterparty} refused: ${message}`, { party: party?.counterparty ?? "" });

/** A peer that is gone need not be told; whoever is there must be. */
async function tellAll(context: FlowContext, sessions: readonly Party[], payload: Data): Promise<void> {
  await Promise.all(sessions.map(({ id }) => send(context, id, payload).catch(() => undefined)));
}
