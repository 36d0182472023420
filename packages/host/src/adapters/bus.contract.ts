// What every bus must keep, whatever carries it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type BusRecord, fromUtf8, utf8 } from "@bowline/base";
import type { DurableBus } from "./durable-bus.ts";

const WAIT_MS = 5_000;

export function busContract(name: string, open: () => Promise<DurableBus>): void {
  describe(`bus contract: ${name}`, () => {
    test("records of one key arrive in order, whatever else is published", async () => {
      await withBus(open, async (bus, topic) => {
        const seen = new Map<string, string[]>();
        await bus.subscribe([topic], "readers", { records: async (batch) => note(seen, batch) });
        for (let i = 0; i < 200; i++) await bus.publish(["a", "b", "c"].map((key) => record(topic, key, String(i))));
        await until(() => ["a", "b", "c"].every((key) => seen.get(key)?.length === 200));
        const expected = Array.from({ length: 200 }, (_, i) => String(i));
        for (const key of ["a", "b", "c"]) assert.deepEqual(seen.get(key), expected);
      });
    });

    test("each group gets every record; in a group each record has one subscriber", async () => {
      await withBus(open, async (bus, topic) => {
        const [first, second, other] = [new Map<string, string[]>(), new Map<string, string[]>(), new Map<string, string[]>()];
        await bus.subscribe([topic], "shared", { records: async (batch) => note(first, batch) });
        await bus.subscribe([topic], "shared", { records: async (batch) => note(second, batch) });
        await bus.subscribe([topic], "alone", { records: async (batch) => note(other, batch) });
        const keys = Array.from({ length: 64 }, (_, i) => `key ${i}`);
        await bus.publish(keys.map((key) => record(topic, key, "x")));
        await until(() => other.size === 64 && first.size + second.size === 64);
        assert.ok(first.size > 0 && second.size > 0, "both members of the group have work");
      });
    });

    test("a batch that is rejected comes again, before anything later of its key", async () => {
      await withBus(open, async (bus, topic) => {
        const seen: string[] = [];
        let failures = 3;
        await bus.subscribe([topic], "readers", {
          records: async (batch) => {
            if (failures-- > 0) throw new Error("not now");
            for (const { value } of batch) seen.push(fromUtf8(value));
          },
        });
        await bus.publish([record(topic, "a", "1"), record(topic, "a", "2")]);
        await bus.publish([record(topic, "a", "3")]);
        await until(() => seen.length >= 3);
        assert.deepEqual(seen.slice(-3), ["1", "2", "3"]);
      });
    });

    test("a subscriber is told what is its own, and a key is the same subscriber's in all topics", async () => {
      await withBus(open, async (bus, topic) => {
        const topics = [`${topic} one`, `${topic} two`];
        const seen = [new Map<string, string[]>(), new Map<string, string[]>()];
        const told: Keys[][] = [[], []];
        const join = (index: number) =>
          bus.subscribe(topics, "readers", {
            records: async (batch) => note(seen[index] as Map<string, string[]>, batch),
            assigned: (keys) => void told[index]?.push(keys),
          });
        const subscriptions = [await join(0), await join(1)];
        const keys = Array.from({ length: 64 }, (_, i) => `key ${i}`);
        for (const key of keys) assert.equal(subscriptions.filter(({ owns }) => owns(key)).length, 1, `${key} is one subscriber's`);
        for (const [index, { owns }] of subscriptions.entries())
          for (const key of keys.filter(owns))
            assert.ok(
              told[index]?.some((theirs) => theirs(key)),
              `${key} was assigned`,
            );
        for (const each of topics) await bus.publish(keys.map((key) => record(each, key, each)));
        await until(() => (seen[0]?.size ?? 0) + (seen[1]?.size ?? 0) === 64);
        await until(() => seen.every((of) => [...of.values()].every((values) => values.length === 2)));
      });
    });

    test("what is handed over is taken in order, and refused while nobody reads it", async () => {
      await withBus(open, async (bus, topic) => {
        const batch = ["1", "2", "3"].map((value) => record(topic, "a", value));
        await assert.rejects(bus.handOver(batch), { code: "bus.unread", kind: "unavailable" });
        const seen = new Map<string, string[]>();
        let failures = 1;
        const reader = await bus.subscribe([topic], "readers", {
          records: async (some) => {
            if (failures-- > 0) throw new Error("not now");
            note(seen, some);
          },
        });
        await bus.handOver(batch);
        await until(() => seen.get("a")?.length === 3);
        assert.deepEqual(seen.get("a"), ["1", "2", "3"]);
        await assert.rejects(bus.handOver([record(topic, "a", "4"), record(`${topic} other`, "a", "4")]), { code: "bus.unread" });
        await reader.close();
        await assert.rejects(bus.handOver(batch), { code: "bus.unread" });
        assert.equal(seen.get("a")?.length, 3);
      });
    });

    test("what a subscriber leaves behind goes to the others of its group", async () => {
      await withBus(open, async (bus, topic) => {
        const seen = new Map<string, string[]>();
        let revoked: Keys = () => false;
        const leaving = await bus.subscribe([topic], "readers", {
          records: async (batch) => note(seen, batch),
          revoked: async (gone) => {
            revoked = gone;
          },
        });
        await bus.subscribe([topic], "readers", { records: async (batch) => note(seen, batch) });
        const keys = Array.from({ length: 64 }, (_, i) => `key ${i}`);
        const owned = keys.filter((key) => leaving.owns(key));
        await leaving.close();
        assert.ok(owned.length > 0);
        assert.deepEqual(keys.filter(revoked), owned);
        assert.deepEqual(keys.filter(leaving.owns), []);
        await bus.publish(keys.map((key) => record(topic, key, "x")));
        await until(() => seen.size === 64);
      });
    });
  });
}

async function withBus(open: () => Promise<DurableBus>, work: (bus: DurableBus, topic: string) => Promise<void>): Promise<void> {
  const bus = await open();
  try {
    await work(bus, "contract");
  } finally {
    await bus.close();
  }
}

/** Some of all keys. */
type Keys = (key: string) => boolean;

const record = (topic: string, key: string, value: string): BusRecord => ({ topic, key, value: utf8(value) });

function note(seen: Map<string, string[]>, batch: readonly BusRecord[]): void {
  for (const { key, value } of batch) seen.set(key, [...(seen.get(key) ?? []), fromUtf8(value)]);
}

async function until(condition: () => boolean): Promise<void> {
  for (const started = Date.now(); !condition(); await sleep(2))
    if (Date.now() - started > WAIT_MS) assert.fail("the bus did not deliver in time");
}
