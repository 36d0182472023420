// What a notary that verifies does before it decides: in the order in which a fault is cheapest to find. Whoever asks has not asked
// for more than its share; it is for this notary,
// signed by all that must, its states proven by this notary's own word, and valid by the contracts, which the notary's cluster
// holds. Only the last is a property of the transaction, and refused for ever, signed and logged; whatever a client left out
// or sent wrongly says nothing of the transaction, and whatever cannot be verified here now may be tomorrow.

import { BowlineError, type X500Name } from "@bowline/base";
import { type FlowContext, FlowError } from "@bowline/sdk";
import { worded } from "@bowline/sdk/transaction-rules";
import Type, { type Static } from "typebox";
import { ask } from "./asking.ts";
import { checkDependencies, FilteredDependencies } from "./dependencies.ts";
import { filterForNotary } from "./filter.ts";
import { decodeGroupParameters } from "./group-parameters.ts";
import { Bytes } from "./leaves.ts";
import { REFUSAL_CHARACTERS_MAX } from "./limits.ts";
import type { NotaryAnswer, Refusal } from "./ports.ts";
import { checkSignatures } from "./signatures.ts";
import { decodeSigned, type SignedTransaction } from "./transaction.ts";

/** The whole transaction with its signatures, and filtered dependencies for what it uses. */
export const WholeRequest = Type.Object({ transaction: Bytes, dependencies: FilteredDependencies }, { additionalProperties: false });
type WholeRequest = Static<typeof WholeRequest>;

export async function verifyForNotary(context: FlowContext, originator: X500Name, request: WholeRequest): Promise<NotaryAnswer> {
  const bytes = request.dependencies.reduce((sum, { filtered }) => sum + filtered.length, request.transaction.length);
  const notNow = await ask(context, "uniqueness.admit", { originator, bytes });
  if (notNow !== null) return notNow;
  let signed: SignedTransaction;
  let refusal: Refusal | undefined;
  try {
    signed = decodeSigned(request.transaction);
    await requireOurs(context, signed);
    requireSigned(signed);
    refusal = await refusalOf(context, signed, request);
  } catch (thrown) {
    if (thrown instanceof BowlineError) return said("malformed", thrown.code, thrown.message);
    // What another role could not do, such as run a contract that is not installed here, is no word on the transaction either.
    if (thrown instanceof FlowError) return said("retry", thrown.type, thrown.message);
    throw thrown;
  }
  const filtered = filterForNotary(signed.transaction);
  return ask(context, "uniqueness.notarise", {
    originator,
    filtered,
    mode: "write",
    verified: true,
    ...(refusal === undefined ? {} : { refusal: { ...refusal } }),
  });
}

async function requireOurs(context: FlowContext, { transaction: { id, notary, groupId } }: SignedTransaction): Promise<void> {
  const info = await context.notaries.lookup(notary);
  if (groupId !== context.groupId || info?.members.includes(context.me) !== true)
    throw malformed(`Transaction ${id} names notary ${notary} of group ${groupId}, and this is another.`);
}

function requireSigned({ transaction, signatures }: SignedTransaction): void {
  const { missing, invalid } = checkSignatures(transaction, signatures);
  if (invalid.length > 0) throw malformed(`A signature of ${transaction.id} is not valid: by ${invalid.join(", ")}.`);
  if (missing.length > 0) throw malformed(`Not all that must sign ${transaction.id} have signed.`);
}

/** Undefined where the transaction is valid. */
async function refusalOf(
  context: FlowContext,
  { transaction }: SignedTransaction,
  { transaction: bytes, dependencies }: WholeRequest,
): Promise<Refusal | undefined> {
  const [inForce, parameters] = await Promise.all([
    ask(context, "membership.groupParameters", { hash: null }),
    ask(context, "membership.groupParameters", { hash: transaction.metadata.membershipGroupParametersHash }),
  ]);
  const resolved = checkDependencies(transaction, dependencies, decodeGroupParameters(inForce.bytes));
  const { valid, violations } = await ask(context, "verification.verify", {
    transaction: bytes,
    ...resolved,
    groupParameters: parameters.bytes,
    verified: null,
  });
  if (valid) return undefined;
  const message = `It is not valid: ${worded(violations)}`;
  return { code: "notary.transactionInvalid", message: message.slice(0, REFUSAL_CHARACTERS_MAX).toWellFormed() };
}

const malformed = (message: string) => new BowlineError("badRequest", "notary.malformedRequest", message, {});

const said = (kind: "malformed" | "retry", code: string, message: string): NotaryAnswer => ({
  kind,
  signature: new Uint8Array(),
  code: code.slice(0, 128),
  message: message.slice(0, 2_048).toWellFormed(),
});
