// Transactions of which parts are shown: what an author may show of one, and what whoever is shown it can rely on.
//
// The platform makes and checks the proofs. Whatever is shown is part of the transaction with that id, its metadata always among it, and of
// each group it is known how much of it is shown. What is not shown cannot be guessed at from the bytes.

import type { Data, X500Name } from "@bowline/base";
import { FlowError } from "./failure.ts";
import { plain } from "./plain.ts";
import type { PublicKeyText, StateAndRef, StateRef, TimeWindow, TransactionMetadata, TransactionView } from "./transaction.ts";

/** All of a group, how many there are, or those that a function picks. What is not mentioned is not shown. */
export type Show<T> = "all" | "count" | ((item: T, index: number) => boolean);

export interface WhatToShow {
  /** Its name and key. */
  readonly notary?: true;
  readonly timeWindow?: true;
  readonly signatories?: Show<PublicKeyText>;
  readonly inputs?: Show<StateAndRef>;
  readonly references?: Show<StateAndRef>;
  readonly outputs?: Show<StateAndRef>;
  readonly commands?: Show<TransactionView["commands"][number]>;
}

/** To be sent and kept as it is. */
export interface FilteredTransaction {
  readonly id: string;
  /** The parts with their proof, and the notary's signatures where it has given its word. */
  readonly bytes: Uint8Array;
}

type GroupName = "signatories" | "inputs" | "references" | "outputs" | "commands";

/** What whoever is shown a transaction asks of it: less, and it is refused with `ledger.filteredInvalid`. */
export interface RequiredShown {
  /** Nothing of these may be missing; `notary` includes the time window. */
  readonly complete?: readonly (GroupName | "notary")[];
  /** Of these it must be known how many there are. */
  readonly counted?: readonly GroupName[];
  /** The notary has accepted it, under a key that the group parameters list for it. The notary must be shown. */
  readonly accepted?: true;
}

export interface ShownGroup<T> {
  readonly count: number;
  /** Whether all of them are here. */
  readonly complete: boolean;
  readonly items: readonly { readonly index: number; readonly value: T }[];
}

/** What a filtered transaction proves. A part that is not here was not shown. */
export interface ShownTransaction {
  readonly id: string;
  readonly groupId: string;
  readonly metadata: TransactionMetadata;
  readonly notary?: X500Name;
  readonly notaryKey?: PublicKeyText;
  readonly timeWindow?: TimeWindow;
  readonly signatories?: ShownGroup<PublicKeyText>;
  readonly inputs?: ShownGroup<StateRef>;
  readonly references?: ShownGroup<StateRef>;
  readonly outputs?: ShownGroup<StateAndRef>;
  readonly commands?: ShownGroup<TransactionView["commands"][number]>;
}

export interface Filters {
  /**
   * Of a transaction that is in hand, or that the vault holds by that id. Who shows an output or a command shows its type too.
   *
   * @example await ctx.ledger.filter(id, { outputs: ({ state }) => state.type === Invoice.name, notary: true })
   */
  filter(
    transaction: { readonly transaction: TransactionView; readonly record: Uint8Array } | string,
    show: WhatToShow,
  ): Promise<FilteredTransaction>;
  /** Believes nothing but the proof: bytes of a peer, or what was kept. Fails with `ledger.filteredInvalid`. */
  verifyFiltered(bytes: Uint8Array, required?: RequiredShown): Promise<ShownTransaction>;
  /** One view that shows what either shows, of one transaction. */
  mergeFiltered(a: Uint8Array, b: Uint8Array): Promise<FilteredTransaction>;
}

export function filtersOf(
  platform: (flow: "ledger.filter" | "ledger.verifyFiltered" | "ledger.mergeFiltered", input: Data) => Promise<Data>,
  find: (id: string) => Promise<TransactionView | undefined>,
): Filters {
  const filtered = (made: Promise<Data>) => made as Promise<unknown> as Promise<FilteredTransaction>;
  const ofRecorded = (id: string, show: WhatToShow) => (view: TransactionView | undefined) => {
    if (view !== undefined) return platform("ledger.filter", { id, show: placesOf(view, show) });
    throw new FlowError("vault.transactionUnknown", `This vault holds no transaction ${id}.`);
  };
  return {
    filter(transaction, show) {
      if (typeof transaction === "string") return filtered(find(transaction).then(ofRecorded(transaction, show)));
      const record = plain(transaction.record, "the record");
      return filtered(platform("ledger.filter", { record, show: placesOf(transaction.transaction, show) }));
    },
    verifyFiltered(bytes, { complete = [], counted = [], accepted = false } = {}) {
      const asked = plain({ bytes, complete, counted, accepted }, "what is asked");
      return platform("ledger.verifyFiltered", asked) as Promise<unknown> as Promise<ShownTransaction>;
    },
    mergeFiltered: (a, b) => filtered(platform("ledger.mergeFiltered", { views: plain([a, b], "the views") })),
  };
}

/** Of each group that is to be shown: all, the count, or the places that the author's function picks. */
function placesOf(view: TransactionView, show: WhatToShow): Data {
  const places: Record<string, Data> = {};
  const notary = [...(show.notary === true ? [0, 1] : []), ...(show.timeWindow === true ? [2] : [])];
  if (notary.length > 0) places.notary = notary;
  for (const name of ["signatories", "inputs", "references", "outputs", "commands"] as const) {
    const chosen = show[name] as Show<unknown> | undefined;
    if (chosen === undefined) continue;
    places[name] = typeof chosen === "string" ? chosen : view[name].flatMap((item, index) => (chosen(item, index) === true ? [index] : []));
  }
  return places;
}
