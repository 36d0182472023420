// A transaction with all that proves it, for whoever has no vault and no network: what a file holds, and what makes it believable.
//
// Guarantees: what is reported is bound by the transaction's id, which is computed; everybody who must sign has signed; the notary that
// the group names accepted it, under a key that the group lists for it; and of every input and reference it is shown that the same notary
// accepted the transaction that made it. The group's word is believed if a manager's key is among those that are trusted, the
// notary's if its own is. Contracts are not run: who signed and who accepted it had run them, or trusts who did.

import { BowlineError, badRequest, type Data, decoder, type Instant, type SecureHash, type X500Name } from "@bowline/base";
import { preimage } from "@bowline/base/preimage";
import { keyIdOf, verifySync } from "@bowline/crypto";
import type { GroupParameters, NotaryInfo, SignedGroupParameters, StateRef } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { checkDependencies, type FilteredDependency } from "./dependencies.ts";
import { decodeGroupParameters, groupParametersHash, notaryKeysOf, notaryOf } from "./group-parameters.ts";
import { GROUP_LEAVES_MAX, SIGNATURES_MAX, TRANSACTION_BYTES_MAX } from "./limits.ts";
import { checkSignatures } from "./signatures.ts";
import { decodeSigned, encodeSigned, type SignedTransaction, type Transaction } from "./transaction.ts";

const FORMAT = "bowline-transaction-proof/1";
const STRICT = { additionalProperties: false } as const;
const Base64 = Type.String({
  pattern: "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
  maxLength: 2 * TRANSACTION_BYTES_MAX,
});
const ProofFile = Type.Object(
  {
    format: Type.Literal(FORMAT),
    /** With its signatures, the notary's word and its place in the batch that was signed among them. */
    transaction: Base64,
    groupParameters: Type.Object({ bytes: Base64, signature: Base64, signedBy: Type.String({ maxLength: 4_096 }) }, STRICT),
    /** One for each transaction that made an input or a reference. */
    dependencies: Type.Array(Type.Object({ filtered: Base64, signatures: Type.Array(Base64, { maxItems: SIGNATURES_MAX }) }, STRICT), {
      maxItems: 2 * GROUP_LEAVES_MAX,
    }),
  },
  STRICT,
);
export type ProofFile = Static<typeof ProofFile>;
const readFile = decoder(ProofFile, "proof of a transaction");

export const proofFile = (
  signed: SignedTransaction,
  { bytes, signature, signedBy }: SignedGroupParameters,
  dependencies: readonly FilteredDependency[],
): ProofFile => ({
  format: FORMAT,
  transaction: base64(encodeSigned(signed)),
  groupParameters: { bytes: base64(bytes), signature: base64(signature), signedBy },
  dependencies: dependencies.map(({ filtered, signatures }) => ({ filtered: base64(filtered), signatures: signatures.map(base64) })),
});

/** A transaction as its vault's operators may look at it. */
export function lookedAt(bytes: Uint8Array) {
  const { transaction, signatures } = decodeSigned(bytes);
  const { signers, missing, notary } = checkSignatures(transaction, signatures);
  return {
    transaction,
    signatures,
    ...contentsOf(transaction),
    signedBy: signers.map(keyIdOf),
    notSignedBy: missing.map(keyIdOf),
    acceptedAt: notary?.kind === "accepted" ? notary.at : null,
  };
}

const contentsOf = ({ inputs, references, outputs, commands }: Transaction) => ({
  inputs,
  references,
  outputs: outputs.map(({ info: { type, contract }, state: { data } }) => ({ type, contract, data })),
  commands: commands.map(({ info: { type, contract } }) => ({ type, contract })),
});

/** Ids of keys that are known from elsewhere: of the group's manager, or of the notary. */
export interface ProofTrust {
  readonly groupKeys: readonly string[];
  readonly notaryKeys: readonly string[];
}

export interface Proven {
  readonly id: SecureHash;
  readonly groupId: string;
  /** Of the group parameters that the transaction names. */
  readonly epoch: number;
  readonly notary: X500Name;
  readonly acceptedAt: Instant;
  /** Ids of the keys that signed. */
  readonly signedBy: readonly SecureHash[];
  readonly inputs: readonly StateRef[];
  readonly references: readonly StateRef[];
  readonly outputs: readonly { readonly type: string; readonly contract: string; readonly data: Data }[];
  readonly commands: readonly { readonly type: string; readonly contract: string }[];
}

/** Throws `ledger.proofInvalid` where the file does not prove it, and `ledger.proofUntrusted` where nobody who vouches for it is trusted. */
export function verifyProof(value: unknown, trust: ProofTrust): Proven {
  try {
    return proven(readFile(value), trust);
  } catch (thrown) {
    if (!(thrown instanceof BowlineError) || thrown.code.startsWith("ledger.proof")) throw thrown;
    throw badRequest("ledger.proofInvalid", `The file proves nothing: ${thrown.message}`, { reason: thrown.code });
  }
}

function proven({ transaction: bytes, groupParameters, dependencies }: ProofFile, trust: ProofTrust): Proven {
  const { transaction, signatures } = decodeSigned(fromBase64(bytes));
  const { id, notaryKey } = transaction;
  const parameters = agreed(transaction, groupParameters);
  const notary = notaryOf(parameters, transaction.notary);
  if (notary === undefined || !notaryKeysOf(notary).includes(notaryKey))
    throw invalid(id, `its group lists no notary ${transaction.notary} with the key that it names`);
  const keys = believed(notary, groupParameters.signedBy, trust);
  if (!keys.includes(notaryKey)) throw untrusted(`its notary's key, ${keyIdOf(notaryKey)}`);
  const state = checkSignatures(transaction, signatures);
  if (state.invalid.length > 0) throw invalid(id, `signatures are not valid: ${state.invalid.join(", ")}`);
  if (state.missing.length > 0) throw invalid(id, `not signed by ${state.missing.map(keyIdOf).join(", ")}`);
  if (state.notary?.kind !== "accepted") throw invalid(id, "it is not shown to be accepted by its notary");
  const [key = "", ...formerKeys] = keys;
  const shown = dependencies.map((each) => ({ filtered: fromBase64(each.filtered), signatures: each.signatures.map(fromBase64) }));
  checkDependencies(transaction, shown, { ...parameters, notaries: [{ ...notary, key, formerKeys }] });
  return {
    id,
    groupId: transaction.groupId,
    epoch: parameters.epoch,
    notary: transaction.notary,
    acceptedAt: state.notary.at,
    signedBy: state.signers.map(keyIdOf),
    ...contentsOf(transaction),
  };
}

/** The parameters that the transaction names, signed by whoever says so. */
function agreed({ id, groupId, metadata }: Transaction, { bytes, signature, signedBy }: ProofFile["groupParameters"]): GroupParameters {
  const encoded = fromBase64(bytes);
  const parameters = decodeGroupParameters(encoded);
  if (groupParametersHash(encoded) !== metadata.membershipGroupParametersHash)
    throw invalid(id, "the group parameters in the file are not those that it names");
  if (parameters.groupId !== groupId) throw invalid(id, `the group parameters in the file are of group ${parameters.groupId}`);
  if (!verifySync({ publicKey: signedBy, bytes: preimage("group-parameters", encoded), signature: fromBase64(signature) }))
    throw invalid(id, "the signature of the group parameters is not valid");
  return parameters;
}

/** The keys under which the notary's word is believed. */
function believed(notary: NotaryInfo, signedBy: string, { groupKeys, notaryKeys }: ProofTrust): readonly string[] {
  if (groupKeys.includes(keyIdOf(signedBy))) return notaryKeysOf(notary);
  const keys = notaryKeysOf(notary).filter((key) => notaryKeys.includes(keyIdOf(key)));
  if (keys.length === 0) throw untrusted(`its group's key, ${keyIdOf(signedBy)}, nor its notary's, ${keyIdOf(notary.key)}`);
  return keys;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
const invalid = (id: SecureHash, reason: string) => badRequest("ledger.proofInvalid", `The file does not prove ${id}: ${reason}.`, { id });
const untrusted = (what: string) =>
  badRequest(
    "ledger.proofUntrusted",
    `Among the keys that you trust is not ${what}. Learn its id from whoever runs it, not from this file.`,
  );
