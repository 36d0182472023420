// Transactions on their own way: final ones to members that did not sign them, and unsigned ones to be looked at.
//
//   ledger.send                               ledger.receive
//   -- sent (and what proves its past) ---->  resolve what it builds upon
//   <-- need | chain, as often -------------  (backchain.flow.ts)
//                                             final: verify all of it, signatures and notary; write V.  unsigned: nothing is kept
//   <-- received | refusal -----------------
//
// Guarantee: a transaction that comes as final is verified here as one of this member's own, and found as such.

import type { Data } from "@bowline/base";
import { decoder } from "@bowline/base";
import { type FlowContext, FlowError, type SessionId } from "@bowline/sdk";
import Type from "typebox";
import { ask, exchange, handOver, ownedOutputs, Party, platformFlow, Stopped, send, stopped, takeBack, writeVault } from "./asking.ts";
import { Need, resolveFromPeer, serveHistory } from "./backchain.flow.ts";
import { Shown } from "./backchain.ts";
import { FilteredDependencies, type FilteredDependency } from "./dependencies.ts";
import { Bytes } from "./leaves.ts";
import { resolvePast, showPast } from "./past.flow.ts";
import { carry, invalidContent } from "./signing.flow.ts";
import {
  decodeSigned,
  dependenciesOf,
  encodeSigned,
  type SignedTransaction,
  stateAndRef,
  type Transaction,
  viewOf,
} from "./transaction.ts";

const STRICT = { additionalProperties: false } as const;
const readReply = decoder(
  Type.Union([
    Need,
    Type.Object({ kind: Type.Literal("received") }, STRICT),
    Type.Object({ kind: Type.Literal("refusal"), ...Stopped }, STRICT),
  ]),
  "reply to a transaction",
);
const Sent = Type.Object(
  { kind: Type.Enum(["final", "unsigned"]), transaction: Bytes, dependencies: Type.Optional(FilteredDependencies) },
  STRICT,
);
const readSent = decoder(Sent, "transaction that is sent");
const What = Type.Union([
  Type.Object({ kind: Type.Literal("final"), id: Type.String() }, STRICT),
  Type.Object({ kind: Type.Literal("unsigned"), record: Bytes }, STRICT),
]);

export const sendTransaction = platformFlow({
  name: "ledger.send",
  input: Type.Object({ what: What, sessions: Type.Array(Party), wholePast: Type.Boolean() }, STRICT),
  call: async (context, { what, sessions, wholePast }) => {
    const signed = what.kind === "final" ? await finalOne(context, what.id) : unsigned(takeBack(what.record).signed);
    const { transaction } = signed;
    const dependencies = wholePast ? undefined : await showPast(context, transaction);
    const payload = { kind: what.kind, transaction: encodeSigned(signed), ...(dependencies === undefined ? {} : { dependencies }) };
    try {
      await deliver(context, transaction, sessions, payload);
    } catch (thrown) {
      await Promise.all(sessions.map(({ id }) => send(context, id, { kind: "abandoned", ...stopped(thrown) }).catch(() => undefined)));
      throw thrown;
    }
    return null;
  },
});

export const receiveTransaction = platformFlow({
  name: "ledger.receive",
  input: Type.Object({ session: Party, expected: Type.Enum(["final", "unsigned"]) }, STRICT),
  call: async (context, { session, expected }) => {
    const [sent] = await exchange(context, [], [session.id], readSent);
    try {
      if (sent?.kind !== expected)
        throw new FlowError("ledger.unexpectedForm", `A transaction came ${sent?.kind}, and one that is ${expected} was to come.`);
      const signed = decodeSigned(sent.transaction);
      const received = await (expected === "final" ? receiveFinal : receiveUnsigned)(context, session.id, {
        signed,
        dependencies: sent.dependencies,
      });
      await send(context, session.id, { kind: "received" });
      return received;
    } catch (thrown) {
      await send(context, session.id, { kind: "refusal", ...stopped(thrown) }).catch(() => undefined);
      throw thrown;
    }
  },
});

interface Arrived {
  readonly signed: SignedTransaction;
  readonly dependencies: readonly FilteredDependency[] | undefined;
}

async function receiveFinal(context: FlowContext, session: SessionId, { signed, dependencies }: Arrived): Promise<Data> {
  const { transaction } = signed;
  const hash = transaction.metadata.membershipGroupParametersHash;
  const [resolved, parameters] = await Promise.all([
    resolve(context, session, { signed, dependencies }),
    ask(context, "membership.groupParameters", { hash }),
  ]);
  const bytes = encodeSigned(signed);
  const reply = await ask(context, "verification.verify", {
    transaction: bytes,
    ...resolved,
    groupParameters: parameters.bytes,
    verified: null,
  });
  if (!reply.valid) throw invalidContent(transaction, reply);
  if (!reply.complete)
    throw new FlowError("ledger.notFinal", `Transaction ${transaction.id} is not signed by all and accepted by its notary.`);
  const [visible = []] = await ownedOutputs(context, [reply.outputs]);
  const { verdict, mac } = reply;
  await writeVault(context, { kind: "groupParameters", ...parameters }, { kind: "verified", bytes, verdict, mac, visible });
  return handOver(carry(signed, reply));
}

async function receiveUnsigned(context: FlowContext, session: SessionId, { signed, dependencies }: Arrived): Promise<Data> {
  const { transaction } = signed;
  const { inputs, references } = await resolve(context, session, { signed: unsigned(signed), dependencies });
  return viewOf(transaction, inputs.map(stateAndRef), references.map(stateAndRef)) as unknown as Data;
}

/** Whoever shows the whole past proves no less than whoever shows a verifying notary's word. */
async function resolve(context: FlowContext, session: SessionId, { signed: { transaction }, dependencies }: Arrived) {
  if (dependencies === undefined) return resolveFromPeer(context, session, transaction);
  const { bytes: groupParameters } = await ask(context, "membership.groupParameters", { hash: null });
  return resolvePast(context, session, { proving: transaction, dependencies, groupParameters });
}

async function finalOne(context: FlowContext, id: string): Promise<SignedTransaction> {
  const [row] = await ask(context, "vault.transactions", { ids: [id] });
  if (row?.status === "V") return decodeSigned(row.bytes);
  throw new FlowError("ledger.notFinal", `This vault holds no verified transaction ${id} to send.`);
}

const unsigned = ({ transaction }: SignedTransaction): SignedTransaction => ({ transaction, signatures: [] });

/** To all at once; each is served until it says that it has it. */
async function deliver(context: FlowContext, transaction: Transaction, sessions: readonly Party[], payload: Data): Promise<void> {
  const shown = new Map(sessions.map(({ id }) => [id, new Shown(dependenciesOf(transaction))]));
  let waiting = sessions.map(({ id }) => id);
  let sends: { session: SessionId; payload: Data }[] = waiting.map((session) => ({ session, payload }));
  while (waiting.length > 0) {
    const replies = await exchange(context, sends, waiting, readReply);
    sends = [];
    for (const [i, reply] of replies.entries()) {
      const session = waiting[i] as SessionId;
      if (reply.kind === "refusal") {
        const party = sessions.find(({ id }) => id === session)?.counterparty ?? "";
        throw new FlowError(reply.type, `${party} refused: ${reply.message}`, { party });
      }
      if (reply.kind === "need") sends.push({ session, payload: await serveHistory(context, shown.get(session) as Shown, reply) });
    }
    waiting = sends.map(({ session }) => session);
  }
}
