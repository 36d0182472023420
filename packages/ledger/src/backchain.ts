// A history as it is walked: what a peer may be shown, what may come of it, and in which order it is verified.
//
// Guarantees: a sender shows only ancestors of what it proposed, found by walking down from it; a receiver takes only what it
// asked for, or an ancestor of that, up to a count and a number of bytes; every round brings something that was asked for, so
// that no peer keeps it busy for nothing; dependencies come before dependants, and what would be its own ancestor never.

import type { SecureHash } from "@bowline/base";
import { FlowError } from "@bowline/sdk";
import {
  HISTORY_AHEAD_FIRST,
  HISTORY_AHEAD_LEAST,
  HISTORY_AHEAD_MAX,
  HISTORY_BATCH_BYTES_MAX,
  HISTORY_BATCH_MAX,
  HISTORY_BYTES_MAX,
  HISTORY_REQUEST_MAX,
  HISTORY_REQUESTS_MAX,
  HISTORY_SEARCHES_MAX,
  HISTORY_TRANSACTIONS_MAX,
} from "./limits.ts";
import type { KnownTransaction, ServedTransaction } from "./ports.ts";

export interface HistoryRequest {
  readonly ids: readonly SecureHash[];
  /** How many of their ancestors may come along. */
  readonly ahead: number;
}

/** The sender's side of one session. */
export class Shown {
  /** What was proposed builds on these. */
  readonly dependencies: readonly SecureHash[];
  readonly #allowed: Set<string>;
  readonly #sent = new Set<string>();
  #searches = 0;
  #bytes = 0;

  constructor(dependencies: readonly SecureHash[]) {
    this.dependencies = dependencies;
    this.#allowed = new Set(dependencies);
  }

  /** Ids that this session did not lead to. A peer that goes on from what another session brought asks for such; others should not. */
  strangers({ ids }: HistoryRequest): readonly SecureHash[] {
    const strangers = ids.filter((id) => !this.#allowed.has(id));
    if (strangers.length > 0 && ++this.#searches > HISTORY_SEARCHES_MAX) throw refused(strangers[0] as string);
    return strangers;
  }

  /** `ancestors` are those that a search of the whole history has found. Throws `ledger.backchainRefused` where not all are. */
  admit(strangers: readonly SecureHash[], ancestors: readonly SecureHash[]): void {
    const refusing = strangers.find((id) => !ancestors.includes(id));
    if (refusing !== undefined) throw refused(refusing);
    for (const id of strangers) this.#allowed.add(id);
  }

  /** The part of a page that is sent: what was asked for, and such ancestors as were not sent before. */
  page({ ids }: HistoryRequest, rows: readonly ServedTransaction[]): readonly Uint8Array[] {
    const page: Uint8Array[] = [];
    for (const { id, status, bytes, dependencies } of rows) {
      const asked = ids.includes(id);
      if (status !== "V" && !asked) continue;
      if (status !== "V") throw unknown(id);
      if (!asked && (this.#sent.has(id) || !this.#allowed.has(id))) continue;
      for (const dependency of dependencies) this.#allowed.add(dependency);
      this.#sent.add(id);
      this.#bytes += bytes.length;
      page.push(bytes);
    }
    const first = ids[0] as string;
    if (page.length === 0) throw unknown(first);
    if (this.#sent.size > HISTORY_TRANSACTIONS_MAX || this.#bytes > HISTORY_BYTES_MAX) throw tooLong(first);
    return page;
  }
}

/** The receiver's side of one session: what waits here to be verified, and what is still to come. */
export class Gathered {
  readonly #roots: readonly SecureHash[];
  /** Here and unverified, with what they build upon. */
  readonly #staged = new Map<SecureHash, Pick<KnownTransaction, "dependencies" | "size">>();
  readonly #wanted = new Set<SecureHash>();
  readonly #requests: HistoryRequest[] = [];
  #ahead = HISTORY_AHEAD_FIRST;
  /** Of the last answer, what came ahead. */
  #unasked: readonly SecureHash[] = [];
  #fetched = 0;
  #bytes = 0;

  constructor(roots: readonly SecureHash[]) {
    this.#roots = roots;
  }

  get isComplete(): boolean {
    return this.#wanted.size === 0;
  }

  /** What this vault knows of the ids that the history has led to. Throws `ledger.backchainInvalid` at what is invalid here. */
  learn(known: readonly KnownTransaction[]): void {
    for (const { id, status, staged, dependencies, size } of known) {
      if (status === "I") throw invalid(id, "it is invalid in this vault");
      if (this.#staged.has(id)) {
        if (status !== "V") continue;
        // It came ahead and is no news: the walk has reached what is verified here.
        this.#staged.delete(id);
        this.#ahead = HISTORY_AHEAD_LEAST;
      } else if (staged) this.#staged.set(id, { dependencies, size });
      else if (status !== "V") this.#wanted.add(id);
    }
    if (known.length > HISTORY_TRANSACTIONS_MAX) throw tooLong(this.#roots[0] as string);
  }

  /** Requests to send now: of what nobody asked for yet, several at a time. */
  requests(): readonly HistoryRequest[] {
    const asked = new Set(this.#requests.flatMap(({ ids }) => ids));
    const unasked = [...this.#wanted].filter((id) => !asked.has(id));
    const fresh: HistoryRequest[] = [];
    while (unasked.length > 0 && this.#requests.length < HISTORY_REQUESTS_MAX) {
      const request = { ids: unasked.splice(0, HISTORY_REQUEST_MAX), ahead: this.#ahead };
      fresh.push(request);
      this.#requests.push(request);
    }
    return fresh;
  }

  get isWaiting(): boolean {
    return this.#requests.length > 0;
  }

  /**
   * Of the answer to the oldest request what is new, in its order. `ids` are computed from the bytes. Throws
   * `ledger.backchainInvalid` at what was not asked for, `ledger.backchainWithheld` where nothing of what was comes.
   */
  take(
    answer: readonly { readonly id: SecureHash; readonly dependencies: readonly SecureHash[]; readonly size: number }[],
  ): ReadonlySet<SecureHash> {
    const request = this.#requests.shift() as HistoryRequest;
    const led = new Set<SecureHash>();
    const fresh = new Set<SecureHash>();
    for (const { id, dependencies, size } of answer) {
      for (const dependency of dependencies) led.add(dependency);
      if (this.#staged.has(id)) continue;
      if (!this.#wanted.delete(id) && !led.has(id)) throw invalid(id, "it was not asked for");
      this.#staged.set(id, { dependencies, size });
      fresh.add(id);
      this.#bytes += size;
    }
    this.#fetched += fresh.size;
    if (request.ids.every((id) => this.#wanted.has(id))) throw withheld(request.ids[0] as string);
    this.#unasked = [...fresh].filter((id) => !request.ids.includes(id));
    // As long as all of it may be news, more comes each time.
    if (this.#unasked.length >= request.ahead) this.#ahead = Math.min(HISTORY_AHEAD_MAX, this.#ahead * 2);
    if (this.#fetched > HISTORY_TRANSACTIONS_MAX || this.#bytes > HISTORY_BYTES_MAX) throw tooLong(this.#roots[0] as string);
    return fresh;
  }

  /** To be looked up in this vault after `take`: what came without being asked for, and where all that came leads. */
  frontier(fresh: ReadonlySet<SecureHash>): readonly SecureHash[] {
    const ids = new Set(this.#unasked);
    for (const id of fresh)
      for (const dependency of this.#staged.get(id)?.dependencies ?? [])
        if (!this.#staged.has(dependency) && !this.#wanted.has(dependency)) ids.add(dependency);
    return [...ids];
  }

  isStaged(id: SecureHash): boolean {
    return this.#staged.has(id);
  }

  /** All that is staged, by rank: what builds on nothing that is unverified first. In batches, of which each can be verified at once. */
  batches(): readonly (readonly SecureHash[])[] {
    const batches: SecureHash[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const id of byRank(this.#staged)) {
      const size = this.#staged.get(id)?.size ?? 0;
      const last = batches.at(-1);
      if (last === undefined || last.length === HISTORY_BATCH_MAX || bytes + size > HISTORY_BATCH_BYTES_MAX) {
        batches.push([id]);
        bytes = size;
      } else {
        last.push(id);
        bytes += size;
      }
    }
    return batches;
  }
}

/** Rank by rank, the ids of one rank in the order in which they were found. Throws `ledger.backchainInvalid` at a cycle. */
function byRank(graph: ReadonlyMap<SecureHash, { readonly dependencies: readonly SecureHash[] }>): readonly SecureHash[] {
  const waitsFor = new Map<SecureHash, number>();
  const dependants = new Map<SecureHash, SecureHash[]>();
  for (const [id, { dependencies }] of graph) {
    const inside = dependencies.filter((dependency) => graph.has(dependency));
    waitsFor.set(id, inside.length);
    for (const dependency of inside) dependants.set(dependency, [...(dependants.get(dependency) ?? []), id]);
  }
  const sorted = [...graph.keys()].filter((id) => waitsFor.get(id) === 0);
  for (const id of sorted)
    for (const dependant of dependants.get(id) ?? []) {
      const left = (waitsFor.get(dependant) ?? 0) - 1;
      waitsFor.set(dependant, left);
      if (left === 0) sorted.push(dependant);
    }
  if (sorted.length < graph.size) throw invalid([...graph.keys()][0] as string, "it is an ancestor of itself");
  return sorted;
}

export const invalid = (id: string, reason: string) =>
  new FlowError("ledger.backchainInvalid", `The history of ${id} does not hold: ${reason}.`, { id, reason });
const refused = (id: string) =>
  new FlowError("ledger.backchainRefused", `A peer asked for ${id}, which is no ancestor of what was proposed.`, { id });
const unknown = (id: string) => new FlowError("ledger.backchainUnknown", `Transaction ${id} is not verified in this vault.`, { id });
const withheld = (id: string) => new FlowError("ledger.backchainWithheld", `A peer was asked for ${id}, and answered without it.`, { id });
const tooLong = (id: string) =>
  new FlowError(
    "ledger.backchainTooLong",
    `The history of ${id} is longer than ${HISTORY_TRANSACTIONS_MAX} transactions or ${HISTORY_BYTES_MAX} bytes, which is what one session may bring. ` +
      "What was fetched stays: propose it again, and the next session goes on from there.",
    { id },
  );
