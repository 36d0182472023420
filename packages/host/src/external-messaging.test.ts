// External messages on a real PostgreSQL: from the step commit that sends them to the bus.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, type BusRecord, type Database, fromUtf8, type SecureHash, type ShortHash } from "@bowline/base";
import { ROUTE_DEFAULTS, type RouteDefaults, topicOf as topicOfChannel } from "@bowline/cluster/external-routes";
import { sha256 } from "@bowline/crypto";
import { clientStart, createFlowStore, type StepCommit } from "@bowline/flow";
import { EMPTY_COMMIT } from "@bowline/flow/contract";
import { addExternalSends, EXTERNAL_WAITING_MAX, relayExternal, type TopicOf } from "@bowline/flow/external";
import { testDatabase } from "./adapters/test-postgres.ts";

const VNODE = "0123456789AB" as ShortHash;
const CHANNELS = { channels: ["prices", "stock.levels"].map((name) => ({ name })) };
const BUNDLE = "SHA-256:00" as SecureHash;
const MIGRATIONS = new URL("../../flow/sql/vault/", import.meta.url);

async function opened(t: Parameters<typeof testDatabase>[0], defaults: Partial<RouteDefaults> = {}) {
  const topicOf: TopicOf = ({ channel }) => topicOfChannel(VNODE, channel, CHANNELS, { ...ROUTE_DEFAULTS, ...defaults });
  const database = await testDatabase(t, [MIGRATIONS]);
  const others: unknown[] = [];
  const store = createFlowStore(database, {
    async applyVaultWrites(sql, members) {
      for (const { writes } of await addExternalSends(sql, members, topicOf)) others.push(...writes);
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
    const step = { ...EMPTY_COMMIT, flowId: id, at: 2, expectedVersion: 0, commitId: id, vaultWrites: writes };
    const [outcome] = await store.commit([step as unknown as StepCommit]);
    return outcome;
  };
  return { database, others, commit };
}

const send = (id: string, message: string, channel = "prices") => ({ kind: "external.send", id, bundle: BUNDLE, channel, message });

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
    `ext.${VNODE}.prices.receive 3 `,
    `ext.${VNODE}.stock.levels.receive 2 zwölf`,
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

test("what nobody reads waits, holds up no other topic, and is bounded", async (t) => {
  const { database, commit } = await opened(t);
  await commit(send("1", "x"), send("2", "y", "stock.levels"));
  const unread = (topic: string) => new BowlineError("unavailable", "bus.unread", topic);
  const taken: string[] = [];
  const waiting = await relayExternal(database, async ([first, ...rest]) => {
    if (first?.topic.includes("prices")) throw unread(first.topic);
    taken.push(...[first, ...rest].map((record) => record?.key ?? ""));
  });
  assert.deepEqual([waiting, taken], [[`ext.${VNODE}.prices.receive`], ["2"]]);
  await database.sql.query(
    "INSERT INTO external_outbox (message_id, topic, message) SELECT n, 'ext.' || $1 || '.prices.receive', '' FROM generate_series(2, $2::int) AS n",
    [VNODE, EXTERNAL_WAITING_MAX],
  );
  const refused = await commit(send("3", "x"));
  assert.equal(refused?.kind === "refused" && refused.code, "external.outboxFull");
  assert.deepEqual(await commit(send("4", "y", "stock.levels")), { kind: "committed" });
  assert.equal((await relayed(database)).length, EXTERNAL_WAITING_MAX + 1);
  assert.deepEqual(await commit(send("5", "x")), { kind: "committed" });
});

test("a channel that the package does not declare is refused, whatever its code says; routes refuse, drop or lead elsewhere", async (t) => {
  const { database, commit } = await opened(t, { receiveTopicPattern: "ext.all" });
  const unknown = await commit(send("1", "x"), send("2", "y", "other"));
  assert.equal(unknown?.kind === "refused" && unknown.code, "external.channelUnknown");
  assert.deepEqual(await commit(send("3", "z")), { kind: "committed" });
  assert.deepEqual(await relayed(database), ["ext.all 3 z"]);
  const shut = await opened(t, { active: false });
  const refused = await shut.commit(send("1", "x"));
  assert.equal(refused?.kind === "refused" && refused.code, "external.routeInactive");
  const mute = await opened(t, { active: false, inactiveResponseType: "IGNORE" });
  assert.deepEqual(await mute.commit(send("1", "x")), { kind: "committed" });
  assert.deepEqual([await relayed(shut.database), await relayed(mute.database)], [[], []]);
});
