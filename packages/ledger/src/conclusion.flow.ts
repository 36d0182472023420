// What the notary's word does in this vault: verified with its acceptance, invalid with its refusal, and nothing at all where
// what came is not its word, or not all that the transaction needs is here.

import { keyIdOf, leafKeys } from "@bowline/crypto";
import { type FlowContext, FlowError } from "@bowline/sdk";
import { ask, type Carried, keptOutputs, keysThatSee, writeVault } from "./asking.ts";
import { decodeSignature, decodeWords, keysById, type TransactionSignature } from "./signatures.ts";
import { encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";
import type { VerificationReply } from "./verification.ts";

export type Outcome =
  | { readonly kind: "accepted"; readonly word: Uint8Array; readonly signed: SignedTransaction }
  | { readonly kind: "refused"; readonly word: Uint8Array; readonly failure: FlowError };

export function accepted(outcome: Outcome): SignedTransaction {
  if (outcome.kind === "refused") throw outcome.failure;
  return outcome.signed;
}

/** Records the notary's word: V with its acceptance, I with its refusal. A word that is not its own changes nothing. */
export async function conclude(
  context: FlowContext,
  carried: Carried,
  signed: SignedTransaction,
  word: Uint8Array,
  keys: readonly string[],
): Promise<Outcome> {
  const { id, notary } = signed.transaction;
  const final = withSignatures(signed, decodeWords(word));
  const { complete, signatures, verdict, mac } = await verifyAgain(context, carried, final);
  if (complete) {
    await writeVault(context, { kind: "verified", bytes: encodeSigned(final), verdict, mac, visible: keptOutputs(carried.outputs, keys) });
    return { kind: "accepted", word, signed: final };
  }
  if (signatures.notary?.kind === "refused") {
    const { code, message } = signatures.notary;
    const evidence = { kind: "rejection", word } as const;
    await writeVault(context, { kind: "invalid", bytes: encodeSigned(signed), reason: `${code}: ${message}`, evidence });
    return { kind: "refused", word, failure: new FlowError(code, `Notary ${notary} refused ${id}: ${message}`, { id }) };
  }
  throw signatures.notary === null
    ? new FlowError("ledger.notarySignatureInvalid", `What came as the word of ${notary} on ${id} is not signed by its key.`)
    : new FlowError("ledger.signaturesMissing", `Transaction ${id} is notarised, and not all of its signatures are here.`);
}

export async function requireAllSigned(context: FlowContext, carried: Carried, signed: SignedTransaction): Promise<void> {
  const { signatures } = await verifyAgain(context, carried, signed);
  if (signatures.invalid.length > 0)
    throw new FlowError(
      "ledger.signatureInvalid",
      `A signature of ${signed.transaction.id} is not valid: by ${signatures.invalid.join(", ")}.`,
    );
  if (signatures.missing.length > 0)
    throw new FlowError(
      "ledger.signaturesMissing",
      `Nobody signed ${signed.transaction.id} with ${signatures.missing.map(keyIdOf).join(", ")}.`,
    );
}

/** Signatures only: the content was found valid before, and the verdict says so. */
export function verifyAgain(context: FlowContext, { verdict, mac }: Carried, signed: SignedTransaction): Promise<VerificationReply> {
  return ask(context, "verification.verify", {
    transaction: encodeSigned(signed),
    inputs: [],
    references: [],
    groupParameters: new Uint8Array(),
    verified: { verdict, mac },
  });
}

/** What strangers sign is nothing to us. */
export function ofSignatories({ signatories }: Transaction, records: readonly Uint8Array[]): readonly TransactionSignature[] {
  const required = keysById(signatories);
  return records.map(decodeSignature).filter(({ by, batch }) => batch === undefined && required.has(by));
}

export function withSignatures({ transaction, signatures }: SignedTransaction, more: readonly TransactionSignature[]): SignedTransaction {
  const fresh = more.filter((record, i) => [...signatures, ...more.slice(0, i)].every((known) => !sameSigner(known, record)));
  return { transaction, signatures: [...signatures, ...fresh] };
}

const sameSigner = (a: TransactionSignature, b: TransactionSignature): boolean =>
  a.by === b.by && (a.batch === undefined) === (b.batch === undefined);

export const keysInvolved = ({ signed, outputs }: Carried): readonly string[] => [
  ...new Set([...signed.transaction.signatories.flatMap(leafKeys), ...keysThatSee(outputs)]),
];
