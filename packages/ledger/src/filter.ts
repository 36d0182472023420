// A transaction of which only parts are shown.
//
// Of each group the tree's top is either given (hidden), or computed from the count and the group's root (counted), or from
// leaves with their nonces and a proof (shown). All ten tops stand in the id, and the count stands in the top: so whatever is
// shown is part of the transaction with that id, and it is known how much of a group it is. Metadata is always shown.
// The salt never leaves: with it, whoever guesses a hidden leaf could tell that the guess is right.

import { badRequest, decode, decoder, encode, type SecureHash, type X500Name } from "@bowline/base";
import { componentNonce, type LedgerHashes, ledgerHashes, type MerkleProof } from "@bowline/crypto";
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
import { hashesOf, idOfTops, leafHashes, type Transaction, topOf } from "./transaction.ts";

export type GroupName = keyof typeof GROUP;
/**
 * How much of a group to show: all of it, some leaves, or how many there are. What is not mentioned is hidden. Who shows an output or a
 * command shows what is said of it too, since the one cannot be read without the other.
 */
export type FilterPolicy = Readonly<Partial<Record<GroupName, "all" | "count" | readonly number[]>>>;
/** What must not be missing of a filtered transaction. */
export type RequiredParts = Readonly<Partial<Record<GroupName, "all" | "count">>>;

const STRICT = { additionalProperties: false } as const;
const Count = Type.Integer({ minimum: 0, maximum: GROUP_LEAVES_MAX });
const Group = Type.Union([
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
    groups: Type.Array(Group, { minItems: GROUP_COUNT, maxItems: GROUP_COUNT }),
    ledgerVersion: Type.Literal(LEDGER_VERSION),
  },
  STRICT,
);
const readFiltered = decoder(Filtered, "filtered transaction");

export type FilteredTransaction = Static<typeof Filtered>;

export type FilteredGroup = FilteredTransaction["groups"][number];
export type ShownLeaf = Extract<FilteredGroup, { kind: "shown" }>["leaves"][number];

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
  /** Those that are shown. */
  readonly signatories: readonly PublicKeyText[];
}

export function filterTransaction(transaction: Transaction, policy: FilterPolicy): FilteredTransaction {
  const names = Object.keys(GROUP) as readonly GroupName[];
  const whole = withDescriptions({ ...policy, metadata: "all" });
  const groups = names.map((name) => filterGroup(transaction, GROUP[name], whole[name]));
  return { groupId: transaction.groupId, groups, ledgerVersion: LEDGER_VERSION };
}

/** Of each group that is described leaf by leaf, the one that describes it. */
const DESCRIBED_BY = { outputs: "outputsInfo", commands: "commandsInfo" } as const;

export function withDescriptions(policy: FilterPolicy): FilterPolicy {
  const whole: Record<string, FilterPolicy[GroupName]> = { ...policy };
  for (const [name, describing] of Object.entries(DESCRIBED_BY)) {
    const [shown, described] = [whole[name], whole[describing]];
    if (shown === undefined || shown === "count" || described === "all") continue;
    const both = shown === "all" || !Array.isArray(described) ? shown : [...new Set([...(described as readonly number[]), ...shown])];
    whole[describing] = both;
  }
  return whole;
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
export function verifyFiltered(filtered: FilteredTransaction, required: RequiredParts = {}): ShownParts {
  const metadata = metadataShown(filtered);
  const hashes = ledgerHashes(metadata.digest);
  const tops = topsOf(filtered, hashes);
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
  requireDescribed(groups);
  return { id: idOfTops(filtered.groupId, hashes, tops), groupId: filtered.groupId, metadata, groups };
}

/** Says how the rest is hashed, and is bound with it: read first, and believed for that alone. */
export function metadataShown({ groups }: FilteredTransaction): TransactionMetadata {
  const group = groups[GROUP.metadata];
  if (group?.kind !== "shown") throw invalid("group metadata is hidden");
  const [leaf, ...more] = group.leaves;
  if (leaf === undefined || more.length > 0 || group.count !== 1) throw invalid("it has not exactly one metadata leaf");
  return metadataOf(leaf.data);
}

export const topsOf = ({ groups }: FilteredTransaction, hashes: LedgerHashes): readonly Uint8Array[] =>
  groups.map((group, number) => (group.kind === "hidden" ? hidden(group.top, hashes) : topOfShown(group, hashes, number)));

/** A leaf that is shown without what is said of it, or for which there is nothing said, is no part that can be read. */
function requireDescribed(groups: ShownParts["groups"]): void {
  for (const [name, describing] of Object.entries(DESCRIBED_BY) as readonly ["outputs" | "commands", "outputsInfo" | "commandsInfo"][]) {
    const [shown, described] = [groups[GROUP[name]], groups[GROUP[describing]]];
    if (shown !== undefined && described !== undefined && shown.count !== described.count)
      throw invalid(`it has ${shown.count} ${name}, and describes ${described.count}`);
    for (const index of shown?.leaves.keys() ?? [])
      if (described?.leaves.has(index) !== true) throw invalid(`${name} ${index} is shown without its description`);
  }
}

/** What a client sends to a non-validating notary; of the signatories those at these places. */
export const filterForNotary = (transaction: Transaction, signatories: readonly number[] = []): Uint8Array =>
  encodeFiltered(filterTransaction(transaction, signatories.length === 0 ? NOTARY_POLICY : { ...NOTARY_POLICY, signatories }));

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
    signatories: leaves(GROUP.signatories).map(publicKeyOf),
  };
}

function filterGroup(transaction: Transaction, group: number, show: FilterPolicy[GroupName]): FilteredGroup {
  const hashes = hashesOf(transaction);
  if (show === undefined) return { kind: "hidden", top: topOf(transaction, hashes, group) };
  const datas = transaction.groups[group] as readonly Uint8Array[];
  const indexes = show === "all" ? datas.map((_, index) => index) : show === "count" ? [] : show;
  const proof = hashes.prove(leafHashes(transaction, hashes, group), indexes);
  return {
    kind: "shown",
    count: proof.count,
    leaves: proof.leaves.map(({ index }) => ({
      index,
      nonce: componentNonce(transaction.salt, group, index),
      data: datas[index] as Uint8Array,
    })),
    hashes: [...proof.hashes],
  };
}

/** The hash of a leaf that is shown. */
export const leafHashOf =
  (hashes: LedgerHashes, group: number) =>
  ({ index, nonce, data }: ShownLeaf): Uint8Array => {
    if (nonce.length !== NONCE_LENGTH) throw invalid(`a leaf of group ${group} has no nonce`);
    return hashes.leaf({ group, index, nonce, data });
  };
const NONCE_LENGTH = 32;

function topOfShown(proof: MerkleProof<ShownLeaf>, hashes: LedgerHashes, group: number): Uint8Array {
  const root = hashes.rootOfProof(proof, leafHashOf(hashes, group));
  if (root === undefined) throw invalid(`the proof of group ${group} is malformed`);
  return hashes.top(group, proof.count, root);
}

function hidden(top: Uint8Array, { length }: LedgerHashes): Uint8Array {
  if (top.length !== length) throw invalid("the hash of a hidden group is not one");
  return top;
}

const invalid = (reason: string) => badRequest("ledger.filteredInvalid", `Not a proof of parts of a transaction: ${reason}.`, { reason });
