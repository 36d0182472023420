// Whether a transaction is valid: structure first, then the contracts of the states it consumes and creates.
//
// The verification role plans (pure), runs the contracts of each package in a sandbox, and concludes (pure):
//   plan = planVerification(decodeSigned(bytes), request, manifests)
//   reply = concludeVerification(plan, await Promise.all(plan.calls.map(runInSandbox)), await verifyAll(…), macKey)
// All failures are reported together. The reply carries a verdict with a MAC, over the id, the inputs and references as they
// were resolved, each output's description, and whether all signatures and the notary's acceptance are there (`complete`).
// The vault writes V only with a complete verdict whose resolved inputs are its own rows. A package that is not here, or a
// sandbox that hit a limit, is an error and no verdict: it could not be verified, which is not the same as invalid.

import {
  BowlineError,
  concat,
  type Data,
  type Decoder,
  decode,
  decoder,
  encode,
  equalBytes,
  invariant,
  type SecureHash,
  utf8,
} from "@bowline/base";
import { hmacSha256, sha256 } from "@bowline/crypto";
import type { ContractDefinition, ContractViolation, CordappManifest, StateDescription, StateRef, TransactionView } from "@bowline/sdk";
import { brokenTransactionRules, type RuleFailure } from "@bowline/sdk/transaction-rules";
import Type, { type Static } from "typebox";
import { decodeGroupParameters } from "./group-parameters.ts";
import { Bytes, type CpkIdentity, type OutputInfo, outputInfoOf } from "./leaves.ts";
import { NAME_CHARACTERS_MAX, VIOLATION_CHARACTERS_MAX } from "./limits.ts";
import { brokenContentRules, brokenEncumbranceRules, brokenPackageRules, brokenParameterRules, guardOf, ruled } from "./rules.ts";
import { type SignatureState, signatureState } from "./signatures.ts";
import { type ResolvedState, type SignedTransaction, stateAndRef, type Transaction, viewOf } from "./transaction.ts";

/** What is verified against. Inputs and references come from the vault's verified rows, in the transaction's order. */
export interface VerificationContext {
  readonly inputs: readonly ResolvedState[];
  readonly references: readonly ResolvedState[];
  readonly groupParameters: Uint8Array;
}

/** One run of one package's bundle: `verify(transaction)` of these contracts, then `describeState` of each output in `outputs`. */
export interface ContractCall {
  readonly cpk: SecureHash;
  /** Those of consumed and created states. What is only referred to is not judged again. */
  readonly contracts: readonly string[];
  readonly transaction: Parameters<ContractDefinition["verify"]>[0];
  readonly outputs: readonly { readonly index: number; readonly type: string; readonly data: Data }[];
}

export interface ContractResult {
  readonly violations: readonly ContractViolation[];
  /** In the order of the call's `outputs`. */
  readonly outputs: readonly StateDescription[];
}

export interface VerificationPlan {
  readonly signed: SignedTransaction;
  readonly context: VerificationContext;
  readonly view: TransactionView;
  /** What is wrong before any contract ran; then `calls` is empty. */
  readonly violations: readonly RuleFailure[];
  readonly calls: readonly ContractCall[];
}

/** Bytes and MAC of what the verification role found. */
export interface SealedVerdict {
  readonly verdict: Uint8Array;
  readonly mac: Uint8Array;
}

export interface VerificationReply extends SealedVerdict {
  readonly valid: boolean;
  /** Every rule that is broken, the platform's in their order and the contracts'. */
  readonly violations: readonly RuleFailure[];
  readonly signatures: SignatureState;
  /** Valid, signed by all, and accepted by its notary. */
  readonly complete: boolean;
  /** Null where an earlier verdict was completed. */
  readonly view: TransactionView | null;
  /** By output index; empty where an earlier verdict was completed, or the transaction is invalid. */
  readonly outputs: readonly StateDescription[];
}

/** What a contract package says of an output, wherever it is read: properties of an object. */
export const Description = {
  participants: Type.Array(Type.String()),
  json: Type.Unsafe<Data>(Type.Unknown()),
  visible: Type.Optional(
    Type.Union([
      Type.Boolean(),
      Type.Array(
        Type.Object(
          {
            keys: Type.Array(Type.String()),
            yes: Type.Union([Type.Boolean(), Type.Integer({ minimum: 0 })]),
            no: Type.Union([Type.Boolean(), Type.Integer({ minimum: 0 })]),
          },
          { additionalProperties: false },
        ),
      ),
    ]),
  ),
  token: Type.Optional(
    Type.Object(
      {
        tokenType: Type.String(),
        issuer: Type.String(),
        symbol: Type.String(),
        amount: Type.String(),
        tag: Type.Optional(Type.String()),
        owner: Type.Optional(Type.String()),
        priority: Type.Optional(Type.Integer()),
      },
      { additionalProperties: false },
    ),
  ),
};

/** What a sandbox answers: a contract package made it, so nothing of it is believed before it was read. */
export const decodeContractResult: Decoder<ContractResult> = decoder(
  Type.Object({
    violations: Type.Array(
      Type.Object({
        contract: Type.String(),
        failure: Type.Object({
          type: Type.String(),
          message: Type.String(),
          details: Type.Optional(Type.Record(Type.String(), Type.String())),
        }),
      }),
    ),
    outputs: Type.Array(Type.Object(Description)),
  }),
  "answer of a contract package",
);

const Verdict = Type.Object(
  {
    id: Type.Unsafe<SecureHash>(Type.String()),
    valid: Type.Boolean(),
    complete: Type.Boolean(),
    resolved: Bytes,
    outputs: Type.Array(Bytes),
  },
  { additionalProperties: false },
);
export type Verdict = Static<typeof Verdict>;
const readVerdict = decoder(Verdict, "verdict");

/** The packages whose manifests a plan needs. */
export const packagesOf = ({ transaction }: SignedTransaction): readonly CpkIdentity[] => transaction.metadata.cpkMetadata;

/** `manifests` by file checksum. Throws `ledger.packageUnknown` where one is not installed, `ledger.unresolved` where inputs are missing. */
export function planVerification(
  signed: SignedTransaction,
  context: VerificationContext,
  manifests: ReadonlyMap<SecureHash, CordappManifest>,
): VerificationPlan {
  const { transaction } = signed;
  requireResolved(transaction.inputs, context.inputs, "inputs");
  requireResolved(transaction.references, context.references, "references");
  for (const { name, version, fileChecksum } of packagesOf(signed)) {
    if (manifests.has(fileChecksum)) continue;
    throw new BowlineError(
      "notFound",
      "ledger.packageUnknown",
      `Transaction ${transaction.id} needs contract package ${name} ${version} (${fileChecksum}), which is not installed here. Upload it.`,
      { name, version, fileChecksum },
    );
  }
  const inputs = context.inputs.map(stateAndRef);
  const view = viewOf(transaction, inputs, context.references.map(stateAndRef));
  const infos = { inputs: context.inputs.map(({ info }) => outputInfoOf(info)), references: view.references };
  const groupParameters = decodeGroupParameters(context.groupParameters, transaction.metadata.membershipGroupParametersHash);
  const violations = [
    ...brokenParameterRules(transaction, groupParameters),
    ...brokenTransactionRules(ruled(transaction)),
    ...brokenContentRules(transaction, infos),
    ...brokenEncumbranceRules(transaction, context.inputs),
    ...brokenPackageRules(transaction, infos.inputs, manifests),
  ];
  const { notaryKey, metadata } = transaction;
  const seen = { ...view, notaryKey, metadata, groupParameters };
  return { signed, context, view, violations, calls: violations.length > 0 ? [] : contractCalls(transaction, infos.inputs, seen) };
}

/** `results` in the order of the plan's calls; `valid` says which signatures verify, in the order of `signedBytesOf`. */
export function concludeVerification(
  plan: VerificationPlan,
  results: readonly ContractResult[],
  valid: readonly boolean[],
  macKey: Uint8Array,
): VerificationReply {
  const { transaction, signatures } = plan.signed;
  const violations = [...plan.violations, ...results.flatMap((result) => result.violations.map(contractFailure))];
  const outputs: StateDescription[] = [];
  plan.calls.forEach((call, i) => {
    call.outputs.forEach(({ index }, j) => {
      const description = results[i]?.outputs[j];
      if (description !== undefined) outputs[index] = description;
    });
  });
  const state = signatureState(transaction, signatures, valid);
  const isValid = violations.length === 0;
  invariant(!isValid || outputs.filter(Boolean).length === transaction.outputs.length, "every output of a valid transaction is described");
  const complete = isValid && isComplete(state);
  const verdict = encode({
    id: transaction.id,
    valid: isValid,
    complete,
    resolved: resolvedDigest(plan.context.inputs, plan.context.references),
    outputs: isValid ? outputs.map(descriptionDigest) : [],
  });
  return {
    valid: isValid,
    violations,
    signatures: state,
    complete,
    view: plan.view,
    outputs: isValid ? outputs : [],
    verdict,
    mac: verdictMac(macKey, verdict),
  };
}

/** More signatures for a transaction whose content was found valid before. Throws `ledger.verdictRefused`. */
export function completeVerification(
  { transaction, signatures }: SignedTransaction,
  earlier: SealedVerdict,
  valid: readonly boolean[],
  macKey: Uint8Array,
): VerificationReply {
  const found = openVerdict(earlier, transaction.id, macKey);
  if (!found.valid) throw refused(transaction.id, "it says that the transaction is invalid");
  const state = signatureState(transaction, signatures, valid);
  const complete = isComplete(state);
  const verdict = encode({ ...found, complete });
  return {
    valid: true,
    violations: [],
    signatures: state,
    complete,
    view: null,
    outputs: [],
    verdict,
    mac: verdictMac(macKey, verdict),
  };
}

/** What a verdict says, if it is the verification role's and on this transaction. Throws `ledger.verdictRefused`. */
export function openVerdict({ verdict, mac }: SealedVerdict, id: SecureHash, macKey: Uint8Array): Verdict {
  if (!equalBytes(verdictMac(macKey, verdict), mac)) throw refused(id, "its MAC is not the verification role's");
  const found = readVerdict(decode(verdict));
  if (found.id !== id) throw refused(id, `it is on ${found.id}`);
  return found;
}

/** Binds what inputs and references were resolved to. */
export const resolvedDigest = (inputs: readonly ResolvedState[], references: readonly ResolvedState[]): Uint8Array =>
  sha256(encode([inputs, references].map((states) => states.map(({ ref, info, data }) => [ref, info, data]))));

/** Binds what a contract package said of one output. */
export const descriptionDigest = (description: StateDescription): Uint8Array => sha256(encode({ ...description } as unknown as Data));

const verdictMac = (key: Uint8Array, verdict: Uint8Array): Uint8Array => hmacSha256(key, concat(utf8("bowline/verdict/1\0"), verdict));

const isComplete = ({ missing, invalid, notary }: SignatureState): boolean =>
  missing.length === 0 && invalid.length === 0 && notary?.kind === "accepted";

function requireResolved(refs: readonly StateRef[], states: readonly ResolvedState[], what: string): void {
  if (refs.length === states.length && refs.every((ref, i) => states[i]?.ref === ref)) return;
  throw new BowlineError(
    "notFound",
    "ledger.unresolved",
    `The ${what} of the transaction were not all resolved, in order: ${refs.join(", ")}.`,
  );
}

/** A contract's words travel, and stand in journals: as text that can be written, and not without end. */
function contractFailure({ contract, failure }: ContractViolation): RuleFailure {
  const bounded = (text: string, charactersMax: number) => text.slice(0, charactersMax).toWellFormed();
  return {
    code: bounded(failure.type, NAME_CHARACTERS_MAX),
    message: bounded(`${contract}: ${failure.message}`, VIOLATION_CHARACTERS_MAX),
  };
}

function contractCalls(
  { metadata, outputs }: Transaction,
  inputs: readonly OutputInfo[],
  view: ContractCall["transaction"],
): readonly ContractCall[] {
  const involved = [...inputs, ...outputs.map(({ info }) => info)];
  const contractsOf = (cpk: CpkIdentity) => [
    ...new Set(involved.filter((info) => guardOf(metadata.cpkMetadata, info) === cpk).map(({ contract }) => contract)),
  ];
  return metadata.cpkMetadata
    .filter((cpk) => contractsOf(cpk).length > 0)
    .map((cpk) => ({
      cpk: cpk.fileChecksum,
      contracts: contractsOf(cpk),
      transaction: view,
      outputs: outputs.flatMap(({ info, state }, index) =>
        guardOf(metadata.cpkMetadata, info) === cpk ? [{ index, type: state.type, data: state.data }] : [],
      ),
    }));
}

const refused = (id: SecureHash, reason: string) =>
  new BowlineError("forbidden", "ledger.verdictRefused", `A verdict on transaction ${id} is not to be trusted: ${reason}.`, { id, reason });
