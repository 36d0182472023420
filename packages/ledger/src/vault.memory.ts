import type { Data, Instant, SecureHash } from "@bowline/base";
import type { StateRef } from "@bowline/sdk";
import { stateRef } from "./leaves.ts";
import type { TransactionStatus, VaultCommit, VaultRead } from "./ports.ts";
import { decodeTransaction, type Transaction } from "./transaction.ts";
import { decideChanges, openWrites, type VaultChanges } from "./vault.ts";
import { answerRead, type VaultRows } from "./vault-reads.ts";

/** A vault that lasts as long as the process. A commit is applied whole or not at all. */
export interface MemoryVault {
  apply(commits: readonly VaultCommit[]): void;
  read(read: VaultRead): Promise<Data>;
}

export function memoryVault({ macKey, now }: { readonly macKey: Uint8Array; readonly now: () => Instant }): MemoryVault {
  const tables = new Tables();
  return {
    apply(commits) {
      const open = openWrites(commits);
      const changes = decideChanges(open, { statuses: tables.statuses(open.ids), verified: tables.verifiedOf(open.sources) }, macKey);
      tables.apply(changes, now());
    },
    read: (read) => answerRead(read, tables),
  };
}

interface TransactionRow {
  readonly transaction: Transaction;
  readonly status: TransactionStatus;
}

type OutputRow = VaultChanges["outputs"][number] & { readonly position: number; readonly created: Instant; consumed: Instant | null };

class Tables implements VaultRows {
  readonly #transactions = new Map<SecureHash, TransactionRow>();
  readonly #signatures = new Map<SecureHash, Map<string, Uint8Array>>();
  readonly #outputs = new Map<StateRef, OutputRow>();
  readonly #groupParameters = new Map<string, VaultChanges["groupParameters"][number]>();

  apply(changes: VaultChanges, now: Instant): void {
    for (const { id, status, bytes } of changes.transactions) this.#transactions.set(id, { transaction: decodeTransaction(bytes), status });
    for (const { id, by, notary, bytes } of changes.signatures) {
      const signatures = this.#signatures.get(id) ?? new Map<string, Uint8Array>();
      if (!signatures.has(`${by} ${notary}`)) signatures.set(`${by} ${notary}`, bytes);
      this.#signatures.set(id, signatures);
    }
    for (const output of changes.outputs) {
      const ref = stateRef(output.id, output.index);
      if (this.#outputs.has(ref)) continue;
      this.#outputs.set(ref, { ...output, position: this.#outputs.size + 1, created: now, consumed: null });
    }
    for (const ref of changes.consumed) {
      const output = this.#outputs.get(ref);
      if (output !== undefined) output.consumed ??= now;
    }
    for (const parameters of changes.groupParameters) this.#groupParameters.set(parameters.hash, parameters);
  }

  statuses(ids: readonly SecureHash[]): ReadonlyMap<SecureHash, TransactionStatus> {
    return new Map(
      ids.flatMap((id) => {
        const row = this.#transactions.get(id);
        return row === undefined ? [] : [[id, row.status] as const];
      }),
    );
  }

  verifiedOf(ids: readonly SecureHash[]): ReadonlyMap<SecureHash, Transaction> {
    return new Map(
      ids.flatMap((id) => {
        const row = this.#transactions.get(id);
        return row?.status === "V" ? [[id, row.transaction] as const] : [];
      }),
    );
  }

  async transactions(ids: readonly string[]) {
    return ids.flatMap((id) => {
      const row = this.#transactions.get(id as SecureHash);
      if (row === undefined) return [];
      const signatures = [...(this.#signatures.get(row.transaction.id)?.entries() ?? [])].sort().map(([, bytes]) => bytes);
      return [{ id: row.transaction.id, status: row.status, wire: row.transaction.bytes, signatures }];
    });
  }

  async page({ type, consumed, where, after, limit }: Parameters<VaultRows["page"]>[0]) {
    return [...this.#outputs.values()]
      .filter((row) => row.type === type && (row.consumed !== null) === consumed && row.position > after && contains(row.json, where))
      .slice(0, limit);
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

/** As PostgreSQL's `@>` for what a query can say: maps of maps that end in a text, a number or a boolean. */
function contains(json: Data, where: Data): boolean {
  if (where === null || typeof where !== "object") return json === where;
  if (json === null || typeof json !== "object" || Array.isArray(json) || json instanceof Uint8Array) return false;
  const members = json as { readonly [key: string]: Data };
  return Object.entries(where).every(([key, value]) => Object.hasOwn(members, key) && contains(members[key] as Data, value as Data));
}
