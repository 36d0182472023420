// What the engine needs of the world, and what it promises about it. `FlowStore` has a PostgreSQL and a memory
// implementation under one contract suite; `Fibers` runs bundles (isolates for authors' code, in process for the platform's).

import type { Data, Instant, SecureHash, ShortHash, X500Name } from "@bowline/base";
import type {
  Delivery,
  Failure,
  FiberReport,
  FiberStart,
  FlowIdentity,
  FlowProperties,
  Outcome,
  Protocol,
  SessionId,
  StepPath,
  Syscall,
} from "@bowline/sdk";

/** The code in which a flow goes on, if its row still has the version that was looked at. */
export interface CodeChange {
  /** A CPK's file checksum. */
  readonly bundle: SecureHash;
  readonly version: number;
}

/** PARKED is shown by REST as RUNNING with its error kept for the operator. */
export type FlowStatus = "START_REQUESTED" | "RUNNING" | "PARKED" | "COMPLETED" | "FAILED" | "KILLED";

/** How a flow came to be. */
export type FlowOrigin =
  | { readonly kind: "client"; readonly clientRequestId: string; readonly startedBy: string; readonly input: Data }
  | { readonly kind: "session"; readonly session: SessionId; readonly counterparty: X500Name; readonly version: number };

/** A step that was asked and not settled when its flow last committed. Shows an operator what a flow waits for. */
export interface Waiting {
  readonly path: StepPath;
  /** A `session.exchange` listed here has sent what it sends: a replay does not send again. */
  readonly kind: Syscall["kind"];
  /** When a sleep ends. */
  readonly until: Instant | null;
  /** When it was asked. Rows that are older than this member lack it. */
  readonly since?: Instant;
  /** Of a call that finds the world down. */
  readonly trouble?: Trouble;
}

/** What a step was last refused with, how often, and when that began. */
export interface Trouble {
  readonly type: string;
  readonly message: string;
  readonly attempts: number;
  readonly since: Instant;
}

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
  readonly waiting: readonly Waiting[];
  readonly outcome: Outcome | null;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

/** One settled step, as a replay needs it. A committed row never changes. */
export interface RecordedStep {
  readonly path: StepPath;
  readonly kind: Syscall["kind"];
  /** SHA-256 of the canonical bytes of the syscall: the same step of a replay must ask the same. */
  readonly requestHash: Uint8Array;
  readonly outcome: Outcome;
  /** Steps of one activation were settled together, in `ordinal` order: replay settles them so again. */
  readonly activation: number;
  readonly ordinal: number;
  /** When it was asked, and when it was settled. */
  readonly askedAt: Instant;
  readonly at: Instant;
}

/** A step with what it asked, for whoever reads the journal. */
export interface JournalRow extends RecordedStep {
  /** Canonical bytes of the syscall; null where they are many (`REQUEST_KEPT_BYTES_MAX`). */
  readonly request: Uint8Array | null;
}

/** Closing: one side has closed and the other is to follow; at the initiator our close waits for theirs, at the responder theirs for ours. */
export type SessionStatus = "open" | "closing" | "closed" | "failed";

export interface SessionRow {
  readonly id: SessionId;
  readonly flowId: string;
  readonly side: "initiator" | "responder";
  readonly counterparty: X500Name;
  readonly protocol: Protocol;
  /** Chosen by the responder. */
  readonly version: number | null;
  /** User properties for the flow that answers, where this side initiated it. */
  readonly properties: Readonly<Record<string, string>> | null;
  readonly status: SessionStatus;
  /** Why, of a session that failed: what its next operation fails with. */
  readonly failure: Failure | null;
  /** Highest sequence number sent and, without gap, consumed. From 1. */
  readonly sent: number;
  readonly consumed: number;
  readonly openedAt: Instant;
  /** How long either side waits for the other, and a message for its acknowledgement. */
  readonly timeoutMs: number;
  /** `timeoutMs` after the last message in either direction. */
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
  /** Everything of the other direction up to here is committed at the sender of this: consumed, or in its inbox. */
  readonly acknowledged: number;
  /** In an acknowledgement, where it is less: up to here all is read, and from here the window counts. */
  readonly read?: number;
  /** An `acknowledge` message has sequence 0 and carries nothing else; so has a failure that a host answers where no flow is. */
  readonly body: /** `last`: a close rides on it. */
    | { readonly kind: "data"; readonly payload: Data; readonly last?: true; readonly awaited?: true }
    /** Of a payload that is too large for one message: the bytes of its canonical form that follow those of the part before. */
    | {
        readonly kind: "part";
        /** SHA-256 of all of it. */
        readonly hash: Uint8Array;
        /** From 0. */
        readonly index: number;
        readonly count: number;
        readonly bytes: Uint8Array;
        readonly last?: true;
        readonly awaited?: true;
      }
    /** `awaited`: the sender waits for the other side's close. */
    | { readonly kind: "close"; readonly awaited?: true }
    /** Flows never see it: the initiator's asks who answers, the responder's answers by its version. */
    | { readonly kind: "hello" }
    | { readonly kind: "failure"; readonly type: string; readonly message: string }
    | { readonly kind: "acknowledge" };
  /** In the initiator's messages until the responder has answered. */
  readonly init?: {
    readonly protocol: Protocol;
    readonly initiatingFlow: string;
    readonly timeoutMs: number;
    /** Past it no flow begins to answer: what remembers that one has answered may be gone. */
    readonly expiresAt: Instant;
    readonly properties?: FlowProperties;
  };
  /** In the responder's messages: the version it chose. */
  readonly version?: number;
  /** It comes from an outbox: the flow it is for may have had it before. */
  readonly again?: true;
  /** Absolute: past it the sender gives up and the session fails. */
  readonly expiresAt: Instant;
}

/** All of a flow that a worker needs to run it. */
export interface FlowSnapshot {
  readonly row: FlowRow;
  readonly journal: readonly RecordedStep[];
  readonly sessions: readonly SessionRow[];
  /** Arrived and not consumed, in order of session and sequence. */
  readonly inbox: readonly SessionMessage[];
}

/** All of a flow that an operator may want to see, running or over. */
export interface FlowInspection {
  readonly row: FlowRow;
  /** In the order in which its steps were settled; a page of them where one was asked for. */
  readonly journal: readonly JournalRow[];
  readonly sessions: readonly SessionRow[];
  /** Messages that arrived and are not consumed, and messages that are not acknowledged. */
  readonly inbox: number;
  readonly outbox: number;
  /** Why it is parked, or what keeps it from going on; null where nothing does. */
  readonly lastError: FlowTrouble | null;
  /** How often what fails now was tried. */
  readonly attempts: number;
}

/** So many steps from this place on; those of one activation are numbered by their ordinal. */
export interface JournalPage {
  readonly from: Pick<RecordedStep, "activation" | "ordinal">;
  readonly limit: number;
}

export interface FlowTrouble {
  readonly type: string;
  readonly message: string;
  /** Of the author's code, where it was that code. */
  readonly stack?: string;
  /** The step that fails, where it is one. */
  readonly step: StepPath | null;
  readonly since: Instant;
}

export interface FlowFilter {
  readonly status?: readonly FlowStatus[];
  readonly flowName?: string;
  /** Moments of the start, both included. */
  readonly startedAfter?: Instant;
  readonly startedBefore?: Instant;
  /** At most so many: 1 to `FLOWS_PAGE_MAX`. */
  readonly limit: number;
  /** Where the page before ended. */
  readonly after?: string;
}

/** In the order of their starts. */
export interface FlowPage {
  readonly rows: readonly FlowRow[];
  /** What the next page is after; null where there is none. */
  readonly next: string | null;
}

/** A message in an inbox, by who sent it. */
export interface InboxKey {
  readonly session: SessionId;
  readonly from: SessionMessage["from"];
  readonly sequence: number;
}

/** The peer has, committed, all that side `from` of the session sent up to and including `sequence`. */
export interface Acknowledgement {
  readonly session: SessionId;
  readonly from: SessionMessage["from"];
  readonly sequence: number;
}

/** One transaction: either all of it is in the database, or nothing. */
export interface StepCommit {
  readonly flowId: string;
  readonly at: Instant;
  /** Of a responder's first commit: its row, inserted at version 0 where it is not there, in this same transaction. */
  readonly start?: FlowStart;
  readonly expectedVersion: number;
  readonly commitId: string;
  readonly journal: readonly JournalRow[];
  /** Journal rows below these paths are dropped: the child that finished is one row now. */
  readonly collapsed: readonly StepPath[];
  readonly sessions: readonly SessionRow[];
  /** Arrived while the flow waited for something else. */
  readonly inboxAdded: readonly SessionMessage[];
  readonly inboxConsumed: readonly InboxKey[];
  readonly outboxAdded: readonly SessionMessage[];
  readonly outboxAcknowledged: readonly Acknowledgement[];
  /** With `KILLED` the commit passes the fence of a flow that is to be killed. */
  readonly status: FlowStatus;
  readonly outcome: Outcome | null;
  readonly wakeAt: Instant | null;
  readonly waiting: readonly Waiting[];
  /** What this flow writes in the vault, for the ledger's store to write in the same transaction. */
  readonly vaultWrites: readonly Data[];
  /** Of a flow that fails with this commit, where its code threw; for who inspects it, and nobody else. */
  readonly stack?: string;
}

export type CommitOutcome =
  | { readonly kind: "committed" }
  /** Another owner was faster, or the flow is to be killed: drop what is in memory, load again. */
  | { readonly kind: "fenced" }
  /** A vault write was refused; nothing of this commit was written. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

export interface FlowStart {
  readonly row: Omit<FlowRow, "status" | "version" | "commitId" | "kill" | "waiting" | "outcome" | "updatedAt">;
  readonly session?: SessionRow;
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
  /** All unfinished flows whose `wakeAt` is at or before `until`; nothing is changed. */
  dueBefore(until: Instant): Promise<readonly string[]>;
  /**
   * Messages not acknowledged whose time to be sent again has come, oldest first. Each is marked as sent at `now`, so
   * that it comes again after twice as long; those past their expiry are deleted instead.
   */
  unacknowledged(now: Instant, limit: number): Promise<readonly SessionMessage[]>;
  /** What peers have need not be sent again. True whoever runs the flow, so no fence. */
  acknowledge(acknowledgements: readonly Acknowledgement[]): Promise<void>;
  /** False when there is no such flow, or it is finished. The caller wakes it. */
  requestKill(flowId: string, now: Instant): Promise<boolean>;
  /**
   * A parked flow runs again from its last commit; with other code so does any unfinished one, in that code. False when there is
   * none such. Whoever has it in memory is fenced. The caller wakes it.
   */
  requestRetry(flowId: string, now: Instant, code?: CodeChange): Promise<boolean>;
  byClientRequest(clientRequestId: string): Promise<FlowRow | undefined>;
  byId(flowId: string): Promise<FlowRow | undefined>;
  /**
   * Forgets flows that were over before a moment, and all of whose sessions had expired before another: late messages of a
   * session meet its row until then. Of `limit` at most; the result is how many went.
   */
  purge(request: { readonly overBefore: Instant; readonly expiredBefore: Instant; readonly limit: number }): Promise<number>;
  /** Throws `flow.filterInvalid`. */
  list(filter: FlowFilter): Promise<FlowPage>;
  /** With all of its journal, or a page of it. */
  inspect(flowId: string, page?: JournalPage): Promise<FlowInspection | undefined>;
}

/** The persistence role as the engine sees it: the stores of all virtual nodes. Throws `unavailable` where a retry may help. */
export interface FlowPersistence {
  load(request: { readonly vnode: ShortHash; readonly flowIds: readonly string[] }): Promise<readonly FlowSnapshot[]>;
  /** Joins the virtual node's next group commit. */
  commit(request: { readonly vnode: ShortHash; readonly commit: StepCommit }): Promise<CommitOutcome>;
  acknowledge(request: { readonly vnode: ShortHash; readonly acknowledgements: readonly Acknowledgement[] }): Promise<null>;
  /** Over all virtual nodes that may have work: flows that are due, leased to the caller, and messages to send again. */
  due(request: { readonly now: Instant; readonly leaseUntil: Instant; readonly limit: number }): Promise<{
    readonly flows: readonly { readonly vnode: ShortHash; readonly flowId: string }[];
    readonly messages: readonly SessionMessage[];
  }>;
  /** Over all virtual nodes: flows that are due, or run under a lease that ends by then, or sleep until then. */
  dueBefore(request: { readonly until: Instant }): Promise<readonly { readonly vnode: ShortHash; readonly flowId: string }[]>;
}

/** Who answers a protocol on a virtual node: a flow of its CPI, or of the platform. */
export interface Responder {
  readonly protocol: Protocol;
  readonly flowName: string;
  readonly bundle: SecureHash | "platform";
}

export interface FlowDirectory {
  /** The virtual node of a member, where this cluster hosts it. */
  hosted(name: X500Name, groupId: string): Promise<{ readonly vnode: ShortHash; readonly responders: readonly Responder[] } | undefined>;
}

/**
 * Runs the fibers of one bundle. One activation may carry the deliveries of many flows; the worker asks one at a time.
 * A rejection means that every fiber here is gone: the worker replays them in the next instance it is given.
 */
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
