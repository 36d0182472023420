// What the engine needs of the world, and what it promises about it. `FlowStore` has a PostgreSQL and a memory
// implementation under one contract suite; `Fibers` runs bundles (isolates for authors' code, in process for the platform's).

import type { Data, Instant, SecureHash, X500Name } from "@bowline/base";
import type { Delivery, FiberReport, FiberStart, FlowIdentity, Outcome, Protocol, SessionId, StepPath, Syscall } from "@bowline/sdk";

/** PARKED is shown by REST as RUNNING with its error kept for the operator. */
export type FlowStatus = "START_REQUESTED" | "RUNNING" | "PARKED" | "COMPLETED" | "FAILED" | "KILLED";

/** How a flow came to be. */
export type FlowOrigin =
  | { readonly kind: "client"; readonly clientRequestId: string; readonly startedBy: string; readonly input: Data }
  | { readonly kind: "session"; readonly session: SessionId; readonly counterparty: X500Name; readonly version: number };

/** The flow row: identity, status, deduplication and mutex in one. */
export interface FlowRow {
  readonly id: string;
  /** The CPK whose bundle this flow is pinned to, by file checksum; `platform` for a platform responder (the notary). */
  readonly bundle: SecureHash | "platform";
  readonly flowName: string;
  readonly identity: FlowIdentity;
  readonly origin: FlowOrigin;
  /** 32 bytes from which `random` and `uuid` derive, by path. */
  readonly seed: Uint8Array;
  readonly status: FlowStatus;
  /** Fence: every commit names the version it saw and raises it by one. */
  readonly version: number;
  /** The id of the commit that wrote `version`, so that a commit whose answer was lost can be told from a stranger's. */
  readonly commitId: string;
  readonly kill: boolean;
  /** When this flow must be looked at again even if nothing arrives: a timer, a retry, or the lease of whoever runs it. */
  readonly wakeAt: Instant | null;
  readonly outcome: Outcome | null;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

/** One settled step. A committed row never changes. */
export interface JournalRow {
  readonly path: StepPath;
  readonly kind: Syscall["kind"];
  /** SHA-256 of the canonical bytes of the syscall: the same step of a replay must ask the same. */
  readonly requestHash: Uint8Array;
  readonly outcome: Outcome;
  /** Steps of one activation were settled together, in `ordinal` order: replay settles them so again. */
  readonly activation: number;
  readonly ordinal: number;
  readonly at: Instant;
}

export type SessionStatus = "open" | "closed" | "failed";

export interface SessionRow {
  readonly id: SessionId;
  readonly flowId: string;
  readonly side: "initiator" | "responder";
  readonly counterparty: X500Name;
  readonly protocol: Protocol;
  /** Chosen by the responder. */
  readonly version: number | null;
  readonly status: SessionStatus;
  /** Highest sequence number sent and, without gap, consumed. From 1. */
  readonly sent: number;
  readonly consumed: number;
  readonly expiresAt: Instant;
}

/** What travels between two flows. Those of one session and direction are numbered from 1 without gap. */
export interface SessionMessage {
  readonly session: SessionId;
  /** Which side sent it, so that one session between two flows of one virtual node works too. */
  readonly from: "initiator" | "responder";
  readonly sequence: number;
  readonly source: X500Name;
  readonly destination: X500Name;
  readonly groupId: string;
  /** Everything of the other direction up to here is consumed and committed. */
  readonly acknowledged: number;
  /** A `acknowledge` message has sequence 0 and carries nothing else. */
  readonly body:
    | { readonly kind: "data"; readonly payload: Data }
    | { readonly kind: "close" }
    | { readonly kind: "failure"; readonly type: string; readonly message: string }
    | { readonly kind: "acknowledge" };
  /** In the initiator's messages until the responder has answered. */
  readonly init?: { readonly protocol: Protocol; readonly initiatingFlow: string };
  /** In the responder's messages: the version it chose. */
  readonly version?: number;
  /** Absolute: past it the sender gives up and the session fails. */
  readonly expiresAt: Instant;
}

/** All of a flow that a worker needs to run it. */
export interface FlowSnapshot {
  readonly row: FlowRow;
  readonly journal: readonly JournalRow[];
  readonly sessions: readonly SessionRow[];
  /** Arrived and not consumed, in order of session and sequence. */
  readonly inbox: readonly SessionMessage[];
}

/** One transaction: either all of it is in the database, or nothing. */
export interface StepCommit {
  readonly flowId: string;
  readonly expectedVersion: number;
  readonly commitId: string;
  readonly journal: readonly JournalRow[];
  /** Journal rows below these paths are dropped: the child that finished is one row now. */
  readonly collapsed: readonly StepPath[];
  readonly sessions: readonly SessionRow[];
  /** Arrived while the flow waited for something else. */
  readonly inboxAdded: readonly SessionMessage[];
  readonly inboxConsumed: readonly { readonly session: SessionId; readonly sequence: number }[];
  readonly outboxAdded: readonly SessionMessage[];
  /** The peer has consumed everything up to and including this sequence. */
  readonly outboxAcknowledged: readonly { readonly session: SessionId; readonly sequence: number }[];
  readonly status: FlowStatus;
  readonly outcome: Outcome | null;
  readonly wakeAt: Instant | null;
  /** What this flow writes in the vault, for the ledger's store to write in the same transaction. */
  readonly vaultWrites: readonly Data[];
}

export type CommitOutcome =
  | { readonly kind: "committed" }
  /** Another owner was faster, or the flow is to be killed: drop what is in memory, load again. */
  | { readonly kind: "fenced" }
  /** A vault write was refused; nothing of this commit was written. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

export interface FlowStart {
  readonly row: Omit<FlowRow, "status" | "version" | "commitId" | "kill" | "outcome" | "updatedAt">;
  readonly session?: SessionRow;
  readonly inbox?: readonly SessionMessage[];
}

export type StartOutcome =
  | { readonly kind: "started"; readonly row: FlowRow }
  /** The same client request id (or session) was there: same request. */
  | { readonly kind: "known"; readonly row: FlowRow }
  /** The same client request id with another flow or another input. */
  | { readonly kind: "conflict"; readonly row: FlowRow };

/**
 * The engine's tables of one virtual node.
 *
 * - For one client request id at most one flow ever exists; the same holds for one session at the responder.
 * - A commit is applied at most once, and only to the version that it names.
 * - An inbox row of one (session, sequence) exists at most once, and never again after it was consumed.
 */
export interface FlowStore {
  start(starts: readonly FlowStart[]): Promise<readonly StartOutcome[]>;
  load(flowIds: readonly string[]): Promise<readonly FlowSnapshot[]>;
  /** One transaction for the group; a member that is fenced or refused takes no other with it. */
  commit(commits: readonly StepCommit[]): Promise<readonly CommitOutcome[]>;
  /** Unfinished flows whose `wakeAt` is at or before `now`, oldest first; each is handed to one caller by moving its `wakeAt` to `leaseUntil`. */
  due(now: Instant, leaseUntil: Instant, limit: number): Promise<readonly string[]>;
  /** Messages never acknowledged and not sent since `before`; marks them as sent at `now`. */
  unacknowledged(before: Instant, now: Instant, limit: number): Promise<readonly SessionMessage[]>;
  /** The session rows of these ids on one side: how a late or repeated message finds its flow or its tombstone. */
  sessions(ids: readonly { readonly id: SessionId; readonly side: "initiator" | "responder" }[]): Promise<readonly SessionRow[]>;
  requestKill(flowId: string, now: Instant): Promise<boolean>;
  byClientRequest(clientRequestId: string): Promise<FlowRow | undefined>;
  list(filter: { readonly status?: readonly FlowStatus[] }): Promise<readonly FlowRow[]>;
}

/** Runs the fibers of one bundle. One activation may carry the deliveries of many flows. */
export interface Fibers {
  activate(request: { readonly starts: readonly FiberStart[]; readonly deliveries: readonly Delivery[] }): Promise<readonly FiberReport[]>;
  drop(fiber: string): void;
}

/** How a syscall that is not the engine's own is treated. */
export type SyscallClass =
  /** Repeats freely; journaled with the next commit. */
  | "pure"
  /** Reads the vault: earlier writes of this flow are committed first. */
  | "read"
  /** Leaves a mark elsewhere: all earlier steps are committed first, and the key is (flow, step). */
  | "mark"
  /** Goes into the step commit. */
  | "write"
  /** Runs a platform flow as a child. */
  | "child"
  /** Not for this caller. */
  | "forbidden";

export interface SyscallContext {
  readonly identity: FlowIdentity;
  readonly path: StepPath;
  readonly bundle: SecureHash | "platform";
  /** Whether the asking fiber is a platform flow. */
  readonly trusted: boolean;
}

/** The platform's services as the engine sees them. */
export interface Services {
  classify(call: Syscall, trusted: boolean): SyscallClass;
  /** A failure is an answer like any other. Throws a `BowlineError` of kind `unavailable` where a retry may help; the engine backs this flow off. */
  perform(call: Syscall, context: SyscallContext): Promise<Outcome>;
}
