// `ledger.sign`: from an author's proposal to a transaction that is built, verified and signed by this member. Its row is
// written, unverified, in the commit that gives the signature out; nothing is sent.

import type { Data } from "@bowline/base";
import { leafKeys } from "@bowline/crypto";
import { type FlowContext, FlowError, type TransactionProposal } from "@bowline/sdk";
import { listed, worded } from "@bowline/sdk/transaction-rules";
import Type from "typebox";
import { ask, type Carried, handOver, platformFlow, writeVault } from "./asking.ts";
import { buildTransaction } from "./builder.ts";
import { decodeGroupParameters, digestOfGroup, groupParametersHash, notaryKeyOf } from "./group-parameters.ts";
import type { LedgerServices } from "./ports.ts";
import { decodeSignature, type TransactionSignature } from "./signatures.ts";
import { encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";
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

/** Writes it in one commit, with the group parameters that it is bound to. */
export async function signAs(status: "U" | "D", context: FlowContext, proposal: TransactionProposal): Promise<Carried> {
  const { carried, parameters } = await buildAndSign(context, proposal);
  await writeVault(
    context,
    { kind: "groupParameters", ...parameters },
    { kind: "unverified", status, bytes: encodeSigned(carried.signed) },
  );
  return carried;
}

/** Nothing is written yet: until it is, the signatures are nobody's. */
async function buildAndSign(
  context: FlowContext,
  proposal: TransactionProposal,
): Promise<{ readonly carried: Carried; readonly parameters: LedgerServices["membership.groupParameters"]["reply"] }> {
  const refs = [...proposal.inputs, ...proposal.references];
  const [packages, parameters, salt, now, states] = await Promise.all([
    ask(context, "cluster.packages", null),
    ask(context, "membership.groupParameters", { hash: null }),
    context.random(32),
    context.now(),
    refs.length === 0 ? NO_STATES : ask(context, "vault.sources", { refs }),
  ]);
  const resolved = states.filter((state) => state !== null);
  if (resolved.length < refs.length) {
    const unknown = refs.filter((_, i) => (states[i] ?? null) === null);
    throw new FlowError("vault.stateUnknown", `This vault holds no verified state ${unknown.join(", ")}.`);
  }
  const agreed = decodeGroupParameters(parameters.bytes);
  const transaction = buildTransaction(proposal, {
    groupId: context.groupId,
    cpi: packages.cpi,
    packages: packages.contracts,
    platformVersion: packages.platformVersion,
    groupParametersHash: groupParametersHash(parameters.bytes),
    digest: digestOfGroup(agreed),
    notaryKey: notaryKeyOf(agreed, proposal.notary),
    salt,
  });
  const [reply, { keys }] = await Promise.all([
    ask(context, "verification.verify", {
      transaction: encodeSigned({ transaction, signatures: [] }),
      inputs: resolved.slice(0, transaction.inputs.length),
      references: resolved.slice(transaction.inputs.length),
      groupParameters: parameters.bytes,
      verified: null,
    }),
    ask(context, "crypto.filterMyKeys", { keys: transaction.signatories.flatMap(leafKeys) }),
  ]);
  if (!reply.valid) throw invalidContent(transaction, reply);
  if (keys.length === 0)
    throw new FlowError(
      "ledger.notSignatory",
      "None of the transaction's signatories is a key of this member: add one of its ledger keys.",
    );
  const signatures = await signWith(context, transaction, keys, now, packages.platformVersion);
  return { carried: carry({ transaction, signatures }, reply), parameters };
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
export const carry = (signed: SignedTransaction, reply: VerificationReply): Carried => ({
  signed,
  verdict: reply.verdict,
  mac: reply.mac,
  outputs: reply.outputs,
  view: reply.view as NonNullable<typeof reply.view>,
});

export const invalidContent = ({ id }: Transaction, { violations }: VerificationReply) =>
  new FlowError("ledger.transactionInvalid", `Transaction ${id} is not valid: ${worded(violations)}.`, { id, ...listed(violations) });
