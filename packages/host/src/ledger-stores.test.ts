import { uniquenessStore, vaultStore } from "@bowline/ledger";
import { testUniqueness, testVault } from "@bowline/ledger/contract";
import { testDatabase } from "./adapters/test-postgres.ts";

const migrations = (database: "vault" | "uniqueness") => new URL(`../../ledger/sql/${database}`, import.meta.url);

testVault("PostgreSQL", async (t, macKey) => {
  const database = await testDatabase(t, [migrations("vault")]);
  const store = vaultStore({ macKey });
  return {
    apply: (commits) => database.transaction((sql) => store.applyVaultWrites(sql, commits)),
    read: (read) => store.readVault(database.sql, read),
  };
});

// The workers share a pool: each batch has a connection of its own.
testUniqueness("PostgreSQL", async (t, workers) => {
  const database = await testDatabase(t, [migrations("uniqueness")]);
  return Array.from({ length: workers }, () => uniquenessStore(database));
});
