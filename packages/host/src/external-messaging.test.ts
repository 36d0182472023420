// External messages on a real PostgreSQL: from the step commit that sends them to the bus.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type BusRecord, type Database, fromUtf8, type ShortHash } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import { clientStart, createFlowStore, type StepCommit } from "@bowline/flow";
import { addExternalSends, relayExternal } from "@bowline/flow/external";
import { testDatabase } from "./adapters/test-postgres.ts";

const VNODE = "0123456789AB" as ShortHash;
const MIGRATIONS = new URL("../../flow/sql/vault/", import.meta.url);

async function opened(t: Parameters<typeof testDatabase>[0]) {
  const database = await testDatabase(t, [MIGRATIONS]);
  const others: unknown[] = [];
  const store = createFlowStore(database, {
    async applyVaultWrites(sql, members) {
      for (const { writes } of await addExternalSends(sql, VNODE, members)) others.push(...writes);
    },
  });
  let flows = 0;
  /** Begins a flow whose first commit writes this. */
  const commit = async (...writes: readonly object[]) => {
    const id = `flow-${++flows}`;
    const identity = { me: "O=Alice, L=London, C=GB", groupId: "g" };
    const asked = {
      id,
      seed: sha256(new Uint8Array()),
      bundle: "b",
      flowName: "f",
      identity,
      clientRequestId: id,
      startedBy: "a",
      input: null,
      now: 1,
    };
    await store.start([clientStart(asked as never)]);
    const empty = {
      journal: [],
      collapsed: [],
      sessions: [],
      inboxAdded: [],
      inboxConsumed: [],
      outboxAdded: [],
      outboxAcknowledged: [],
      waiting: [],
    };
    const step = {
      ...empty,
      flowId: id,
      at: 2,
      expectedVersion: 0,
      commitId: id,
      status: "RUNNING",
      outcome: null,
      wakeAt: null,
      vaultWrites: writes,
    };
    const [outcome] = await store.commit([step as unknown as StepCommit]);
    return outcome;
  };
  return { database, others, commit };
}

const send = (id: string, message: string, channel = "prices") => ({ kind: "external.send", id, channel, message });

async function relayed(database: Database): Promise<readonly string[]> {
  const records: BusRecord[] = [];
  await relayExternal(database, async (some) => void records.push(...some));
  return records.map(({ topic, key, value }) => `${topic} ${key} ${fromUtf8(value)}`);
}

test("what a committed step sent reaches the bus once it takes it, in order, and not again", async (t) => {
  const { database, others, commit } = await opened(t);
  assert.deepEqual(await commit(send("1", "one"), { kind: "other" }, send("2", "zwölf", "stock.levels")), { kind: "committed" });
  assert.deepEqual(others, [{ kind: "other" }]);
  await assert.rejects(
    relayExternal(database, () => Promise.reject(new Error("bus down"))),
    /bus down/,
  );
  await commit(send("3", ""));
  assert.deepEqual(await relayed(database), [
    `ext.${VNODE}.prices.receive 1 one`,
    `ext.${VNODE}.stock.levels.receive 2 zwölf`,
    `ext.${VNODE}.prices.receive 3 `,
  ]);
  assert.deepEqual(await relayed(database), []);
});

test("two relays at once do not mix the order: one of them leaves it to the other", async (t) => {
  const { database, commit } = await opened(t);
  await commit(...Array.from({ length: 600 }, (_, i) => send(`${i}`, "m")));
  const keys: string[] = [];
  const publish = async (records: readonly BusRecord[]) => void keys.push(...records.map(({ key }) => key));
  await Promise.all([relayExternal(database, publish), relayExternal(database, publish)]);
  assert.deepEqual(
    keys,
    Array.from({ length: 600 }, (_, i) => `${i}`),
  );
});

test("a route may lead elsewhere, refuse, or drop", async (t) => {
  const { database, commit } = await opened(t);
  await database.sql.query(
    "INSERT INTO external_route (channel, topic, active, inactive_response) VALUES ('prices', 'ext.elsewhere', true, 'ERROR'), ('shut', NULL, false, 'ERROR'), ('mute', NULL, false, 'IGNORE')",
  );
  const refused = await commit(send("1", "x"), send("2", "y", "shut"));
  assert.equal(refused?.kind === "refused" && refused.code, "external.routeInactive");
  assert.deepEqual(await commit(send("3", "x", "mute"), send("4", "z")), { kind: "committed" });
  assert.deepEqual(await relayed(database), ["ext.elsewhere 4 z"]);
});
