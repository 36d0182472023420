// The engine's store on a real PostgreSQL.

import type { Data } from "@bowline/base";
import { createFlowStore } from "@bowline/flow";
import { flowStoreContract, judgeVaultWrite } from "@bowline/flow/contract";
import { testDatabase } from "./adapters/test-postgres.ts";

const MIGRATIONS = new URL("../../flow/sql/vault/", import.meta.url);

flowStoreContract("PostgreSQL", async (test) => {
  const database = await testDatabase(test, [MIGRATIONS]);
  await database.sql.query("CREATE TABLE vault_write (number int GENERATED ALWAYS AS IDENTITY, write jsonb NOT NULL)");
  const store = createFlowStore(database, {
    async applyVaultWrites(sql, members) {
      for (const { writes } of members) {
        for (const write of writes) {
          await sql.query("INSERT INTO vault_write (write) VALUES ($1)", [JSON.stringify(write)]);
          judgeVaultWrite(write);
        }
      }
    },
  });
  const vault = async (): Promise<readonly Data[]> => {
    const rows = await database.sql.query<{ write: Data }>("SELECT write FROM vault_write ORDER BY number");
    return rows.map(({ write }) => write);
  };
  return { store, vault };
});
