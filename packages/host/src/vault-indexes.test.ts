// The indexes that CorDapps declare, on a real PostgreSQL: made once, used by their queries, and in nobody's way.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Database } from "@bowline/base";
import { dropOtherIndexes, explainStates, makeIndexes, readStates, stateQueryPlan } from "@bowline/ledger/queries";
import { contract, cordapp, state } from "@bowline/sdk";
import { jsonTypes } from "@bowline/sdk/encoding";
import { stateQuery } from "@bowline/sdk/queries";
import * as Type from "typebox";
import { testDatabase } from "./adapters/test-postgres.ts";
import { ifFree, inTurn } from "./roles/turns.ts";

const Bond = state({
  name: "com.example.Bond",
  version: 1,
  contract: "com.example.Rules",
  schema: Type.Object({}),
  participants: () => [],
});
const Rules = contract({ name: "com.example.Rules", commands: {}, verify: () => {} });
const base = {
  of: Bond,
  fields: Type.Object({ owner: Type.String(), amount: jsonTypes.decimal(), due: jsonTypes.instant(), id: Type.Optional(jsonTypes.uuid()) }),
};
const owned = { ...base, where: [{ property: "owner", operator: "=" }], orderBy: ["amount"], index: ["owner", "amount"] } as const;
const queries = [
  stateQuery({ ...owned, name: "com.example.Owned" }),
  stateQuery({ ...owned, name: "com.example.OwnedDown", descending: true }),
  stateQuery({
    ...base,
    name: "com.example.Due",
    where: [{ property: "due", operator: "<", parameter: "until" }],
    orderBy: ["due"],
    index: ["due"],
  }),
  stateQuery({
    ...base,
    name: "com.example.ById",
    standing: "all",
    where: [{ property: "id", operator: "in", parameter: "ids" }],
    index: ["id"],
  }),
  stateQuery({ ...base, name: "com.example.Unindexed", where: [{ property: "due", operator: "<", parameter: "until" }] }),
];
const app = cordapp({ flows: [], states: [Bond], contracts: [Rules], queries }).manifest;
const declared = app.queries ?? [];

const vaultOf = (t: TestContext): Promise<Database> =>
  testDatabase(t, [new URL("../../flow/sql/vault", import.meta.url), new URL("../../ledger/sql/vault", import.meta.url)]);
const explain = (database: Database, name: string, large = true) =>
  explainStates(database, `com.example.${name}`, app, { entities: "none", large });

async function fill({ sql }: Database, count: number, owner = "'owner' || n % 10"): Promise<void> {
  await sql.query(
    `INSERT INTO utxo_transaction (id, status, wire, group_parameters_hash) VALUES ('SHA-256:0', 'V', '', '') ON CONFLICT DO NOTHING`,
  );
  await sql.query(
    `INSERT INTO utxo_visible_transaction_output (transaction_id, group_idx, leaf_idx, type, info, data, position, custom_representation)
     SELECT 'SHA-256:0', 8, n, 'com.example.Bond', '', '', n, jsonb_build_object('owner', ${owner}, 'amount', n::text, 'due', n)
     FROM generate_series((SELECT count(*) FROM utxo_visible_transaction_output) + 1, (SELECT count(*) FROM utxo_visible_transaction_output) + ${count}) AS n`,
  );
}

test("every query goes through the index that it declares, and says so", async (t) => {
  const database = await vaultOf(t);
  await fill(database, 100);
  for (const { name, index } of declared) {
    const before = await explain(database, name.replace("com.example.", ""));
    assert.deepEqual([before.usesIndex, before.index?.state], [false, index === null ? undefined : "missing"], name);
  }
  await makeIndexes(database.sql, declared);
  for (const { name, index } of declared) {
    const { usesIndex, index: made, plan } = await explain(database, name.replace("com.example.", ""));
    assert.deepEqual([usesIndex, made?.state], [index !== null, index === null ? undefined : "ready"], plan.join("\n"));
    if (usesIndex) assert.doesNotMatch(plan.join("\n"), /Sort Key: .*custom_representation/, "the index is in the order of the query");
  }
  const small = await explain(database, "Due", false);
  assert.ok(small.plan.length > 0, "a small vault may be read whole");
  await assert.rejects(explain(database, "Other"), { code: "vault.queryUnknown" });
});

test("an index that is there is left alone, one that is unfinished is made anew, and one that nobody wants goes", async (t) => {
  const { sql } = await vaultOf(t);
  const names = async () =>
    (await sql.query<{ name: string }>("SELECT indexname AS name FROM pg_indexes WHERE indexname LIKE 'vault\\_query\\_%' ORDER BY 1")).map(
      ({ name }) => name,
    );
  await makeIndexes(sql, declared);
  const made = await names();
  assert.equal(made.length, 3, "two queries share one");
  const oids = () => sql.query("SELECT oid FROM pg_class WHERE relname = ANY ($1) ORDER BY relname", [made]);
  const before = await oids();
  await makeIndexes(sql, declared);
  assert.deepEqual(await oids(), before);
  await sql.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass", [made[0]]);
  await makeIndexes(sql, declared);
  const after = await oids();
  assert.deepEqual([after.length, after.filter((row, i) => JSON.stringify(row) === JSON.stringify(before[i])).length], [3, 2]);
  await dropOtherIndexes(sql, declared.slice(0, 2));
  assert.equal((await names()).length, 1);
  await dropOtherIndexes(sql, []);
  assert.deepEqual(await names(), []);
});

test("an upgrade, which holds a turn while it works, makes them while states are recorded", { timeout: 60_000 }, async (t) => {
  const database = await vaultOf(t);
  await fill(database, 100);
  const recorded = database.transaction(async (sql) => {
    await fill({ ...database, sql }, 10);
    await new Promise((resolve) => setTimeout(resolve, 200));
  });
  await ifFree(database, "an upgrade", () => makeIndexes(database.sql, declared));
  await inTurn(database, "another", () => dropOtherIndexes(database.sql, []));
  await recorded;
});

test("whatever a state's JSON form says, no index keeps it out", async (t) => {
  const database = await vaultOf(t);
  await makeIndexes(database.sql, declared);
  await fill(database, 3, "(SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 500) i)");
  await fill(database, 1, "repeat('\u{1F600}', 200)");
  const odd = ["[]", "5", "null", '"x"', '{"owner":{},"amount":"1e400000","due":"never","id":"none"}', '{"amount":9e30,"due":null,"id":7}'];
  for (const [i, json] of odd.entries())
    await database.sql.query(
      `INSERT INTO utxo_visible_transaction_output (transaction_id, group_idx, leaf_idx, type, info, data, position, custom_representation)
       VALUES ('SHA-256:0', 8, $1::int, 'com.example.Bond', '', '', $1, $2::jsonb)`,
      [1_000 + i, json],
    );
  const [{ owner } = { owner: "" }] = await database.sql.query<{ owner: string }>(
    "SELECT custom_representation ->> 'owner' AS owner FROM utxo_visible_transaction_output WHERE leaf_idx = 2",
  );
  assert.equal(owner.length, 16_000);
  const plan = stateQueryPlan({ query: "com.example.Owned", parameters: { owner: `${owner}x` } }, app);
  assert.deepEqual(await readStates(database.sql, plan, "none"), { states: [], joined: [], next: null }, "more than its beginning counts");
});
