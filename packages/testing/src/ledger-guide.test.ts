// The CorDapp that docs/ledger.md is made of runs, and does what the page says.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CordappBundle, FlowDefinition, StateDefinition } from "@bowline/sdk";
import type { TSchema } from "typebox";
import { readGuide } from "./guide.ts";
import { createNetwork } from "./index.ts";

interface Guide {
  readonly cordapp: CordappBundle;
  readonly Bond: StateDefinition<TSchema>;
  readonly IssueBonds: FlowDefinition<TSchema>;
  readonly IssueMany: FlowDefinition<TSchema>;
  readonly SwapBonds: FlowDefinition<TSchema>;
  readonly ShowBond: FlowDefinition<TSchema>;
}

test("the page's CorDapp issues, ties together, and shows no more than it was asked to", async () => {
  const { cordapp, Bond, IssueBonds, ShowBond } = await readGuide<Guide>("ledger.md");
  const network = await createNetwork({ cordapps: [cordapp], members: ["Alice", "Bob", "Carol"], seed: 5 });
  const [alice, bob, carol] = [network.node("Alice"), network.node("Bob"), network.node("Carol")];
  const id = await alice.start(IssueBonds, { to: bob.name, amounts: [5, 7], bound: true } as never);
  await network.settle();
  const held = await bob.vault.find(Bond as never);
  assert.deepEqual(
    held.map(({ state, encumbrance }) => [(state.data as { amount: number }).amount, encumbrance]),
    [
      [5, "issue"],
      [7, "issue"],
    ],
  );
  assert.deepEqual(await alice.vault.find(Bond as never), [], "the issuer takes part, and does not see it as its own");
  const seen = await bob.start(ShowBond, { to: carol.name, id, amount: 7 } as never);
  assert.equal(seen, `7 of 2 bonds, accepted by ${network.notary}`);
  assert.deepEqual(await carol.vault.find(Bond as never), []);
  await assert.rejects(async () => alice.start(IssueBonds, { to: bob.name, amounts: [5], bound: true } as never), {
    type: "transaction.invalid",
    message: /encumbrance issue holds one output only/,
  });
});

for (const notary of [true, "verifying"] as const)
  test(`and the page's members swap bonds in a transaction that both have gathered${notary === true ? "" : ", where the notary verifies"}`, async () => {
    const { cordapp, Bond, IssueBonds, SwapBonds } = await readGuide<Guide>("ledger.md");
    const network = await createNetwork({ cordapps: [cordapp], members: ["Alice", "Bob", "Carol"], seed: 7, notary });
    const [alice, bob, carol] = [network.node("Alice"), network.node("Bob"), network.node("Carol")];
    await alice.start(IssueBonds, { to: bob.name, amounts: [5], bound: false } as never);
    await bob.start(IssueBonds, { to: carol.name, amounts: [5], bound: false } as never);
    await network.settle();
    const issuers = async () =>
      Promise.all([bob, carol].map(async ({ vault }) => (await vault.find(Bond as never)).map(({ state }) => state.data)));
    const [[before], [other]] = (await issuers()) as [[object], [object]];
    await carol.start(SwapBonds, { to: bob.name, amount: 5 } as never);
    await network.settle();
    const [[after], [another]] = (await issuers()) as [[{ issuer: string }], [{ issuer: string }]];
    assert.deepEqual([after.issuer, another.issuer], [(other as typeof after).issuer, (before as typeof after).issuer]);
    await assert.rejects(async () => carol.start(SwapBonds, { to: alice.name, amount: 5 } as never), /I have such a bond too/);
  });

test("and a member signs many transactions with one signature", async () => {
  const { cordapp, Bond, IssueMany } = await readGuide<Guide>("ledger.md");
  const network = await createNetwork({ cordapps: [cordapp], members: ["Alice"], seed: 9 });
  await network.node("Alice").start(IssueMany, { amounts: [1, 2, 3] } as never);
  const held = await network.node("Alice").vault.find(Bond as never);
  assert.deepEqual(held.map(({ state }) => (state.data as { amount: number }).amount).sort(), [1, 2, 3]);
});
