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
import type { ContractViolation, CordappManifest, StateAndRef, StateDescription, StateRef, TransactionView } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { repeats } from "./builder.ts";
import { decodeGroupParameters, notaryOf } from "./group-parameters.ts";
import { Bytes, type CpkIdentity, type OutputInfo, outputInfoOf, parseStateRef } from "./leaves.ts";
import { VIOLATION_CHARACTERS_MAX } from "./limits.ts";
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
  readonly transaction: TransactionView;
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
  readonly violations: readonly string[];
  readonly calls: readonly ContractCall[];
}

/** Bytes and MAC of what the verification role found. */
export interface SealedVerdict {
  readonly verdict: Uint8Array;
  readonly mac: Uint8Array;
}

export interface VerificationReply extends SealedVerdict {
  readonly valid: boolean;
  /** Every rule that is broken, the platform's and the contracts'. */
  readonly violations: readonly string[];
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
  const violations = [
    ...parameterFailures(transaction, context.groupParameters),
    ...contentFailures(transaction, infos),
    ...encumbranceFailures(transaction, context.inputs),
    ...packageFailures(transaction, infos.inputs, manifests),
  ];
  return { signed, context, view, violations, calls: violations.length > 0 ? [] : contractCalls(transaction, infos.inputs, view) };
}

/** `results` in the order of the plan's calls; `valid` says which signatures verify, in the order of `signedBytesOf`. */
export function concludeVerification(
  plan: VerificationPlan,
  results: readonly ContractResult[],
  valid: readonly boolean[],
  macKey: Uint8Array,
): VerificationReply {
  const { transaction, signatures } = plan.signed;
  const broken = results.flatMap((result) => result.violations.map(({ contract, failure }) => `${contract}: ${failure.message}`));
  // A contract's words travel, and stand in journals: as text that can be written, and not without end.
  const violations = [...plan.violations, ...broken].map((reason) => reason.slice(0, VIOLATION_CHARACTERS_MAX).toWellFormed());
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

function* parameterFailures(transaction: Transaction, bytes: Uint8Array): Generator<string> {
  const { metadata, notary, notaryKey, groupId } = transaction;
  const parameters = decodeGroupParameters(bytes, metadata.membershipGroupParametersHash);
  if (parameters.groupId !== groupId) yield `it is of group ${groupId}, and its group parameters of ${parameters.groupId}`;
  if (metadata.platformVersion < parameters.minimumPlatformVersion)
    yield `it was built by platform version ${metadata.platformVersion}, and the group asks for ${parameters.minimumPlatformVersion}`;
  const listed = notaryOf(parameters, notary);
  if (listed === undefined) yield `the group parameters list no notary ${notary}`;
  else if (listed.key !== notaryKey) yield `the key of notary ${notary} is not the one that the group parameters list`;
}

interface Consumed {
  readonly inputs: readonly OutputInfo[];
  readonly references: readonly StateAndRef[];
}

function* contentFailures(transaction: Transaction, consumed: Consumed): Generator<string> {
  const { notary, notaryKey, signatories, inputs, references, outputs, commands } = transaction;
  if (signatories.length === 0) yield "nobody signs it";
  yield* repeats(signatories, "signatory");
  if (inputs.length === 0 && outputs.length === 0) yield "it has neither inputs nor outputs";
  yield* repeats(inputs, "input");
  yield* repeats(references, "reference");
  for (const ref of inputs) if (references.includes(ref)) yield `${ref} is both an input and a reference`;
  if (commands.length === 0) yield "it has no command";
  const judging = new Set([...consumed.inputs, ...outputs.map(({ info }) => info)].map(({ contract }) => contract));
  for (const { info } of commands)
    if (!judging.has(info.contract)) yield `command ${info.type} is for contract ${info.contract}, which guards no input or output`;
  for (const other of new Set([...consumed.inputs, ...consumed.references].map((state) => state.notary)))
    if (other !== notary) yield `it names notary ${notary}, and an input or reference is under ${other}`;
  for (const [index, { info }] of outputs.entries())
    if (info.notary !== notary || info.notaryKey !== notaryKey) yield `output ${index} is under another notary or notary key`;
}

/** Whoever consumes one state of an encumbrance group consumes all of it. */
function* encumbranceFailures(transaction: Transaction, inputs: readonly ResolvedState[]): Generator<string> {
  const created = new Map<string, { size: number; members: number }>();
  for (const { info } of transaction.outputs) {
    if (info.encumbrance === null) continue;
    const { tag, size } = info.encumbrance;
    const group = created.get(tag) ?? { size, members: 0 };
    created.set(tag, { size: group.size === size ? size : -1, members: group.members + 1 });
  }
  for (const [tag, { size, members }] of created)
    if (size !== members || size < 2) yield `encumbrance group ${tag} has ${members} outputs, and says otherwise`;
  const consumed = new Map<string, { size: number; indexes: Set<number>; tag: string }>();
  for (const { ref, info } of inputs) {
    const { encumbrance } = outputInfoOf(info);
    if (encumbrance === null) continue;
    const { transactionId, index } = parseStateRef(ref);
    const key = `${transactionId} ${encumbrance.tag}`;
    const group = consumed.get(key) ?? { size: encumbrance.size, indexes: new Set(), tag: encumbrance.tag };
    group.indexes.add(index);
    consumed.set(key, group);
  }
  for (const { size, indexes, tag } of consumed.values())
    if (indexes.size !== size) yield `${indexes.size} of the ${size} states of encumbrance group ${tag} are consumed`;
}

/** Who guards a state guards its successor: a package of the same name and signers, and not an older one. */
function* packageFailures(
  { metadata, outputs }: Transaction,
  inputs: readonly OutputInfo[],
  manifests: ReadonlyMap<SecureHash, CordappManifest>,
): Generator<string> {
  for (const info of inputs) {
    const cpk = guardOf(metadata.cpkMetadata, info);
    if (cpk === undefined) yield `an input of ${info.contract} is guarded by package ${info.cpk.name}, which the metadata do not name`;
    else if (isOlder(cpk.version, info.cpk.version))
      yield `an input of ${info.contract} was made under ${cpk.name} ${info.cpk.version}, which is newer than ${cpk.version}`;
    else yield* manifestFailures(info, cpk, manifests, false);
  }
  for (const { info } of outputs) {
    const cpk = guardOf(metadata.cpkMetadata, info);
    if (cpk === undefined || cpk.version !== info.cpk.version)
      yield `an output of ${info.contract} names package ${info.cpk.name} ${info.cpk.version}, and the metadata do not`;
    else yield* manifestFailures(info, cpk, manifests, true);
  }
}

function* manifestFailures(
  info: OutputInfo,
  cpk: CpkIdentity,
  manifests: ReadonlyMap<SecureHash, CordappManifest>,
  created: boolean,
): Generator<string> {
  const manifest = manifests.get(cpk.fileChecksum);
  const state = manifest?.states.find(({ name, contract }) => name === info.type && contract === info.contract);
  if (state === undefined || manifest?.contracts.every(({ name }) => name !== info.contract) !== false)
    yield `package ${cpk.name} ${cpk.version} has no state type ${info.type} under a contract ${info.contract}`;
  else if (created && state.version !== info.version)
    yield `package ${cpk.name} ${cpk.version} writes ${info.type} in version ${state.version}, and an output is of version ${info.version}`;
  else if (info.version > state.version || info.version < (state.oldest ?? state.version))
    yield `package ${cpk.name} ${cpk.version} does not read ${info.type} of version ${info.version}, and an input is of it`;
}

function contractCalls({ metadata, outputs }: Transaction, inputs: readonly OutputInfo[], view: TransactionView): readonly ContractCall[] {
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

const guardOf = (packages: readonly CpkIdentity[], { cpk }: OutputInfo): CpkIdentity | undefined =>
  packages.find(({ name, signerSummaryHash }) => name === cpk.name && signerSummaryHash === cpk.signerSummaryHash);

/** By the numbers between the dots; what is not a number counts as none. */
function isOlder(version: string, than: string): boolean {
  const numbers = (text: string) => text.split(/[.-]/).map((part) => (/^\d{1,9}$/.test(part) ? Number(part) : 0));
  const [a, b] = [numbers(version), numbers(than)];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

const refused = (id: SecureHash, reason: string) =>
  new BowlineError("forbidden", "ledger.verdictRefused", `A verdict on transaction ${id} is not to be trusted: ${reason}.`, { id, reason });
