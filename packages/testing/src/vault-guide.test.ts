// The CorDapp that docs/vault.md is made of runs, and does what the page says.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CordappBundle, FlowDefinition } from "@bowline/sdk";
import type { TSchema } from "typebox";
import { readGuide } from "./guide.ts";
import { createNetwork } from "./index.ts";

interface Guide {
  readonly cordapp: CordappBundle;
  readonly WriteInvoices: FlowDefinition<TSchema>;
  readonly RateCustomer: FlowDefinition<TSchema>;
  readonly Remind: FlowDefinition<TSchema>;
  readonly Balance: FlowDefinition<TSchema>;
}

test("the page's CorDapp finds what is overdue, page by page, and what is owed in all", async () => {
  const { cordapp, WriteInvoices, RateCustomer, Remind, Balance } = await readGuide<Guide>("vault.md");
  const network = await createNetwork({ cordapps: [cordapp], members: ["Alice", "Bob"], seed: 5 });
  const alice = network.node("Alice");
  const invoice = (number: number, customer: string, amount: string, due: number) => ({ number: `${number}`, customer, amount, due });
  const first = Array.from({ length: 4 }, (_, i) => invoice(i, i % 2 === 0 ? "c1" : "c2", "10.50", 10 - i));
  await alice.start(WriteInvoices, [...first, invoice(4, "c3", "0.01", 1)] as never);
  await alice.start(WriteInvoices, [invoice(5, "c1", "1", 99)] as never);
  for (const [id, name, rating] of [
    ["c1", "Ada", 1],
    ["c2", "Bea", 2],
    ["c3", "Cid", 3],
  ] as const)
    await alice.start(RateCustomer, { id, name, rating } as never);
  assert.deepEqual(await alice.start(Remind, { before: 50, rating: 2 } as never), ["3 of Bea", "2 of Ada", "1 of Bea", "0 of Ada"]);
  assert.deepEqual(await alice.start(Remind, { before: 10, rating: 9 } as never), ["4 of Cid", "3 of Bea", "2 of Ada", "1 of Bea"]);
  assert.equal(await alice.start(Balance, { customer: "c1" } as never), "22");
  assert.equal(await alice.start(Balance, { customer: "nobody" } as never), "0");
  assert.deepEqual(await network.node("Bob").start(Remind, { before: 50, rating: 2 } as never), [], "a query sees its own vault alone");
});
