// How many commits a finality takes, of each member, when nothing goes wrong: each is a wait for the disk. A number that rises is a
// regression; one that falls is to be written down here.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@bowline/base";
import { NO_FAULTS, World } from "@bowline/testing/world";
import { type Deed, deedInput } from "./deeds.ts";
import { simulated } from "./flows.ts";

const [ALICE, BOB, NOTARY] = ["Alice", "Bob", "Notary"].map((name) => parseName(`O=${name}, L=London, C=GB`));
const MANNER = { window: "wide", observers: [], cosigned: false, refusedBy: [], refers: false } as const;

/** Commits of each member until nobody has anything left to do. */
async function commitsOf(deeds: readonly Deed[], verifies = false): Promise<readonly Readonly<Record<string, number>>[]> {
  assert.ok(ALICE !== undefined && BOB !== undefined && NOTARY !== undefined);
  const world = await World.create({
    seed: 1,
    startsAt: Date.UTC(2030, 0, 1),
    members: [ALICE, BOB, NOTARY].map((name) => ({ name, cordapps: name === NOTARY ? [] : [simulated], isNotary: name === NOTARY })),
    faults: NO_FAULTS,
    notary: { verifies, signaturesRequired: 1 },
  });
  const counts: Record<string, number>[] = [];
  world.onCommit = (member) => {
    const now = counts.at(-1) as Record<string, number>;
    const name = member.slice(2, member.indexOf(","));
    now[name] = (now[name] ?? 0) + 1;
  };
  for (const [index, deed] of deeds.entries()) {
    counts.push({});
    const bundle = world.place(ALICE).party.packages[0]?.fileChecksum;
    assert.ok(bundle !== undefined);
    const { row } = (await world.start(ALICE, {
      flowName: "sim.Do",
      bundle,
      input: deedInput(deed),
      requestId: String(index),
      begins: true,
    })) as {
      readonly row: { readonly id: string };
    };
    assert.ok(await world.time.wait(() => world.isAtRest(row.id) && world.time.quietMs > 10_000));
    assert.deepEqual((await world.place(ALICE).storage.flows.byId(row.id))?.outcome, { ok: ["done"] });
  }
  await world.close();
  return counts;
}

const issue: Deed = { deed: "issue", symbol: "EUR", amounts: [9], to: String(ALICE), partner: null, bound: false, manner: MANNER };
const pay = (cosigned: boolean, amount: number): Deed => ({
  deed: "pay",
  symbol: "EUR",
  amount,
  to: String(BOB),
  by: "claim",
  manner: { ...MANNER, cosigned },
});

test("a transaction of one member, one whose history the other has to fetch first, and one that both sign", async () => {
  assert.deepEqual(await commitsOf([issue, pay(false, 2), pay(true, 2)]), [
    { Alice: 2, Notary: 1 },
    { Alice: 4, Bob: 5, Notary: 1 },
    { Alice: 3, Bob: 2, Notary: 1 },
  ]);
});

test("the same where the notary verifies, and nobody fetches a history", async () => {
  assert.deepEqual(await commitsOf([issue, pay(false, 2), pay(true, 2)], true), [
    { Alice: 2, Notary: 1 },
    { Alice: 4, Bob: 2, Notary: 1 },
    { Alice: 5, Bob: 2, Notary: 1 },
  ]);
});
