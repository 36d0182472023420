// An auditor of a notary's log, entry by entry: it is whole, sealed by the notary, and what it accepts is a ledger in which no
// state is spent twice. It needs the log and the notary's keys, and trusts neither the database nor whoever exported it.
//
// Proven of a log that is accepted: entries follow each other without a gap, each under a valid signature over all of it; every
// input of an accepted transaction was an output of one before it, and is the input of no other; every reference was unspent
// when it was referred to; each was accepted within its time window; a refusal for a conflict or for being late had that reason;
// no transaction was decided on twice. Where the notary's table of states is shown too: it has the states of the log and no others,
// each consumed by whom the log says. Memory: about 100 bytes for each transaction, and for each state that is unspent; with the table, for each state.

import { BowlineError, badRequest, equalBytes, hex, type SecureHash } from "@bowline/base";
import { batchLeaf, batchTop, batchTrees, keyIdOf, type SignedBytes, verifySync } from "@bowline/crypto";
import type { PublicKeyText, StateRef } from "@bowline/sdk";
import { type Decision, decodeDecisions, FIRST_HEAD, headAfter, type LogEntry, logLeaf, wordsOf } from "./history.ts";
import { stateRef } from "./leaves.ts";
import { decodeSignature, encodeWord, notaryPreimage } from "./signatures.ts";
import type { StateInTable } from "./uniqueness-tables.store.ts";

export interface AuditedHistory {
  readonly entries: number;
  readonly accepted: number;
  readonly refused: number;
  readonly unspent: number;
  /** Of the last entry: whoever keeps it can have a later log checked to continue this one. */
  readonly head: string;
  /** Entries by the id of the key that sealed them. */
  readonly sealedBy: Readonly<Record<SecureHash, number>>;
}

export interface Audit {
  /** A row of the table of states, which was read after the entries so far and before those that follow. */
  state(row: StateInTable): void;
  /** Throws `ledger.historyInvalid` with the place. */
  add(entry: LogEntry): void;
  /** The same, where the log ends before what it must continue. */
  conclude(): AuditedHistory;
}

/** `keys` are the simple keys that a seal may be of; `continues` is what an earlier audit ended with. */
export function createAudit(options: {
  readonly keys: readonly PublicKeyText[];
  readonly continues?: { readonly seq: number; readonly head: string };
  /** The table of states is shown too. */
  readonly withStates?: boolean;
}): Audit {
  const { continues } = options;
  const keys = new Map(options.keys.map((key) => [keyIdOf(key), key]));
  const book = new Book();
  const table = options.withStates === true ? new Table(book) : undefined;
  const sealedBy: Record<SecureHash, number> = {};
  let seq = 0;
  let head: Uint8Array = FIRST_HEAD;
  return {
    add(entry) {
      const place = { entry: entry.seq };
      if (entry.seq !== seq + 1) throw invalid(place, seq === 0 ? "the log does not begin with 1" : `it follows entry ${seq}`);
      if (!equalBytes(entry.head, headAfter(head, entry.decisions))) throw invalid(place, "its head is not that of the entries up to it");
      if (continues?.seq === entry.seq && continues.head !== hex(entry.head))
        throw invalid(place, `its head is ${hex(entry.head)}, and was ${continues.head} at the earlier audit`);
      try {
        const signer = sealOf(entry, keys);
        sealedBy[signer] = (sealedBy[signer] ?? 0) + 1;
        const { at, decisions } = decodeDecisions(entry.decisions);
        for (const decision of decisions) {
          book.enter(decision, at, entry.seq);
          if (decision.refusal === null) table?.consumed(decision.spend);
        }
      } catch (thrown) {
        if (!(thrown instanceof BowlineError) || thrown.code === "ledger.historyInvalid") throw thrown;
        throw invalid(place, thrown.message);
      }
      seq = entry.seq;
      head = entry.head;
    },
    state(row) {
      table?.enter(row, seq);
    },
    conclude() {
      if (continues !== undefined && continues.seq > seq)
        throw invalid({ entry: seq }, `the log ends here, and had ${continues.seq} entries at the earlier audit`);
      table?.conclude(seq);
      return { entries: seq, ...book.counts(), head: hex(head), sealedBy };
    },
  };
}

/** Which key has sealed an entry. */
function sealOf({ seq, decisions, seal }: LogEntry, keys: ReadonlyMap<SecureHash, PublicKeyText>): SecureHash {
  const { by, signature, metadata } = decodeSignature(seal);
  const publicKey = keys.get(by);
  if (publicKey === undefined) throw invalid({ entry: seq }, `it is sealed by ${by}, which is no key of this notary`);
  const leaves = wordsOf(decodeDecisions(decisions)).map((word, index) => batchLeaf(index, encodeWord(word)));
  leaves.push(logLeaf(leaves.length, decisions));
  const bytes = notaryPreimage(batchTop(leaves.length, batchTrees.root(leaves)), metadata);
  const signed: SignedBytes = { publicKey, bytes, signature, spec: metadata.spec };
  if (!verifySync(signed)) throw invalid({ entry: seq }, "its seal is not valid: what it decided was changed, or never sealed");
  return by;
}

/** What the entries so far amount to. */
class Book {
  readonly #decided = new Set<SecureHash>();
  readonly #unspent = new Set<StateRef>();
  #accepted = 0;

  enter({ spend, refusal }: Decision, at: number, entry: number): void {
    const { transactionId, inputs, references, outputCount, from, until } = spend;
    const place = { entry, transaction: transactionId };
    if (this.#decided.has(transactionId)) throw invalid(place, "it was decided on before");
    this.#decided.add(transactionId);
    if (refusal !== null) {
      this.#requireReason(refusal.code, spend, at, place);
      return;
    }
    if (at >= until || (from !== undefined && at < from)) throw invalid(place, "it was accepted outside of its time window");
    for (const ref of references)
      if (!this.#unspent.has(ref)) throw invalid(place, `it refers to ${ref}, which was spent before, or never issued`);
    for (const ref of inputs)
      if (!this.#unspent.delete(ref)) throw invalid(place, `it spends ${ref}, which was spent before, or never issued`);
    for (let index = 0; index < outputCount; index++) this.#unspent.add(stateRef(transactionId, index));
    this.#accepted++;
  }

  #requireReason(code: string, { inputs, references, until }: Decision["spend"], at: number, place: Place): void {
    const held = (refs: readonly StateRef[]) => refs.every((ref) => this.#unspent.has(ref));
    const unfounded =
      (code === "notary.timeWindowOutOfBounds" && at < until) ||
      (code === "notary.inputStateConflict" && held(inputs)) ||
      (code === "notary.referenceStateConflict" && held(references));
    if (unfounded) throw invalid(place, `it was refused as ${code}, and was not`);
  }

  isUnspent(ref: StateRef): boolean {
    return this.#unspent.has(ref);
  }

  counts() {
    return { accepted: this.#accepted, refused: this.#decided.size - this.#accepted, unspent: this.#unspent.size };
  }
}

/** What is shown of the table, beside the log. What was decided while it was read may stand in it, or not yet. */
class Table {
  readonly #book: Book;
  readonly #consumers = new Map<StateRef, SecureHash>();
  readonly #undecided: StateInTable[] = [];
  #missing: number | undefined;

  constructor(book: Book) {
    this.#book = book;
  }

  consumed({ transactionId, inputs }: Decision["spend"]): void {
    for (const ref of inputs) this.#consumers.set(ref, transactionId);
  }

  enter(row: StateInTable, entry: number): void {
    this.#missing ??= this.#known();
    const by = this.#consumers.get(row.ref);
    const isThere = by !== undefined || this.#book.isUnspent(row.ref);
    if (isThere) this.#missing--;
    if (by !== undefined && row.by !== by) throw differs(row, entry, `the log has it consumed by ${by}`);
    if (by === undefined && (!isThere || row.by !== null)) this.#undecided.push(row);
  }

  conclude(entry: number): void {
    for (const row of this.#undecided) {
      const by = this.#consumers.get(row.ref);
      if (row.by !== null && row.by !== by) throw differs(row, entry, "the log does not say so");
      if (by === undefined && !this.#book.isUnspent(row.ref)) throw differs(row, entry, "the log never issued it");
    }
    const missing = this.#missing ?? this.#known();
    if (missing !== 0) throw invalid({ entry }, `the table of states lacks ${missing} that were issued`);
  }

  #known(): number {
    return this.#book.counts().unspent + this.#consumers.size;
  }
}

const differs = ({ ref, by }: StateInTable, entry: number, reason: string) =>
  invalid({ entry }, `in the table of states ${ref} is ${by === null ? "unspent" : `consumed by ${by}`}, and ${reason}`);

interface Place {
  readonly entry: number;
  readonly transaction?: SecureHash;
}

function invalid({ entry, transaction }: Place, reason: string): BowlineError {
  const where = transaction === undefined ? `entry ${entry}` : `entry ${entry}, transaction ${transaction}`;
  const details = { entry: String(entry), reason, ...(transaction === undefined ? {} : { transaction }) };
  return badRequest("ledger.historyInvalid", `The notary's history does not hold at ${where}: ${reason}.`, details);
}
