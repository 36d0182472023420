// Where a member's flows and states lie: in memory, or wherever a `Storage` puts them.

import type { Data, Instant, SecureHash } from "@bowline/base";
import { createMemoryFlowStore, type FlowRow, type FlowStore } from "@bowline/flow";
import { type ExternalSend, isExternalSend } from "@bowline/flow/external";
import {
  type EntityDescriptions,
  type EntityRead,
  entityWritesOf,
  isEntityWrite,
  memoryEntities,
  memoryVault,
  type VaultRead,
} from "@bowline/ledger";
import type { StateQueryPlan } from "@bowline/ledger/queries";
import type { TokenStore } from "@bowline/ledger/tokens";
import type { DueRepair } from "@bowline/ledger/upkeep";
import { VERDICT_KEY } from "./roles.ts";

/** What outlives every process of one member. */
export interface Storage {
  /** Its commits write the vault in the same transaction. */
  readonly flows: FlowStore;
  readVault(read: VaultRead): Promise<Data>;
  /** What flows sent to systems outside, oldest first. */
  readonly externalMessages: readonly ExternalSend[];
  readonly dueRepairs: (now: Instant, limit: number) => Promise<readonly DueRepair[]>;
  readonly tokens: TokenStore;
  /** Rows of the CorDapps' own tables. */
  readEntities(read: EntityRead): Promise<Data>;
  /** States by named queries, with those rows. */
  queryVault(plan: StateQueryPlan): Promise<Data>;
  close(): Promise<void>;
}

/** What the packages of a member say of their entities. */
export type EntitiesOf = (bundle: SecureHash) => EntityDescriptions;

/** Throws `external.channelUnknown` where the package of a message declares no such channel. */
export type CheckChannel = (send: ExternalSend) => void;

export function memoryStorage(now: () => Instant, entitiesOf: EntitiesOf = () => [], checkChannel: CheckChannel = () => {}): Storage {
  const externalMessages: ExternalSend[] = [];
  const vault = memoryVault({ macKey: VERDICT_KEY, now, ended: async (id) => ENDED.has((await flows.byId(id))?.status ?? "RUNNING") });
  const entities = memoryEntities();
  const flows = createMemoryFlowStore({
    applyVaultWrites(flowId, writes) {
      const sent = writes.filter(isExternalSend);
      sent.forEach(checkChannel);
      const write = entities.prepare(entityWritesOf(writes.filter(isEntityWrite), entitiesOf));
      vault.apply([{ flowId, writes: writes.filter((each) => !isEntityWrite(each) && !isExternalSend(each)) }]);
      write();
      externalMessages.push(...sent);
    },
  });
  return {
    flows,
    externalMessages,
    readVault: (read) => vault.read(read),
    dueRepairs: async (at, limit) => vault.dueRepairs(at, limit),
    tokens: vault.tokens,
    readEntities: (read) => entities.read(read),
    queryVault: async (plan) => vault.query(plan, entities),
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
const ENDED = new Set<FlowRow["status"]>([...OVER, "PARKED"]);
export const isOver = ({ status }: Pick<FlowRow, "status">): boolean => OVER.has(status);
