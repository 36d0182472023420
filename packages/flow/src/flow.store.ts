// The engine's tables in PostgreSQL (sql/vault/0001-flow.sql). Every statement takes many rows; those of one transaction
// are sent without waiting for each other. What is large lies apart, once by its hash.
//
// Guarantees: a commit is applied once, to the version it names, in one transaction with its vault writes. In a group
// all that is written joins on the flows that passed the fence, so that a fenced member writes nothing. When a group
// fails its members are committed one by one, and only what fails alone is refused.
//
// Two invariants of the engine stand on these tables. For one client request at most one flow ever runs: the request's id is
// unique, and a start that meets it is known or a conflict. A committed step never changes: its row is inserted behind the
// fence, and only ever deleted, with the step above it or with its flow. What tries to break them: store.contract.ts on this
// store and on the one in memory, worker.property.test.ts and parcels.property.test.ts with workers that die, and the
// simulator's witness, which compares every journal with all that was committed to it (sim/day.test.ts takes the fence away).

import { BowlineError, compareBytes, type Data, type Database, encode, type Sql } from "@bowline/base";
import { isPlain } from "./batches.ts";
import { inspectFlow, listFlows } from "./inspection.store.ts";
import { CHUNK_KEPT_MS, RESEND_FIRST_MS, RESEND_MAX_MS, WINDOW_MESSAGES_MAX } from "./limits.ts";
import type {
  CommitOutcome,
  FlowRow,
  FlowSnapshot,
  FlowStart,
  FlowStore,
  SessionMessage,
  SessionRow,
  StartOutcome,
  StepCommit,
} from "./ports.ts";
import { resendAt } from "./resend.ts";
import { encodeOutcome, isLarge, startedRow } from "./rows.ts";
import {
  columns,
  type FlowColumns,
  flowColumns,
  flowOf,
  type InboxColumns,
  messageColumns,
  messageOf,
  type PartRow,
  partColumns,
  requestIdOf,
  type SessionColumns,
  SQL,
  type StepColumns,
  sessionColumns,
  sessionOf,
  stepColumns,
  stepOf,
} from "./statements.ts";

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

    async dueBefore(until) {
      const rows = await database.sql.query<{ id: string }>(SQL.dueBefore, [until]);
      return rows.map(({ id }) => id);
    },

    async unacknowledged(now, limit) {
      const rows = await database.transaction((sql) => {
        void sql.query(SQL.expire, [now]);
        void sql.query(SQL.forgetChunks, [now - CHUNK_KEPT_MS]);
        return sql.query<InboxColumns>(SQL.resend, [now, limit, RESEND_FIRST_MS, RESEND_MAX_MS, WINDOW_MESSAGES_MAX]);
      });
      return rows.map(messageOf);
    },

    async acknowledge(acknowledgements) {
      if (acknowledgements.length > 0)
        await database.sql.query(SQL.acknowledge, columns(acknowledgements, ["session", "from", "sequence"]));
    },

    requestKill: async (flowId, now) => (await database.sql.query(SQL.kill, [flowId, now])).length > 0,
    requestRetry: async (flowId, now, code) =>
      (await database.sql.query(SQL.retry, [flowId, now, code?.bundle ?? null, code?.version ?? null])).length > 0,

    async byClientRequest(clientRequestId) {
      const [row] = await database.sql.query<FlowColumns>(SQL.byClientRequest, [clientRequestId]);
      return row === undefined ? undefined : flowOf(row);
    },
    async byId(flowId) {
      const [row] = await database.sql.query<FlowColumns>(SQL.loadFlows, [[flowId]]);
      return row === undefined ? undefined : flowOf(row);
    },

    async purge({ overBefore, expiredBefore, limit }) {
      return (await database.sql.query(SQL.purge, [overBefore, expiredBefore, limit])).length;
    },

    list: (filter) => listFlows(database, filter),
    inspect: (flowId, page) => inspectFlow(database, flowId, page),
  };
}

// --- Start and load ---

async function startFlows(sql: Sql, starts: readonly FlowStart[]): Promise<readonly StartOutcome[]> {
  if (starts.length === 0) return [];
  const rows = starts.map(startedRow);
  // In the order of a commit that inserts its flows: a start that is in doubt and the flow's first commit may meet.
  const ordered = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));
  const inserted = await sql.query<{ id: string }>(SQL.insertFlows, flowColumns(ordered));
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
  const passed = new Set(
    (await (commits.every(isPlain) ? sendSteps(database.sql, commits) : inTransaction(database, vault, commits))).map(({ id }) => id),
  );
  const others = commits.filter(({ flowId }) => !passed.has(flowId));
  if (others.length === 0) return commits.map(() => ({ kind: "committed" }));
  for (const flowId of await committedBefore(database, others)) passed.add(flowId);
  const late = new Map<string, CommitOutcome>();
  // Whoever was to be inserted may be there already, with nothing done: then it is a commit like any other.
  for (const commit of others)
    if (commit.start !== undefined && !passed.has(commit.flowId))
      for (const outcome of await commitTogether(database, vault, [withoutStart(commit, sessionsOf(commit))]))
        late.set(commit.flowId, outcome);
  return commits.map(({ flowId }) => late.get(flowId) ?? { kind: passed.has(flowId) ? "committed" : "fenced" });
}

const withoutStart = ({ start: _, ...commit }: StepCommit, sessions: readonly SessionRow[]): StepCommit => ({ ...commit, sessions });

type Ids = readonly { readonly id: string }[];

async function inTransaction(database: Database, vault: VaultHook, commits: readonly StepCommit[]): Promise<Ids> {
  const { passing } = await database.transaction(async (sql) => {
    const passing = sendSteps(sql, commits);
    sendRows(sql, commits);
    const writers = commits.filter(({ vaultWrites }) => vaultWrites.length > 0);
    if (writers.length > 0) {
      const passed = new Set((await passing).map(({ id }) => id));
      const members = writers
        .filter(({ flowId }) => passed.has(flowId))
        .map(({ flowId, vaultWrites }) => ({ flowId, writes: vaultWrites }));
      if (members.length > 0) await vault.applyVaultWrites(sql, members);
    }
    // Wrapped, so that COMMIT need not wait for it.
    return { passing };
  });
  return passing;
}

/** Of these, the ones whose own commit is the last that their flow has seen: the answer to the first try was lost. */
async function committedBefore(database: Database, commits: readonly StepCommit[]): Promise<ReadonlySet<string>> {
  const rows = await database.sql.query<{ id: string }>(SQL.committedBefore, columns(commits, ["flowId", "commitId"]));
  return new Set(rows.map(({ id }) => id));
}

/** Answers the members that passed the fence. A flow that begins with its commit is inserted as that leaves it. */
function sendSteps(sql: Sql, commits: readonly StepCommit[]): Promise<Ids> {
  // In one order for all groups, so that two owners of the same flows do not wait for each other in a circle.
  const ordered = [...commits].sort((a, b) => (a.flowId < b.flowId ? -1 : 1));
  const beginning = ordered.filter(({ start }) => start !== undefined);
  const known = ordered.filter(({ start }) => start === undefined);
  return sql.query<{ id: string }>(SQL.commit, [
    ...flowColumns(beginning.flatMap(({ start }) => (start === undefined ? [] : [startedRow(start)]))),
    ...commitColumns(beginning),
    ...columns(known, ["flowId", "expectedVersion"]),
    ...commitColumns(known),
    ...stepColumns(ordered.flatMap(({ flowId, journal }) => journal.flatMap((row) => (isLarge(row) ? [] : [{ ...row, flowId }])))),
  ]);
}

const commitColumns = (commits: readonly StepCommit[]): readonly unknown[][] => [
  ...columns(commits, ["commitId", "status"]),
  commits.map(({ outcome }) => (outcome === null ? null : encodeOutcome(outcome))),
  ...columns(commits, ["wakeAt"]),
  commits.map(({ waiting }) => JSON.stringify(waiting)),
  ...columns(commits, ["at"]),
];

/** A member's commit id is what its rows join on: it is in the flow's row exactly if the member passed the fence. */
function sendRows(sql: Sql, commits: readonly StepCommit[]): void {
  const of = <T>(pick: (commit: StepCommit) => readonly T[]): (T & Member)[] =>
    commits.flatMap((commit) =>
      pick(commit).map((row) => ({ ...row, flowId: commit.flowId, commitId: commit.commitId, committedAt: commit.at })),
    );

  const collapsed = of((commit) => commit.collapsed.map((path) => ({ path })));
  if (collapsed.length > 0) void sql.query(SQL.collapse, columns(collapsed, ["flowId", "commitId", "path"]));
  const large = of((commit) => commit.journal.filter(isLarge));
  if (large.length > 0) void sql.query(SQL.insertLargeSteps, [...columns(large, ["commitId"]), ...stepColumns(large)]);
  const stacks = of(({ stack }) => (stack === undefined ? [] : [{ stack }]));
  if (stacks.length > 0) void sql.query(SQL.insertStacks, columns(stacks, ["flowId", "commitId", "stack"]));
  const sessions = of(sessionsOf);
  if (sessions.length > 0) void sql.query(SQL.saveSessions, [...sessionColumns(sessions), sessions.map(({ commitId }) => commitId)]);
  const consumed = of((commit) => commit.inboxConsumed);
  if (consumed.length > 0) void sql.query(SQL.consume, columns(consumed, ["flowId", "commitId", "session", "from", "sequence"]));
  const [arrived, arrivedParts] = apart(of((commit) => commit.inboxAdded.map((message) => ({ message }))));
  if (arrived.length > 0) void sql.query(SQL.insertInbox, [...columns(arrived, ["flowId", "commitId"]), ...messageColumns(arrived)]);
  if (arrivedParts.length > 0)
    void sql.query(SQL.insertInboxParts, [...columns(arrivedParts, ["flowId", "commitId"]), ...partColumns(arrivedParts)]);
  const [sent, sentParts] = apart(of((commit) => commit.outboxAdded.map((message) => ({ message }))));
  if (sent.length > 0)
    void sql.query(SQL.insertOutbox, [...columns(sent, ["flowId", "commitId"]), ...messageColumns(sent), ...timeColumns(sent)]);
  if (sentParts.length > 0) {
    const rows = [...columns(sentParts, ["flowId", "commitId"]), ...partColumns(sentParts), ...timeColumns(sentParts)];
    void sql.query(SQL.insertOutboxParts, rows);
  }
  const acknowledged = of((commit) => commit.outboxAcknowledged);
  if (acknowledged.length > 0) void sql.query(SQL.acknowledge, columns(acknowledged, ["session", "from", "sequence"]));
}

type Letter = Member & { readonly message: SessionMessage };

/** Messages as they are, and those whose bytes lie apart. */
function apart(letters: readonly Letter[]): readonly [readonly Letter[], readonly (Letter & PartRow)[]] {
  const whole: Letter[] = [];
  const parts: (Letter & PartRow)[] = [];
  for (const letter of letters) {
    const { body } = letter.message;
    if (body.kind === "part") parts.push({ ...letter, bytes: body.bytes });
    else whole.push(letter);
  }
  return [whole, parts];
}

const timeColumns = (letters: readonly Letter[]): readonly unknown[][] => [
  letters.map(({ committedAt }) => resendAt(committedAt, 1)),
  letters.map(({ message }) => message.expiresAt),
];

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
