import type { Data, Instant, SecureHash } from "@bowline/base";
import type { StateRef } from "@bowline/sdk";
import type { MemoryEntities } from "./entities.memory.ts";
import { parseStateRef, stateRef } from "./leaves.ts";
import type { DueRepair, Held, KnownTransaction, TransactionStatus, VaultCommit, VaultRead } from "./ports.ts";
import { firstRepairAt, nextRepairAt } from "./repair.ts";
import { type MemoryTokens, memoryTokens } from "./tokens.memory.ts";
import type { TokenStore } from "./tokens.ts";
import { decodeTransaction, dependenciesOf, type ResolvedState, type Transaction } from "./transaction.ts";
import { decideChanges, openWrites, type VaultChanges, withStored } from "./vault.ts";
import { statesInMemory } from "./vault-queries.memory.ts";
import type { StateQueryPlan } from "./vault-queries.ts";
import { answerRead, type VaultRows } from "./vault-reads.ts";

/** A vault that lasts as long as the process. A commit is applied whole or not at all. */
export interface MemoryVault {
  apply(commits: readonly VaultCommit[]): void;
  read(read: VaultRead): Promise<Data>;
  /** A page of a named query, joined to the rows of these tables. */
  query(plan: StateQueryPlan, entities: MemoryEntities): Data;
  dueRepairs(now: Instant, limit: number): readonly DueRepair[];
  readonly tokens: TokenStore;
}

export function memoryVault(options: {
  readonly macKey: Uint8Array;
  readonly now: () => Instant;
  /** Whether a flow is at its end, or parked: then its claims are over. */
  readonly ended?: (flowId: string) => Promise<boolean>;
}): MemoryVault {
  const { macKey, now, ended = async () => false } = options;
  const tokens = memoryTokens(now, ended);
  const tables = new Tables(tokens);
  return {
    tokens,
    apply(commits) {
      const open = openWrites(commits);
      const stored = tables.stored(open.stored);
      const sources = withStored(open, stored.values());
      const verified = tables.verifiedOf(sources);
      const shown = new Map(tables.shownOf(sources.filter((id) => !verified.has(id))).map((state) => [state.ref, state]));
      const changes = decideChanges(open, { held: tables.held(open.ids), stored, verified, shown }, macKey);
      tables.apply(changes, now());
    },
    read: (read) => answerRead(read, tables),
    query: (plan, entities) => tables.query(plan, entities),
    dueRepairs: (at, limit) => tables.dueRepairs(at, limit),
  };
}

interface TransactionRow {
  /** Null where only filtered copies are here. */
  readonly transaction: Transaction | null;
  readonly status: TransactionStatus;
  readonly filtered: boolean;
  readonly created: Instant;
  /** When its status was written, and why it is invalid where it is. */
  readonly updated: Instant;
  readonly reason: string | null;
  /** Of what is asked about until it is decided. */
  readonly repair: { readonly until: Instant; attempts: number; at: Instant } | null;
}

type OutputRow = VaultChanges["outputs"][number] & {
  readonly position: number;
  readonly created: Instant;
  consumed: Instant | null;
  gone: number;
};

class Tables implements VaultRows {
  readonly #transactions = new Map<SecureHash, TransactionRow>();
  readonly #signatures = new Map<SecureHash, Map<string, Uint8Array>>();
  readonly #outputs = new Map<StateRef, OutputRow>();
  readonly #copies = new Map<string, { readonly id: SecureHash; readonly copy: Uint8Array }>();
  readonly #shown = new Map<StateRef, ResolvedState>();
  readonly #groupParameters = new Map<string, VaultChanges["groupParameters"][number]>();
  readonly #tokens: MemoryTokens;
  /** The last position that was given. */
  #clock = 0;

  constructor(tokens: MemoryTokens) {
    this.#tokens = tokens;
  }

  apply(changes: VaultChanges, now: Instant): void {
    for (const { id, status, bytes, until, reason } of changes.transactions) {
      const repair = until === null ? null : { until, attempts: 0, at: firstRepairAt(now, until) };
      const before = this.#transactions.get(id);
      const filtered = bytes === null || (before?.filtered === true && status !== "V");
      const transaction = bytes === null ? null : decodeTransaction(bytes);
      this.#transactions.set(id, { transaction, status, filtered, created: before?.created ?? now, updated: now, reason, repair });
    }
    for (const id of changes.marked) this.#transactions.set(id, { ...(this.#transactions.get(id) as TransactionRow), filtered: true });
    for (const { id, hash, bytes } of changes.copies) this.#copies.set(`${id} ${hash}`, { id, copy: bytes });
    for (const { id, index, info, data } of changes.shown) this.#shown.set(stateRef(id, index), { ref: stateRef(id, index), info, data });
    for (const { id, by, notary, bytes } of changes.signatures) {
      const signatures = this.#signatures.get(id) ?? new Map<string, Uint8Array>();
      if (!signatures.has(`${by} ${notary}`)) signatures.set(`${by} ${notary}`, bytes);
      this.#signatures.set(id, signatures);
    }
    for (const output of changes.outputs) {
      const ref = stateRef(output.id, output.index);
      if (this.#outputs.has(ref)) continue;
      this.#outputs.set(ref, { ...output, position: ++this.#clock, created: now, consumed: null, gone: 0 });
    }
    for (const ref of changes.consumed) {
      this.#consume(this.#outputs.get(ref), now);
    }
    const late = changes.late.flatMap((id) => this.#consumeLate(id, now));
    this.#tokens.apply({ ...changes, consumed: [...changes.consumed, ...late] });
    for (const parameters of changes.groupParameters) this.#groupParameters.set(parameters.hash, parameters);
  }

  /** What came first of a transaction was what was used of it. */
  #consumeLate(id: SecureHash, now: Instant): readonly StateRef[] {
    const used = [...this.#transactions.values()].flatMap(({ status, transaction }) => (status === "V" ? (transaction?.inputs ?? []) : []));
    const late = used.filter((ref) => this.#outputs.get(ref)?.id === id);
    for (const ref of late) this.#consume(this.#outputs.get(ref), now);
    return late;
  }

  #consume(output: OutputRow | undefined, now: Instant): void {
    if (output === undefined || output.consumed !== null) return;
    output.consumed = now;
    output.gone = ++this.#clock;
  }

  held(ids: readonly SecureHash[]): ReadonlyMap<SecureHash, Held> {
    return new Map(
      ids.flatMap((id) => {
        const row = this.#transactions.get(id);
        return row === undefined ? [] : [[id, { status: row.status, filtered: row.filtered }] as const];
      }),
    );
  }

  shownOf(ids: readonly string[]): readonly ResolvedState[] {
    const known = (id: string) => {
      const row = this.#transactions.get(id as SecureHash);
      return row?.filtered === true && row.status !== "I";
    };
    return [...this.#shown.values()].filter(({ ref }) => {
      const { transactionId } = parseStateRef(ref);
      return ids.includes(transactionId) && known(transactionId);
    });
  }

  async shown(ids: readonly string[]) {
    return this.shownOf(ids);
  }

  async copies(ids: readonly string[]) {
    return [...this.#copies.values()].filter(({ id }) => ids.includes(id));
  }

  stored(ids: readonly SecureHash[]): ReadonlyMap<SecureHash, Transaction> {
    return new Map(
      ids.flatMap((id) => {
        const row = this.#transactions.get(id);
        return row?.transaction == null ? [] : [[id, row.transaction] as const];
      }),
    );
  }

  dueRepairs(now: Instant, limit: number): readonly DueRepair[] {
    return this.#open()
      .filter(({ repair }) => repair.at <= now)
      .slice(0, limit)
      .map(({ transaction: { id }, repair }) => {
        repair.at = nextRepairAt(now, repair);
        return { id, attempt: ++repair.attempts };
      });
  }

  async unverified(limit: number) {
    return this.#open()
      .slice(0, limit)
      .map(({ transaction: { id }, created, repair: { until, attempts, at } }) => ({
        id,
        createdAt: created,
        until,
        attempts,
        nextAttemptAt: at,
      }));
  }

  async invalid(limit: number) {
    return [...this.#transactions.entries()]
      .filter(([, { status }]) => status === "I")
      .map(([id, { created, updated, reason }]) => ({ id, createdAt: created, invalidAt: updated, reason: reason ?? "" }))
      .sort((a, b) => b.invalidAt - a.invalidAt || (a.id < b.id ? 1 : -1))
      .slice(0, limit);
  }

  async unresolved(ids: readonly string[], limit: number) {
    const found: KnownTransaction[] = [];
    for (const id of walk(ids)) {
      const row = this.#transactions.get(id.next);
      const whole = row?.transaction ?? null;
      const staged = row?.status === "U" && row.repair === null;
      const dependencies = staged && whole !== null ? dependenciesOf(whole) : [];
      const status = whole === null ? null : (row?.status ?? null);
      found.push({ id: id.next, status, staged, dependencies, size: whole?.bytes.length ?? 0 });
      id.follow(dependencies);
      if (found.length === limit) break;
    }
    return found;
  }

  async ancestors(of: readonly string[], among: readonly string[], limit: number) {
    const found: SecureHash[] = [];
    let seen = 0;
    for (const { next, follow } of walk(of)) {
      if (++seen > limit) break;
      if (among.includes(next)) found.push(next);
      const row = this.#transactions.get(next);
      if (row?.transaction != null) follow(dependenciesOf(row.transaction));
    }
    return found;
  }

  async history(ids: readonly string[], count: number, bytesMax: number) {
    const page: string[] = [];
    let bytes = 0;
    for (const id of walk(ids)) {
      if (page.length === count || bytes >= bytesMax) break;
      const row = this.#transactions.get(id.next);
      if (row?.transaction == null) continue;
      page.push(id.next);
      bytes += row.transaction.bytes.length;
      id.follow(dependenciesOf(row.transaction));
    }
    const rows = await this.transactions(page);
    return rows.map((row) => ({ ...row, dependencies: dependenciesOf(decodeTransaction(row.wire)) }));
  }

  #open() {
    return [...this.#transactions.values()]
      .flatMap(({ status, transaction, repair, created }) =>
        status === "U" && repair !== null && transaction !== null ? [{ transaction, repair, created }] : [],
      )
      .sort((a, b) => a.repair.at - b.repair.at);
  }

  verifiedOf(ids: readonly SecureHash[]): ReadonlyMap<SecureHash, Transaction> {
    return new Map(
      ids.flatMap((id) => {
        const row = this.#transactions.get(id);
        return row?.status === "V" && row.transaction !== null ? [[id, row.transaction] as const] : [];
      }),
    );
  }

  async transactions(ids: readonly string[]) {
    return ids.flatMap((id) => {
      const row = this.#transactions.get(id as SecureHash);
      if (row?.transaction == null) return [];
      const signatures = [...(this.#signatures.get(row.transaction.id)?.entries() ?? [])].sort().map(([, bytes]) => bytes);
      return [{ id: row.transaction.id, status: row.status, wire: row.transaction.bytes, signatures }];
    });
  }

  async page({ type, consumed, where, after, limit }: Parameters<VaultRows["page"]>[0]) {
    return [...this.#outputs.values()]
      .filter((row) => row.type === type && (row.consumed !== null) === consumed && row.position > after && contains(row.json, where))
      .slice(0, limit);
  }

  async changes({ after, types, limit }: Parameters<VaultRows["changes"]>[0]) {
    const found = [...this.#outputs.values()].filter(({ type }) => types === null || types.includes(type));
    const changes = [
      ...found.map((output) => ({ at: output.position, kind: "produced" as const, output })),
      ...found.filter(({ consumed }) => consumed !== null).map((output) => ({ at: output.gone, kind: "consumed" as const, output })),
    ];
    const later = changes.filter(({ at }) => at > after).sort((a, b) => a.at - b.at);
    return { changes: later.slice(0, limit), head: this.#clock };
  }

  query(plan: StateQueryPlan, entities: MemoryEntities): Data {
    return statesInMemory(this.#outputs.values(), plan, entities);
  }

  async newest({ type, consumed, before, limit }: Parameters<VaultRows["newest"]>[0]) {
    return [...this.#outputs.values()]
      .filter((row) => (type === null || row.type === type) && (consumed === null || (row.consumed !== null) === consumed))
      .filter((row) => row.position < before)
      .reverse()
      .slice(0, limit);
  }

  async groupParameters(hash: string) {
    return this.#groupParameters.get(hash);
  }
}

/** Breadth first from some ids, each once. */
function* walk(ids: readonly string[]): Generator<{ readonly next: SecureHash; follow(ids: readonly string[]): void }> {
  const queue = [...new Set(ids)];
  const seen = new Set(queue);
  const follow = (more: readonly string[]) => {
    for (const id of more) if (!seen.has(id)) queue.push(id) && seen.add(id);
  };
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield { next: next as SecureHash, follow };
}

/** As PostgreSQL's `@>` for what a query can say: maps of maps that end in a text, a number or a boolean. */
function contains(json: Data, where: Data): boolean {
  if (where === null || typeof where !== "object") return json === where;
  if (json === null || typeof json !== "object" || Array.isArray(json) || json instanceof Uint8Array) return false;
  const members = json as { readonly [key: string]: Data };
  return Object.entries(where).every(([key, value]) => Object.hasOwn(members, key) && contains(members[key] as Data, value as Data));
}
