// Transactions that are signed at once, and one that two members gather, on bad days: messages are lost, processes die, and nothing
// is there twice or gone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { contract, cordapp, flow, responder, state, type TransactionBuilder, transaction } from "@bowline/sdk";
import { dataOf } from "@bowline/sdk/encoding";
import * as Type from "typebox";
import { type Network, simulate } from "./index.ts";

const Stamp = state({
  name: "Stamp",
  version: 1,
  contract: "StampContract",
  schema: Type.Object({ owner: Type.String(), picture: Type.String() }),
  participants: ({ owner }) => [owner],
});
const StampContract = contract({
  name: "StampContract",
  commands: { Print: Type.Object({}), Swap: Type.Object({}) },
  verify() {},
});
const SWAP = { name: "swap", versions: [1] };
const HOUR_MS = 3_600_000;

type Context = Parameters<typeof Print.call>[0];

async function begun(ctx: Context, command: "Print" | "Swap"): Promise<TransactionBuilder> {
  const [[notary], now] = [await ctx.notaries.all(), await ctx.now()];
  return transaction()
    .notary(notary?.name ?? "")
    .until(now + HOUR_MS)
    .command(StampContract, command);
}

const keyOf = async (ctx: Context, name: string = ctx.me): Promise<string> => (await ctx.members.lookup(name))?.ledgerKeys[0] ?? "";

/** With all stamps of this member, for the other. */
async function withAll(ctx: Context, builder: TransactionBuilder, other: string): Promise<TransactionBuilder> {
  const [mine, theirs] = [await keyOf(ctx), await keyOf(ctx, other)];
  const { states } = await ctx.vault.find(Stamp);
  return states.reduce((all, one) => all.input(one).output(Stamp, { ...dataOf(Stamp, one), owner: theirs }), builder.signedBy(mine));
}

const Print = flow({
  name: "Print",
  startable: true,
  input: Type.Object({ pictures: Type.Array(Type.String()) }),
  async call(ctx, { pictures }): Promise<void> {
    const owner = await keyOf(ctx);
    const print = (await begun(ctx, "Print")).signedBy(owner);
    const all = await ctx.ledger.signAll(pictures.map((picture) => print.output(Stamp, { owner, picture }).build()));
    for (const signed of all) await ctx.ledger.finalize(signed, []);
  },
});
const Swap = flow({
  name: "Swap",
  startable: true,
  initiates: SWAP,
  input: Type.Object({ with: Type.String() }),
  async call(ctx, { with: other }) {
    const offered = await withAll(ctx, await begun(ctx, "Swap"), other);
    const session = await ctx.initiate(other);
    const agreed = await ctx.ledger.sendAndReceiveTransactionBuilder(offered, session);
    await ctx.ledger.finalize(await ctx.ledger.sign(agreed.build()), [session]);
  },
});
const AnswerSwap = responder({
  name: "AnswerSwap",
  answers: SWAP,
  async call(ctx, session) {
    const offered = await ctx.ledger.receiveTransactionBuilder(session);
    await ctx.ledger.sendUpdatedTransactionBuilder(await withAll(ctx, offered, session.counterparty), session);
    await ctx.ledger.receiveFinality(session, () => {});
  },
});
const stamps = cordapp({ flows: [Print, Swap, AnswerSwap], states: [Stamp], contracts: [StampContract] });

const picturesOf = async (network: Network, name: string) =>
  (await network.node(name).vault.find(Stamp)).map(({ state: { data } }) => (data as { picture: string }).picture).sort();

for (const notary of [true, "verifying"] as const)
  test(`members swap all or nothing, come what may${notary === true ? "" : ", where the notary verifies"}`, () =>
    simulate({ cordapps: [stamps], members: ["Alice", "Bob"], notary, seeds: 25 }, async (network) => {
      const [alice, bob] = [network.node("Alice"), network.node("Bob")];
      await alice.start(Print, { pictures: ["anchor", "buoy"] });
      await bob.start(Print, { pictures: ["cleat"] });
      await network.settle();
      await alice.start(Swap, { with: bob.name });
      await network.settle();
      assert.deepEqual([await picturesOf(network, "Alice"), await picturesOf(network, "Bob")], [["cleat"], ["anchor", "buoy"]]);
    }));
