// A day whose flows, vaults, tokens and notaries lie in a real PostgreSQL: the same judgement, over the SQL that ships.
//
// Answers come when the server gives them, and so two runs of one seed may differ there.

import type { Data, Database, Instant } from "@bowline/base";
import { createFlowStore } from "@bowline/flow";
import { testDatabase } from "@bowline/host/test-postgres";
import { vaultStore } from "@bowline/ledger";
import { type UniquenessStore, uniquenessStore } from "@bowline/ledger/notary";
import { tokenStore } from "@bowline/ledger/tokens";
import { type Storage, VERDICT_KEY } from "@bowline/testing/world";
import { type DayReport, live } from "./day.ts";
import type { Plan } from "./plan.ts";
import { onVirtualClock } from "./virtual-clock.ts";

const MIGRATIONS = [new URL("../packages/flow/sql/vault/", import.meta.url), new URL("../packages/ledger/sql/vault/", import.meta.url)];
const UNIQUENESS = new URL("../packages/ledger/sql/uniqueness/", import.meta.url);

export async function liveOnPostgres(plan: Plan): Promise<DayReport> {
  const cleaning: (() => Promise<void>)[] = [];
  try {
    return await live(plan, {
      storage: (_, now) => postgresStorage(cleaning, now),
      uniqueness: (now) => postgresUniqueness(cleaning, now),
    });
  } finally {
    await Promise.all(cleaning.map((clean) => clean()));
  }
}

export interface PostgresStorage extends Storage {
  /** Writes to the vault what no flow of this world has written. */
  plant(writes: readonly Data[]): Promise<void>;
}

type Cleaning = (() => Promise<void>)[];

async function databaseOf(cleaning: Cleaning, migrations: readonly URL[], now: (() => Instant) | undefined): Promise<Database> {
  const database = await testDatabase({ after: (work) => void cleaning.push(work) }, migrations);
  return now === undefined ? database : onVirtualClock(database, now);
}

/** A notary's memory. It is opened when it is first asked. */
function postgresUniqueness(cleaning: Cleaning, now: () => Instant): UniquenessStore {
  const opening = databaseOf(cleaning, [UNIQUENESS], now).then(uniquenessStore);
  return {
    notarise: async (batch, seal) => (await opening).notarise(batch, seal),
    log: async (after, limit) => (await opening).log(after, limit),
  };
}

/** A member's flows and vault, in the server's time where nothing is said. What removes their database is put with `cleaning`. */
export async function postgresStorage(cleaning: Cleaning, now?: () => Instant): Promise<PostgresStorage> {
  const database = await databaseOf(cleaning, MIGRATIONS, now);
  const vault = vaultStore({ macKey: VERDICT_KEY });
  return {
    flows: createFlowStore(database, { applyVaultWrites: (sql, members) => vault.applyVaultWrites(sql, members) }),
    readVault: (read) => vault.readVault(database.sql, read),
    externalMessages: [],
    dueRepairs: (now, limit) => vault.dueRepairs(database.sql, now, limit),
    tokens: tokenStore(database, (length) => new Uint8Array(length)),
    readEntities: () => Promise.reject(new Error("These flows keep no tables of their own.")),
    queryVault: () => Promise.reject(new Error("These flows ask no queries of their own.")),
    plant: (writes) => database.transaction((sql) => vault.applyVaultWrites(sql, [{ flowId: "planted", writes }])),
    close: async () => {},
  };
}
