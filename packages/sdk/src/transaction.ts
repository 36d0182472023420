// Transactions as flows and contracts see them. The platform builds and reads the bytes; these are views of them.

import type { Data, X500Name } from "@bowline/base";
import type { GroupParameters } from "./group.ts";

/** Base64 of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). */
export type PublicKeyText = string;

/** `<transaction id>:<index of the output>`. */
export type StateRef = string;

/** What a member is to its network. */
export interface MemberInfo {
  readonly name: X500Name;
  readonly status: "ACTIVE" | "SUSPENDED";
  /** Newest first. Empty for a notary's virtual node. */
  readonly ledgerKeys: readonly PublicKeyText[];
  /** The service that this member runs, where it is a notary. */
  readonly notaryService?: X500Name;
}

export interface NotaryInfo {
  /** The service's name: never a member's. */
  readonly name: X500Name;
  /** What transactions name: one key, or a composite one of those of its members, whose threshold says how many of them must sign. */
  readonly key: PublicKeyText;
  /** What was `key` before, the last one first. Its word on a transaction that names such a key holds; without an entry here it does not. */
  readonly formerKeys?: readonly PublicKeyText[];
  readonly protocol: string;
  /** The versions of the protocol that all of its members speak; 1 alone where nothing is said. */
  readonly versions?: readonly number[];
  /** False where the notary itself verifies: then nobody asks for more of the past than its word on each state that is used. */
  readonly backchainRequired: boolean;
  /** Who asks shows a signatory's signature: without one nobody can have states consumed that he only knows of. */
  readonly requesterSigns?: boolean;
  /** The members that run it. */
  readonly members: readonly X500Name[];
}

/** Half-open: `from` <= now < `until`, milliseconds since 1970. The upper bound is mandatory. */
export interface TimeWindow {
  readonly from?: number;
  readonly until: number;
}

/** A state as data: its type, the version of that type's schema, and what the schema describes. */
export interface StateData {
  readonly type: string;
  readonly version: number;
  readonly contract: string;
  readonly data: Data;
}

export interface StateAndRef<T extends Data = Data> {
  readonly ref: StateRef;
  readonly state: StateData & { readonly data: T };
  readonly notary: X500Name;
  readonly encumbrance?: string;
}

/** What a builder has gathered: all that an author decides. The platform adds metadata, salt and notary key. */
export interface TransactionProposal {
  readonly notary: X500Name;
  readonly timeWindow: TimeWindow;
  readonly inputs: readonly StateRef[];
  readonly references: readonly StateRef[];
  readonly outputs: readonly (StateData & { readonly encumbrance?: string })[];
  readonly commands: readonly { readonly type: string; readonly contract: string; readonly data: Data }[];
  readonly signatories: readonly PublicKeyText[];
}

/** A transaction as a contract, a validator or a reader sees it: inputs and references resolved, everything frozen. */
export interface TransactionView {
  readonly id: string;
  readonly notary: X500Name;
  readonly timeWindow: TimeWindow;
  readonly inputs: readonly StateAndRef[];
  readonly references: readonly StateAndRef[];
  readonly outputs: readonly StateAndRef[];
  readonly commands: readonly { readonly type: string; readonly contract: string; readonly data: Data }[];
  readonly signatories: readonly PublicKeyText[];
}

/** A package that ran, by name, version, who signed it and the hash of its file. */
export interface PackageIdentity {
  readonly name: string;
  readonly version: string;
  readonly signerSummaryHash: string;
  readonly fileChecksum: string;
}

/** Set by the platform: no flow can say what ran. */
export interface TransactionMetadata {
  readonly ledgerModel: string;
  readonly ledgerVersion: number;
  readonly transactionSubtype: string;
  readonly schemaVersion: number;
  /** Of all the transaction's hashes. */
  readonly digest: string;
  readonly platformVersion: number;
  readonly cpiMetadata: PackageIdentity;
  readonly cpkMetadata: readonly PackageIdentity[];
  readonly componentGroups: readonly (readonly string[])[];
  readonly membershipGroupParametersHash: string;
}

/** What a contract may look at besides. */
export interface ContractTransaction extends TransactionView {
  readonly notaryKey: PublicKeyText;
  readonly metadata: TransactionMetadata;
  /** Those that the metadata name. */
  readonly groupParameters: GroupParameters;
}
