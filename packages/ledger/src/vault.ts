// What a flow's writes change in the vault: decided here, on values; carried out by `vault.store.ts` and `vault.memory.ts`.
//
//            none    D       U            V        I        F
//   write D  insert  keep    keep         keep     refuse   keep
//   write U  insert  move    keep         keep     refuse   move
//   write V  insert  move    move         keep     refuse   move
//   write I  insert  move    move, or     refuse   keep     refuse
//                            keep where the only evidence is our refusal: our signature may be out
//   write F  insert  mark    mark         keep     refuse   keep
//
// F is V of which only outputs are known, filtered. Over D and U it leaves the status and marks the row: its outputs are known
// too. V, whole, takes the mark away; nothing filtered ever takes the place of what is whole.
//
// Guarantees: V is written only with a complete verdict of the verification role on that id, whose inputs and references are
// outputs of transactions that are V here, or shown by parts that the role has checked; what is produced and consumed is read
// from the bytes; the JSON form of an output is the one that the verdict binds. I is written only with evidence.

import { BowlineError, type Data, decoder, encode, equalBytes, type Instant, type SecureHash, type X500Name } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import type { StateDescription, StateRef } from "@bowline/sdk";
import type { TokenDescription } from "@bowline/sdk/tokens";
import Type, { type Static } from "typebox";
import { dependenciesMac, FilteredDependencies, shownBy } from "./dependencies.ts";
import { Bytes, GROUP, parseStateRef, stateRef, TransactionId } from "./leaves.ts";
import type { Held, TransactionStatus, VaultCommit } from "./ports.ts";
import { checkNotaryWord, decodeSignature, decodeWords, encodeSignature, type TransactionSignature } from "./signatures.ts";
import {
  decodeSigned,
  dependenciesOf,
  type ResolvedState,
  resolvedOutput,
  type SignedTransaction,
  type Transaction,
} from "./transaction.ts";
import { Description, descriptionDigest, openVerdict, resolvedDigest } from "./verification.ts";

const STRICT = { additionalProperties: false } as const;
const Visible = Type.Array(Type.Object({ index: Type.Integer({ minimum: 0 }), ...Description }, STRICT));
const Write = Type.Union([
  Type.Object({ kind: Type.Literal("unverified"), status: Type.Enum(["D", "U"]), bytes: Bytes }, STRICT),
  Type.Object({ kind: Type.Literal("history"), bytes: Bytes }, STRICT),
  Type.Object({ kind: Type.Literal("verified"), bytes: Bytes, verdict: Bytes, mac: Bytes, visible: Visible }, STRICT),
  Type.Object({ kind: Type.Literal("verifiedHere"), id: TransactionId, verdict: Bytes, mac: Bytes, visible: Visible }, STRICT),
  Type.Object({ kind: Type.Literal("filtered"), dependencies: FilteredDependencies, mac: Bytes }, STRICT),
  Type.Object({ kind: Type.Literal("signatures"), id: TransactionId, signatures: Type.Array(Bytes) }, STRICT),
  Type.Object(
    {
      kind: Type.Literal("invalid"),
      bytes: Bytes,
      reason: Type.String(),
      evidence: Type.Union([
        Type.Object({ kind: Type.Literal("rejection"), word: Bytes }, STRICT),
        Type.Object({ kind: Type.Literal("content"), verdict: Bytes, mac: Bytes }, STRICT),
        Type.Object({ kind: Type.Literal("refusal") }, STRICT),
      ]),
    },
    STRICT,
  ),
  Type.Object({ kind: Type.Literal("groupParameters"), bytes: Bytes, signature: Bytes, signedBy: Type.String() }, STRICT),
  Type.Object({ kind: Type.Literal("tokens.release"), claim: Type.String(), used: Type.Array(Type.String()) }, STRICT),
]);
type Write = Static<typeof Write>;
const readWrite = decoder(Write, "vault write");

type BareWrite = Extract<Write, { kind: "signatures" | "groupParameters" | "verifiedHere" | "tokens.release" }>;
/** Those that bring their transaction. */
type TransactionWrite = Exclude<Write, BareWrite | FilteredWrite>;
type FilteredWrite = Extract<Write, { kind: "filtered" }>;
/** A write with its transaction decoded, once. */
type OpenWrite =
  | { readonly write: TransactionWrite; readonly signed: SignedTransaction }
  | { readonly write: FilteredWrite; readonly shown: readonly ReturnType<typeof shownBy>[] }
  | { readonly write: BareWrite; readonly flowId: string };

/** Writes that have been read, and what the store must look up before it can be decided what they change. */
export interface OpenWrites {
  readonly writes: readonly OpenWrite[];
  /** Transactions whose status decides; the store locks these rows. */
  readonly ids: readonly SecureHash[];
  /** Of these the bytes are needed too: `sourcesOfStored` says what they build upon. */
  readonly stored: readonly SecureHash[];
  /** Transactions whose outputs are consumed or referred to. */
  readonly sources: readonly SecureHash[];
}

/** What the store found. */
export interface VaultKnowledge {
  readonly held: ReadonlyMap<SecureHash, Held>;
  /** Of `stored`, those that are there. */
  readonly stored: ReadonlyMap<SecureHash, Transaction>;
  /** Verified transactions among the sources. */
  readonly verified: ReadonlyMap<SecureHash, Transaction>;
  /** Outputs of the other sources that filtered copies show. */
  readonly shown: ReadonlyMap<StateRef, ResolvedState>;
}

/** Rows to write, in this order. */
export interface VaultChanges {
  readonly transactions: readonly {
    readonly id: SecureHash;
    readonly status: TransactionStatus;
    /** Null where only filtered copies are here. */
    readonly bytes: Uint8Array | null;
    readonly groupParametersHash: SecureHash;
    readonly reason: string | null;
    /** Of an unverified one that is to be asked about until it is decided: its upper bound. */
    readonly until: Instant | null;
  }[];
  readonly signatures: readonly {
    readonly id: SecureHash;
    readonly by: SecureHash;
    readonly notary: boolean;
    readonly bytes: Uint8Array;
  }[];
  readonly sources: readonly {
    readonly id: SecureHash;
    readonly group: number;
    readonly index: number;
    readonly sourceId: SecureHash;
    readonly sourceIndex: number;
  }[];
  readonly outputs: readonly {
    readonly id: SecureHash;
    readonly index: number;
    readonly type: string;
    readonly info: Uint8Array;
    readonly data: Uint8Array;
    readonly json: Data;
  }[];
  /** Outputs that may be claimed while they stand. */
  readonly tokens: readonly {
    readonly id: SecureHash;
    readonly index: number;
    readonly notary: X500Name;
    readonly token: TokenDescription;
  }[];
  readonly consumed: readonly StateRef[];
  /** Claims that end; only the flow's own do. */
  readonly released: readonly { readonly flowId: string; readonly claim: string; readonly used: readonly StateRef[] }[];
  /** Outputs of these may have been consumed by what came before them. */
  readonly late: readonly SecureHash[];
  /** Unverified rows and drafts of which outputs are now known. */
  readonly marked: readonly SecureHash[];
  readonly copies: readonly { readonly id: SecureHash; readonly hash: SecureHash; readonly bytes: Uint8Array }[];
  readonly shown: readonly { readonly id: SecureHash; readonly index: number; readonly info: Uint8Array; readonly data: Uint8Array }[];
  readonly groupParameters: readonly {
    readonly hash: SecureHash;
    readonly bytes: Uint8Array;
    readonly signature: Uint8Array;
    readonly signedBy: string;
  }[];
}

export function openWrites(commits: readonly VaultCommit[]): OpenWrites {
  const writes = commits.flatMap((commit) => commit.writes.map((data) => open(readWrite(data), commit.flowId)));
  const ids = new Set<SecureHash>();
  const stored = new Set<SecureHash>();
  const sources = new Set<SecureHash>();
  for (const opened of writes) {
    if ("signed" in opened) {
      const { transaction } = opened.signed;
      ids.add(transaction.id);
      if (opened.write.kind === "verified") for (const id of dependenciesOf(transaction)) sources.add(id);
    } else if ("shown" in opened) {
      for (const { id } of opened.shown) ids.add(id);
    } else if ("id" in opened.write) {
      ids.add(opened.write.id);
      if (opened.write.kind === "verifiedHere") stored.add(opened.write.id);
    }
  }
  return { writes, ids: [...ids].sort(), stored: [...stored], sources: [...sources] };
}

/** All sources, once the stored transactions are known. */
export const withStored = ({ sources }: OpenWrites, stored: Iterable<Transaction>): readonly SecureHash[] => [
  ...new Set([...sources, ...[...stored].flatMap(dependenciesOf)]),
];

/** Throws where a write may not be; then nothing of the commit is written. */
export function decideChanges({ writes }: OpenWrites, known: VaultKnowledge, macKey: Uint8Array): VaultChanges {
  const draft = new Draft(known);
  for (const opened of writes) {
    if ("signed" in opened) writeTransaction(draft, opened.write, opened.signed, macKey);
    else if ("shown" in opened) writeFiltered(draft, opened, macKey);
    else writeBare(draft, opened.write, opened.flowId, macKey);
  }
  return draft.changes();
}

/** The matrix at the top of this file. */
export function decideStatus(
  now: Held | undefined,
  next: TransactionStatus | "F",
  ourRefusalOnly: boolean,
): "insert" | "move" | "mark" | "keep" | "refuse" {
  if (now === undefined) return "insert";
  if (next === "F" && now.status !== "I") return now.status === "V" || now.filtered ? "keep" : "mark";
  if (now.status === "V" && now.filtered) return next === "I" ? "refuse" : next === "D" ? "keep" : "move";
  if (now.status === next) return "keep";
  switch (now.status) {
    case "D":
      return "move";
    case "U":
      return next === "V" || (next === "I" && !ourRefusalOnly) ? "move" : "keep";
    case "V":
      return next === "I" ? "refuse" : "keep";
    case "I":
      return "refuse";
  }
}

function open(write: Write, flowId: string): OpenWrite {
  switch (write.kind) {
    case "signatures":
    case "groupParameters":
    case "verifiedHere":
    case "tokens.release":
      return { write, flowId };
    case "filtered":
      return { write, shown: write.dependencies.map(shownBy) };
    default:
      return { write, signed: decodeSigned(write.bytes) };
  }
}

function writeBare(draft: Draft, write: BareWrite, flowId: string, macKey: Uint8Array): void {
  switch (write.kind) {
    case "signatures":
      draft.moreSignatures(write.id, write.signatures.map(decodeSignature));
      return;
    case "groupParameters":
      draft.parameters(write);
      return;
    case "verifiedHere":
      verify(draft, draft.stored(write.id), [], write, macKey);
      return;
    case "tokens.release":
      draft.release({ flowId, claim: write.claim, used: write.used });
  }
}

function writeTransaction(draft: Draft, write: TransactionWrite, { transaction, signatures }: SignedTransaction, macKey: Uint8Array): void {
  switch (write.kind) {
    case "unverified":
      draft.put(transaction, write.status, signatures, { until: write.status === "U" ? transaction.timeWindow.until : null });
      return;
    case "history":
      draft.put(transaction, "U", signatures);
      return;
    case "verified":
      verify(draft, transaction, signatures, write, macKey);
      return;
    case "invalid": {
      const { evidence, reason } = write;
      if (evidence.kind === "content" && openVerdict(evidence, transaction.id, macKey).valid)
        throw refused(
          "ledger.verdictRefused",
          `The verdict on ${transaction.id} says that it is valid, and a flow would write it invalid.`,
        );
      if (evidence.kind === "rejection" && checkNotaryWord(transaction, evidence.word).kind !== "refused")
        throw refused(
          "vault.statusRefused",
          `Transaction ${transaction.id} was accepted by its notary, and a flow would write it invalid.`,
        );
      const words = evidence.kind === "rejection" ? decodeWords(evidence.word) : [];
      draft.put(transaction, "I", [...signatures, ...words], { reason, ourRefusalOnly: evidence.kind === "refusal" });
    }
  }
}

function verify(
  draft: Draft,
  transaction: Transaction,
  signatures: readonly TransactionSignature[],
  write: Extract<Write, { kind: "verified" | "verifiedHere" }>,
  macKey: Uint8Array,
): void {
  const { outputs } = requireVerdict(draft, transaction, write, macKey);
  if (draft.put(transaction, "V", signatures) === "keep") return;
  for (const { index, ...description } of write.visible) {
    const digest = outputs[index];
    if (digest === undefined || !equalBytes(digest, descriptionDigest(description)))
      throw refused("ledger.verdictRefused", `The verdict on ${transaction.id} does not bind the description of output ${index}.`);
    draft.produce(transaction, index, description);
  }
}

function writeFiltered(
  draft: Draft,
  { write: { dependencies, mac }, shown }: Extract<OpenWrite, { shown: unknown }>,
  macKey: Uint8Array,
): void {
  if (!equalBytes(dependenciesMac(macKey, dependencies), mac))
    throw refused("ledger.verdictRefused", "The verification role has not checked these parts of transactions.");
  for (const [i, parts] of shown.entries()) draft.show(parts, encode(dependencies[i] as unknown as Data));
}

function requireVerdict(draft: Draft, transaction: Transaction, sealed: { verdict: Uint8Array; mac: Uint8Array }, macKey: Uint8Array) {
  const verdict = openVerdict(sealed, transaction.id, macKey);
  if (!verdict.complete)
    throw refused("ledger.verdictRefused", `Transaction ${transaction.id} is not valid, signed by all and accepted by its notary.`);
  const inputs = transaction.inputs.map((ref) => draft.resolve(ref));
  const references = transaction.references.map((ref) => draft.resolve(ref));
  if (!equalBytes(verdict.resolved, resolvedDigest(inputs, references)))
    throw refused("ledger.verdictRefused", `Transaction ${transaction.id} was verified over other inputs than those in this vault.`);
  return verdict;
}

/** Changes as they are gathered; later writes see earlier ones. */
class Draft {
  readonly #held: Map<SecureHash, Held>;
  readonly #stored: ReadonlyMap<SecureHash, Transaction>;
  readonly #verified: Map<SecureHash, Transaction>;
  readonly #states: Map<StateRef, ResolvedState>;
  readonly #late: SecureHash[] = [];
  readonly #marked: SecureHash[] = [];
  readonly #copies: VaultChanges["copies"][number][] = [];
  readonly #shown: VaultChanges["shown"][number][] = [];
  readonly #transactions = new Map<SecureHash, VaultChanges["transactions"][number]>();
  readonly #signatures = new Map<string, VaultChanges["signatures"][number]>();
  readonly #sources = new Map<SecureHash, VaultChanges["sources"]>();
  readonly #outputs: VaultChanges["outputs"][number][] = [];
  readonly #tokens: VaultChanges["tokens"][number][] = [];
  readonly #consumed: StateRef[] = [];
  readonly #released: VaultChanges["released"][number][] = [];
  readonly #groupParameters = new Map<SecureHash, VaultChanges["groupParameters"][number]>();

  constructor({ held, stored, verified, shown }: VaultKnowledge) {
    this.#held = new Map(held);
    this.#states = new Map(shown);
    this.#stored = stored;
    this.#verified = new Map(verified);
  }

  put(
    transaction: Transaction,
    status: TransactionStatus,
    signatures: readonly TransactionSignature[],
    {
      reason = null,
      ourRefusalOnly = false,
      until = null,
    }: { reason?: string | null; ourRefusalOnly?: boolean; until?: Instant | null } = {},
  ): "insert" | "move" | "keep" {
    const { id } = transaction;
    const now = this.#held.get(id);
    const decision = decideStatus(now, status, ourRefusalOnly);
    if (decision === "refuse" || decision === "mark") throw forEver(id, now, status);
    this.#sign(id, signatures);
    if (decision === "keep") return decision;
    if (now?.filtered === true && status === "V") this.#late.push(id);
    this.#held.set(id, { status, filtered: now?.filtered === true && status !== "V" });
    const groupParametersHash = transaction.metadata.membershipGroupParametersHash;
    this.#transactions.set(id, { id, status, bytes: transaction.bytes, groupParametersHash, reason, until });
    this.#sources.set(id, [...sourcesOf(transaction, GROUP.inputs), ...sourcesOf(transaction, GROUP.references)]);
    if (status === "V") {
      this.#verified.set(id, transaction);
      this.#consumed.push(...transaction.inputs);
    }
    return decision;
  }

  /** Outputs that a filtered copy shows, unless the whole transaction is verified here. */
  show({ id, groupParametersHash, outputs }: ReturnType<typeof shownBy>, bytes: Uint8Array): void {
    const now = this.#held.get(id);
    const decision = decideStatus(now, "F", false);
    if (decision === "refuse") throw forEver(id, now, "F");
    if (decision === "keep" && now?.filtered !== true) return;
    if (decision === "insert") this.#transactions.set(id, { id, status: "V", bytes: null, groupParametersHash, reason: null, until: null });
    if (decision === "mark") this.#marked.push(id);
    this.#held.set(id, { status: now?.status ?? "V", filtered: true });
    this.#copies.push({ id, hash: secureHashOf(bytes), bytes });
    for (const { index, info, data } of outputs) {
      this.#shown.push({ id, index, info, data });
      this.#states.set(stateRef(id, index), { ref: stateRef(id, index), info, data });
    }
  }

  stored(id: SecureHash): Transaction {
    const transaction = this.#stored.get(id);
    if (transaction !== undefined) return transaction;
    throw new BowlineError("notFound", "vault.transactionUnknown", `There is no transaction ${id} to write as verified.`, { id });
  }

  moreSignatures(id: SecureHash, signatures: readonly TransactionSignature[]): void {
    if (!this.#held.has(id))
      throw new BowlineError("notFound", "vault.transactionUnknown", `There is no transaction ${id} to add signatures to.`, { id });
    this.#sign(id, signatures);
  }

  produce(transaction: Transaction, index: number, { json, token }: StateDescription): void {
    const { id, notary } = transaction;
    const output = resolvedOutput(transaction, index) as ResolvedState;
    const type = transaction.outputs[index]?.info.type as string;
    this.#outputs.push({ id, index, type, info: output.info, data: output.data, json: jsonForm(json) });
    if (token !== undefined) this.#tokens.push({ id, index, notary, token });
  }

  release(released: VaultChanges["released"][number]): void {
    this.#released.push(released);
  }

  parameters({ bytes, signature, signedBy }: { bytes: Uint8Array; signature: Uint8Array; signedBy: string }): void {
    const hash = secureHashOf(bytes);
    this.#groupParameters.set(hash, { hash, bytes, signature, signedBy });
  }

  resolve(ref: StateRef): ResolvedState {
    const { transactionId, index } = parseStateRef(ref);
    const source = this.#verified.get(transactionId);
    const output = source === undefined ? this.#states.get(ref) : resolvedOutput(source, index);
    if (output === undefined)
      throw refused("vault.sourceUnverified", `State ${ref} is no output of a transaction that is verified in this vault.`);
    return output;
  }

  changes(): VaultChanges {
    return {
      transactions: [...this.#transactions.values()],
      signatures: [...this.#signatures.values()],
      sources: [...this.#sources.values()].flat(),
      outputs: this.#outputs,
      tokens: this.#tokens,
      consumed: this.#consumed,
      released: this.#released,
      late: this.#late,
      marked: this.#marked,
      copies: this.#copies,
      shown: this.#shown,
      groupParameters: [...this.#groupParameters.values()],
    };
  }

  /** One signature per key and kind: the first that is kept stays. */
  #sign(id: SecureHash, signatures: readonly TransactionSignature[]): void {
    for (const signature of signatures) {
      const notary = signature.batch !== undefined;
      const key = `${id} ${signature.by} ${notary}`;
      if (!this.#signatures.has(key)) this.#signatures.set(key, { id, by: signature.by, notary, bytes: encodeSignature(signature) });
    }
  }
}

function sourcesOf(transaction: Transaction, group: typeof GROUP.inputs | typeof GROUP.references): VaultChanges["sources"] {
  const refs = group === GROUP.inputs ? transaction.inputs : transaction.references;
  return refs.map((ref, index) => {
    const source = parseStateRef(ref);
    return { id: transaction.id, group, index, sourceId: source.transactionId, sourceIndex: source.index };
  });
}

/** What JSON cannot say is text: bytes as base64, large integers as digits. PostgreSQL's JSON has no U+0000. */
export function jsonForm(data: Data): Data {
  if (typeof data === "bigint") return data.toString();
  if (typeof data === "string") return data.replaceAll("\0", "\uFFFD");
  if (data === null || typeof data !== "object") return data;
  if (data instanceof Uint8Array) return Buffer.from(data).toString("base64");
  if (isList(data)) return data.map(jsonForm);
  return Object.fromEntries(Object.entries(data).map(([key, member]) => [jsonForm(key), jsonForm(member)]));
}

const isList = (data: object): data is readonly Data[] => Array.isArray(data);

const forEver = (id: SecureHash, now: Held | undefined, next: TransactionStatus | "F") =>
  refused("vault.statusRefused", `Transaction ${id} is ${now?.status} in this vault for ever, and a flow would write it ${next}.`);
const refused = (code: string, message: string) => new BowlineError("conflict", code, message);
