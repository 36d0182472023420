// What the ledger's flows ask of other roles (through `service` syscalls, as canonical data), and what its stores promise.

import type { Data, Instant, SecureHash, X500Name } from "@bowline/base";
import type { StateAndRef, StateRef, TransactionView, VaultQuery } from "@bowline/sdk";

/** Statuses move only D -> U -> V, D|U -> I (protocols §C.4). */
export type TransactionStatus = "D" | "U" | "V" | "I";

/** A CPK as metadata names it. */
export interface CpkIdentity {
  readonly name: string;
  readonly version: string;
  readonly signerSummaryHash: SecureHash;
  readonly fileChecksum: SecureHash;
}

/** What a flow writes in the vault. Executed by the persistence role, inside the flow's step commit. */
export type VaultWrite =
  | {
      readonly kind: "transaction";
      readonly id: string;
      readonly status: TransactionStatus;
      /** The canonical bytes of the signed transaction (`encodeSigned`): components, salt and signatures. */
      readonly bytes: Uint8Array;
      /** With V only: the verification role's word, without which nothing is written V. */
      readonly verdict?: { readonly bytes: Uint8Array; readonly mac: Uint8Array };
      /** With V only: the JSON forms of the outputs that this member keeps as its own, by output index. */
      readonly visible?: readonly { readonly index: number; readonly json: Data }[];
    }
  | { readonly kind: "signatures"; readonly id: string; readonly signatures: readonly Uint8Array[] }
  | { readonly kind: "status"; readonly id: string; readonly status: "I"; readonly reason: string };

/** What is read from the vault, by the persistence role. */
export type VaultRead =
  | { readonly kind: "find"; readonly query: VaultQuery } // -> { states: StateAndRef[], next: string | null }
  | { readonly kind: "resolve"; readonly refs: readonly StateRef[] } // -> (StateAndRef | null)[]: outputs of verified transactions only
  | { readonly kind: "transactions"; readonly ids: readonly string[] } // -> ({ bytes, status } | null)[]
  | { readonly kind: "groupParameters"; readonly hash: string };

/** The roles' methods that ledger flows call: `{ kind: "service", service: "crypto.sign", request }`. */
export interface LedgerServices {
  /** The keys among these that this virtual node holds. */
  "crypto.filterMyKeys": { request: { keys: readonly string[] }; reply: { keys: readonly string[] } };
  /** The host builds the preimage (`tx` purpose) from the id and signature metadata; never signs what a flow made up. */
  "crypto.signTransaction": {
    request: { transactionId: string; key: string; metadata: Data };
    reply: { signature: Uint8Array };
  };
  /** Structure, then contracts in the sandbox. A MACed verdict, or why not. */
  "verification.verify": {
    request: { transaction: Uint8Array; inputs: readonly StateAndRef[]; references: readonly StateAndRef[]; groupParameters: Uint8Array };
    reply: {
      valid: boolean;
      violations: readonly string[];
      view: TransactionView;
      verdict: Uint8Array;
      mac: Uint8Array;
      outputs: readonly { participants: readonly string[]; json: Data }[];
    };
  };
  /** One transaction to consume; leaves a mark, so (flow, step) is its key. Signs with the notary's key as its last act. */
  "uniqueness.notarise": {
    request: { originator: X500Name; filtered: Uint8Array };
    reply: NotaryAnswer;
  };
  /** The signed parameters in force, and by hash. */
  "membership.groupParameters": { request: { hash: string | null }; reply: { bytes: Uint8Array; signature: Uint8Array; signedBy: string } };
  /** The contract CPKs of this virtual node's CPI and the CPI itself, for metadata. */
  "cluster.packages": { request: null; reply: { cpi: CpkIdentity; contracts: readonly CpkIdentity[] } };
}

/** The notary's word. Fatal refusals are signed like successes. */
export interface NotaryAnswer {
  readonly kind: "accepted" | "refused" | "retry";
  readonly bytes: Uint8Array;
  /** Signature with its Merkle proof over the batch; empty with `retry`. */
  readonly signature: Uint8Array;
  readonly code: string;
  readonly message: string;
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
}

export type Verdict =
  | { readonly kind: "accepted"; readonly at: Instant }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** Not decided and not stored: early, or an input that is not known yet. */
  | { readonly kind: "retry"; readonly code: string; readonly message: string };
