// The engine's tables in PostgreSQL (sql/vault/0001-flow.sql). Every statement takes many rows; those of one transaction
// are sent without waiting for each other.
//
// Guarantees: a commit is applied once, to the version it names, in one transaction with its vault writes. In a group
// every statement after the fence joins on the flows that passed it, so that a fenced member writes nothing. When a
// group fails its members are committed one by one, and only what fails alone is refused.

import {
  BowlineError,
  compareBytes,
  type Data,
  type Database,
  decode,
  encode,
  type SecureHash,
  type Sql,
  type X500Name,
} from "@bowline/base";
import type { Failure, Outcome, Protocol } from "@bowline/sdk";
import { RESEND_FIRST_MS, RESEND_MAX_MS } from "./limits.ts";
import { decodeMessage, encodeMessage } from "./messages.ts";
import type {
  CommitOutcome,
  FlowOrigin,
  FlowRow,
  FlowSnapshot,
  FlowStart,
  FlowStatus,
  FlowStore,
  JournalRow,
  SessionMessage,
  SessionRow,
  SessionStatus,
  StartOutcome,
  StepCommit,
  Waiting,
} from "./ports.ts";
import { resendAt } from "./resend.ts";
import { encodeOutcome, startedRow } from "./rows.ts";
import { SQL } from "./statements.ts";

/** Writes vault rows in the transaction of the step commits that ask for them. What it throws fails them all. */
export interface VaultHook {
  applyVaultWrites(sql: Sql, members: readonly { readonly flowId: string; readonly writes: readonly Data[] }[]): Promise<void>;
}

const NO_VAULT: VaultHook = { applyVaultWrites: async () => {} };

export function createFlowStore(database: Database, vault: VaultHook = NO_VAULT): FlowStore {
  return {
    start: (starts) => database.transaction((sql) => startFlows(sql, starts)),
    load: (flowIds) => (flowIds.length === 0 ? Promise.resolve([]) : loadFlows(database, flowIds)),
    commit: (commits) => commitGroup(database, vault, commits),

    async due(now, leaseUntil, limit) {
      const rows = await database.sql.query<{ id: string }>(SQL.due, [now, leaseUntil, limit]);
      return rows.map(({ id }) => id);
    },

    async unacknowledged(now, limit) {
      const rows = await database.transaction((sql) => {
        void sql.query(SQL.expire, [now]);
        return sql.query<InboxColumns>(SQL.resend, [now, limit, RESEND_FIRST_MS, RESEND_MAX_MS]);
      });
      return rows.map(messageOf);
    },

    async acknowledge(acknowledgements) {
      if (acknowledgements.length > 0)
        await database.sql.query(SQL.acknowledge, columns(acknowledgements, ["session", "from", "sequence"]));
    },

    requestKill: async (flowId, now) => (await database.sql.query(SQL.kill, [flowId, now])).length > 0,
    requestRetry: async (flowId, now) => (await database.sql.query(SQL.retry, [flowId, now])).length > 0,

    async byClientRequest(clientRequestId) {
      const [row] = await database.sql.query<FlowColumns>(SQL.byClientRequest, [clientRequestId]);
      return row === undefined ? undefined : flowOf(row);
    },

    async list({ status }) {
      const rows = await database.sql.query<FlowColumns>(SQL.list, [status ?? null]);
      return rows.map(flowOf);
    },
  };
}

// --- Start and load ---

async function startFlows(sql: Sql, starts: readonly FlowStart[]): Promise<readonly StartOutcome[]> {
  if (starts.length === 0) return [];
  const rows = starts.map(startedRow);
  const inserted = await sql.query<{ id: string }>(SQL.insertFlows, flowColumns(rows));
  const started = new Set(inserted.map(({ id }) => id));
  const sessions = starts.flatMap(({ row, session }) => (session !== undefined && started.has(row.id) ? [session] : []));
  if (sessions.length > 0) await sql.query(SQL.insertSessions, sessionColumns(sessions));
  const outcomes: StartOutcome[] = [];
  for (const row of rows) {
    // Of two starts with one id in one call the second is a repeat.
    if (started.delete(row.id)) outcomes.push({ kind: "started", row });
    else outcomes.push(await meetKnown(sql, row));
  }
  return outcomes;
}

async function meetKnown(sql: Sql, asked: FlowRow): Promise<StartOutcome> {
  const [found] = await sql.query<FlowColumns>(SQL.known, [asked.id, requestIdOf(asked)]);
  if (found === undefined) throw new BowlineError("unavailable", "flow.startContended", "Two starts of one flow met. Ask again.");
  const row = flowOf(found);
  const same = row.flowName === asked.flowName && row.bundle === asked.bundle && compareBytes(requestBytes(row), requestBytes(asked)) === 0;
  return { kind: same ? "known" : "conflict", row };
}

/** Who asks does not matter: what is asked does. */
const requestBytes = ({ origin }: FlowRow): Uint8Array => encode(origin.kind === "client" ? origin.input : origin.session);
const requestIdOf = ({ origin }: FlowRow): string | null => (origin.kind === "client" ? origin.clientRequestId : null);

async function loadFlows(database: Database, flowIds: readonly string[]): Promise<readonly FlowSnapshot[]> {
  // The flow's row is read first: where a commit comes between, the fence refuses what is decided on the rest.
  const [flows, steps, sessions, inbox] = await database.transaction((sql) =>
    Promise.all([
      sql.query<FlowColumns>(SQL.loadFlows, [flowIds]),
      sql.query<StepColumns>(SQL.loadSteps, [flowIds]),
      sql.query<SessionColumns>(SQL.loadSessions, [flowIds]),
      sql.query<InboxColumns & { flow_id: string }>(SQL.loadInbox, [flowIds]),
    ]),
  );
  const stepsOf = grouped(steps, stepOf);
  const sessionsOf = grouped(sessions, sessionOf);
  const inboxOf = grouped(inbox, messageOf);
  return flows.map((columns) => ({
    row: flowOf(columns),
    journal: stepsOf.get(columns.id) ?? [],
    sessions: sessionsOf.get(columns.id) ?? [],
    inbox: inboxOf.get(columns.id) ?? [],
  }));
}

function grouped<Row extends { flow_id: string }, T>(rows: readonly Row[], read: (row: Row) => T): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(row.flow_id);
    if (group === undefined) groups.set(row.flow_id, [read(row)]);
    else group.push(read(row));
  }
  return groups;
}

// --- Commit ---

async function commitGroup(database: Database, vault: VaultHook, commits: readonly StepCommit[]): Promise<readonly CommitOutcome[]> {
  if (commits.length === 0) return [];
  try {
    return await commitTogether(database, vault, commits);
  } catch (cause) {
    if (isDown(cause)) throw cause;
    const [only] = commits;
    if (commits.length === 1 && only !== undefined) return [refusalOf(cause)];
    const outcomes: CommitOutcome[] = [];
    for (const commit of commits) outcomes.push(...(await commitGroup(database, vault, [commit])));
    return outcomes;
  }
}

const isDown = (cause: unknown): boolean => cause instanceof BowlineError && cause.kind === "unavailable";

const refusalOf = (cause: unknown): CommitOutcome => ({
  kind: "refused",
  code: cause instanceof BowlineError ? cause.code : "flow.commitFailed",
  message: cause instanceof Error ? cause.message : String(cause),
});

async function commitTogether(database: Database, vault: VaultHook, commits: readonly StepCommit[]): Promise<readonly CommitOutcome[]> {
  const { fence } = await database.transaction(async (sql) => {
    const fence = sendFence(sql, commits);
    sendRows(sql, commits);
    const writers = commits.filter(({ vaultWrites }) => vaultWrites.length > 0);
    if (writers.length > 0) {
      const passed = new Set((await fence).map(({ id }) => id));
      const members = writers
        .filter(({ flowId }) => passed.has(flowId))
        .map(({ flowId, vaultWrites }) => ({ flowId, writes: vaultWrites }));
      if (members.length > 0) await vault.applyVaultWrites(sql, members);
    }
    // Wrapped, so that COMMIT need not wait for it.
    return { fence };
  });
  const passed = new Set((await fence).map(({ id }) => id));
  const others = commits.filter(({ flowId }) => !passed.has(flowId));
  const repeated = others.length === 0 ? new Set<string>() : await committedBefore(database, others);
  return commits.map(({ flowId }) => ({ kind: passed.has(flowId) || repeated.has(flowId) ? "committed" : "fenced" }));
}

/** Of these, the ones whose own commit is the last that their flow has seen: the answer to the first try was lost. */
async function committedBefore(database: Database, commits: readonly StepCommit[]): Promise<ReadonlySet<string>> {
  const rows = await database.sql.query<{ id: string }>(SQL.committedBefore, columns(commits, ["flowId", "commitId"]));
  return new Set(rows.map(({ id }) => id));
}

function sendFence(sql: Sql, commits: readonly StepCommit[]): Promise<readonly { id: string }[]> {
  const starts = commits.flatMap(({ start }) => (start === undefined ? [] : [startedRow(start)]));
  if (starts.length > 0) void sql.query(SQL.insertFlows, flowColumns(starts));
  // In one order for all groups, so that two of them never wait for each other.
  if (commits.length > 1) void sql.query(SQL.lock, [commits.map(({ flowId }) => flowId)]);
  return sql.query<{ id: string }>(SQL.fence, [
    commits.map(({ flowId }) => flowId),
    commits.map(({ expectedVersion }) => expectedVersion),
    commits.map(({ commitId }) => commitId),
    commits.map(({ status }) => status),
    commits.map(({ outcome }) => (outcome === null ? null : encodeOutcome(outcome))),
    commits.map(({ wakeAt }) => wakeAt),
    commits.map(({ waiting }) => JSON.stringify(waiting)),
    commits.map(({ at }) => at),
  ]);
}

/** A member's commit id is what its rows join on: it is in the flow's row exactly if the member passed the fence. */
function sendRows(sql: Sql, commits: readonly StepCommit[]): void {
  const of = <T>(pick: (commit: StepCommit) => readonly T[]): (T & Member)[] =>
    commits.flatMap((commit) =>
      pick(commit).map((row) => ({ ...row, flowId: commit.flowId, commitId: commit.commitId, committedAt: commit.at })),
    );

  const collapsed = of((commit) => commit.collapsed.map((path) => ({ path })));
  if (collapsed.length > 0) void sql.query(SQL.collapse, columns(collapsed, ["flowId", "commitId", "path"]));
  const steps = of<JournalRow>((commit) => commit.journal);
  if (steps.length > 0) void sql.query(SQL.insertSteps, stepColumns(steps));
  const sessions = of(sessionsOf);
  if (sessions.length > 0) void sql.query(SQL.saveSessions, [...sessionColumns(sessions), sessions.map(({ commitId }) => commitId)]);
  const consumed = of((commit) => commit.inboxConsumed);
  if (consumed.length > 0) void sql.query(SQL.consume, columns(consumed, ["flowId", "commitId", "session", "from", "sequence"]));
  const arrived = of((commit) => commit.inboxAdded.map((message) => ({ message })));
  if (arrived.length > 0) void sql.query(SQL.insertInbox, [...columns(arrived, ["flowId", "commitId"]), ...messageColumns(arrived)]);
  const sent = of((commit) => commit.outboxAdded.map((message) => ({ message })));
  if (sent.length > 0) {
    void sql.query(SQL.insertOutbox, [
      ...columns(sent, ["flowId", "commitId"]),
      ...messageColumns(sent),
      sent.map(({ committedAt }) => resendAt(committedAt, 1)),
      sent.map(({ message }) => message.expiresAt),
    ]);
  }
  const acknowledged = of((commit) => commit.outboxAcknowledged);
  if (acknowledged.length > 0) void sql.query(SQL.acknowledge, columns(acknowledged, ["session", "from", "sequence"]));
}

interface Member {
  readonly flowId: string;
  readonly commitId: string;
  readonly committedAt: number;
}

/** A flow that is inserted brings its session, unless the commit has it in a later state. */
function sessionsOf({ start, sessions }: StepCommit): readonly SessionRow[] {
  const first = start?.session;
  return first === undefined || sessions.some(({ id, side }) => id === first.id && side === first.side) ? sessions : [first, ...sessions];
}

// --- Columns, as `unnest` takes them ---

const columns = <T, K extends keyof T>(rows: readonly T[], keys: readonly K[]): T[K][][] => keys.map((key) => rows.map((row) => row[key]));

const flowColumns = (rows: readonly FlowRow[]): readonly unknown[][] => [
  ...columns(rows, ["id", "bundle", "flowName"]),
  rows.map(({ identity }) => identity.me),
  rows.map(({ identity }) => identity.groupId),
  rows.map(requestIdOf),
  rows.map(originBytes),
  ...columns(rows, ["seed", "wakeAt", "createdAt"]),
];

const stepColumns = (rows: readonly (JournalRow & Member)[]): readonly unknown[][] => [
  ...columns(rows, ["flowId", "commitId", "path", "kind", "requestHash"]),
  rows.map(({ outcome }) => encodeOutcome(outcome)),
  ...columns(rows, ["activation", "ordinal", "at"]),
];

const sessionColumns = (rows: readonly SessionRow[]): readonly unknown[][] => [
  ...columns(rows, ["id", "side", "flowId", "counterparty"]),
  rows.map(({ protocol }) => JSON.stringify(protocol)),
  ...columns(rows, ["version", "status"]),
  rows.map(({ failure }) => (failure === null ? null : JSON.stringify(failure))),
  ...columns(rows, ["sent", "consumed", "timeoutMs", "expiresAt"]),
];

const messageColumns = (rows: readonly { readonly message: SessionMessage }[]): readonly unknown[][] => [
  rows.map(({ message }) => message.session),
  rows.map(({ message }) => message.from),
  rows.map(({ message }) => message.sequence),
  rows.map(({ message }) => encodeMessage(message)),
];

// --- Rows as PostgreSQL gives them ---

interface FlowColumns {
  readonly id: string;
  readonly bundle: string;
  readonly flow_name: string;
  readonly me: string;
  readonly group_id: string;
  readonly origin: Uint8Array;
  readonly seed: Uint8Array;
  readonly status: FlowStatus;
  readonly version: number;
  readonly commit_id: string;
  readonly kill: boolean;
  readonly wake_at: number | null;
  readonly waiting: readonly Waiting[];
  readonly outcome: Uint8Array | null;
  readonly created_at: number;
  readonly updated_at: number;
}

const flowOf = (row: FlowColumns): FlowRow => ({
  id: row.id,
  bundle: row.bundle as SecureHash | "platform",
  flowName: row.flow_name,
  identity: { flowId: row.id, me: row.me as X500Name, groupId: row.group_id },
  origin: decode(row.origin) as unknown as FlowOrigin,
  seed: row.seed,
  status: row.status,
  version: row.version,
  commitId: row.commit_id,
  kill: row.kill,
  wakeAt: row.wake_at,
  waiting: row.waiting,
  outcome: row.outcome === null ? null : (decode(row.outcome) as unknown as Outcome),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const originBytes = ({ origin }: FlowRow): Uint8Array => encode(origin as unknown as Data);

interface StepColumns {
  readonly flow_id: string;
  readonly path: string;
  readonly kind: JournalRow["kind"];
  readonly request_hash: Uint8Array;
  readonly outcome: Uint8Array;
  readonly activation: number;
  readonly ordinal: number;
  readonly at: number;
}

const stepOf = ({ path, kind, request_hash, outcome, activation, ordinal, at }: StepColumns): JournalRow => ({
  path,
  kind,
  requestHash: request_hash,
  outcome: decode(outcome) as unknown as Outcome,
  activation,
  ordinal,
  at,
});

interface SessionColumns {
  readonly id: string;
  readonly side: SessionRow["side"];
  readonly flow_id: string;
  readonly counterparty: string;
  readonly protocol: Protocol;
  readonly version: number | null;
  readonly status: SessionStatus;
  readonly failure: Failure | null;
  readonly sent: number;
  readonly consumed: number;
  readonly timeout_ms: number;
  readonly expires_at: number;
}

const sessionOf = (row: SessionColumns): SessionRow => ({
  id: row.id,
  flowId: row.flow_id,
  side: row.side,
  counterparty: row.counterparty as X500Name,
  protocol: row.protocol,
  version: row.version,
  status: row.status,
  failure: row.failure,
  sent: row.sent,
  consumed: row.consumed,
  timeoutMs: row.timeout_ms,
  expiresAt: row.expires_at,
});

interface InboxColumns {
  readonly message: Uint8Array;
}

const messageOf = ({ message }: InboxColumns): SessionMessage => decodeMessage(message);
