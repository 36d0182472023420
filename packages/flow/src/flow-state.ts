// What a worker keeps in memory of one running flow, what can happen to it, and what is then to be done.

import type { Data, Instant, SecureHash } from "@bowline/base";
import type { Delivery, Failure, FiberReport, FiberStart, Outcome, SessionId, StepPath, Syscall } from "@bowline/sdk";
import type { Digest } from "./messages.ts";
import type {
  Acknowledgement,
  CommitOutcome,
  FlowRow,
  FlowStart,
  InboxKey,
  JournalRow,
  RecordedStep,
  Services,
  SessionMessage,
  StepCommit,
  SyscallContext,
  Trouble,
} from "./ports.ts";
import type { SessionState } from "./sessions.ts";

export type Bundle = SecureHash | "platform";

/** What the engine takes from outside beside state, event and `Env`: pure functions only. */
export interface Rules {
  readonly classify: Services["classify"];
  readonly digest: Digest;
  /** Stop where the journal ends: nothing is settled that it has not settled. */
  readonly replayOnly?: true;
  /** `RETRY_FOR_MS` and `IDLE_MS` where nothing is said. */
  readonly patience?: Patience;
}

/** How long a flow may get nowhere before it is parked, because the world is down, or failed, because nothing answers. */
export interface Patience {
  readonly retryForMs: number;
  readonly idleMs: number;
}

/** Where a replay did otherwise than its journal says. */
export interface Divergence {
  readonly path: StepPath;
  /** In words. */
  readonly how: string;
  /** What it asked there; null where it asked nothing. */
  readonly asked: Syscall | null;
}

/** One function that runs for this flow: its own, or a platform flow that one of its steps runs as a child. */
export interface FiberState {
  readonly id: string;
  readonly bundle: Bundle;
  /** Whether it may ask what only the platform's flows may. */
  readonly trusted: boolean;
  /** The step that runs it; empty for the flow's own. */
  readonly path: StepPath;
  finished: Outcome | undefined;
}

/** A step that a fiber waits for. */
export interface Asked {
  readonly path: StepPath;
  readonly fiber: FiberState;
  readonly call: Syscall;
  readonly hash: Uint8Array;
  /** How many canonical bytes the call has, and the bytes themselves where the journal keeps them. */
  readonly size: number;
  readonly request: Uint8Array | null;
  /** Of a sub-flow that is over: when its first step was. */
  askedAt: Instant;
  /**
   * new -> calling <-> delayed -> settled.  new -> waiting|child -> settled.  recorded: the journal settles it.
   * A step that must wait for a commit stays new; new -> sealed: a checkpoint whose commit is in flight settles with it.
   */
  phase: "new" | "sealed" | "recorded" | "calling" | "delayed" | "waiting" | "child";
  /** Settles it with the next activation. */
  outcome: Outcome | undefined;
  /** When a sleep ends, a delayed call is made again, or a step that sends waits no longer for its counterparty's window. */
  until: Instant | undefined;
  /** Of a step that sends: what must be in its counterparty's window first. */
  room: readonly { readonly session: SessionState; readonly sequence: number }[];
  trouble: Trouble | undefined;
}

/** Steps below another one, which become one row with it when it is settled. */
export interface Below {
  steps: number;
  /** Of their rows. */
  bytes: number;
  /** When the first of them was asked. */
  since: Instant;
  /** Whether the database has rows of them. */
  committed: boolean;
}

/** All that happened since the last commit. */
export interface Draft {
  readonly rows: JournalRow[];
  readonly collapsed: StepPath[];
  readonly writes: { readonly path: StepPath; readonly writes: readonly Data[] }[];
  readonly outbox: SessionMessage[];
  readonly consumed: InboxKey[];
}

/** A commit in flight, and what is true once it is done. */
export interface Pending {
  readonly commit: StepCommit;
  readonly draft: Draft;
  /** Per session, up to where its arrived messages are in the database then. */
  readonly durable: ReadonlyMap<SessionId, number>;
}

/** What outlives the loss of a flow's memory. */
export interface Carry {
  /** Arrived and perhaps not in the database. */
  readonly messages: readonly SessionMessage[];
  /** Of vault writes that were refused, by step: what the step fails with when it is asked again. */
  readonly refusals: ReadonlyMap<StepPath, Failure>;
  /** Commit each vault write by itself: a group of them was refused, and one of them is why. */
  readonly careful: boolean;
}

export const NOTHING_CARRIED: Carry = { messages: [], refusals: new Map(), careful: false };

export interface FlowState {
  row: FlowRow;
  /** Of a responder whose row is not in the database yet. */
  start: FlowStart | undefined;
  readonly root: FiberState;
  readonly fibers: Map<string, FiberState>;
  readonly asked: Map<StepPath, Asked>;
  readonly sessions: Map<SessionId, SessionState>;
  /** Committed rows that are still to be replayed, by path and in groups. */
  readonly recorded: Map<StepPath, RecordedStep>;
  readonly replay: RecordedStep[][];
  /** What lies below a step that is not settled yet, by its path. */
  readonly below: Map<StepPath, Below>;
  /** Fibers to be started with the next activation. */
  readonly starting: FiberStart[];
  draft: Draft;
  pending: Pending | undefined;
  /** Checkpoints of the commit in flight, or of the last: settled in the database, and not yet told to their fibers. */
  sealed: JournalRow[];
  /** Activations in flight. */
  activating: number;
  /** The number of the next activation. */
  activation: number;
  /** When a step was last settled, or a call refused, in this memory. */
  answeredAt: Instant;
  steps: number;
  journalBytes: number;
  volatile: SessionMessage[];
  readonly refusals: Map<StepPath, Failure>;
  careful: boolean;
  /** The replay is over, or there was none: what the flow logs now it logs for the first time. */
  caughtUp: boolean;
  /** Why the flow is to be parked instead of running on. */
  parking: Failure | undefined;
  divergence: Divergence | undefined;
  /** Where its function threw what it ended with. */
  stack: string | undefined;
  /** Finished, parked or lost: memory only, to be dropped. */
  over: boolean;
}

export type FlowEvent =
  | { readonly kind: "activated"; readonly reports: readonly FiberReport[] }
  /** The code broke a limit, or the runtime did: nothing that happened in it since the last commit counts. */
  | { readonly kind: "activationFailed"; readonly failure: Failure }
  /** The fibers are gone, through no fault of this flow. */
  | { readonly kind: "fibersLost" }
  | { readonly kind: "arrived"; readonly messages: readonly SessionMessage[] }
  | { readonly kind: "answered"; readonly path: StepPath; readonly outcome: Outcome }
  /** The world was down for this call. */
  | { readonly kind: "delayed"; readonly path: StepPath; readonly failure: Failure }
  /** A call threw what is no answer: a bug. */
  | { readonly kind: "broken"; readonly failure: Failure }
  | { readonly kind: "committed"; readonly outcome: CommitOutcome }
  /** Time has passed. */
  | { readonly kind: "time" };

export type Effect =
  /** Answered by `activated`, `activationFailed` or `fibersLost`. */
  | { readonly kind: "activate"; readonly bundle: Bundle; readonly starts: readonly FiberStart[]; readonly deliveries: readonly Delivery[] }
  /** Answered by `answered`, `delayed` or `broken`. */
  | { readonly kind: "perform"; readonly path: StepPath; readonly call: Syscall; readonly context: SyscallContext }
  /** Answered by `committed`; asked again with the same commit where the answer was lost. */
  | { readonly kind: "commit"; readonly commit: StepCommit }
  | { readonly kind: "publish"; readonly messages: readonly SessionMessage[] }
  /** The counterparty is to hear that all up to here is committed: with the next message, or alone a little later. */
  | { readonly kind: "owe"; readonly message: SessionMessage }
  /** The counterparty has these: the outbox may forget them. No commit of this flow will say so. */
  | { readonly kind: "acknowledged"; readonly acknowledgements: readonly Acknowledgement[] }
  /** Post `time` at that moment. */
  | { readonly kind: "wakeAt"; readonly at: Instant }
  | {
      readonly kind: "log";
      readonly level: FiberReport["logs"][number]["level"];
      readonly message: string;
      readonly facts: Data;
    }
  | { readonly kind: "dropFibers"; readonly fibers: readonly FiberState[] }
  /** What memory says is not what the database says: load it again. */
  | { readonly kind: "reload"; readonly carry: Carry }
  /** There is nothing more to do for this flow. */
  | { readonly kind: "forget"; readonly why: "finished" | "parked" };
