// Where a member's flows and states lie: in memory, or wherever a `Storage` puts them.

import type { Data, Instant } from "@bowline/base";
import { createMemoryFlowStore, type FlowRow, type FlowStore } from "@bowline/flow";
import { memoryVault, type VaultRead } from "@bowline/ledger";
import { VERDICT_KEY } from "./roles.ts";

/** What outlives every process of one member. */
export interface Storage {
  /** Its commits write the vault in the same transaction. */
  readonly flows: FlowStore;
  readVault(read: VaultRead): Promise<Data>;
  close(): Promise<void>;
}

export function memoryStorage(now: () => Instant): Storage {
  const vault = memoryVault({ macKey: VERDICT_KEY, now });
  return {
    flows: createMemoryFlowStore({ applyVaultWrites: (flowId, writes) => vault.apply([{ flowId, writes }]) }),
    readVault: (read) => vault.read(read),
    close: async () => {},
  };
}

export async function allFlows(store: FlowStore): Promise<readonly FlowRow[]> {
  const rows: FlowRow[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page = await store.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    rows.push(...page.rows);
    after = page.next;
  }
  return rows;
}
const PAGE = 1_000;

const OVER = new Set<FlowRow["status"]>(["COMPLETED", "FAILED", "KILLED"]);
export const isOver = ({ status }: Pick<FlowRow, "status">): boolean => OVER.has(status);
