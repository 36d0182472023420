// The rules that a verifier adds to those of every transaction (`@bowline/sdk/transaction-rules`): what the transaction's group, inputs,
// encumbrances and contract packages ask of it. Each has a code of its own; all that are broken are reported together.

import type { SecureHash } from "@bowline/base";
import type { CordappManifest, GroupParameters, StateAndRef } from "@bowline/sdk";
import type { RuledTransaction, RuleFailure } from "@bowline/sdk/transaction-rules";
import { digestOfGroup, notaryOf } from "./group-parameters.ts";
import { type CpkIdentity, type OutputInfo, outputInfoOf, parseStateRef } from "./leaves.ts";
import type { ResolvedState, Transaction } from "./transaction.ts";

const broken = (rule: string, message: string): RuleFailure => ({ code: `transaction.${rule}`, message });

/** A transaction as the rules of every transaction look at it. */
export const ruled = ({ notary, timeWindow, inputs, references, outputs, commands, signatories }: Transaction): RuledTransaction => ({
  notary,
  timeWindow,
  inputs,
  references,
  outputs: outputs.map(({ info: { encumbrance } }) => (encumbrance === null ? {} : { encumbrance: encumbrance.tag })),
  commands,
  signatories,
});

/** What the group that the transaction names has agreed on. */
export function* brokenParameterRules(transaction: Transaction, parameters: GroupParameters): Generator<RuleFailure> {
  const { metadata, notary, notaryKey, groupId } = transaction;
  if (parameters.groupId !== groupId)
    yield broken("groupDiffers", `it is of group ${groupId}, and its group parameters of ${parameters.groupId}`);
  if (metadata.platformVersion < parameters.minimumPlatformVersion)
    yield broken(
      "platformTooOld",
      `it was built by platform version ${metadata.platformVersion}, and the group asks for ${parameters.minimumPlatformVersion}`,
    );
  const digest = digestOfGroup(parameters);
  if (metadata.digest !== digest) yield broken("digestDiffers", `it is hashed with ${metadata.digest}, and the group chose ${digest}`);
  const listed = notaryOf(parameters, notary);
  if (listed === undefined) yield broken("notaryUnlisted", `the group parameters list no notary ${notary}`);
  else if (listed.key !== notaryKey)
    yield broken("notaryKeyDiffers", `the key of notary ${notary} is not the one that the group parameters list`);
}

interface Resolved {
  readonly inputs: readonly OutputInfo[];
  readonly references: readonly StateAndRef[];
}

/** One notary for all, and no command that nobody judges. */
export function* brokenContentRules(transaction: Transaction, resolved: Resolved): Generator<RuleFailure> {
  const { notary, notaryKey, outputs, commands } = transaction;
  const judging = new Set([...resolved.inputs, ...outputs.map(({ info }) => info)].map(({ contract }) => contract));
  for (const { info } of commands)
    if (!judging.has(info.contract))
      yield broken("commandUnguarded", `command ${info.type} is for contract ${info.contract}, which guards no input or output`);
  for (const other of new Set([...resolved.inputs, ...resolved.references].map((state) => state.notary)))
    if (other !== notary) yield broken("notaryDiffers", `it names notary ${notary}, and an input or reference is under ${other}`);
  for (const [index, { info }] of outputs.entries())
    if (info.notary !== notary || info.notaryKey !== notaryKey)
      yield broken("outputNotaryDiffers", `output ${index} is under another notary or notary key`);
}

/** Whoever consumes one state of an encumbrance group consumes all of it: by the transaction that made it, and its tag. */
export function* brokenEncumbranceRules(transaction: Transaction, inputs: readonly ResolvedState[]): Generator<RuleFailure> {
  const created = new Map<string, number[]>();
  for (const { info } of transaction.outputs) {
    if (info.encumbrance === null) continue;
    const { tag, size } = info.encumbrance;
    created.set(tag, [...(created.get(tag) ?? []), size]);
  }
  for (const [tag, sizes] of created)
    if (sizes.some((size) => size !== sizes.length))
      yield broken("encumbranceMiscounted", `encumbrance ${tag} holds ${sizes.length} outputs, and says otherwise`);
  const consumed = new Map<string, { readonly size: number; readonly indexes: Set<number>; readonly tag: string }>();
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
    if (indexes.size !== size) yield broken("encumbranceSplit", `${indexes.size} of the ${size} states of encumbrance ${tag} are consumed`);
}

/** Packages that judge; a state's guard guards its successor: a package of the same name and signers, and not an older one. */
export function* brokenPackageRules(
  { metadata, outputs }: Transaction,
  inputs: readonly OutputInfo[],
  manifests: ReadonlyMap<SecureHash, CordappManifest>,
): Generator<RuleFailure> {
  for (const { name, version, fileChecksum } of metadata.cpkMetadata)
    if (manifests.get(fileChecksum)?.contracts.length === 0)
      yield broken("packageContractless", `package ${name} ${version} has no contract, and is named as one that judges`);
  for (const info of inputs) {
    const cpk = guardOf(metadata.cpkMetadata, info);
    if (cpk === undefined)
      yield broken("packageUnnamed", `an input of ${info.contract} is guarded by package ${info.cpk.name}, which the metadata do not name`);
    else if (isOlder(cpk.version, info.cpk.version))
      yield broken(
        "packageOlder",
        `an input of ${info.contract} was made under ${cpk.name} ${info.cpk.version}, which is newer than ${cpk.version}`,
      );
    else yield* brokenManifestRules(info, cpk, manifests, "consumed");
  }
  for (const { info } of outputs) {
    const cpk = guardOf(metadata.cpkMetadata, info);
    if (cpk === undefined || cpk.version !== info.cpk.version)
      yield broken(
        "packageUnnamed",
        `an output of ${info.contract} names package ${info.cpk.name} ${info.cpk.version}, and the metadata do not`,
      );
    else yield* brokenManifestRules(info, cpk, manifests, "created");
  }
}

/** Created states are of the package's own version; consumed ones of any that it reads. */
function* brokenManifestRules(
  { type, version, contract }: OutputInfo,
  cpk: CpkIdentity,
  manifests: ReadonlyMap<SecureHash, CordappManifest>,
  role: "created" | "consumed",
): Generator<RuleFailure> {
  const manifest = manifests.get(cpk.fileChecksum);
  const state = manifest?.states.find((one) => one.name === type && one.contract === contract);
  if (state === undefined || manifest?.contracts.every(({ name }) => name !== contract) !== false) {
    yield broken("stateUnknown", `package ${cpk.name} ${cpk.version} has no state type ${type} under a contract ${contract}`);
    return;
  }
  const oldest = role === "created" ? state.version : (state.oldest ?? state.version);
  if (version >= oldest && version <= state.version) return;
  const does = role === "created" ? "writes" : "reads";
  const versions = oldest === state.version ? `version ${oldest}` : `versions ${oldest} to ${state.version}`;
  yield broken(
    "stateVersionUnknown",
    `package ${cpk.name} ${cpk.version} ${does} ${type} in ${versions}, and a ${role} one is of version ${version}`,
  );
}

/** The package that judges a state. */
export const guardOf = (packages: readonly CpkIdentity[], { cpk }: OutputInfo): CpkIdentity | undefined =>
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
