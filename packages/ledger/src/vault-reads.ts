// What can be asked of a vault, over rows that come from PostgreSQL or from memory: one set of answers for both.

import { BowlineError, badRequest, type Data, decode, encode, type Instant, type SecureHash, type X500Name } from "@bowline/base";
import type { StateAndRef, StateRef, VaultQuery } from "@bowline/sdk";
import { dependencyFrom, filteredDependency, outputsNeeded, readDependency } from "./dependencies.ts";
import { outputInfoOf, parseStateRef, parseTransactionId, stateRef } from "./leaves.ts";
import { PAGE_STATES_DEFAULT, PAGE_STATES_MAX } from "./limits.ts";
import type {
  InvalidTransaction,
  KnownTransaction,
  ListedState,
  ServedTransaction,
  StateChange,
  TransactionStatus,
  UnverifiedTransaction,
  VaultRead,
} from "./ports.ts";
import {
  decodeSigned,
  decodeTransaction,
  dependenciesOf,
  type ResolvedState,
  resolvedOutput,
  stateAndRef,
  type Transaction,
  viewOf,
} from "./transaction.ts";

export interface OutputRow {
  readonly id: SecureHash;
  readonly index: number;
  readonly position: number;
  readonly type: string;
  readonly info: Uint8Array;
  readonly data: Uint8Array;
  readonly json: Data;
  readonly created: Instant;
  readonly consumed: Instant | null;
}

/** The looks at the tables that every answer is made of. */
export interface VaultRows {
  /** Those that are there, in any order, each with its signatures in order of key. */
  transactions(ids: readonly string[]): Promise<
    readonly {
      readonly id: SecureHash;
      readonly status: TransactionStatus;
      readonly wire: Uint8Array;
      readonly signatures: readonly Uint8Array[];
    }[]
  >;
  /** These, and all that they lead to through unverified rows, `limit` at most. */
  unresolved(ids: readonly string[], limit: number): Promise<readonly KnownTransaction[]>;
  /** These in order, then their ancestors, the nearest first, `count` in all at most; the page ends after the row that crosses `bytesMax`. */
  history(
    ids: readonly string[],
    count: number,
    bytesMax: number,
  ): Promise<
    readonly {
      readonly id: SecureHash;
      readonly status: TransactionStatus;
      readonly wire: Uint8Array;
      readonly signatures: readonly Uint8Array[];
      readonly dependencies: readonly SecureHash[];
    }[]
  >;
  /** Outputs of these that filtered copies show. */
  shown(ids: readonly string[]): Promise<readonly ResolvedState[]>;
  /** Filtered copies of these, as they came. */
  copies(ids: readonly string[]): Promise<readonly { readonly id: SecureHash; readonly copy: Uint8Array }[]>;
  /** Which of `among` are of the `limit` nearest ancestors of these, or these. */
  ancestors(of: readonly string[], among: readonly string[], limit: number): Promise<readonly SecureHash[]>;
  /** By when they are asked about next. */
  unverified(limit: number): Promise<readonly UnverifiedTransaction[]>;
  /** The newest first. */
  invalid(limit: number): Promise<readonly InvalidTransaction[]>;
  /** Outputs of one type, ascending by position, whose JSON form contains `where`. */
  page(query: {
    readonly type: string;
    readonly consumed: boolean;
    readonly where: Data;
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly OutputRow[]>;
  /** Changes after a position, ascending, and the last position there is: below it nothing is still to come. */
  changes(query: { readonly after: number; readonly types: readonly string[] | null; readonly limit: number }): Promise<{
    readonly changes: readonly { readonly at: number; readonly kind: "produced" | "consumed"; readonly output: OutputRow }[];
    readonly head: number;
  }>;
  /** Outputs descending by position; null stands for all. */
  newest(query: {
    readonly type: string | null;
    readonly consumed: boolean | null;
    readonly before: number;
    readonly limit: number;
  }): Promise<readonly OutputRow[]>;
  groupParameters(
    hash: string,
  ): Promise<{ readonly bytes: Uint8Array; readonly signature: Uint8Array; readonly signedBy: string } | undefined>;
}

export async function answerRead(read: VaultRead, rows: VaultRows): Promise<Data> {
  switch (read.kind) {
    case "find":
      return find(read.query, rows);
    case "resolve":
      return (await sources(read.refs, rows)).map((state, i) => {
        if (state !== null) return stateAndRef(state) as StateAndRef & { readonly [key: string]: Data };
        const ref = read.refs[i] as string;
        throw new BowlineError("notFound", "vault.stateUnknown", `This vault holds no verified state ${ref}.`, { ref });
      });
    case "sources":
      return (await sources(read.refs, rows)).map((state) => state && { ...state });
    case "transactions":
      return transactions(read.ids, rows);
    case "view":
      return view(read.id, rows);
    case "groupParameters": {
      const found = await rows.groupParameters(read.hash);
      return found === undefined ? null : { bytes: found.bytes, signature: found.signature, signedBy: found.signedBy };
    }
    case "list":
      return list(read, rows);
    case "changes":
      return changes(read, rows);
    case "unresolved":
      return (await rows.unresolved(read.ids, read.limit)).map((row) => ({ ...row }));
    case "history":
      return (await rows.history(read.ids, read.ids.length + read.ahead, read.bytesMax)).map(
        ({ id, status, wire, signatures, dependencies }): ServedTransaction & { [key: string]: Data } => ({
          id,
          status,
          bytes: encode({ transaction: wire, signatures }),
          dependencies,
        }),
      );
    case "dependencies":
      return dependencies(read.refs, rows);
    case "ancestors":
      return rows.ancestors(read.of, read.among, read.limit);
    case "verifiable":
      return verifiable(read.ids, rows);
    case "unverified":
      return (await rows.unverified(pageLimit(read.limit))).map((row) => ({ ...row }));
    case "invalid":
      return (await rows.invalid(pageLimit(read.limit))).map((row) => ({ ...row }));
  }
}

async function find(query: VaultQuery, rows: VaultRows): Promise<Data> {
  const limit = pageLimit(query.limit);
  const after = query.after === undefined ? 0 : cursor(query.after);
  const found = await rows.page({ type: query.state, consumed: query.consumed ?? false, where: nested(query.where ?? {}), after, limit });
  const states = found.map(({ id, index, info, data }) => stateAndRef({ ref: stateRef(id, index), info, data }) as unknown as Data);
  return { states, next: found.length < limit ? null : String(found.at(-1)?.position) };
}

async function list(read: Extract<VaultRead, { kind: "list" }>, rows: VaultRows): Promise<Data> {
  const limit = pageLimit(read.limit);
  const before = read.before === undefined ? Number.MAX_SAFE_INTEGER : cursor(read.before);
  const found = await rows.newest({ type: read.state ?? null, consumed: read.consumed ?? null, before, limit });
  const states = found.map(listed);
  return { states, next: found.length < limit ? null : String(found.at(-1)?.position) };
}

const listed = ({ id, index, type, info, json, created, consumed }: OutputRow): ListedState & { [key: string]: Data } => ({
  ref: stateRef(id, index),
  type,
  notary: outputInfoOf(info).notary as X500Name,
  json,
  createdAt: created,
  consumedAt: consumed,
});

/** Who has been told up to a position that is not there yet has been told by a vault that a backup has replaced. */
async function changes({ after, types, limit }: Extract<VaultRead, { kind: "changes" }>, rows: VaultRows): Promise<Data> {
  const count = pageLimit(limit);
  const { changes, head } = await rows.changes({ after: after ?? Number.MAX_SAFE_INTEGER, types: types ?? null, limit: count });
  if (after !== null && after > head)
    throw new BowlineError("conflict", "vault.positionUnknown", `This vault has not come to position ${after}: it is at ${head}.`, {
      position: String(head),
    });
  const told = changes.map(({ at, kind, output }): StateChange & { [key: string]: Data } => ({ position: at, kind, ...listed(output) }));
  return { changes: told, next: changes.length < count ? head : (changes.at(-1)?.at ?? head) };
}

async function sources(refs: readonly StateRef[], rows: VaultRows): Promise<readonly (ResolvedState | null)[]> {
  const parsed = refs.map(parseStateRef);
  const found = await rows.transactions([...new Set(parsed.map(({ transactionId }) => transactionId))]);
  const verified = new Map(found.filter(({ status }) => status === "V").map(({ id, wire }) => [id, decodeTransaction(wire)]));
  const others = parsed.filter(({ transactionId }) => !verified.has(transactionId)).map(({ transactionId }) => transactionId);
  const shown = new Map((others.length === 0 ? [] : await rows.shown([...new Set(others)])).map((state) => [state.ref, state]));
  return parsed.map(({ transactionId, index }) => {
    const transaction = verified.get(transactionId);
    return (transaction === undefined ? shown.get(stateRef(transactionId, index)) : resolvedOutput(transaction, index)) ?? null;
  });
}

/** From the whole transaction where it is verified here, and where it is not from copies that together show what is needed. */
async function dependencies(refs: readonly StateRef[], rows: VaultRows): Promise<Data> {
  const needed = outputsNeeded({ inputs: refs, references: [] });
  const found = (await rows.transactions([...needed.keys()])).filter(({ status }) => status === "V");
  const whole = new Map(found.map(({ id, wire, signatures }) => [id, decodeSigned(encode({ transaction: wire, signatures }))]));
  const others = [...needed.keys()].filter((id) => !whole.has(id));
  const copies = others.length === 0 ? [] : await rows.copies(others);
  return [...needed].map(([id, outputs]): Data => {
    const signed = whole.get(id);
    if (signed !== undefined) return { ...filteredDependency(signed, outputs) };
    const own = copies.filter((one) => one.id === id).map(({ copy }) => readDependency(decode(copy)));
    const dependency = dependencyFrom(own, outputs);
    if (dependency !== undefined) return { ...dependency };
    const ref = stateRef(id, outputs[0] as number);
    throw new BowlineError("notFound", "vault.stateUnknown", `This vault has no proof of state ${ref}.`, { ref });
  });
}

async function transactions(ids: readonly string[], rows: VaultRows): Promise<Data> {
  const found = new Map((await rows.transactions(ids)).map((row) => [row.id as string, row]));
  return ids.map((id) => {
    const row = found.get(id);
    // The same bytes as `encodeSigned`: what is stored apart is put together as it was.
    return row === undefined ? null : { bytes: encode({ transaction: row.wire, signatures: row.signatures }), status: row.status };
  });
}

async function verifiable(ids: readonly string[], rows: VaultRows): Promise<Data> {
  const found = new Map((await rows.transactions(ids)).map((row) => [row.id as string, row]));
  const transactions = new Map([...found].map(([id, { wire }]) => [id, decodeTransaction(wire)]));
  const beyond = [...new Set([...transactions.values()].flatMap(dependenciesOf))].filter((id) => !transactions.has(id));
  // An id is the hash of its content: what an output says does not depend on whether its row is verified yet.
  for (const { id, status, wire } of await rows.transactions(beyond))
    if (status === "U" || status === "V") transactions.set(id, decodeTransaction(wire));
  const others = beyond.filter((id) => !transactions.has(id));
  const shown = new Map((others.length === 0 ? [] : await rows.shown(others)).map((state) => [state.ref, state]));
  const resolve = (ref: StateRef, by: string) => {
    const { transactionId, index } = parseStateRef(ref);
    const source = transactions.get(transactionId);
    const state = source === undefined ? shown.get(ref) : resolvedOutput(source, index);
    if (state === undefined)
      throw new BowlineError("notFound", "vault.stateUnknown", `State ${ref}, on which ${by} builds, is not in this vault.`, { ref });
    return { ...state };
  };
  return ids.map((id) => {
    const row = found.get(id);
    const transaction = transactions.get(id);
    if (row === undefined || transaction === undefined)
      throw new BowlineError("notFound", "vault.transactionUnknown", `There is no transaction ${id} to verify.`, { id });
    return {
      bytes: encode({ transaction: row.wire, signatures: row.signatures }),
      groupParametersHash: transaction.metadata.membershipGroupParametersHash,
      inputs: transaction.inputs.map((ref) => resolve(ref, id)),
      references: transaction.references.map((ref) => resolve(ref, id)),
    };
  });
}

async function view(id: string, rows: VaultRows): Promise<Data> {
  if (parseTransactionId(id) === undefined) throw badRequest("vault.badQuery", `"${id}" is not a transaction id.`, { id });
  const [row] = await rows.transactions([id]);
  if (row === undefined || row.status === "I") return null;
  const transaction: Transaction = decodeTransaction(row.wire);
  const states = await sources([...transaction.inputs, ...transaction.references], rows);
  const known = states.filter((state) => state !== null).map(stateAndRef);
  if (known.length < states.length)
    throw new BowlineError("notFound", "vault.stateUnknown", `An input or reference of ${id} is not verified in this vault.`, { id });
  const inputs = transaction.inputs.length;
  return viewOf(transaction, known.slice(0, inputs), known.slice(inputs)) as unknown as Data;
}

/** `{ "amount.currency": "EUR" }` as `{ amount: { currency: "EUR" } }`. */
function nested(where: NonNullable<VaultQuery["where"]>): Data {
  const root: { [key: string]: Data } = Object.create(null);
  for (const [path, value] of Object.entries(where)) {
    const keys = path.split(".");
    const last = keys.pop() as string;
    let at = root;
    for (const key of keys) {
      const below: Data = at[key] ?? Object.create(null);
      if (typeof below !== "object") throw badRequest("vault.badQuery", `The query says two things of ${path}.`, { path });
      at[key] = below;
      at = below as { [key: string]: Data };
    }
    if (at[last] !== undefined) throw badRequest("vault.badQuery", `The query says two things of ${path}.`, { path });
    at[last] = value;
  }
  return root;
}

function pageLimit(limit = PAGE_STATES_DEFAULT): number {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= PAGE_STATES_MAX) return limit;
  throw badRequest("vault.badQuery", `A page has 1 to ${PAGE_STATES_MAX} states, not ${limit}.`, { limit: String(limit) });
}

function cursor(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw badRequest("vault.badQuery", `"${text}" is not where a page ended.`, { after: text });
}
