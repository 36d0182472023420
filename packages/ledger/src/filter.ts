// A transaction of which only parts are shown.
//
// Of each group the tree's top is either given (hidden), or computed from the count and the group's root (counted), or from
// leaves with their nonces and a proof (shown). All ten tops stand in the id, and the count stands in the top: so whatever is
// shown is part of the transaction with that id, and it is known how much of a group it is. Metadata is always shown.
// The salt never leaves: with it, whoever guesses a hidden leaf could tell that the guess is right.

import { badRequest, decode, decoder, encode, type SecureHash, type X500Name } from "@bowline/base";
import { componentLeaf, componentNonce, componentTop, type MerkleProof, proveLeaves, rootOfProof } from "@bowline/crypto";
import type { PublicKeyText, StateRef, TimeWindow } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import {
  Bytes,
  GROUP,
  GROUP_COUNT,
  LEDGER_VERSION,
  metadataOf,
  nameOf,
  publicKeyOf,
  stateRefOf,
  type TransactionMetadata,
  timeWindowOf,
} from "./leaves.ts";
import { GROUP_LEAVES_MAX, TRANSACTION_BYTES_MAX } from "./limits.ts";
import { type Components, idOfTops, leafHashes, topOf } from "./transaction.ts";

export type GroupName = keyof typeof GROUP;
/** How much of a group to show: all of it, some leaves, or how many there are. What is not mentioned is hidden. */
export type FilterPolicy = Readonly<Partial<Record<GroupName, "all" | "count" | readonly number[]>>>;

const STRICT = { additionalProperties: false } as const;
const Count = Type.Integer({ minimum: 0, maximum: GROUP_LEAVES_MAX });
const FilteredGroup = Type.Union([
  Type.Object({ kind: Type.Literal("hidden"), top: Bytes }, STRICT),
  Type.Object(
    {
      kind: Type.Literal("shown"),
      count: Count,
      leaves: Type.Array(Type.Object({ index: Count, nonce: Bytes, data: Bytes }, STRICT), { maxItems: GROUP_LEAVES_MAX }),
      hashes: Type.Array(Bytes, { maxItems: 2 * GROUP_LEAVES_MAX }),
    },
    STRICT,
  ),
]);
const Filtered = Type.Object(
  {
    groupId: Type.String({ minLength: 36, maxLength: 36 }),
    groups: Type.Array(FilteredGroup, { minItems: GROUP_COUNT, maxItems: GROUP_COUNT }),
    ledgerVersion: Type.Literal(LEDGER_VERSION),
  },
  STRICT,
);
const readFiltered = decoder(Filtered, "filtered transaction");

export type FilteredTransaction = Static<typeof Filtered>;

/** What a filtered transaction proves. */
export interface ShownParts {
  readonly id: SecureHash;
  readonly groupId: string;
  readonly metadata: TransactionMetadata;
  /** Leaves by index; undefined where the group is hidden. `complete` where every leaf is there. */
  readonly groups: readonly (
    | { readonly count: number; readonly complete: boolean; readonly leaves: ReadonlyMap<number, Uint8Array> }
    | undefined
  )[];
}

/** What a non-validating notary is shown: all that it decides on, and how many outputs there are. */
export const NOTARY_POLICY: FilterPolicy = { notary: "all", inputs: "all", references: "all", outputs: "count" };

export interface NotaryRequest {
  readonly id: SecureHash;
  readonly groupId: string;
  readonly metadata: TransactionMetadata;
  readonly notary: X500Name;
  readonly notaryKey: PublicKeyText;
  readonly timeWindow: TimeWindow;
  readonly inputs: readonly StateRef[];
  readonly references: readonly StateRef[];
  readonly outputCount: number;
}

export function filterTransaction(transaction: Components, policy: FilterPolicy): FilteredTransaction {
  const names = Object.keys(GROUP) as readonly GroupName[];
  const groups = names.map((name) => filterGroup(transaction, GROUP[name], name === "metadata" ? "all" : policy[name]));
  return { groupId: transaction.groupId, groups, ledgerVersion: LEDGER_VERSION };
}

export const encodeFiltered = (filtered: FilteredTransaction): Uint8Array => encode(filtered);

export function decodeFiltered(bytes: Uint8Array): FilteredTransaction {
  if (bytes.length > TRANSACTION_BYTES_MAX) throw invalid(`it has ${bytes.length} bytes, and the limit is ${TRANSACTION_BYTES_MAX}`);
  return readFiltered(decode(bytes));
}

/**
 * Computes the id and what is proven under it; `required` says which groups must be complete or counted.
 * Throws `ledger.filteredInvalid`. Whether the id is the expected one is the caller's to compare.
 */
export function verifyFiltered(
  filtered: FilteredTransaction,
  required: Readonly<Partial<Record<GroupName, "all" | "count">>> = {},
): ShownParts {
  const tops = filtered.groups.map((group, number) => (group.kind === "hidden" ? hidden(group.top) : topOfShown(group, number)));
  const groups = filtered.groups.map((group) =>
    group.kind === "hidden"
      ? undefined
      : {
          count: group.count,
          complete: group.leaves.length === group.count,
          leaves: new Map(group.leaves.map(({ index, data }) => [index, data])),
        },
  );
  for (const [name, need] of Object.entries({ ...required, metadata: "all" })) {
    const group = groups[GROUP[name as GroupName]];
    if (group === undefined) throw invalid(`group ${name} is hidden`);
    if (need === "all" && !group.complete) throw invalid(`group ${name} shows ${group.leaves.size} of ${group.count} leaves`);
  }
  const metadata = groups[GROUP.metadata]?.leaves;
  const [leaf] = metadata?.values() ?? [];
  if (leaf === undefined || metadata?.size !== 1) throw invalid("it has not exactly one metadata leaf");
  return { id: idOfTops(filtered.groupId, tops), groupId: filtered.groupId, metadata: metadataOf(leaf), groups };
}

/** What a client sends to a non-validating notary. */
export const filterForNotary = (transaction: Components): Uint8Array => encodeFiltered(filterTransaction(transaction, NOTARY_POLICY));

/** What a non-validating notary reads of it: nothing that it decides on may be missing. */
export function readForNotary(bytes: Uint8Array): NotaryRequest {
  const { id, groupId, metadata, groups } = verifyFiltered(decodeFiltered(bytes), {
    notary: "all",
    inputs: "all",
    references: "all",
    outputs: "count",
  });
  const leaves = (group: number) => [...(groups[group]?.leaves.values() ?? [])];
  const [notary, notaryKey, timeWindow, ...more] = leaves(GROUP.notary);
  if (notary === undefined || notaryKey === undefined || timeWindow === undefined || more.length > 0)
    throw invalid("its notary group is not name, key and time window");
  return {
    id,
    groupId,
    metadata,
    notary: nameOf(notary),
    notaryKey: publicKeyOf(notaryKey),
    timeWindow: timeWindowOf(timeWindow),
    inputs: leaves(GROUP.inputs).map(stateRefOf),
    references: leaves(GROUP.references).map(stateRefOf),
    outputCount: groups[GROUP.outputs]?.count ?? 0,
  };
}

function filterGroup(transaction: Components, group: number, show: FilterPolicy[GroupName]): FilteredTransaction["groups"][number] {
  if (show === undefined) return { kind: "hidden", top: topOf(transaction, group) };
  const datas = transaction.groups[group] as readonly Uint8Array[];
  const indexes = show === "all" ? datas.map((_, index) => index) : show === "count" ? [] : show;
  const { count, leaves, hashes } = proveLeaves(leafHashes(transaction, group), indexes);
  return {
    kind: "shown",
    count,
    leaves: leaves.map(({ index }) => ({
      index,
      nonce: componentNonce(transaction.salt, group, index),
      data: datas[index] as Uint8Array,
    })),
    hashes: [...hashes],
  };
}

function topOfShown(proof: MerkleProof<{ index: number; nonce: Uint8Array; data: Uint8Array }>, group: number): Uint8Array {
  const root = rootOfProof(proof, ({ index, nonce, data }) => componentLeaf({ group, index, nonce, data }));
  if (root === undefined) throw invalid(`the proof of group ${group} is malformed`);
  return componentTop(group, proof.count, root);
}

function hidden(top: Uint8Array): Uint8Array {
  if (top.length !== 32) throw invalid("the hash of a hidden group is not one");
  return top;
}

const invalid = (reason: string) => badRequest("ledger.filteredInvalid", `Not a proof of parts of a transaction: ${reason}.`, { reason });
