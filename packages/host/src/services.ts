// What each role answers when another calls it. In one process a call is a function call whose arguments are frozen
// (in tests they travel as canonical bytes); between processes it will be HTTP with mutual TLS. The caller's role is
// stamped by the transport, never said by the caller. All values are plain data.

import type { Data, Instant, SecureHash, ShortHash, X500Name } from "@bowline/base";
import type { Access } from "@bowline/cluster/access";
import type { Administration } from "@bowline/cluster/administration";
import type { ConfigChange, StoredConfig } from "@bowline/cluster/config";
import type { NotaryQuota } from "@bowline/cluster/config-sections";
import type { ExternalRoute, PreviousRoutes, RouteDefaults } from "@bowline/cluster/external-routes";
import type { FlowFilter, FlowInspection, FlowPage, FlowPersistence, FlowRow, FlowStore } from "@bowline/flow";
import type { CpkIdentity, EntityCall, LedgerServices, VaultRead } from "@bowline/ledger";

import type { LogEnd, LogEntry, NotaryAnswer, StateInTable } from "@bowline/ledger/notary";
import type { QueryExplanation, StateQueryCall } from "@bowline/ledger/queries";
import type { ClaimOutcome, ClaimRequest, PoolBalance } from "@bowline/ledger/tokens";
import type { StateChange } from "@bowline/ledger/upkeep";

import type { CordappManifest, FlowIdentity, FlowProperties, MemberInfo, SignedGroupParameters } from "@bowline/sdk";
import type { TokenBalance, TokenFilter } from "@bowline/sdk/tokens";

export type RoleName =
  | "rest"
  | "flow"
  | "persistence"
  | "verification"
  | "uniqueness"
  | "token-selection"
  | "crypto"
  | "db"
  | "membership"
  | "p2p-link-manager"
  | "p2p-gateway";

/** Stamped by the transport. */
export interface Caller {
  readonly role: RoleName;
}

/** A logical database of the cluster, or of one virtual node. */
export type LogicalDatabase =
  | { readonly kind: "config" | "rbac" | "crypto" | "bus" }
  | { readonly kind: "vault" | "tokens" | "entities" | "vnode-crypto" | "uniqueness"; readonly vnode: ShortHash };

/** What a database connection needs; travels only sealed to the role that may have it. */
export interface ConnectionDetails {
  /** A directory (unix socket) or a host. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly schema: string;
  readonly user: string;
  readonly password: string;
}

export interface StartFlowRequest {
  readonly vnode: ShortHash;
  readonly identity: Pick<FlowIdentity, "me" | "groupId">;
  /** What the flow is told beside its input. */
  readonly properties?: FlowProperties;
  readonly clientRequestId: string;
  readonly flowName: string;
  readonly bundle: SecureHash;
  readonly startedBy: string;
  readonly input: Data;
}

/** Of a journal, the steps from a place on. */
export type JournalPage = NonNullable<Parameters<FlowStore["inspect"]>[1]>;

/** The code in which a flow goes on, if its row still has the version that was looked at. */
export type CodeChange = NonNullable<Parameters<FlowStore["requestRetry"]>[2]>;

/** One flow of a virtual node. */
export type FlowName = { readonly clientRequestId: string } | { readonly flowId: string };

/** `row` is the flow as it is then; null where there is no such flow. */
export interface FlowRequestOutcome {
  readonly done: boolean;
  readonly row: FlowRow | null;
}

/** Owns the vaults. What the engine needs of it is the engine's to say. */
export interface PersistenceService extends FlowPersistence {
  /** Wakes the flow role over the bus when the row is new. */
  startFlow(request: StartFlowRequest): Promise<{ readonly kind: "started" | "known" | "conflict"; readonly row: FlowRow }>;
  read(request: { readonly vnode: ShortHash; readonly read: VaultRead }): Promise<Data>;
  /** Rows of a package's own tables. */
  readEntities(request: { readonly vnode: ShortHash; readonly bundle: SecureHash; readonly call: EntityCall }): Promise<Data>;
  /** A page of a package's own query over states. */
  queryVault(request: { readonly vnode: ShortHash; readonly bundle: SecureHash; readonly call: StateQueryCall }): Promise<Data>;
  /**
   * States that came and went after a position, in the order of commits; with `waitMs` not before there is one, or that time is over.
   * `after` null says only where the vault is. Throws `vault.positionUnknown`.
   */
  vaultChanges(request: {
    readonly vnode: ShortHash;
    readonly after: number | null;
    readonly types?: readonly string[];
    readonly limit?: number;
    readonly waitMs?: number;
  }): Promise<{ readonly changes: readonly StateChange[]; readonly next: number }>;
  /** How PostgreSQL would find a page of a package's own query. Throws `vault.queryUnknown`. */
  explainQuery(request: {
    readonly vnode: ShortHash;
    readonly bundle: SecureHash;
    readonly query: string;
    readonly large: boolean;
  }): Promise<QueryExplanation>;
  /**
   * With `waitMs` the answer comes as soon as the flow is over, with `afterVersion` too as soon as its row has a higher
   * version, and after that time in any case.
   */
  flowStatus(
    request: { readonly vnode: ShortHash; readonly waitMs?: number; readonly afterVersion?: number } & FlowName,
  ): Promise<FlowRow | null>;
  flowStatuses(request: { readonly vnode: ShortHash } & FlowFilter): Promise<FlowPage>;
  /** Null where there is no such flow. */
  flowInspect(request: { readonly vnode: ShortHash; readonly page?: JournalPage } & FlowName): Promise<FlowInspection | null>;
  /** Ends the flow, and its sessions with an error, at once: whatever it waits for, and parked too. Not done to one that is over. */
  flowKill(request: { readonly vnode: ShortHash; readonly flowId: string }): Promise<FlowRequestOutcome>;
  /** A parked flow runs again from its last commit; with `code` any unfinished one does, in that code. */
  flowRetry(request: { readonly vnode: ShortHash; readonly flowId: string; readonly code?: CodeChange }): Promise<FlowRequestOutcome>;
}

/** How a flow would do in other code. */
export interface FlowTrial {
  /** Of the row whose journal it was. */
  readonly version: number;
  /** Where the code parts from the journal: the step, empty where it is none. Null where it nowhere does. */
  readonly divergence: { readonly step: string; readonly message: string } | null;
}

/** The flow role runs flows; what others may ask of it is to try code. */
export interface CodeTrials {
  /** Runs a flow again over its journal in the code of a CPK, named by its file checksum. Nothing is performed. Null where there is no such flow. */
  tryCode(request: { readonly vnode: ShortHash; readonly flowId: string; readonly bundle: SecureHash }): Promise<FlowTrial | null>;
}

export interface VerificationService {
  /** Structure, then contracts in the sandbox; or, for what was verified before, signatures alone. A package keeps nothing from one virtual node to another. */
  verify(
    request: { readonly vnode: ShortHash } & LedgerServices["verification.verify"]["request"],
  ): Promise<LedgerServices["verification.verify"]["reply"]>;
  /** Signatures alone, whatever the content. */
  signatures(request: LedgerServices["verification.signatures"]["request"]): Promise<LedgerServices["verification.signatures"]["reply"]>;
  /** What is shown of the past, and the MAC under which it is kept. */
  dependencies(
    request: LedgerServices["verification.dependencies"]["request"],
  ): Promise<LedgerServices["verification.dependencies"]["reply"]>;
}

export interface UniquenessService {
  /** Takes so many bytes' share of a requester's quota: null where it is there, else when to come again. */
  admit(
    request: { readonly vnode: ShortHash } & LedgerServices["uniqueness.admit"]["request"],
  ): Promise<LedgerServices["uniqueness.admit"]["reply"]>;
  /** Requests that arrive together are one batch: one transaction, one signature. */
  notarise(request: { readonly vnode: ShortHash } & LedgerServices["uniqueness.notarise"]["request"]): Promise<NotaryAnswer>;
  /** An operator's word that the log ends there, after another server took over. Throws `notary.historyOther`. */
  confirmHistory(request: { readonly vnode: ShortHash } & LogEnd): Promise<null>;
  /** A page of the table that decisions rest on, for auditors who compare it with the log. */
  states(request: { readonly vnode: ShortHash; readonly after: string | null; readonly limit: number }): Promise<readonly StateInTable[]>;
  /** A page of the log of decisions, and the keys that it may be sealed with. */
  history(request: { readonly vnode: ShortHash; readonly after: number; readonly limit: number }): Promise<{
    readonly groupId: string;
    readonly service: X500Name;
    readonly keys: readonly string[];
    readonly entries: readonly LogEntry[];
    readonly last: number;
  }>;
}

/** Which flow spends which fungible state. Claims end with their flows, or by the step commits that release them. */
export interface TokenSelection {
  /** Requests that arrive together are one transaction. A repeat of the same id is answered with the same tokens. */
  claim(request: { readonly vnode: ShortHash; readonly claim: ClaimRequest }): Promise<ClaimOutcome>;
  balance(request: { readonly vnode: ShortHash; readonly filter: TokenFilter }): Promise<TokenBalance>;
  balances(request: { readonly vnode: ShortHash; readonly limit: number }): Promise<readonly PoolBalance[]>;
}

export type KeyCategory = "LEDGER" | "NOTARY" | "SESSION_INIT" | "TLS" | "PRE_AUTH" | "CODE_SIGNING";

/** `tenant` is a virtual node's short hash, or `p2p`, `rest`, `crypto`. Keys are named by their base64 SubjectPublicKeyInfo. */
export interface CryptoService {
  /** Idempotent by (tenant, alias): a repeat answers the key that is there. */
  generateKey(request: {
    readonly tenant: string;
    readonly alias: string;
    readonly category: KeyCategory;
    readonly scheme: string;
  }): Promise<{ readonly id: string; readonly publicKey: string }>;
  filterMyKeys(request: { readonly tenant: string; readonly keys: readonly string[] }): Promise<{ readonly keys: readonly string[] }>;
  /**
   * Preimages are built here, by purpose, from `parts`:
   * - `transaction` (flow role, ledger keys): { transactionId, timestamp, platformVersion }; the reply is the encoded signature record
   * - `transactions` (the same): { transactionIds, timestamp, platformVersion }; the reply is the canonical array of a record for each
   * - `app` (flow role, ledger keys): { bytes, spec }, an author's own bytes; the reply names key and specification beside the signature
   * - `notary` (uniqueness role, notary keys): { preimage }, which must be one of the ledger's notary preimages
   * - `group-parameters` (db role): { bytes }
   */
  sign(request: {
    readonly tenant: string;
    readonly publicKey: string;
    readonly purpose: "transaction" | "transactions" | "app" | "notary" | "group-parameters";
    readonly parts: Data;
  }): Promise<{ readonly signature: Uint8Array }>;
  /** TLS keys are the one category that leaves: sealed to the caller's boot key, and only to rest and gateway. */
  releaseTls(request: {
    readonly tenant: "rest" | "p2p";
    readonly sealTo: Uint8Array;
  }): Promise<{ readonly sealed: Uint8Array; readonly chainPem: string }>;
}

export interface CpiInfo {
  readonly id: { readonly cpiName: string; readonly cpiVersion: string; readonly signerSummaryHash: SecureHash };
  readonly cpiFileFullChecksum: SecureHash;
  readonly groupId: string;
  readonly groupPolicy: string;
  readonly timestamp: Instant;
  readonly cpks: readonly (CpkIdentity & {
    readonly type: "contract" | "workflow";
    readonly manifest: CordappManifest;
    readonly timestamp: Instant;
  })[];
}

export interface VirtualNodeInfo {
  readonly holdingIdentity: {
    readonly x500Name: X500Name;
    readonly groupId: string;
    readonly shortHash: ShortHash;
    readonly fullHash: SecureHash;
  };
  readonly cpi: CpiInfo["id"] & { readonly fileChecksum: SecureHash };
  readonly connections: Readonly<
    Record<"vaultDdl" | "vaultDml" | "cryptoDdl" | "cryptoDml" | "uniquenessDdl" | "uniquenessDml", string | null>
  >;
  readonly statuses: Readonly<Record<"flowP2p" | "flowStart" | "flow" | "vaultDb", "ACTIVE" | "INACTIVE">>;
  readonly operationInProgress: string | null;
  /** Where its channels lead, and led in the versions before. */
  readonly externalRoutes: {
    readonly current: readonly ExternalRoute[];
    readonly previous: readonly PreviousRoutes[];
  };
}

/** Owns config and rbac, and is the only role with administrator connections. */
export interface DbService extends Access, Administration {
  /** Sealed to the role's boot key, and only where architecture §3 entitles the role. */
  connection(request: { readonly database: LogicalDatabase; readonly sealTo: Uint8Array }): Promise<{ readonly sealed: Uint8Array }>;
  uploadCpi(request: { readonly fileName: string; readonly path: string }): Promise<{ readonly id: string }>;
  cpiStatus(request: { readonly id: string }): Promise<{ readonly status: string; readonly cpiFileChecksum: string }>;
  cpis(request: null): Promise<readonly CpiInfo[]>;
  /** The bundle script of a CPK. */
  bundle(request: { readonly fileChecksum: SecureHash }): Promise<{ readonly script: string; readonly manifest: CordappManifest }>;
  createVirtualNode(request: { readonly cpiFileChecksum: string; readonly x500Name: string }): Promise<{ readonly requestId: string }>;
  /** To another version of its CPI: flows that have begun stay in their own code. Throws `vnode.*` or `cpi.unknown`. */
  upgradeVirtualNode(request: { readonly vnode: ShortHash; readonly cpiFileChecksum: string }): Promise<{ readonly requestId: string }>;
  virtualNodeStatus(request: { readonly requestId: string }): Promise<{
    readonly requestId: string;
    readonly operation: string;
    readonly status: "ACCEPTED" | "IN_PROGRESS" | "SUCCEEDED" | "FAILED" | "ABORTED";
    readonly lastUpdatedTimestamp: Instant;
    readonly processingStage: string | null;
    readonly errorReason: string | null;
    readonly resourceId: string | null;
  }>;
  virtualNodes(request: null): Promise<readonly VirtualNodeInfo[]>;
  /** Members of one group with all that REST shows of them. */
  members(request: { readonly groupId: string }): Promise<
    readonly {
      readonly info: MemberInfo;
      readonly memberContext: Readonly<Record<string, string>>;
      readonly mgmContext: Readonly<Record<string, string>>;
    }[]
  >;
  /** Those in force (`hash` null) or those of that hash. */
  groupParameters(request: { readonly groupId: string; readonly hash: string | null }): Promise<SignedGroupParameters | null>;
  /** One section of configuration, with its defaults filled in. Throws `config.sectionUnknown`. */
  config(request: { readonly section: string }): Promise<StoredConfig & { readonly withDefaults: string }>;
  /** The version that is then in force. Throws `config.*`. */
  changeConfig(request: ConfigChange & { readonly actor: string }): Promise<StoredConfig>;
  externalRouteDefaults(request: null): Promise<RouteDefaults>;
  notaryQuota(request: null): Promise<NotaryQuota>;
  importCertificate(request: {
    readonly usage: string;
    readonly vnode: ShortHash | null;
    readonly alias: string;
    readonly pem: string;
  }): Promise<null>;
  certificates(request: { readonly usage: string; readonly vnode: ShortHash | null }): Promise<readonly string[]>;
  certificate(request: { readonly usage: string; readonly vnode: ShortHash | null; readonly alias: string }): Promise<string | null>;
}

/** Every service by the role that answers it. */
export interface Services {
  readonly flow: CodeTrials;
  readonly persistence: PersistenceService;
  readonly verification: VerificationService;
  readonly uniqueness: UniquenessService;
  readonly "token-selection": TokenSelection;
  readonly crypto: CryptoService;
  readonly db: DbService;
}
