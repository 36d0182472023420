// The engine's tables in memory: for tests, for simulations, and as the plainest statement of what the store promises.

import { BowlineError, compareBytes, type Data, encode, type Instant } from "@bowline/base";
import { pageOf, pageStart, troubleOf } from "./inspection.ts";
import { WINDOW_MESSAGES_MAX } from "./limits.ts";
import type {
  Acknowledgement,
  CommitOutcome,
  FlowFilter,
  FlowInspection,
  FlowPage,
  FlowRow,
  FlowSnapshot,
  FlowStart,
  FlowStore,
  InboxKey,
  JournalPage,
  JournalRow,
  SessionMessage,
  SessionRow,
  StartOutcome,
  StepCommit,
} from "./ports.ts";
import { resendAt } from "./resend.ts";
import { isBelow, startedRow } from "./rows.ts";

export interface MemoryFlowStoreOptions {
  /** The vault writes of one commit: all of them are applied, or it throws and none is. */
  applyVaultWrites?(flowId: string, writes: readonly Data[]): void;
}

interface Sent {
  readonly message: SessionMessage;
  readonly attempts: number;
  readonly dueAt: Instant;
}

interface Tables {
  readonly flows: Map<string, FlowRow>;
  readonly byRequest: Map<string, string>;
  readonly journal: Map<string, Map<string, JournalRow>>;
  readonly sessions: Map<string, SessionRow>;
  readonly inbox: Map<string, { readonly flowId: string; readonly message: SessionMessage }>;
  readonly outbox: Map<string, Sent>;
  readonly stacks: Map<string, string>;
}

export function createMemoryFlowStore(options: MemoryFlowStoreOptions = {}): FlowStore {
  const tables: Tables = {
    flows: new Map(),
    byRequest: new Map(),
    journal: new Map(),
    sessions: new Map(),
    inbox: new Map(),
    outbox: new Map(),
    stacks: new Map(),
  };
  const { flows } = tables;
  const mark = (flowId: string, now: Instant, may: (row: FlowRow) => boolean, changes: Partial<FlowRow>): boolean => {
    const row = flows.get(flowId);
    if (row === undefined || !may(row)) return false;
    flows.set(flowId, { ...row, ...changes, wakeAt: now });
    return true;
  };
  return {
    start: async (starts) => starts.map((start) => startFlow(tables, start)),
    load: async (flowIds) => flowIds.flatMap((flowId) => snapshotOf(tables, flowId) ?? []),
    commit: async (commits) => commits.map((commit) => applyCommit(tables, commit, options)),
    due: async (now, leaseUntil, limit) => lease(tables, now, leaseUntil, limit),
    dueBefore: async (until) => [...flows.values()].filter(({ wakeAt }) => wakeAt !== null && wakeAt <= until).map(({ id }) => id),
    unacknowledged: async (now, limit) => resend(tables, now, limit),
    async acknowledge(acknowledgements) {
      for (const acknowledgement of acknowledgements) acknowledge(tables, acknowledgement);
    },
    requestKill: async (flowId, now) => mark(flowId, now, isUnfinished, { kill: true }),
    requestRetry: async (flowId, now, code) =>
      mark(flowId, now, (row) => (code === undefined ? row.status === "PARKED" : isUnfinished(row) && row.version === code.version), {
        status: "RUNNING",
        outcome: null,
        version: (flows.get(flowId)?.version ?? 0) + 1,
        ...(code === undefined ? {} : { bundle: code.bundle }),
      }),
    byClientRequest: async (clientRequestId) => flows.get(tables.byRequest.get(clientRequestId) ?? ""),
    byId: async (flowId) => flows.get(flowId),
    purge: async (request) => purge(tables, request),
    list: async (filter) => listFlows(tables, filter),
    inspect: async (flowId, page) => inspectFlow(tables, flowId, page),
  };
}

const isUnfinished = ({ status }: FlowRow): boolean => status !== "COMPLETED" && status !== "FAILED" && status !== "KILLED";

function startFlow({ flows, byRequest, sessions }: Tables, start: FlowStart): StartOutcome {
  const { origin, id } = start.row;
  const known = flows.get((origin.kind === "client" ? byRequest.get(origin.clientRequestId) : undefined) ?? id);
  if (known !== undefined) return { kind: isSameRequest(known, start) ? "known" : "conflict", row: known };
  const row = startedRow(start);
  flows.set(id, row);
  if (origin.kind === "client") byRequest.set(origin.clientRequestId, id);
  if (start.session !== undefined) sessions.set(sessionKey(start.session), start.session);
  return { kind: "started", row };
}

/** Who asks does not matter: what is asked does. */
function isSameRequest({ origin, flowName, bundle }: FlowRow, { row }: FlowStart): boolean {
  if (flowName !== row.flowName || bundle !== row.bundle) return false;
  if (origin.kind === "session") return row.origin.kind === "session" && origin.session === row.origin.session;
  return row.origin.kind === "client" && compareBytes(encode(origin.input), encode(row.origin.input)) === 0;
}

function snapshotOf({ flows, journal, sessions, inbox }: Tables, flowId: string): FlowSnapshot | undefined {
  const row = flows.get(flowId);
  if (row === undefined) return undefined;
  return {
    row,
    journal: [...(journal.get(flowId)?.values() ?? [])].map(({ request: _, ...step }) => step),
    sessions: [...sessions.values()].filter((session) => session.flowId === flowId),
    inbox: [...inbox.values()]
      .filter((kept) => kept.flowId === flowId)
      .map(({ message }) => message)
      .sort((a, b) => (a.session === b.session ? a.sequence - b.sequence : a.session < b.session ? -1 : 1)),
  };
}

function purge(tables: Tables, { overBefore, expiredBefore, limit }: Parameters<FlowStore["purge"]>[0]): number {
  const { flows, byRequest, journal, sessions, inbox, outbox } = tables;
  const mayArrive = new Set([...sessions.values()].filter(({ expiresAt }) => expiresAt >= expiredBefore).map(({ flowId }) => flowId));
  const over = [...flows.values()].filter((row) => !isUnfinished(row) && row.updatedAt < overBefore && !mayArrive.has(row.id));
  const gone = over.sort(byStart).slice(0, limit);
  for (const { id, origin } of gone) {
    flows.delete(id);
    journal.delete(id);
    tables.stacks.delete(id);
    if (origin.kind === "client") byRequest.delete(origin.clientRequestId);
    for (const [key, session] of sessions) {
      if (session.flowId !== id) continue;
      sessions.delete(key);
      for (const [sent, { message }] of outbox) if (message.session === session.id && message.from === session.side) outbox.delete(sent);
    }
    for (const [key, kept] of inbox) if (kept.flowId === id) inbox.delete(key);
  }
  return gone.length;
}

function listFlows({ flows }: Tables, filter: FlowFilter): FlowPage {
  const start = pageStart(filter);
  const { status, flowName, startedAfter, startedBefore, limit } = filter;
  const found = [...flows.values()].filter(
    (row) =>
      (status === undefined || status.includes(row.status)) &&
      (flowName === undefined || row.flowName === flowName) &&
      row.createdAt >= (startedAfter ?? 0) &&
      row.createdAt <= (startedBefore ?? Number.POSITIVE_INFINITY) &&
      (start === undefined || byStart(row, start) > 0),
  );
  return pageOf(found.sort(byStart), limit);
}

type Started = Pick<FlowRow, "createdAt" | "id">;
const byStart = (a: Started, b: Started): number => a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

const bySettling = (a: JournalPage["from"], b: JournalPage["from"]): number => a.activation - b.activation || a.ordinal - b.ordinal;

function inspectFlow(tables: Tables, flowId: string, page?: JournalPage): FlowInspection | undefined {
  const snapshot = snapshotOf(tables, flowId);
  if (snapshot === undefined) return undefined;
  const { row, sessions, inbox } = snapshot;
  const from = page?.from ?? { activation: 0, ordinal: 0 };
  const journal = [...(tables.journal.get(flowId)?.values() ?? [])]
    .filter((step) => bySettling(step, from) >= 0)
    .sort(bySettling)
    .slice(0, page?.limit);
  const mine = new Set(sessions.map(({ id, side }) => `${side} ${id}`));
  const outbox = [...tables.outbox.values()].filter(({ message }) => mine.has(`${message.from} ${message.session}`)).length;
  return { row, journal, sessions, inbox: inbox.length, outbox, ...troubleOf(row, tables.stacks.get(flowId)) };
}

function applyCommit(tables: Tables, commit: StepCommit, options: MemoryFlowStoreOptions): CommitOutcome {
  const { flows } = tables;
  const { flowId, commitId, status, outcome, wakeAt, waiting } = commit;
  const row = flows.get(flowId) ?? begunWith(tables, commit);
  if (row === undefined) return { kind: "fenced" };
  if (row.commitId === commitId) return { kind: "committed" };
  if (row.version !== commit.expectedVersion || (row.kill && status !== "KILLED")) return { kind: "fenced" };
  try {
    if (commit.vaultWrites.length > 0) options.applyVaultWrites?.(flowId, commit.vaultWrites);
  } catch (cause) {
    if (cause instanceof BowlineError && cause.kind === "unavailable") throw cause;
    const code = cause instanceof BowlineError ? cause.code : "flow.commitFailed";
    return { kind: "refused", code, message: cause instanceof Error ? cause.message : String(cause) };
  }
  if (row.origin.kind === "client") tables.byRequest.set(row.origin.clientRequestId, flowId);
  flows.set(flowId, { ...row, status, outcome, wakeAt, waiting, commitId, version: row.version + 1, updatedAt: commit.at });
  if (commit.stack !== undefined) tables.stacks.set(flowId, commit.stack);
  if (commit.start?.session !== undefined) tables.sessions.set(sessionKey(commit.start.session), commit.start.session);
  applyRows(tables, commit);
  return { kind: "committed" };
}

/** The row of a flow that begins with its commit; undefined where another flow answers the same request. */
function begunWith({ byRequest }: Tables, { start }: StepCommit): FlowRow | undefined {
  if (start === undefined) return undefined;
  const { origin } = start.row;
  return origin.kind === "client" && byRequest.has(origin.clientRequestId) ? undefined : startedRow(start);
}

function applyRows({ journal, sessions, inbox, outbox, ...tables }: Tables, commit: StepCommit): void {
  const { flowId } = commit;
  const rows = journal.get(flowId) ?? new Map<string, JournalRow>();
  journal.set(flowId, rows);
  for (const parent of commit.collapsed) for (const path of rows.keys()) if (isBelow(path, parent)) rows.delete(path);
  for (const step of commit.journal) rows.set(step.path, step);
  for (const session of commit.sessions) sessions.set(sessionKey(session), session);
  for (const key of commit.inboxConsumed) inbox.delete(inboxKey(key));
  for (const message of commit.inboxAdded) inbox.set(inboxKey(message), { flowId, message });
  for (const message of commit.outboxAdded) outbox.set(inboxKey(message), { message, attempts: 1, dueAt: resendAt(commit.at, 1) });
  for (const acknowledgement of commit.outboxAcknowledged) acknowledge({ journal, sessions, inbox, outbox, ...tables }, acknowledgement);
}

function acknowledge({ outbox }: Tables, { session, from, sequence }: Acknowledgement): void {
  for (const [key, { message }] of outbox) {
    if (message.session === session && message.from === from && message.sequence <= sequence) outbox.delete(key);
  }
}

function lease({ flows }: Tables, now: Instant, leaseUntil: Instant, limit: number): readonly string[] {
  const due = [...flows.values()].filter((row) => isUnfinished(row) && row.wakeAt !== null && row.wakeAt <= now);
  due.sort((a, b) => (a.wakeAt ?? 0) - (b.wakeAt ?? 0));
  for (const row of due.slice(0, limit)) flows.set(row.id, { ...row, wakeAt: leaseUntil });
  return due.slice(0, limit).map(({ id }) => id);
}

function resend({ outbox }: Tables, now: Instant, limit: number): readonly SessionMessage[] {
  const first = new Map<string, number>();
  for (const [key, { message }] of outbox) {
    if (message.expiresAt <= now) outbox.delete(key);
    else first.set(wayOf(message), Math.min(first.get(wayOf(message)) ?? message.sequence, message.sequence));
  }
  const isInWindow = ({ message }: Sent): boolean => message.sequence < (first.get(wayOf(message)) ?? 0) + WINDOW_MESSAGES_MAX;
  const due = [...outbox].filter(([, sent]) => sent.dueAt <= now && isInWindow(sent));
  due.sort(([, a], [, b]) => a.dueAt - b.dueAt || a.message.sequence - b.message.sequence);
  for (const [key, { message, attempts }] of due.slice(0, limit)) {
    outbox.set(key, { message, attempts: attempts + 1, dueAt: resendAt(now, attempts + 1) });
  }
  return due.slice(0, limit).map(([, { message }]) => message);
}

const wayOf = ({ from, session }: SessionMessage): string => `${from} ${session}`;
const sessionKey = ({ id, side }: SessionRow): string => `${side} ${id}`;
const inboxKey = ({ session, from, sequence }: InboxKey): string => `${from} ${sequence} ${session}`;
