// Changes of a vault while many workers commit to it at once, slowly: whoever reads on from where it was is told each, once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ShortHash } from "@bowline/base";
import { vaultStore } from "@bowline/ledger";
import { changesOf, MAC_KEY, manyIssues, sample } from "@bowline/ledger/contract";
import { testDatabase } from "./adapters/test-postgres.ts";
import { createVaultChanges } from "./roles/vault-changes.ts";

const MIGRATIONS = [new URL("../../flow/sql/vault", import.meta.url), new URL("../../ledger/sql/vault", import.meta.url)];
const WORKERS = 4;

test("a commit that ends late is not passed over by who has seen a later one's beginning", async (t) => {
  const database = await testDatabase(t, MIGRATIONS);
  const store = vaultStore({ macKey: MAC_KEY });
  const commits = manyIssues(await sample(), 60);
  let working = WORKERS;
  const todo = [...commits];
  const work = async (): Promise<void> => {
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
      const write = [next];
      const aborted = Math.random() < 0.2;
      const done = database.transaction(async (sql) => {
        await store.applyVaultWrites(sql, write);
        await sleep(Math.random() * 20);
        if (aborted) throw new Error("its process died");
      });
      if (aborted) {
        await assert.rejects(done);
        todo.push(next);
      } else await done;
    }
    working--;
  };
  const workers = Array.from({ length: WORKERS }, work);
  const seen: string[] = [];
  const positions: number[] = [];
  for (let [after, more] = [0, true]; more; ) {
    more = working > 0;
    const page = await changesOf({ read: (read) => store.readVault(database.sql, read) }, after, { limit: 3 });
    seen.push(...page.changes.map(({ kind, ref }) => `${kind} ${ref}`));
    positions.push(...page.changes.map(({ position }) => position));
    more ||= page.changes.length > 0;
    assert.ok(page.next >= after);
    after = page.next;
  }
  await Promise.all(workers);
  assert.equal(new Set(seen).size, seen.length, "none twice");
  assert.equal(seen.length, commits.length, "none is missing");
  assert.deepEqual(
    positions,
    [...positions].sort((a, b) => a - b),
  );
});

test("who waits is told at a commit of this process, or finds another's, or hears after a while that there is none", async () => {
  let now = 0;
  const timers = new Set<{ readonly at: number; readonly work: () => void }>();
  const clock = {
    now: () => now,
    after(delayMs: number, work: () => void) {
      const timer = { at: now + delayMs, work };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const elapse = async (ms: number) => {
    for (const end = now + ms; now < end; now += 10) {
      for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.work();
      await new Promise(setImmediate);
    }
  };
  let head = 0;
  const vnode = "AAAAAAAAAAAA" as ShortHash;
  const changes = createVaultChanges(clock, async ({ read }) => {
    assert.equal(read.kind, "changes");
    const after = "after" in read ? (read.after ?? head) : 0;
    return { changes: head > after ? [{ position: head }] : [], next: head } as never;
  });
  const ask = (after: number | null, waitMs?: number) => changes.changes({ vnode, after, ...(waitMs === undefined ? {} : { waitMs }) });
  assert.deepEqual(await ask(0), { changes: [], next: 0 });
  assert.deepEqual(await ask(null, 1_000), { changes: [], next: 0 }, "where the vault is, is known at once");
  const told = ask(0, 10_000);
  await elapse(500);
  head = 1;
  changes.committed(vnode);
  assert.equal((await told).next, 1);
  const found = ask(1, 10_000);
  await elapse(500);
  head = 2;
  await elapse(2_500);
  assert.equal((await found).next, 2);
  const nothing = ask(2, 1_000);
  await elapse(1_200);
  assert.deepEqual(await nothing, { changes: [], next: 2 });
  assert.equal(timers.size, 0, "nobody waits any more");
});
