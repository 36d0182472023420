// Two filtered views of one transaction as one, and less of a view than it shows: what is known of a transaction that was never seen
// whole is kept, and passed on in part, without asking whoever has all of it.
//
// Guarantees: what comes out proves the same id; a merged view shows what either showed, and a subset no more than was asked for.

import { BowlineError, badRequest } from "@bowline/base";
import { type LedgerHashes, ledgerHashes } from "@bowline/crypto";
import {
  type FilteredGroup,
  type FilteredTransaction,
  type FilterPolicy,
  type GroupName,
  leafHashOf,
  metadataShown,
  topsOf,
  verifyFiltered,
  withDescriptions,
} from "./filter.ts";
import { GROUP } from "./leaves.ts";

/** Throws `ledger.filteredInvalid` where one proves nothing, or they are of two transactions. */
export function mergeFiltered(a: FilteredTransaction, b: FilteredTransaction): FilteredTransaction {
  const [one, other] = [verifyFiltered(a), verifyFiltered(b)];
  if (one.id !== other.id) throw refused(`they are of two transactions, ${one.id} and ${other.id}`);
  const hashes = ledgerHashes(one.metadata.digest);
  return { ...a, groups: a.groups.map((group, number) => mergeGroups(group, b.groups[number] as FilteredGroup, hashes, number)) };
}

/** Throws `ledger.filteredInvalid` where the view does not show what the policy asks for, or proves nothing. */
export function subsetFiltered(filtered: FilteredTransaction, policy: FilterPolicy): FilteredTransaction {
  verifyFiltered(filtered);
  const hashes = ledgerHashes(metadataShown(filtered).digest);
  const tops = topsOf(filtered, hashes);
  const whole = withDescriptions({ ...policy, metadata: "all" });
  const names = Object.keys(GROUP) as readonly GroupName[];
  const groups = names.map((name) => {
    const group = filtered.groups[GROUP[name]] as FilteredGroup;
    const show = whole[name];
    if (show === undefined) return { kind: "hidden", top: tops[GROUP[name]] as Uint8Array } as const;
    return subsetGroup(group, show, hashes, name);
  });
  return { ...filtered, groups };
}

function mergeGroups(a: FilteredGroup, b: FilteredGroup, hashes: LedgerHashes, group: number): FilteredGroup {
  if (a.kind === "hidden") return b;
  if (b.kind === "hidden") return a;
  const { count, leaves, hashes: beside } = hashes.merge(a, b, leafHashOf(hashes, group));
  return { kind: "shown", count, leaves: [...leaves], hashes: [...beside] };
}

function subsetGroup(
  group: FilteredGroup,
  show: "all" | "count" | readonly number[],
  hashes: LedgerHashes,
  name: GroupName,
): FilteredGroup {
  if (group.kind === "hidden") throw refused(`group ${name} is hidden`);
  if (show === "all" && group.leaves.length < group.count)
    throw refused(`group ${name} shows ${group.leaves.length} of ${group.count} leaves`);
  const indexes = show === "all" ? group.leaves.map(({ index }) => index) : show === "count" ? [] : show;
  try {
    const { count, leaves, hashes: beside } = hashes.subset(group, leafHashOf(hashes, GROUP[name]), indexes);
    return { kind: "shown", count, leaves: [...leaves], hashes: [...beside] };
  } catch (error) {
    if (!(error instanceof BowlineError)) throw error;
    throw refused(`group ${name} does not show leaves ${indexes.join(", ")}`);
  }
}

const refused = (reason: string) =>
  badRequest("ledger.filteredInvalid", `Not parts of a transaction that can be shown so: ${reason}.`, { reason });
