// Where a member's flows and states lie: in memory, or wherever a `Storage` puts them.

import type { Data, Instant, SecureHash } from "@bowline/base";
import { createMemoryFlowStore, type FlowRow, type FlowStore } from "@bowline/flow";
import { isExternalSend } from "@bowline/flow/external";
import {
  type EntityDescriptions,
  type EntityRead,
  entityWritesOf,
  isEntityWrite,
  memoryEntities,
  memoryVault,
  type VaultRead,
} from "@bowline/ledger";
import { VERDICT_KEY } from "./roles.ts";

/** What outlives every process of one member. */
export interface Storage {
  /** Its commits write the vault in the same transaction. */
  readonly flows: FlowStore;
  readVault(read: VaultRead): Promise<Data>;
  /** Rows of the CorDapps' own tables. */
  readEntities(read: EntityRead): Promise<Data>;
  close(): Promise<void>;
}

/** What the packages of a member say of their entities. */
export type EntitiesOf = (bundle: SecureHash) => EntityDescriptions;

export function memoryStorage(now: () => Instant, entitiesOf: EntitiesOf = () => []): Storage {
  const vault = memoryVault({ macKey: VERDICT_KEY, now });
  const entities = memoryEntities();
  return {
    flows: createMemoryFlowStore({
      applyVaultWrites(flowId, writes) {
        const write = entities.prepare(entityWritesOf(writes.filter(isEntityWrite), entitiesOf));
        vault.apply([{ flowId, writes: writes.filter((each) => !isEntityWrite(each) && !isExternalSend(each)) }]); // What leaves the network is nobody's there.
        write();
      },
    }),
    readVault: (read) => vault.read(read),
    readEntities: (read) => entities.read(read),
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
