// The engine's store on a real PostgreSQL.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data } from "@bowline/base";
import { createFlowStore } from "@bowline/flow";
import { flowStoreContract, judgeVaultWrite, largeStep, startOf } from "@bowline/flow/contract";
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

test("what is large lies once, however many steps have it, and goes with the last of them", async (t) => {
  const database = await testDatabase(t, [MIGRATIONS]);
  const store = createFlowStore(database);
  const chunks = async (now: number): Promise<number> => {
    await store.unacknowledged(now, 1);
    return (await database.sql.query<{ n: number }>("SELECT count(*)::int AS n FROM flow_chunk"))[0]?.n ?? -1;
  };
  const { createdAt } = startOf("1").row;
  const far = createdAt + 365 * 86_400_000;
  await store.start([startOf("1"), startOf("2")]);
  await store.commit([largeStep("1", 0, { paths: ["1", "2.1", "2.2"] }), largeStep("2", 0, { paths: ["1"] })]);
  await store.commit([largeStep("1", 0, { paths: ["3"], commitId: "fenced" })]);
  assert.equal(await chunks(far), 1, "one for all that are the same, and it is kept for as long as there are any");
  const rows = await database.sql.query<{ n: number }>("SELECT sum(octet_length(outcome))::int AS n FROM flow_step");
  assert.ok((rows[0]?.n ?? 0) < 1_000, "the rows themselves are small");
  await store.commit([largeStep("1", 1, { paths: [], collapsed: ["2"], status: "COMPLETED" })]);
  await store.purge({ overBefore: far, expiredBefore: far, limit: 10 });
  assert.equal(await chunks(far), 1, "the other flow has it still");
  await store.commit([largeStep("2", 1, { paths: [], status: "COMPLETED" })]);
  await store.purge({ overBefore: far, expiredBefore: far, limit: 10 });
  assert.equal(await chunks(far), 0);
});
