// The persistence role: the only one that holds vault credentials. It starts flows, loads them, commits their steps and
// reads vaults, each virtual node through a database of its own.
//
// - All commits of one virtual node that arrive while one is in flight are the next group: one transaction. So are starts.
// - Where flows run in this same process, a flow that a client starts begins with its first commit: one transaction less.
// - A virtual node is swept for due flows and unsent messages from its first use here on, and all of them at the start and
//   then every minute, so that what a dead process left is found.

import { type Clock, type Data, type Database, encode, type Log, type ShortHash } from "@bowline/base";
import type { BootKey } from "@bowline/crypto";
import {
  clientStart,
  createFlowStore,
  createGroupCommit,
  createGroupStart,
  type FlowRow,
  type FlowStore,
  type StepCommit,
  startedRow,
  wakeRecord,
} from "@bowline/flow";
import { isExternalSend } from "@bowline/flow/external";
import { isEntityWrite, type VaultStore, vaultStore } from "@bowline/ledger";
import type { DurableBus } from "../adapters/durable-bus.ts";
import type { Answering } from "../calls.ts";
import type { Granted } from "../grants.ts";
import { createRoleDatabases, type RoleDatabases } from "../role-databases.ts";
import type { FlowRequestOutcome, PersistenceService } from "../services.ts";
import { createEntities, type Entities } from "./entities.ts";
import { createExternalMessages, type ExternalMessages } from "./external-messages.ts";
import { createFlowRetention, FLOW_RETENTION_MS } from "./flow-retention.ts";
import { createLedgerRepair, type Repair } from "./ledger-repair.ts";
import { createVaultChanges } from "./vault-changes.ts";

/** One writer in flight, and readers beside it. */
const CONNECTIONS_PER_VAULT_MAX = 3;
/** Authors' queries have connections of their own: the slowest of them keeps no commit waiting. */
const QUESTIONS_PER_VAULT_MAX = 2;
const QUESTION_SETTINGS = { default_transaction_read_only: "on", statement_timeout: "10000" };
const SWEEP_ALL_MS = 60_000;

export interface PersistenceRole {
  readonly service: Answering<PersistenceService>;
  close(): Promise<void>;
}

interface Vault {
  readonly database: Database;
  readonly flows: FlowStore;
  readonly start: ReturnType<typeof createGroupStart>;
  readonly commit: ReturnType<typeof createGroupCommit>;
}

interface PersistenceRoleOptions {
  readonly db: Granted<"persistence">["db"];
  readonly bootKey: BootKey;
  readonly bus: DurableBus;
  readonly clock: Clock;
  readonly random: (length: number) => Uint8Array;
  /** Shared with the verification role: only what it has passed is written as verified. */
  readonly verdictKey: Uint8Array;
  /** The bus ends in this process, and the flow role is at its end. */
  readonly flowsHere: boolean;
  /** How long flows that are over are kept: `FLOW_RETENTION_MS` where nothing is said. */
  readonly retentionMs?: number;
  readonly log: Log;
}

export function createPersistenceRole(options: PersistenceRoleOptions): PersistenceRole {
  const { bus, clock, log } = options;
  const databases = createRoleDatabases({ ...options, connectionsMax: CONNECTIONS_PER_VAULT_MAX });
  const states: VaultStore = vaultStore({ macKey: options.verdictKey });
  const questions = createRoleDatabases({ ...options, connectionsMax: QUESTIONS_PER_VAULT_MAX, settings: QUESTION_SETTINGS });
  const entities = createEntities(options.db, databases, questions);
  // What waits to leave a virtual node is a use of it: from then on it is swept.
  const external = createExternalMessages({ ...options, databaseOf: async (vnode) => (await vaults.of(vnode)).database });
  const vaults: Vaults = createVaults(databases, { states, entities, external });
  const read: PersistenceService["read"] = async (asked) => states.readVault((await vaults.of(asked.vnode)).database.sql, asked.read);
  const vaultChanges = createVaultChanges(clock, read);
  const changes = new Changes(clock, options.flowsHere ? LOOK_FIRST_MS.here : LOOK_FIRST_MS.anywhere);
  const service: Answering<PersistenceService> = {
    startFlow: createStart(options, vaults, changes),
    load: async ({ vnode, flowIds }) => (await vaults.of(vnode)).flows.load(flowIds),
    async commit({ vnode, commit }) {
      if (commit.vaultWrites.length > 0) await Promise.all([entities.prepare(commit.vaultWrites), external.prepare(commit.vaultWrites)]);
      const outcome = await (await vaults.of(vnode)).commit(commit);
      if (outcome.kind === "committed" && commit.vaultWrites.length > 0) vaultChanges.committed(vnode);
      if (outcome.kind === "committed") changes.committed(commit);
      else if (commit.start !== undefined) changes.failed(commit.flowId);
      if (outcome.kind === "committed" && commit.vaultWrites.some(isExternalSend)) void external.relay(vnode);
      return outcome;
    },
    async acknowledge({ vnode, acknowledgements }) {
      await (await vaults.of(vnode)).flows.acknowledge(acknowledgements);
      return null;
    },
    due: createSweep(options, vaults, { states, external }),
    async dueBefore({ until }) {
      const nodes = (await options.db.virtualNodes(null)).map(({ holdingIdentity }) => holdingIdentity.shortHash);
      const asked = nodes.map(async (vnode) =>
        (await (await vaults.of(vnode)).flows.dueBefore(until)).map((flowId) => ({ vnode, flowId })),
      );
      return (await succeeded(asked, log)).flat();
    },
    read,
    vaultChanges: vaultChanges.changes,
    readEntities: entities.read,
    queryVault: entities.query,
    explainQuery: entities.explain,
    flowStatus: createStatus(vaults, changes),
    async flowStatuses({ vnode, ...filter }) {
      return (await vaults.of(vnode)).flows.list(filter);
    },
    async flowInspect({ vnode, page, ...name }) {
      const { flows } = await vaults.of(vnode);
      const flowId = "flowId" in name ? name.flowId : (await flows.byClientRequest(name.clientRequestId))?.id;
      return (flowId === undefined ? undefined : await flows.inspect(flowId, page)) ?? null;
    },
    flowKill: ({ vnode, flowId }) => request(vnode, flowId, (flows) => flows.requestKill(flowId, clock.now())),
    flowRetry: ({ vnode, flowId, code }) => request(vnode, flowId, (flows) => flows.requestRetry(flowId, clock.now(), code)),
  };

  /** What an operator asks of a flow takes effect when its worker looks, and a worker is told to. */
  async function request(vnode: ShortHash, flowId: string, ask: (flows: FlowStore) => Promise<boolean>): Promise<FlowRequestOutcome> {
    const { flows } = await vaults.of(vnode);
    const done = await ask(flows);
    changes.forget(flowId);
    if (done) await bus.publish([wakeRecord(vnode, { id: flowId })]);
    return { done, row: (await flows.byId(flowId)) ?? null };
  }

  return {
    service,
    async close() {
      await Promise.all([databases.close(), questions.close()]);
    },
  };
}

function createStart(
  { bus, clock, random, flowsHere }: PersistenceRoleOptions,
  vaults: Vaults,
  changes: Changes,
): PersistenceService["startFlow"] {
  /**
   * Whether the flow's first commit has inserted it. Where that does not come soon (it computes, or memory is full, or another
   * flow answers the same request) the row is to be inserted alone; a first commit that comes later finds it.
   */
  async function begin(vnode: ShortHash, row: FlowRow): Promise<boolean> {
    changes.begun(vnode, row);
    const first = changes.next(row.id, row.version, BEGIN_MS);
    await bus.publish([wakeRecord(vnode, row, true)]);
    if ((await first) !== false) return true;
    changes.forget(row.id);
    return false;
  }

  return async ({ vnode, ...flow }) => {
    const vault = await vaults.of(vnode);
    const start = clientStart({ ...flow, id: flowIdOf(random(16)), seed: random(32), now: clock.now() });
    const row = startedRow(start);
    const isNew = changes.last(vnode, flow.clientRequestId) === undefined;
    if (flowsHere && isNew && (await begin(vnode, row))) return { kind: "started", row };
    const outcome = await vault.start(start);
    if (outcome.kind === "started") changes.begun(vnode, outcome.row);
    if (outcome.row.id === row.id) await bus.publish([wakeRecord(vnode, outcome.row)]);
    return outcome;
  };
}

function createStatus(vaults: Vaults, changes: Changes): PersistenceService["flowStatus"] {
  return async ({ vnode, waitMs, afterVersion, ...name }) => {
    const { flows } = await vaults.of(vnode);
    const look = () => ("flowId" in name ? flows.byId(name.flowId) : flows.byClientRequest(name.clientRequestId));
    const last = "flowId" in name ? undefined : changes.last(vnode, name.clientRequestId);
    if (last !== undefined && (isFinal(last) || (afterVersion !== undefined && last.version > afterVersion))) return last;
    if (last !== undefined && !isOver(last) && waitMs !== undefined) {
      const next = await changes.next(last.id, afterVersion, Math.min(waitMs, changes.lookFirstMs));
      if (typeof next === "object") return next;
    }
    const row = await look();
    if (row === undefined || waitMs === undefined || isNews(row, afterVersion)) return row ?? null;
    return (await changes.wait(row.id, { waitMs, afterVersion }, look)) ?? null;
  };
}

interface Vaults {
  of(vnode: ShortHash): Promise<Vault>;
  /** Those that were used here. */
  known(): readonly ShortHash[];
}

function createVaults(
  databases: RoleDatabases,
  { states, entities, external }: { readonly states: VaultStore; readonly entities: Entities; readonly external: ExternalMessages },
): Vaults {
  const vaults = new Map<ShortHash, Promise<Vault>>();
  const open = async (vnode: ShortHash): Promise<Vault> => {
    const database = await databases.get({ kind: "vault", vnode });
    const flows = createFlowStore(database, {
      async applyVaultWrites(sql, all) {
        const members = await external.apply(vnode, sql, all);
        const ledger = members.map(({ flowId, writes }) => ({ flowId, writes: writes.filter((write) => !isEntityWrite(write)) }));
        await Promise.all([
          states.applyVaultWrites(sql, ledger),
          entities.apply(
            vnode,
            sql,
            members.flatMap(({ writes }) => writes),
          ),
        ]);
      },
    });
    return { database, flows, start: createGroupStart(flows), commit: createGroupCommit(flows) };
  };
  const of = (vnode: ShortHash): Promise<Vault> => {
    let vault = vaults.get(vnode);
    if (vault === undefined) {
      vault = open(vnode);
      vaults.set(vnode, vault);
      vault.catch(() => vaults.delete(vnode));
    }
    return vault;
  };
  return { of, known: () => [...vaults.keys()] };
}

function createSweep(
  options: PersistenceRoleOptions,
  vaults: Vaults,
  { states, external }: { readonly states: VaultStore; readonly external: ExternalMessages },
): PersistenceService["due"] {
  const { db, log, retentionMs } = options;
  const retain = createFlowRetention({ retentionMs: retentionMs ?? FLOW_RETENTION_MS, log });
  const repair = createLedgerRepair({ states, start: startRepairs(options, vaults), log });
  let sweptAll = Number.NEGATIVE_INFINITY;

  async function sweep(vnode: ShortHash, now: number, leaseUntil: number, limit: number) {
    const { flows, database } = await vaults.of(vnode);
    const [due, messages] = await Promise.all([flows.due(now, leaseUntil, limit), flows.unacknowledged(now, limit)]);
    void retain(vnode, flows, now);
    void repair(vnode, database, now);
    return { flows: due.map((flowId) => ({ vnode, flowId })), messages };
  }

  return async ({ now, leaseUntil, limit }) => {
    if (now - sweptAll >= SWEEP_ALL_MS) {
      for (const { holdingIdentity } of await db.virtualNodes(null)) void external.relay(holdingIdentity.shortHash);
      sweptAll = now;
    }
    const swept = vaults.known().map((vnode) => sweep(vnode, now, leaseUntil, limit));
    const found = await succeeded(swept, log);
    return { flows: found.flatMap(({ flows }) => flows), messages: found.flatMap(({ messages }) => messages) };
  };
}

function startRepairs({ db, bus, clock, random }: PersistenceRoleOptions, vaults: Vaults) {
  return async (vnode: ShortHash, repairs: readonly Repair[]): Promise<void> => {
    const node = (await db.virtualNodes(null)).find(({ holdingIdentity }) => holdingIdentity.shortHash === vnode);
    if (node === undefined) return;
    const { x500Name: me, groupId } = node.holdingIdentity;
    const { start } = await vaults.of(vnode);
    await Promise.all(
      repairs.map(async (repair) => {
        const flow = { ...repair, identity: { me, groupId }, id: flowIdOf(random(16)), seed: random(32), now: clock.now() };
        const { kind, row } = await start(clientStart(flow));
        if (kind === "started") await bus.publish([wakeRecord(vnode, row)]);
      }),
    );
  };
}

/** One virtual node whose database is away takes no other with it. */
async function succeeded<T>(work: readonly Promise<T>[], log: Log): Promise<readonly T[]> {
  const results = await Promise.allSettled(work);
  for (const result of results)
    if (result.status === "rejected") log.warn("a virtual node could not be swept", { cause: String(result.reason) });
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

const isOver = ({ outcome, status }: FlowRow): boolean => outcome !== null || status === "KILLED";
/** Nothing changes it any more. */
const isFinal = (row: FlowRow): boolean => isOver(row) && row.status !== "PARKED";

/** Whether who waits has something to see: an end, or a version above the one that it knows, or that nothing more can come. */
function isNews(row: FlowRow | undefined, afterVersion: number | undefined): boolean {
  if (row === undefined) return true;
  if (afterVersion === undefined) return isOver(row);
  return row.version > afterVersion || isFinal(row);
}

/** A random UUID (RFC 9562 §5.4) from 16 random bytes. */
function flowIdOf(bytes: Uint8Array): string {
  const marked = Uint8Array.from(bytes);
  marked[6] = ((marked[6] as number) & 0x0f) | 0x40;
  marked[8] = ((marked[8] as number) & 0x3f) | 0x80;
  const digits = Buffer.from(marked).toString("hex");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join("-");
}

/** How soon a waiter looks for what other processes commit: at once where flows run in several, rarely where all of them run here. */
const LOOK_FIRST_MS = { here: 250, anywhere: 20 } as const;
const LOOK_MAX_MS = 2_000;
/** How long a start waits for the flow's first commit: longer than a busy process takes, which a second insert would only make busier. */
const BEGIN_MS = 1_000;
/** Flows of which the last row is remembered, and results that are too large for that. */
const REMEMBERED_MAX = 2_000;
const REMEMBERED_OUTCOME_BYTES_MAX = 16 * 1_024;

/** What a waiter waits for: the end, or a version above one. */
interface Wanted {
  readonly waitMs: number;
  readonly afterVersion: number | undefined;
}

/** The row where it is remembered, true where it is not, false where the wait is over without news. */
type News = FlowRow | boolean;

/**
 * How flows change. What this process commits is told at once, and remembered of the flows that it started itself; what other
 * processes commit is found by looking again, ever less often.
 */
class Changes {
  readonly lookFirstMs: number;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<(version: number, over: boolean, news: News) => void>>();
  /** By id, the oldest first; and their ids by virtual node and client request. */
  readonly #rows = new Map<string, { readonly row: FlowRow; readonly request: string }>();
  readonly #byRequest = new Map<string, string>();

  constructor(clock: Clock, lookFirstMs: number) {
    this.#clock = clock;
    this.lookFirstMs = lookFirstMs;
  }

  begun(vnode: ShortHash, row: FlowRow): void {
    const request = row.origin.kind === "client" ? `${vnode} ${row.origin.clientRequestId}` : "";
    this.#rows.set(row.id, { row, request });
    this.#byRequest.set(request, row.id);
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= REMEMBERED_MAX) break;
      this.forget(oldest);
    }
  }

  forget(flowId: string): void {
    const request = this.#rows.get(flowId)?.request ?? "";
    if (this.#byRequest.get(request) === flowId) this.#byRequest.delete(request);
    this.#rows.delete(flowId);
  }

  committed({ flowId, expectedVersion, commitId, status, outcome, wakeAt, waiting, at }: StepCommit): void {
    const known = this.#rows.get(flowId);
    const version = expectedVersion + 1;
    const row = known && { ...known.row, version, commitId, status, outcome, wakeAt, waiting, updatedAt: at };
    if (outcome !== null && encode(outcome as unknown as Data).length > REMEMBERED_OUTCOME_BYTES_MAX) this.forget(flowId);
    else if (known !== undefined && row !== undefined) this.#rows.set(flowId, { ...known, row });
    this.#tell(flowId, version, outcome !== null, row ?? true);
  }

  /** It will not be inserted by its first commit. */
  failed(flowId: string): void {
    this.#tell(flowId, Number.POSITIVE_INFINITY, true, false);
  }

  /** The last that this process wrote of a flow that it started. */
  last(vnode: ShortHash, clientRequestId: string): FlowRow | undefined {
    return this.#rows.get(this.#byRequest.get(`${vnode} ${clientRequestId}`) ?? "")?.row;
  }

  /** What this process commits next of a flow, if it is what is wanted. */
  next(flowId: string, afterVersion: number | undefined, durationMs: number): Promise<News> {
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(flowId) ?? new Set();
      const end = (news: News) => {
        cancel();
        waiters.delete(tell);
        if (waiters.size === 0) this.#waiting.delete(flowId);
        resolve(news);
      };
      const tell = (version: number, over: boolean, news: News) => {
        if (over || (afterVersion !== undefined && version > afterVersion)) end(news);
      };
      const cancel = this.#clock.after(durationMs, () => end(false));
      this.#waiting.set(flowId, waiters.add(tell));
    });
  }

  /** The row when it is what is wanted, or after `waitMs`. */
  async wait(flowId: string, { waitMs, afterVersion }: Wanted, look: () => Promise<FlowRow | undefined>): Promise<FlowRow | undefined> {
    const giveUpAt = this.#clock.now() + waitMs;
    for (let pause = this.lookFirstMs; this.#clock.now() < giveUpAt; pause = Math.min(pause * 2, LOOK_MAX_MS)) {
      const next = this.next(flowId, afterVersion, Math.min(pause, giveUpAt - this.#clock.now()));
      // Looked at after the wait is set up: a change in between is not missed.
      const row = await look();
      if (isNews(row, afterVersion)) return row;
      const news = await next;
      if (typeof news === "object") return news;
      if (news) break;
    }
    return look();
  }

  #tell(flowId: string, version: number, over: boolean, news: News): void {
    for (const tell of [...(this.#waiting.get(flowId) ?? [])]) tell(version, over, news);
  }
}
