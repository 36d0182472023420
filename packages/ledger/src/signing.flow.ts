// `ledger.sign`: from an author's proposal to a transaction that is built, verified and signed by this member. Its row is
// written, unverified, in the commit that gives the signature out; nothing is sent. `ledger.signAll` does so with several, of
// which each has its place in one signature.

import type { Data, SecureHash } from "@bowline/base";
import { leafKeys } from "@bowline/crypto";
import { type FlowContext, FlowError, type StateRef, type TransactionProposal } from "@bowline/sdk";
import { listed, worded } from "@bowline/sdk/transaction-rules";
import Type from "typebox";
import { ask, handOver, platformFlow, takeBack, type Viewed, writeVault } from "./asking.ts";
import { buildTransaction } from "./builder.ts";
import { decodeGroupParameters, digestOfGroup, groupParametersHash, notaryKeyOf } from "./group-parameters.ts";
import { Bytes } from "./leaves.ts";
import { SIGNED_AT_ONCE_MAX } from "./limits.ts";
import type { LedgerServices } from "./ports.ts";
import { decodeSignature, encodeSignature, type TransactionSignature } from "./signatures.ts";
import { decodeSigned, encodeSigned, type ResolvedState, type SignedTransaction, type Transaction } from "./transaction.ts";
import type { VerificationReply } from "./verification.ts";

const STRICT = { additionalProperties: false } as const;
const NO_STATES: LedgerServices["vault.sources"]["reply"] = [];
const AnyData = Type.Unsafe<Data>(Type.Unknown());
export const Proposal = Type.Object(
  {
    notary: Type.String(),
    timeWindow: Type.Object({ from: Type.Optional(Type.Integer()), until: Type.Integer() }, STRICT),
    inputs: Type.Array(Type.String()),
    references: Type.Array(Type.String()),
    outputs: Type.Array(
      Type.Object(
        { type: Type.String(), version: Type.Integer(), contract: Type.String(), data: AnyData, encumbrance: Type.Optional(Type.String()) },
        STRICT,
      ),
    ),
    commands: Type.Array(Type.Object({ type: Type.String(), contract: Type.String(), data: AnyData }, STRICT)),
    signatories: Type.Array(Type.String()),
  },
  STRICT,
);

export const sign = platformFlow({
  name: "ledger.sign",
  input: Type.Object({ proposal: Proposal }, STRICT),
  call: async (context, input) => {
    const carried = await signAs("U", context, input.proposal as unknown as TransactionProposal);
    return handOver(carried);
  },
});

export const signAll = platformFlow({
  name: "ledger.signAll",
  input: Type.Object({ proposals: Type.Array(Proposal, { minItems: 1, maxItems: SIGNED_AT_ONCE_MAX }) }, STRICT),
  call: async (context, input) =>
    (await signAllAs("U", context, input.proposals as unknown as readonly TransactionProposal[])).map(handOver),
});

/** Those of a transaction in hand, or of one that is verified here. */
export const signaturesOf = platformFlow({
  name: "ledger.signatures",
  input: Type.Union([Type.Object({ id: Type.String() }, STRICT), Type.Object({ record: Bytes }, STRICT)]),
  call: async (context, of) => {
    if ("record" in of) return takeBack(of.record).signed.signatures.map(encodeSignature);
    const [row] = await ask(context, "vault.transactions", { ids: [of.id] });
    return row?.status === "V" ? decodeSigned(row.bytes).signatures.map(encodeSignature) : null;
  },
});

export async function signAs(status: "U" | "D", context: FlowContext, proposal: TransactionProposal): Promise<Viewed> {
  const [carried] = await signAllAs(status, context, [proposal]);
  return carried as Viewed;
}

/** Writes them in one commit, with the group parameters that they are bound to: until then the signatures are nobody's. */
async function signAllAs(status: "U" | "D", context: FlowContext, proposals: readonly TransactionProposal[]): Promise<readonly Viewed[]> {
  const { built, parameters, now, platformVersion } = await build(context, proposals);
  const signatures = await signTogether(context, built, { timestamp: now, platformVersion });
  const carried = built.map(({ transaction, reply }) => carry({ transaction, signatures: signatures.get(transaction.id) ?? [] }, reply));
  await writeVault(
    context,
    { kind: "groupParameters", ...parameters },
    ...carried.map(({ signed }) => ({ kind: "unverified", status, bytes: encodeSigned(signed) }) as const),
  );
  return carried;
}

/** Of valid content, with the keys of this member that sign it. */
interface Built {
  readonly transaction: Transaction;
  readonly reply: VerificationReply;
  readonly keys: readonly string[];
}

/** Each is asked for what it alone needs, at the same time as the others; what they share is asked for once. */
async function build(context: FlowContext, proposals: readonly TransactionProposal[]) {
  const refs = proposals.map(({ inputs, references }) => [...inputs, ...references]);
  const [packages, parameters, salts, now, states] = await Promise.all([
    ask(context, "cluster.packages", null),
    ask(context, "membership.groupParameters", { hash: null }),
    Promise.all(proposals.map(() => context.random(32))),
    context.now(),
    Promise.all(refs.map((own) => (own.length === 0 ? NO_STATES : ask(context, "vault.sources", { refs: own })))),
  ]);
  const agreed = decodeGroupParameters(parameters.bytes);
  const facts = {
    groupId: context.groupId,
    cpi: packages.cpi,
    packages: packages.contracts,
    platformVersion: packages.platformVersion,
    groupParametersHash: groupParametersHash(parameters.bytes),
    digest: digestOfGroup(agreed),
  };
  const transactions = proposals.map((proposal, i) => {
    const resolved = allKnown(refs[i] ?? [], states[i] ?? NO_STATES);
    const platformFacts = { ...facts, notaryKey: notaryKeyOf(agreed, proposal.notary), salt: salts[i] as Uint8Array };
    return { resolved, transaction: buildTransaction(proposal, platformFacts) };
  });
  const [replies, { keys }] = await Promise.all([
    Promise.all(
      transactions.map(({ transaction, resolved }) =>
        ask(context, "verification.verify", {
          transaction: encodeSigned({ transaction, signatures: [] }),
          inputs: resolved.slice(0, transaction.inputs.length),
          references: resolved.slice(transaction.inputs.length),
          groupParameters: parameters.bytes,
          verified: null,
        }),
      ),
    ),
    ask(context, "crypto.filterMyKeys", { keys: transactions.flatMap(({ transaction }) => leavesOf(transaction)) }),
  ]);
  const built = transactions.map(({ transaction }, i) => signable(transaction, replies[i] as VerificationReply, keys));
  return { built, parameters, now, platformVersion: packages.platformVersion };
}

function allKnown(refs: readonly StateRef[], states: readonly (ResolvedState | null)[]): readonly ResolvedState[] {
  const known = states.filter((state) => state !== null);
  if (known.length === refs.length) return known;
  const unknown = refs.filter((_, i) => (states[i] ?? null) === null);
  throw new FlowError("vault.stateUnknown", `This vault holds no verified state ${unknown.join(", ")}.`);
}

function signable(transaction: Transaction, reply: VerificationReply, mine: readonly string[]): Built {
  if (!reply.valid) throw invalidContent(transaction, reply);
  const keys = leavesOf(transaction).filter((key) => mine.includes(key));
  if (keys.length > 0) return { transaction, reply, keys };
  throw new FlowError("ledger.notSignatory", "None of the transaction's signatories is a key of this member: add one of its ledger keys.");
}

const leavesOf = ({ signatories }: Transaction): readonly string[] => signatories.flatMap(leafKeys);

/** With each key once, however many transactions it signs. */
async function signTogether(
  context: FlowContext,
  built: readonly Built[],
  metadata: { readonly timestamp: number; readonly platformVersion: number },
): Promise<ReadonlyMap<SecureHash, readonly TransactionSignature[]>> {
  const jobs = [...new Set(built.flatMap(({ keys }) => keys))].map((key) => ({
    key,
    ids: built.filter(({ keys }) => keys.includes(key)).map(({ transaction }) => transaction.id),
  }));
  const records = await Promise.all(
    jobs.map(async ({ key, ids: [only, ...more] }) => {
      if (only !== undefined && more.length === 0)
        return [(await ask(context, "crypto.signTransaction", { transactionId: only, key, ...metadata })).signature];
      return (await ask(context, "crypto.signTransactions", { transactionIds: [only as SecureHash, ...more], key, ...metadata }))
        .signatures;
    }),
  );
  const signed = new Map<SecureHash, TransactionSignature[]>(built.map(({ transaction }) => [transaction.id, []]));
  for (const [i, { ids }] of jobs.entries())
    for (const [j, id] of ids.entries()) signed.get(id)?.push(decodeSignature(records[i]?.[j] as Uint8Array));
  return signed;
}

/** One signature record per key. */
export async function signWith(
  context: FlowContext,
  { id }: Transaction,
  keys: readonly string[],
  timestamp: number,
  platformVersion: number,
): Promise<readonly TransactionSignature[]> {
  const request = (key: string): LedgerServices["crypto.signTransaction"]["request"] => ({
    transactionId: id,
    key,
    timestamp,
    platformVersion,
  });
  const replies = await Promise.all(keys.map((key) => ask(context, "crypto.signTransaction", request(key))));
  return replies.map(({ signature }) => decodeSignature(signature));
}

/** What is handed to the author's side after the content was found valid. */
export const carry = (signed: SignedTransaction, reply: VerificationReply): Viewed => ({
  signed,
  verdict: reply.verdict,
  mac: reply.mac,
  outputs: reply.outputs,
  view: reply.view as NonNullable<typeof reply.view>,
});

export const invalidContent = ({ id }: Transaction, { violations }: VerificationReply) =>
  new FlowError("ledger.transactionInvalid", `Transaction ${id} is not valid: ${worded(violations)}.`, { id, ...listed(violations) });
