import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { entityStore, vaultStore } from "@bowline/ledger";
import {
  ENTITY_TABLES,
  OWNER_TABLE,
  testEntities,
  testStateQueries,
  testTokens,
  testUniqueness,
  testVault,
  testVaultChanges,
  testVaultHistory,
  type VaultUnderTest,
} from "@bowline/ledger/contract";
import { UNIQUENESS_SETTINGS, uniquenessStore } from "@bowline/ledger/notary";
import { readStates } from "@bowline/ledger/queries";
import { tokenStore } from "@bowline/ledger/tokens";
import { testDatabase } from "./adapters/test-postgres.ts";

const migrations = (database: "vault" | "uniqueness") => new URL(`../../ledger/sql/${database}`, import.meta.url);
/** Of the engine's tables the vault reads which flows are over. */
const vaultDatabase = (t: TestContext) => testDatabase(t, [new URL("../../flow/sql/vault", import.meta.url), migrations("vault")]);

const onPostgres = async (t: TestContext, macKey: Uint8Array): Promise<VaultUnderTest> => {
  const database = await vaultDatabase(t);
  const store = vaultStore({ macKey });
  return {
    apply: (commits) => database.transaction((sql) => store.applyVaultWrites(sql, commits)),
    read: (read) => store.readVault(database.sql, read),
    dueRepairs: (now, limit) => store.dueRepairs(database.sql, now, limit),
  };
};
testVault("PostgreSQL", onPostgres);
testVaultHistory("PostgreSQL", onPostgres);
testVaultChanges("PostgreSQL", onPostgres);

testStateQueries("PostgreSQL", async (t, macKey) => {
  const database = await vaultDatabase(t);
  const [row] = await database.sql.query<{ schema: string }>("SELECT current_schema()::text AS schema");
  await database.sql.query(OWNER_TABLE);
  const [vault, entities] = [vaultStore({ macKey }), entityStore(row?.schema ?? "")];
  return {
    apply: (commits) => database.transaction((sql) => vault.applyVaultWrites(sql, commits)),
    applyEntities: (writes) => database.transaction((sql) => entities.apply(sql, writes)),
    query: (plan) => readStates(database.sql, plan, row?.schema ?? ""),
    now: Date.now,
  };
});

testTokens("PostgreSQL", async (t, macKey, workers) => {
  const database = await vaultDatabase(t);
  const store = vaultStore({ macKey });
  const [first, ...others] = Array.from({ length: workers }, () => tokenStore(database, randomBytes));
  return {
    apply: (commits) => database.transaction((sql) => store.applyVaultWrites(sql, commits)),
    workers: [first as NonNullable<typeof first>, ...others],
    elapse: (ms) => sleep(ms),
    async endFlow(flowId, status) {
      await database.sql.query(
        `INSERT INTO flow (id, bundle, flow_name, me, group_id, origin, seed, status, version, commit_id, kill, waiting, created_at, updated_at)
         VALUES ($1, '', '', '', '', '', '', $2, 1, '', false, '[]', 0, 0)`,
        [flowId, status],
      );
    },
  };
});

// The workers share a pool: each batch has a connection of its own.
testUniqueness("PostgreSQL", async (t, workers) => {
  const database = await testDatabase(t, [migrations("uniqueness")], UNIQUENESS_SETTINGS);
  return Array.from({ length: workers }, () => uniquenessStore(database));
});

testEntities("PostgreSQL", async (t) => {
  const database = await testDatabase(t);
  await database.sql.query(ENTITY_TABLES);
  const [row] = await database.sql.query<{ schema: string }>("SELECT current_schema()::text AS schema");
  const store = entityStore(row?.schema ?? "");
  return {
    apply: (writes) => database.transaction((sql) => store.apply(sql, writes)),
    read: (read) => store.read(database.sql, read),
  };
});
