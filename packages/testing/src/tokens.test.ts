// Tokens as flows use them, on a network of the kit; and the examples of docs/tokens.md, which stand in here word for word.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { contract, cordapp, decimal, FlowError, flow, requireThat, responder, type StateAndRef, state, transaction } from "@bowline/sdk";
import { digest } from "@bowline/sdk/crypto";
import * as Type from "typebox";
import { createNetwork } from "./index.ts";

const MINUTES = 30 * 60_000;

const Cash = state({
  name: "com.example.Cash",
  version: 1,
  contract: "com.example.CashContract",
  schema: Type.Object({ issuer: Type.String(), owner: Type.String(), currency: Type.String(), amount: Type.String() }),
  participants: ({ owner }) => [owner],
  token: ({ issuer, owner, currency, amount }) => ({ issuer, symbol: currency, amount, owner: digest.hash(owner) }),
});

const sumOf = (states: readonly StateAndRef[]) =>
  decimal.sum(states.map(({ state: { data } }) => (data as Type.Static<typeof Cash.schema>).amount));

const CashContract = contract({
  name: "com.example.CashContract",
  commands: { Issue: Type.Object({}), Pay: Type.Object({}) },
  verify({ inputs, outputs, commands }) {
    if (commands[0]?.type === "Pay") requireThat(decimal.equals(sumOf(inputs), sumOf(outputs)), "a payment neither makes nor destroys");
  },
});

const PAYMENT = { name: "com.example.pay", versions: [1] };
const Pool = { tokenType: Cash.name, issuer: "the mint", symbol: "EUR" };

const Issue = flow({
  name: "Issue",
  startable: true,
  input: Type.Object({ amounts: Type.Array(Type.String()) }),
  async call(context, { amounts }) {
    const [notary] = await context.notaries.all();
    const owner = (await context.members.mine()).ledgerKeys[0] as string;
    let draft = transaction()
      .notary(notary?.name as string)
      .until((await context.now()) + MINUTES)
      .command(CashContract, "Issue")
      .signedBy(owner);
    for (const amount of amounts) draft = draft.output(Cash, { issuer: Pool.issuer, owner, currency: Pool.symbol, amount });
    await context.ledger.finalize(await context.ledger.sign(draft.build()), []);
    return null;
  },
});

const Pay = flow({
  name: "Pay",
  startable: true,
  initiates: PAYMENT,
  input: Type.Object({ to: Type.String(), amount: Type.String() }),
  async call(context, { to, amount }) {
    const [[notary], mine, payee] = await Promise.all([context.notaries.all(), context.members.mine(), context.members.lookup(to)]);
    if (notary === undefined || payee === undefined) throw new FlowError("example.unknown", "There is no notary, or no such member.");
    const me = mine.ledgerKeys[0] as string;
    const pool = { ...Pool, notary: notary.name };
    return context.tokens.spend({ ...pool, amount }, async (claim) => {
      const change = decimal.subtract(claim.amount, amount);
      let draft = transaction()
        .notary(pool.notary)
        .until((await context.now()) + MINUTES)
        .input(...claim.refs)
        .output(Cash, { issuer: pool.issuer, currency: pool.symbol, owner: payee.ledgerKeys[0] as string, amount })
        .command(CashContract, "Pay")
        .signedBy(me);
      if (decimal.isPositive(change)) draft = draft.output(Cash, { issuer: pool.issuer, currency: pool.symbol, owner: me, amount: change });
      const session = await context.initiate(payee.name);
      return (await context.ledger.finalize(await context.ledger.sign(draft.build()), [session])).id;
    });
  },
});

const Receive = responder({
  name: "Receive",
  answers: PAYMENT,
  async call(context, session) {
    await context.ledger.receiveFinality(session, () => {});
  },
});

const Balance = flow({
  name: "Balance",
  startable: true,
  input: Type.Null(),
  async call(context) {
    const [notary] = await context.notaries.all();
    return context.tokens.balance({ ...Pool, notary: notary?.name as string });
  },
});

/** Spends, without asking, what another has claimed; then pays with it all the same. */
const Overtaken = flow({
  name: "Overtaken",
  startable: true,
  input: Type.Object({ attemptsMax: Type.Integer() }),
  async call(context, { attemptsMax }) {
    const [notary] = await context.notaries.all();
    const owner = (await context.members.mine()).ledgerKeys[0] as string;
    const merge = async (refs: readonly string[], amount: string) => {
      const draft = transaction()
        .notary(notary?.name as string)
        .until((await context.now()) + MINUTES)
        .input(...refs)
        .output(Cash, { issuer: Pool.issuer, owner, currency: Pool.symbol, amount })
        .command(CashContract, "Pay")
        .signedBy(owner);
      await context.ledger.finalize(await context.ledger.sign(draft.build()), []);
    };
    const tried: string[] = [];
    await context.tokens.spend(
      { ...Pool, notary: notary?.name as string, amount: "1" },
      async (claim) => {
        tried.push(...claim.refs);
        if (tried.length === 1) await merge(claim.refs, claim.amount);
        await merge(claim.refs, claim.amount);
      },
      { attemptsMax },
    );
    return tried.length;
  },
});

const app = cordapp({ flows: [Issue, Pay, Receive, Balance, Overtaken], states: [Cash], contracts: [CashContract] });
const network = () => createNetwork({ cordapps: [app], members: ["Alice", "Bob"] });

test("payments that are made at once spend different states, and nothing is lost", async () => {
  const kit = await network();
  const [alice, bob] = [kit.node("Alice"), kit.node("Bob")];
  await alice.start(Issue, { amounts: Array.from({ length: 8 }, () => "10.00") });
  const paid = Array.from({ length: 8 }, (_, i) => alice.start(Pay, { to: bob.name, amount: `${i + 1}.5` }));
  await Promise.all(paid);
  assert.deepEqual(await bob.start(Balance, null), { total: "40", available: "40" });
  assert.deepEqual(await alice.start(Balance, null), { total: "40", available: "40" });
  await bob.start(Pay, { to: alice.name, amount: "39.99" });
  assert.deepEqual(await bob.start(Balance, null), { total: "0.01", available: "0.01" });
});

test("who finds too little claimed by others waits for them; who has too little is told", async () => {
  const kit = await network();
  const [alice, bob] = [kit.node("Alice"), kit.node("Bob")];
  await alice.start(Issue, { amounts: ["10"] });
  const both = [alice.start(Pay, { to: bob.name, amount: "2" }), alice.start(Pay, { to: bob.name, amount: "3" })];
  await Promise.all(both);
  assert.deepEqual(await bob.start(Balance, null), { total: "5", available: "5" });
  await assert.rejects(alice.start(Pay, { to: bob.name, amount: "5.01" }), {
    type: "tokens.insufficient",
    details: { needed: "5.01", total: "5", available: "5" },
  });
});

test("what the notary calls spent is left, and others are taken in its place", async () => {
  const kit = await network();
  const alice = kit.node("Alice");
  await alice.start(Issue, { amounts: ["1", "1"] });
  assert.equal(await alice.start(Overtaken, { attemptsMax: 8 }), 2);
  await assert.rejects(alice.start(Overtaken, { attemptsMax: 1 }), { type: "notary.inputStateConflict" });
});

test("criteria that make no sense are the flow's failure", async () => {
  const kit = await network();
  await assert.rejects(kit.node("Alice").start(Pay, { to: kit.node("Bob").name, amount: "0" }), { type: "tokens.badCriteria" });
});

test("a state that says nonsense of its worth is refused before anybody signs it", async () => {
  const kit = await network();
  for (const amount of ["-1", "0", "1".repeat(31)])
    await assert.rejects(kit.node("Alice").start(Issue, { amounts: [amount] }), { type: "verification.packageFailed" });
});

test("the examples of docs/tokens.md are those of this file", async () => {
  const [doc, here] = await Promise.all([
    readFile(new URL("../../../docs/tokens.md", import.meta.url), "utf8"),
    readFile(new URL(import.meta.url), "utf8"),
  ]);
  const examples = [...doc.matchAll(/```ts\n(.*?)```/gs)].map(([, code = ""]) => code);
  assert.equal(examples.length, 2);
  for (const example of examples) assert.ok(here.includes(example), example);
});
