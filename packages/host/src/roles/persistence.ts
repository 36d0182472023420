// The persistence role: the only one that holds vault credentials. It starts flows, loads them, commits their steps and
// reads vaults, each virtual node through a database of its own.
//
// - All commits of one virtual node that arrive while one is in flight are the next group: one transaction. So are starts.
// - A virtual node is swept for due flows and unsent messages from its first use here on, and all of them at the start and
//   then every minute, so that what a dead process left is found.

import type { Bus, Clock, Database, Log, ShortHash } from "@bowline/base";
import type { BootKey } from "@bowline/crypto";
import {
  type CommitOutcome,
  clientStart,
  createFlowStore,
  createGroupCommit,
  createGroupStart,
  type FlowRow,
  type FlowStart,
  type FlowStore,
  type StartOutcome,
  type StepCommit,
  wakeRecord,
} from "@bowline/flow";
import { type VaultStore, vaultStore } from "@bowline/ledger";
import type { Answering } from "../calls.ts";
import type { Granted } from "../grants.ts";
import { createRoleDatabases, type RoleDatabases } from "../role-databases.ts";
import type { FlowRequestOutcome, PersistenceService } from "../services.ts";

/** One writer in flight, and readers beside it. */
const CONNECTIONS_PER_VAULT_MAX = 3;
const SWEEP_ALL_MS = 60_000;

export interface PersistenceRole {
  readonly service: Answering<PersistenceService>;
  close(): Promise<void>;
}

interface Vault {
  readonly database: Database;
  readonly flows: FlowStore;
  start(start: FlowStart): Promise<StartOutcome>;
  commit(commit: StepCommit): Promise<CommitOutcome>;
}

interface PersistenceRoleOptions {
  readonly db: Granted<"persistence">["db"];
  readonly bootKey: BootKey;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: (length: number) => Uint8Array;
  /** Shared with the verification role: only what it has passed is written as verified. */
  readonly verdictKey: Uint8Array;
  readonly log: Log;
}

export function createPersistenceRole(options: PersistenceRoleOptions): PersistenceRole {
  const { bus, clock, random, log } = options;
  const databases = createRoleDatabases({ ...options, connectionsMax: CONNECTIONS_PER_VAULT_MAX });
  const states: VaultStore = vaultStore({ macKey: options.verdictKey });
  const vaults = createVaults(databases, states);
  const changes = createChanges(clock);
  const service: Answering<PersistenceService> = {
    async startFlow(request) {
      const { vnode, ...flow } = request;
      const { start } = await vaults.of(vnode);
      const outcome = await start(clientStart({ ...flow, id: flowIdOf(random(16)), seed: random(32), now: clock.now() }));
      if (outcome.kind === "started") await bus.publish([wakeRecord(vnode, outcome.row)]);
      return outcome;
    },
    load: async ({ vnode, flowIds }) => (await vaults.of(vnode)).flows.load(flowIds),
    async commit({ vnode, commit }) {
      const outcome = await (await vaults.of(vnode)).commit(commit);
      if (outcome.kind === "committed") changes.committed(commit.flowId, commit.expectedVersion + 1, commit.outcome !== null);
      return outcome;
    },
    async acknowledge({ vnode, acknowledgements }) {
      await (await vaults.of(vnode)).flows.acknowledge(acknowledgements);
      return null;
    },
    due: createSweep(options, vaults),
    async dueBefore({ until }) {
      const nodes = (await options.db.virtualNodes(null)).map(({ holdingIdentity }) => holdingIdentity.shortHash);
      const asked = nodes.map(async (vnode) =>
        (await (await vaults.of(vnode)).flows.dueBefore(until)).map((flowId) => ({ vnode, flowId })),
      );
      return (await succeeded(asked, log)).flat();
    },
    read: async ({ vnode, read }) => states.readVault((await vaults.of(vnode)).database.sql, read),
    async flowStatus({ vnode, clientRequestId, waitMs, afterVersion }) {
      const { flows } = await vaults.of(vnode);
      const row = await flows.byClientRequest(clientRequestId);
      if (row === undefined || waitMs === undefined || isNews(row, afterVersion)) return row ?? null;
      await changes.wait(row.id, { waitMs, afterVersion }, async () => isNews(await flows.byClientRequest(clientRequestId), afterVersion));
      return (await flows.byClientRequest(clientRequestId)) ?? null;
    },
    async flowStatuses({ vnode, ...filter }) {
      return (await vaults.of(vnode)).flows.list(filter);
    },
    async flowInspect({ vnode, ...flow }) {
      const { flows } = await vaults.of(vnode);
      const flowId = "flowId" in flow ? flow.flowId : (await flows.byClientRequest(flow.clientRequestId))?.id;
      return (flowId === undefined ? undefined : await flows.inspect(flowId)) ?? null;
    },
    flowKill: ({ vnode, flowId }) => request(vnode, flowId, (flows) => flows.requestKill(flowId, clock.now())),
    flowRetry: ({ vnode, flowId }) => request(vnode, flowId, (flows) => flows.requestRetry(flowId, clock.now())),
  };

  /** What an operator asks of a flow takes effect when its worker looks, and a worker is told to. */
  async function request(vnode: ShortHash, flowId: string, ask: (flows: FlowStore) => Promise<boolean>): Promise<FlowRequestOutcome> {
    const { flows } = await vaults.of(vnode);
    const done = await ask(flows);
    if (done) await bus.publish([wakeRecord(vnode, { id: flowId })]);
    const [found] = await flows.load([flowId]);
    return { done, row: found?.row ?? null };
  }

  return { service, close: () => databases.close() };
}

interface Vaults {
  of(vnode: ShortHash): Promise<Vault>;
  /** Those that were used here. */
  known(): readonly ShortHash[];
}

function createVaults(databases: RoleDatabases, states: VaultStore): Vaults {
  const vaults = new Map<ShortHash, Promise<Vault>>();
  const open = async (vnode: ShortHash): Promise<Vault> => {
    const database = await databases.get({ kind: "vault", vnode });
    const flows = createFlowStore(database, { applyVaultWrites: (sql, members) => states.applyVaultWrites(sql, members) });
    return { database, flows, start: createGroupStart(flows), commit: createGroupCommit(flows) };
  };
  return {
    of(vnode) {
      let vault = vaults.get(vnode);
      if (vault === undefined) {
        vault = open(vnode);
        vaults.set(vnode, vault);
        vault.catch(() => vaults.delete(vnode));
      }
      return vault;
    },
    known: () => [...vaults.keys()],
  };
}

function createSweep({ db, log }: PersistenceRoleOptions, vaults: Vaults): PersistenceService["due"] {
  let sweptAll = Number.NEGATIVE_INFINITY;

  async function sweep(vnode: ShortHash, now: number, leaseUntil: number, limit: number) {
    const { flows } = await vaults.of(vnode);
    const [due, messages] = await Promise.all([flows.due(now, leaseUntil, limit), flows.unacknowledged(now, limit)]);
    return { flows: due.map((flowId) => ({ vnode, flowId })), messages };
  }

  return async ({ now, leaseUntil, limit }) => {
    if (now - sweptAll >= SWEEP_ALL_MS) {
      for (const { holdingIdentity } of await db.virtualNodes(null)) vaults.of(holdingIdentity.shortHash).catch(() => undefined);
      sweptAll = now;
    }
    const swept = vaults.known().map((vnode) => sweep(vnode, now, leaseUntil, limit));
    const found = await succeeded(swept, log);
    return { flows: found.flatMap(({ flows }) => flows), messages: found.flatMap(({ messages }) => messages) };
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

/** Whether who waits has something to see: an end, or a version above the one that it knows, or that nothing more can come. */
function isNews(row: FlowRow | undefined, afterVersion: number | undefined): boolean {
  if (row === undefined) return true;
  if (afterVersion === undefined) return isOver(row);
  return row.version > afterVersion || (isOver(row) && row.status !== "PARKED");
}

/** A random UUID (RFC 9562 §5.4) from 16 random bytes. */
function flowIdOf(bytes: Uint8Array): string {
  const marked = Uint8Array.from(bytes);
  marked[6] = ((marked[6] as number) & 0x0f) | 0x40;
  marked[8] = ((marked[8] as number) & 0x3f) | 0x80;
  const digits = Buffer.from(marked).toString("hex");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join("-");
}

const LOOK_FIRST_MS = 250;
const LOOK_MAX_MS = 2_000;

/** What a waiter waits for: the end, or a version above one. */
interface Wanted {
  readonly waitMs: number;
  readonly afterVersion: number | undefined;
}

/**
 * Who waits for a flow to change. What this process commits is told at once; what other processes commit is found by
 * looking again, ever less often.
 */
interface Changes {
  committed(flowId: string, version: number, over: boolean): void;
  /** Resolves when it is there, or after `waitMs`. */
  wait(flowId: string, wanted: Wanted, isThere: () => Promise<boolean>): Promise<void>;
}

function createChanges(clock: Clock): Changes {
  const waiting = new Map<string, Set<(version: number, over: boolean) => void>>();
  return {
    committed(flowId, version, over) {
      for (const tell of waiting.get(flowId) ?? []) tell(version, over);
    },
    async wait(flowId, { waitMs, afterVersion }, isThere) {
      const giveUpAt = clock.now() + waitMs;
      for (let pause = LOOK_FIRST_MS; clock.now() < giveUpAt; pause = Math.min(pause * 2, LOOK_MAX_MS)) {
        const told = listen(flowId, afterVersion, Math.min(pause, giveUpAt - clock.now()));
        // Looked at after the wait is set up: a change in between is not missed.
        if ((await isThere()) || (await told)) return;
      }
    },
  };

  /** True when it was told, false when the time was up. */
  function listen(flowId: string, afterVersion: number | undefined, durationMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiters = waiting.get(flowId) ?? new Set();
      const end = (told: boolean) => {
        cancel();
        waiters.delete(tell);
        if (waiters.size === 0) waiting.delete(flowId);
        resolve(told);
      };
      const tell = (version: number, over: boolean) => {
        if (over || (afterVersion !== undefined && version > afterVersion)) end(true);
      };
      const cancel = clock.after(durationMs, () => end(false));
      waiting.set(flowId, waiters.add(tell));
    });
  }
}
