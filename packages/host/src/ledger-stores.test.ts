import type { TestContext } from "node:test";
import { entityStore, vaultStore } from "@bowline/ledger";
import { ENTITY_TABLES, testEntities, testUniqueness, testVault, testVaultHistory, type VaultUnderTest } from "@bowline/ledger/contract";
import { uniquenessStore } from "@bowline/ledger/notary";
import { testDatabase } from "./adapters/test-postgres.ts";

const migrations = (database: "vault" | "uniqueness") => new URL(`../../ledger/sql/${database}`, import.meta.url);

const onPostgres = async (t: TestContext, macKey: Uint8Array): Promise<VaultUnderTest> => {
  const database = await testDatabase(t, [migrations("vault")]);
  const store = vaultStore({ macKey });
  return {
    apply: (commits) => database.transaction((sql) => store.applyVaultWrites(sql, commits)),
    read: (read) => store.readVault(database.sql, read),
    dueRepairs: (now, limit) => store.dueRepairs(database.sql, now, limit),
  };
};
testVault("PostgreSQL", onPostgres);
testVaultHistory("PostgreSQL", onPostgres);

// The workers share a pool: each batch has a connection of its own.
testUniqueness("PostgreSQL", async (t, workers) => {
  const database = await testDatabase(t, [migrations("uniqueness")]);
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
