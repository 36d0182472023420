// What the ledger's flows ask of other roles (through `service` syscalls, as canonical data), and what its stores promise.

import type { Data, Instant, SecureHash, Sql, X500Name } from "@bowline/base";
import type { StateDescription, StateRef, VaultQuery } from "@bowline/sdk";
import type { InstalledPackage } from "./builder.ts";
import type { FilteredDependency } from "./dependencies.ts";
import type { Decisions, LogEntry } from "./history.ts";
import type { CpkIdentity } from "./leaves.ts";
import type { SignatureState } from "./signatures.ts";
import type { ResolvedState } from "./transaction.ts";
import type { VerificationReply } from "./verification.ts";

/** Draft, unverified, verified, invalid. They move only D -> U -> V and D|U -> I (see `vault.ts` for the matrix). */
export type TransactionStatus = "D" | "U" | "V" | "I";

/** What a vault holds of a transaction. Filtered: outputs of it are known by their notary's word; if verified, nothing else is. */
export interface Held {
  readonly status: TransactionStatus;
  readonly filtered: boolean;
}

/** What a flow writes in the vault. Executed by the persistence role, inside the flow's step commit. `bytes` are `encodeSigned`. */
export type VaultWrite =
  | { readonly kind: "unverified"; readonly status: "D" | "U"; readonly bytes: Uint8Array }
  /** One of a history that is being fetched: unverified, and nothing to be repaired. */
  | { readonly kind: "history"; readonly bytes: Uint8Array }
  /** The verification role's word, without which nothing is written V, and the outputs that this member keeps as its own. */
  | {
      readonly kind: "verified";
      readonly bytes: Uint8Array;
      readonly verdict: Uint8Array;
      readonly mac: Uint8Array;
      readonly visible: readonly VisibleOutput[];
    }
  /** The same of a transaction whose row is there, with its signatures. */
  | {
      readonly kind: "verifiedHere";
      readonly id: SecureHash;
      readonly verdict: Uint8Array;
      readonly mac: Uint8Array;
      readonly visible: readonly VisibleOutput[];
    }
  /** Parts of others' transactions, checked by the verification role, whose MAC is over them. */
  | { readonly kind: "filtered"; readonly dependencies: readonly FilteredDependency[]; readonly mac: Uint8Array }
  /** More signatures of a transaction that is there. */
  | { readonly kind: "signatures"; readonly id: SecureHash; readonly signatures: readonly Uint8Array[] }
  | { readonly kind: "invalid"; readonly bytes: Uint8Array; readonly reason: string; readonly evidence: InvalidityEvidence }
  | { readonly kind: "groupParameters"; readonly bytes: Uint8Array; readonly signature: Uint8Array; readonly signedBy: string }
  /** A claim of this flow ends. Those of its tokens that were used stay claimed for as long as it would have lasted. */
  | { readonly kind: "tokens.release"; readonly claim: string; readonly used: readonly StateRef[] };

/** An output as its contract package describes it; the verdict binds the description. */
export interface VisibleOutput extends StateDescription {
  readonly index: number;
}

/** Why no notary can ever accept a transaction, or nobody ever verify it. */
export type InvalidityEvidence =
  /** The notary's signed refusal. */
  | { readonly kind: "rejection"; readonly word: Uint8Array }
  /** The verification role's verdict that it breaks a rule. */
  | { readonly kind: "content"; readonly verdict: Uint8Array; readonly mac: Uint8Array }
  /** This member's own, as a required signatory that has not signed: kept only where it has no such transaction, or a draft. */
  | { readonly kind: "refusal" };

/** The writes of one flow's step commit, in order. */
export interface VaultCommit {
  readonly flowId: string;
  readonly writes: readonly Data[];
}

/** What is read from the vault, by the persistence role. */
export type VaultRead =
  | { readonly kind: "find"; readonly query: VaultQuery } // -> { states: StateAndRef[], next: string | null }
  | { readonly kind: "resolve"; readonly refs: readonly StateRef[] } // -> StateAndRef[], or `vault.stateUnknown`
  | { readonly kind: "sources"; readonly refs: readonly StateRef[] } // -> (ResolvedState | null)[]: outputs of verified transactions
  | { readonly kind: "transactions"; readonly ids: readonly string[] } // -> ({ bytes, status } | null)[]
  | { readonly kind: "view"; readonly id: string } // -> TransactionView | null: of a verified or unverified transaction
  | { readonly kind: "groupParameters"; readonly hash: string } // -> { bytes, signature, signedBy } | null
  /** These, and all that they lead to through rows that wait to be verified. -> KnownTransaction[] */
  | { readonly kind: "unresolved"; readonly ids: readonly string[]; readonly limit: number }
  /** These in order, then their ancestors, the nearest first, up to `ahead` more. -> ServedTransaction[] */
  | { readonly kind: "history"; readonly ids: readonly string[]; readonly ahead: number; readonly bytesMax: number }
  /** Which of some are these, or ancestors of these, among the `limit` nearest. -> SecureHash[] */
  | { readonly kind: "ancestors"; readonly of: readonly string[]; readonly among: readonly string[]; readonly limit: number }
  /** What proves these states to others: one for each transaction. -> FilteredDependency[], or `vault.stateUnknown` */
  | { readonly kind: "dependencies"; readonly refs: readonly StateRef[] }
  /** Rows with what they build upon, where that is here, verified or not. -> VerifiableTransaction[], in order */
  | { readonly kind: "verifiable"; readonly ids: readonly string[] }
  /** Unverified transactions of this member's own, by when they are asked about next: for operators. */
  | { readonly kind: "unverified"; readonly limit: number } // -> UnverifiedTransaction[]
  /** The newest first: for operators. */
  | { readonly kind: "invalid"; readonly limit: number } // -> InvalidTransaction[]
  /**
   * What came and went after a position, in the order of commits; null is the newest. `next` is up to where nothing was left out:
   * nothing at or below it ever comes later. -> { changes: StateChange[], next: number }, or `vault.positionUnknown`
   */
  | { readonly kind: "changes"; readonly after: number | null; readonly types?: readonly string[]; readonly limit?: number }
  /** What this member owns, or owned, with its JSON form: for operators. Newest first. */
  | {
      readonly kind: "list";
      readonly state?: string;
      readonly consumed?: boolean;
      readonly limit?: number;
      readonly before?: string;
    }; // -> { states: ListedState[], next: string | null }

/** Where a transaction stands in this vault: null where it is not there. */
export interface KnownTransaction {
  readonly id: SecureHash;
  readonly status: TransactionStatus | null;
  /** It was fetched with its signatures and waits to be verified: what it builds upon, and its size, are of such ones alone. */
  readonly staged: boolean;
  readonly dependencies: readonly SecureHash[];
  readonly size: number;
}

/** What is handed to whoever verifies a history. */
export interface ServedTransaction {
  readonly id: SecureHash;
  readonly status: TransactionStatus;
  readonly bytes: Uint8Array;
  readonly dependencies: readonly SecureHash[];
}

export interface VerifiableTransaction {
  readonly bytes: Uint8Array;
  readonly groupParametersHash: SecureHash;
  readonly inputs: readonly ResolvedState[];
  readonly references: readonly ResolvedState[];
}

export interface UnverifiedTransaction {
  readonly id: SecureHash;
  readonly createdAt: Instant;
  /** The upper bound of its time window; null where its row is older than that column. */
  readonly until: Instant | null;
  readonly attempts: number;
  readonly nextAttemptAt: Instant;
}

export interface InvalidTransaction {
  readonly id: SecureHash;
  readonly createdAt: Instant;
  /** When it was found. */
  readonly invalidAt: Instant;
  readonly reason: string;
}

/** A transaction that is to be asked about now, and for the how-manieth time. */
export interface DueRepair {
  readonly id: SecureHash;
  readonly attempt: number;
}

export interface ListedState {
  readonly ref: StateRef;
  readonly type: string;
  readonly notary: X500Name;
  readonly json: Data;
  readonly createdAt: Instant;
  readonly consumedAt: Instant | null;
}

/** A state that came, or went. A position is given once. */
export interface StateChange extends ListedState {
  readonly position: number;
  readonly kind: "produced" | "consumed";
}

/**
 * The vault of one virtual node, on any `Sql` (PostgreSQL) or in memory: `testVault` is its contract.
 *
 * - `apply` writes all or throws: `vault.statusRefused`, `vault.transactionUnknown`, `ledger.verdictRefused`, … mean that a
 *   flow asked for what may not be; `vault.contended` (unavailable) that another worker was faster, and a repeat may succeed.
 * - A row is V only with a complete verdict of the verification role over the resolved inputs that the vault itself holds.
 * - States come and go at positions that are in the order of commits: who has seen one has seen all below it.
 * - An output is findable only when its transaction is V and this member keeps it; unconsumed only while no V transaction consumes it.
 */
export interface VaultStore {
  applyVaultWrites(sql: Sql, commits: readonly VaultCommit[]): Promise<void>;
  readVault(sql: Sql, read: VaultRead): Promise<Data>;
  /** Unverified transactions whose time has come; each is handed to one caller by moving its time on, so that none starves another. */
  dueRepairs(sql: Sql, now: Instant, limit: number): Promise<readonly DueRepair[]>;
}

/** The roles' methods that ledger flows call: `{ kind: "service", service: "crypto.filterMyKeys", request }`. */
export interface LedgerServices {
  /** The keys among these that this virtual node holds. Pure. */
  "crypto.filterMyKeys": { request: { keys: readonly string[] }; reply: { keys: readonly string[] } };
  /**
   * Signs `transactionPreimage(id, metadata)` with a ledger key; the crypto role builds the preimage, and the reply is
   * `encodeSignature({ by, signature, metadata })` with metadata `{ timestamp, spec of the key, platformVersion }`. Pure.
   */
  "crypto.signTransaction": {
    request: { transactionId: string; key: string; timestamp: Instant; platformVersion: number };
    reply: { signature: Uint8Array };
  };
  /** The same of several at once, by `togetherPreimage` over their ids: a record for each, in order. Pure. */
  "crypto.signTransactions": {
    request: { transactionIds: readonly string[]; key: string; timestamp: Instant; platformVersion: number };
    reply: { signatures: readonly Uint8Array[] };
  };
  /** `planVerification` … `concludeVerification`, or `completeVerification` where `verified` is given. Pure. */
  "verification.verify": {
    request: {
      transaction: Uint8Array;
      inputs: readonly ResolvedState[];
      references: readonly ResolvedState[];
      groupParameters: Uint8Array;
      /** What the role said of the same content before: then only signatures are looked at, and the three above are empty. */
      verified: { readonly verdict: Uint8Array; readonly mac: Uint8Array } | null;
    };
    reply: VerificationReply;
  };
  /**
   * `checkDependencies` over the parameters in force, of a transaction or of what is to become one, with the MAC under which
   * the vault keeps them. Pure.
   */
  "verification.dependencies": {
    request: {
      proving: {
        readonly id: SecureHash;
        readonly groupId: string;
        readonly notary: X500Name;
        readonly inputs: readonly StateRef[];
        readonly references: readonly StateRef[];
      };
      dependencies: readonly FilteredDependency[];
      groupParameters: Uint8Array;
    };
    reply: { inputs: readonly ResolvedState[]; references: readonly ResolvedState[]; mac: Uint8Array };
  };
  /** What signatures each transaction has, whatever its content. Pure. */
  "verification.signatures": {
    request: { transactions: readonly Uint8Array[] };
    reply: readonly SignatureState[];
  };
  /**
   * `verification.verify` of rows of the vault, over what they build upon there, in order: so that a long history need not
   * pass through a flow. Earlier writes of the flow are committed first.
   */
  "verification.verifyHere": {
    request: { ids: readonly string[] };
    reply: readonly Omit<VerificationReply, "view" | "signatures">[];
  };
  /** Before a notary does anything costly for someone: null, or when to come again. Only the notary's own virtual node may ask. */
  "uniqueness.admit": {
    request: { originator: X500Name; bytes: number };
    reply: NotaryAnswer | null;
  };
  /** Decides on one transaction; only the notary's own virtual node may ask. Leaves a mark. */
  "uniqueness.notarise": {
    request: NotariseRequest;
    reply: NotaryAnswer;
  };
  /** The signed parameters in force (null), or by hash; the role has checked the signature against the group policy. Pure. */
  "membership.groupParameters": {
    request: { hash: string | null };
    reply: { bytes: Uint8Array; signature: Uint8Array; signedBy: string };
  };
  /** This virtual node's CPI, its contract packages with the contracts that each brings, and the platform's version. Pure. */
  "cluster.packages": {
    request: null;
    reply: { cpi: CpkIdentity; contracts: readonly InstalledPackage[]; platformVersion: number };
  };
  /** `VaultRead` sources and transactions: earlier writes of the flow are committed first. */
  "vault.sources": { request: { refs: readonly StateRef[] }; reply: readonly (ResolvedState | null)[] };
  "vault.transactions": {
    request: { ids: readonly string[] };
    reply: readonly ({ bytes: Uint8Array; status: TransactionStatus } | null)[];
  };
  "vault.unresolved": { request: { ids: readonly string[]; limit: number }; reply: readonly KnownTransaction[] };
  "vault.dependencies": { request: { refs: readonly StateRef[] }; reply: readonly FilteredDependency[] };
  "vault.ancestors": { request: { of: readonly string[]; among: readonly string[]; limit: number }; reply: readonly SecureHash[] };
  "vault.history": { request: { ids: readonly string[]; ahead: number; bytesMax: number }; reply: readonly ServedTransaction[] };
}

/** `read` only asks for the outcome; past the upper bound it makes sure that there is one. */
export type NotaryMode = "write" | "read";

/** One request to a notary's memory. */
export interface NotariseRequest {
  readonly originator: X500Name;
  /** `filterForNotary` of the transaction. */
  readonly filtered: Uint8Array;
  readonly mode: NotaryMode;
  /** `encodeSignature` of a signatory that the filtered transaction shows: a notary may want it of who has something written. */
  readonly signature?: Uint8Array;
  /** By the notary's own flow, for someone who was admitted: the whole transaction, or what is wrong with it. A notary that verifies writes nothing else. */
  readonly verified?: true;
  readonly refusal?: Refusal;
}

/** What a notary tells a client. Accepted and refused are final and signed; a retry and a malformed request say nothing of the transaction. */
export interface NotaryAnswer {
  readonly kind: "accepted" | "refused" | "retry" | "malformed";
  /** `encodeSignature` of the notary's word with its batch proof; empty where the answer is not final. */
  readonly signature: Uint8Array;
  readonly code: string;
  readonly message: string;
  /** Of a retry: asking sooner is in vain. */
  readonly retryAfterMs?: number;
}

/** What the uniqueness checker decides on: complete, verified lists. */
export interface Spend {
  readonly transactionId: SecureHash;
  readonly originator: X500Name;
  readonly inputs: readonly StateRef[];
  readonly references: readonly StateRef[];
  readonly outputCount: number;
  readonly from?: Instant;
  readonly until: Instant;
  readonly mode: NotaryMode;
  /** What a notary that verifies found wrong with the content: it is refused for that, unless it was decided on before. */
  readonly refusal?: Refusal;
}

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

export type Verdict =
  | { readonly kind: "accepted"; readonly at: Instant }
  /** Final: stored, or a function of the transaction's content alone. */
  | ({ readonly kind: "refused" } & Refusal)
  /** Not decided and not stored: early, unknown, or only asked. Where it is known after how long it may be, that too. */
  | ({ readonly kind: "retry"; readonly retryAfterMs?: number } & Refusal);

/** The notary's signature over what one commit decides: `record` is kept in the log. */
export interface Seal {
  readonly record: Uint8Array;
}

/**
 * The notary's memory: `testUniqueness` is its contract.
 *
 * - No two accepted transactions have an input in common; none has a reference that was consumed when it was accepted.
 * - One transaction id has one final verdict for ever, whichever worker is asked, and however often.
 * - Time is the store's own, read after everything that the decision rests on is locked.
 * - What is decided is in the log (`history.ts`), sealed, in the same commit. What was not committed was sealed for nothing, and
 *   its seal must not leave the process.
 */
export interface UniquenessStore {
  /** Verdicts in the order of the batch, and the seal of what this call decided: undefined where that was nothing. */
  notarise<S extends Seal>(
    batch: readonly Spend[],
    seal: (decisions: Decisions, encoded: Uint8Array) => Promise<S>,
  ): Promise<{ readonly verdicts: readonly Verdict[]; readonly seal: S | undefined }>;
  /** Entries after `after`, in order, and how many there are. */
  log(after: number, limit: number): Promise<{ readonly entries: readonly LogEntry[]; readonly last: number }>;
}
