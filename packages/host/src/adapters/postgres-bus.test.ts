import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type BusRecord, type Clock, type Database, fromUtf8, type Log, utf8 } from "@bowline/base";
import { busContract } from "./bus.contract.ts";
import type { DurableBus } from "./durable-bus.ts";
import { readMigrations } from "./migrate.ts";
import { openDatabase } from "./postgres.ts";
import { createPostgresBus } from "./postgres-bus.ts";
import { fairShare, forget, SESSION_MS } from "./postgres-bus-membership.ts";
import { systemClock } from "./system.ts";
import { testServer } from "./test-postgres.ts";

const quiet: Log = { error() {}, warn() {}, info() {}, debug() {} };
const KEYS = Array.from({ length: 64 }, (_, index) => `key ${index}`);
const WAIT_MS = 5_000;

interface Place {
  readonly database: Database;
  open(clock?: Clock): DurableBus;
  remove(): Promise<void>;
}

/** A bus schema of its own; each `open` is another process as far as the others can tell. */
async function place(): Promise<Place> {
  const connection = { ...(await testServer()), schema: `bus_${randomBytes(6).toString("hex")}` };
  const database = openDatabase({ ...connection, connectionsMax: 2 });
  await database.sql.query(`CREATE SCHEMA ${connection.schema}`);
  for (const { text } of await readMigrations([fileURLToPath(new URL("../../sql/bus", import.meta.url))])) await database.sql.query(text);
  const opened: DurableBus[] = [];
  return {
    database,
    open(clock = systemClock) {
      const bus = createPostgresBus({ connection, clock, log: quiet });
      opened.push(bus);
      return bus;
    },
    async remove() {
      await Promise.all(opened.map((bus) => bus.close()));
      await database.sql.query(`DROP SCHEMA ${connection.schema} CASCADE`);
      await database.close();
    },
  };
}

async function placeOf(t: TestContext): Promise<Place> {
  const made = await place();
  t.after(() => made.remove());
  return made;
}

busContract("postgres", async () => {
  const { open, remove } = await place();
  return { ...open(), close: remove };
});

describe("a bus of several processes", () => {
  test("one that joins gets its share, and gives it back when it leaves; records of a key stay in order", async (t) => {
    const { open, database } = await placeOf(t);
    const [first, second] = [open(), open()];
    const seen: { readonly by: string; readonly key: string; readonly value: number }[] = [];
    const join = (bus: DurableBus, by: string) =>
      bus.subscribe(["t"], "readers", {
        records: async (batch) => void seen.push(...batch.map(({ key, value }) => ({ by, key, value: Number(fromUtf8(value)) }))),
      });
    const one = await join(first, "first");
    let number = 0;
    const publish = async (bus: DurableBus): Promise<void> => {
      number++;
      await bus.publish(KEYS.map((key) => record(key, number)));
    };
    const publishing = (async () => {
      for (let round = 0; round < 60; round++) {
        await publish(round % 2 === 0 ? first : second);
        await sleep(10);
      }
    })();
    const two = await join(second, "second");
    await until(() => KEYS.filter(one.owns).length < KEYS.length && KEYS.some(two.owns), "the second has its share");
    assert.deepEqual(
      KEYS.filter((key) => one.owns(key) && two.owns(key)),
      [],
      "no key is both's",
    );
    await publish(first);
    await until(() => seen.some(({ by }) => by === "second"), "the second takes records");
    await two.close();
    await until(() => KEYS.every(one.owns), "the first has all again");
    await publishing;
    await publish(second);
    await until(() => KEYS.every((key) => seen.some((each) => each.key === key && each.value === number)), "all records arrive");
    for (const key of KEYS) {
      const values = seen.filter((each) => each.key === key).map(({ value }) => value);
      assert.deepEqual(
        [...new Set(values)],
        Array.from({ length: number }, (_, index) => index + 1),
        `${key}: all, in order, whoever had it`,
      );
    }
    await until(async () => (await count(database)) === 0, "what was taken is gone");
  });

  test("what a dead owner had taken and not finished goes to another within the session timeout, in order", async (t) => {
    const { open } = await placeOf(t);
    let isDead = false;
    const { promise: end, resolve: ending } = Promise.withResolvers<void>();
    const mortal: Clock = {
      now: systemClock.now,
      after: (delayMs, work) => systemClock.after(delayMs, () => (isDead ? undefined : work())),
    };
    const [dying, survivor] = [open(mortal), open()];
    const [taken, seen] = [[] as string[], [] as string[]];
    await dying.subscribe(["t"], "readers", {
      records: async (batch) => {
        taken.push(...batch.map(({ value }) => fromUtf8(value)));
        await end;
      },
    });
    await survivor.publish([record("a", 1), record("a", 2)]);
    await until(() => taken.length === 2, "the first has them in its hands");
    isDead = true;
    const started = performance.now();
    const mine = await survivor.subscribe(["t"], "readers", {
      records: async (batch) => void seen.push(...batch.map(({ value }) => fromUtf8(value))),
    });
    await survivor.publish([record("a", 3)]);
    await until(() => seen.length === 3, "the survivor takes them over", SESSION_MS + 3_000);
    assert.deepEqual(seen, ["1", "2", "3"]);
    assert.ok(mine.owns("a"));
    const seconds = (performance.now() - started) / 1_000;
    ending();
    assert.ok(seconds > 3 && seconds < 8, `${seconds.toFixed(1)} s: not before the session timeout is nearly over, and not long after`);
  });

  test("one whose connection is gone as well as its voice is dead at once; one whose voice goes on is not", async (t) => {
    const { open, database } = await placeOf(t);
    const [first, second] = [open(), open()];
    const [one] = [await first.subscribe(["t"], "readers", { records: async () => {} })];
    await second.subscribe(["t"], "readers", { records: async () => {} });
    await until(() => KEYS.some((key) => !one.owns(key)), "they share");
    const ghost = "00000000-0000-4000-8000-000000000000";
    await database.sql.query(
      `INSERT INTO bus_member SELECT $1, group_id, clock_timestamp() + interval '3 seconds', 0 FROM bus_member LIMIT 1`,
      [ghost],
    );
    await database.sql.query("UPDATE bus_member SET backend = 0 WHERE id <> $1", [ghost]); // As where a connection is made anew.
    const members = () => database.sql.query<{ id: string }>("SELECT id FROM bus_member");
    await until(async () => (await members()).every(({ id }) => id !== ghost), "the ghost is buried", 2_000);
    assert.equal((await members()).length, 2);
  });

  test("a record that was published nowhere near its owner arrives in moments", async (t) => {
    const { open } = await placeOf(t);
    const [here, there] = [open(), open()];
    let arrived = 0;
    await there.subscribe(["t"], "readers", {
      records: async () => {
        arrived = performance.now();
      },
    });
    await here.subscribe(["other"], "others", { records: async () => {} }); // From here on it knows of the others.
    const times: number[] = [];
    for (let round = 0; round < 20; round++) {
      arrived = 0;
      const started = performance.now();
      await here.publish([record("a", round)]);
      await until(() => arrived > 0, "it arrives");
      times.push(arrived - started);
    }
    const median = times.toSorted((a, b) => a - b)[10] ?? 0;
    assert.ok(median < 100, `${median.toFixed(1)} ms: the poll alone would take 250`);
  });

  test("groups that nobody uses go, with what waits for them", async (t) => {
    const { open, database } = await placeOf(t);
    const bus = open();
    const gone = await bus.subscribe(["t"], "gone", { records: async () => {} });
    await gone.close();
    await bus.publish([record("a", 1)]);
    assert.equal(await count(database), 1, "it waits for a subscriber");
    await bus.subscribe(["u"], "here", { records: async () => {} });
    await database.sql.query("UPDATE bus_group SET used_at = used_at - interval '1 day' WHERE name = 'gone'");
    await database.transaction(forget);
    assert.equal(await count(database), 0);
    assert.deepEqual(await database.sql.query("SELECT name FROM bus_group"), [{ name: "here" }]);
  });
});

test("a group that was handed what nobody else has is kept until it has taken it", async (t) => {
  const { open, database } = await placeOf(t);
  const bus = open();
  let isOpen = false;
  const reader = await bus.subscribe(["t"], "away", {
    records: async () => {
      if (!isOpen) throw new Error("not now");
    },
  });
  await bus.handOver([record("a", 1)]);
  await reader.close();
  await bus.subscribe(["u"], "here", { records: async () => {} });
  await database.sql.query("UPDATE bus_group SET used_at = used_at - interval '1 day' WHERE name = 'away'");
  await database.transaction(forget);
  assert.equal(await count(database), 1);
  isOpen = true;
  await bus.subscribe(["t"], "away", { records: async () => {} });
  await until(async () => (await count(database)) === 0, "it is taken");
});

test("a fair share moves as little as can be, and leaves nobody with two more than another", () => {
  const owners = (text: string) => [...text].map((owner, partition) => ({ partition, owner: owner === "-" ? null : owner }));
  assert.deepEqual(fairShare("a", ["a"], owners("----")), { give: [], take: [0, 1, 2, 3] });
  assert.deepEqual(fairShare("a", ["a", "b"], owners("aaaa")), { give: [2, 3], take: [] });
  assert.deepEqual(fairShare("b", ["a", "b"], owners("aaaa")), { give: [], take: [] });
  assert.deepEqual(fairShare("b", ["b", "a"], owners("aa--")), { give: [], take: [2, 3] });
  assert.deepEqual(fairShare("c", ["a", "b", "c"], owners("aabb-")), { give: [], take: [4] });
  assert.deepEqual(fairShare("x", ["a", "b"], owners("xxab")), { give: [], take: [] }, "who is thought dead decides nothing");
});

const record = (key: string, value: number): BusRecord => ({ topic: "t", key, value: utf8(String(value)) });

async function count(database: Database): Promise<number> {
  const [row] = await database.sql.query<{ count: number }>("SELECT count(*)::int AS count FROM bus_record");
  return row?.count ?? -1;
}

async function until(condition: () => boolean | Promise<boolean>, what: string, withinMs = WAIT_MS): Promise<void> {
  for (const started = Date.now(); !(await condition()); await sleep(5))
    if (Date.now() - started > withinMs) assert.fail(`not in time: ${what}`);
}
