// What stands in for the past where the notary verifies: of each transaction that is spent from or referred to, the outputs in
// question, filtered, and its notary's acceptance. Whoever trusts the notary need not see how those states came to be.
//
// Guarantees: what is resolved is part of transactions that this notary accepted, under a key that the group parameters list for
// it today or listed before; every input and reference is resolved, by exactly the transactions that it names.

import { badRequest, concat, type Data, decoder, encode, type SecureHash, utf8 } from "@bowline/base";
import { hmacSha256, sha256 } from "@bowline/crypto";
import type { GroupParameters, StateRef } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { decodeFiltered, encodeFiltered, filterTransaction, type ShownParts, verifyFiltered } from "./filter.ts";
import { notaryKeysOf, notaryOf } from "./group-parameters.ts";
import { Bytes, GROUP, nameOf, parseStateRef, publicKeyOf } from "./leaves.ts";
import { GROUP_LEAVES_MAX, SIGNATURES_MAX } from "./limits.ts";
import { mergeFiltered, subsetFiltered } from "./partial-views.ts";
import { checkSignatures, decodeSignature, encodeSignature } from "./signatures.ts";
import { dependenciesOf, type ResolvedState, type SignedTransaction, type Transaction } from "./transaction.ts";

const FilteredDependency = Type.Object(
  { filtered: Bytes, signatures: Type.Array(Bytes, { minItems: 1, maxItems: SIGNATURES_MAX }) },
  { additionalProperties: false },
);
/** As it travels: `encodeFiltered`, and signature records of the notary. */
export type FilteredDependency = Static<typeof FilteredDependency>;
/** One for each transaction: at most as many as there are inputs and references. */
export const FilteredDependencies = Type.Array(FilteredDependency, { maxItems: 2 * GROUP_LEAVES_MAX });
export const readDependency = decoder(FilteredDependency, "filtered dependency");
export const readDependencies = decoder(FilteredDependencies, "filtered dependencies");

/** Under this key the verification role says that it has checked dependencies: the vault keeps no others. */
export const dependenciesMac = (key: Uint8Array, dependencies: readonly FilteredDependency[]): Uint8Array =>
  hmacSha256(key, concat(utf8("bowline/dependencies/1\0"), sha256(encode(dependencies as unknown as Data))));

/** What one dependency shows: the id that it has, and its outputs by index. Whether a notary accepted it is not looked at. */
export function shownBy({ filtered }: FilteredDependency) {
  const { id, metadata, groups } = verifyFiltered(decodeFiltered(filtered), { notary: "all" });
  const datas = groups[GROUP.outputs]?.leaves ?? new Map<number, Uint8Array>();
  const outputs = [...(groups[GROUP.outputsInfo]?.leaves ?? [])].flatMap(([index, info]) => {
    const data = datas.get(index);
    return data === undefined ? [] : [{ index, info, data }];
  });
  return { id, groupParametersHash: metadata.membershipGroupParametersHash, outputs };
}

/** `source` is a verified row, whole: it shows these outputs, who its notary is, and that it was accepted. */
export function filteredDependency({ transaction, signatures }: SignedTransaction, outputs: readonly number[]): FilteredDependency {
  const indexes = [...new Set(outputs)].sort((a, b) => a - b);
  const filtered = filterTransaction(transaction, { notary: "all", outputsInfo: indexes, outputs: indexes });
  return {
    filtered: encodeFiltered(filtered),
    signatures: signatures.filter(({ batch }) => batch !== undefined).map(encodeSignature),
  };
}

/**
 * The same from copies that others made, which each show what their owner needed: put together, and cut down to these outputs, so
 * that nobody sees more than is asked for. Undefined where they do not show all of them.
 */
export function dependencyFrom(copies: readonly FilteredDependency[], outputs: readonly number[]): FilteredDependency | undefined {
  const missing = new Set(outputs);
  const useful = copies.filter((copy) => shownBy(copy).outputs.filter(({ index }) => missing.delete(index)).length > 0);
  const [first, ...others] = useful.map(({ filtered }) => decodeFiltered(filtered));
  if (missing.size > 0 || first === undefined) return undefined;
  const indexes = [...new Set(outputs)].sort((a, b) => a - b);
  const shown = { notary: "all", outputsInfo: indexes, outputs: indexes } as const;
  // Each of them came with the notary's acceptance, and one is enough.
  return { filtered: encodeFiltered(subsetFiltered(others.reduce(mergeFiltered, first), shown)), signatures: useful[0]?.signatures ?? [] };
}

/** All of a transaction on which it depends what proves its inputs and references. */
type Proving = Pick<Transaction, "id" | "groupId" | "notary" | "inputs" | "references">;

/** Which outputs of which transactions a transaction needs shown, the transactions in the order of `dependenciesOf`. */
export function outputsNeeded(transaction: Pick<Transaction, "inputs" | "references">): ReadonlyMap<SecureHash, readonly number[]> {
  const needed = new Map<SecureHash, number[]>();
  for (const ref of [...transaction.inputs, ...transaction.references]) {
    const { transactionId, index } = parseStateRef(ref);
    needed.set(transactionId, [...(needed.get(transactionId) ?? []), index]);
  }
  return needed;
}

/**
 * Inputs and references in the transaction's order, from filtered dependencies; `parameters` are those in force.
 * Throws `ledger.dependencyInvalid`, which says nothing of the transaction: others may prove it rightly.
 */
export function checkDependencies(
  transaction: Proving,
  dependencies: readonly FilteredDependency[],
  parameters: GroupParameters,
): { readonly inputs: readonly ResolvedState[]; readonly references: readonly ResolvedState[] } {
  const needed = dependenciesOf(transaction);
  if (dependencies.length !== needed.length)
    throw invalid(transaction, `it needs ${needed.length} transactions shown, and ${dependencies.length} came`);
  const notary = notaryOf(parameters, transaction.notary);
  if (notary === undefined) throw invalid(transaction, `the group parameters list no notary ${transaction.notary}`);
  const keys = notaryKeysOf(notary);
  const shown = new Map(dependencies.map((dependency) => checkOne(transaction, dependency, keys)));
  const resolve = (ref: StateRef): ResolvedState => {
    const { transactionId, index } = parseStateRef(ref);
    const { groups } = shown.get(transactionId) ?? {};
    const info = groups?.[GROUP.outputsInfo]?.leaves.get(index);
    const data = groups?.[GROUP.outputs]?.leaves.get(index);
    if (info === undefined || data === undefined) throw invalid(transaction, `state ${ref} is not shown`);
    return { ref, info, data };
  };
  return { inputs: transaction.inputs.map(resolve), references: transaction.references.map(resolve) };
}

function checkOne(
  transaction: Proving,
  { filtered, signatures }: FilteredDependency,
  keys: readonly string[],
): readonly [SecureHash, ShownParts] {
  const parts = verifyFiltered(decodeFiltered(filtered), { notary: "all" });
  const { id, groupId } = parts;
  if (groupId !== transaction.groupId) throw invalid(transaction, `${id} is of group ${groupId}`);
  const [name, key] = parts.groups[GROUP.notary]?.leaves.values() ?? [];
  if (name === undefined || key === undefined) throw invalid(transaction, `${id} names no notary`);
  if (nameOf(name) !== transaction.notary) throw invalid(transaction, `${id} is under another notary, ${nameOf(name)}`);
  const notaryKey = publicKeyOf(key);
  if (!keys.includes(notaryKey)) throw invalid(transaction, `${id} names a key that ${transaction.notary} never had, or gave up`);
  const { notary } = checkSignatures({ id, notaryKey, signatories: [] }, signatures.map(decodeSignature));
  if (notary?.kind !== "accepted") throw invalid(transaction, `${id} is not shown to be accepted by ${transaction.notary}`);
  return [id, parts];
}

const invalid = ({ id }: Pick<Transaction, "id">, reason: string) =>
  badRequest("ledger.dependencyInvalid", `What was shown of the past does not prove what ${id} uses: ${reason}.`, { id, reason });
