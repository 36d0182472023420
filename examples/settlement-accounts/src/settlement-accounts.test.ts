import assert from "node:assert/strict";
import { test } from "node:test";
import { createNetwork, seconds, simulate } from "@bowline/testing";
import { ACCOUNTS, ListAccounts, PublishAccount } from "./accounts.ts";
import { Payment } from "./entities.ts";
import { cordapp } from "./index.ts";
import { InstructPayment, ListPayments } from "./payments.ts";

const COMPANIES = { cordapps: [cordapp], members: ["Alice", "Bob", "Carol"], notary: false };
const [ALICE, BOB] = ["O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"];
const EUR = { currency: "EUR", iban: "DE89370400440532013000" };
const terms = { creditor: BOB, currency: "EUR", reference: "INV-1", amount: 12_050 };

test("who was told pays to the account, and both keep the payment", async () => {
  const network = await createNetwork(COMPANIES);
  const [alice, bob] = [network.node("Alice"), network.node("Bob")];
  await assert.rejects(alice.start(InstructPayment, terms), { type: "accounts.unknown" });
  await bob.start(PublishAccount, { ...EUR, bank: { name: "Bank", city: "Berlin" }, tell: [ALICE] });
  const payment = await alice.start(InstructPayment, { ...terms, note: "thank you" });
  assert.equal(payment.iban, EUR.iban);
  for (const node of [alice, bob]) assert.deepEqual(await node.start(ListPayments, { creditor: BOB }), { payments: [payment], next: null });
  assert.deepEqual(await alice.start(ListAccounts, { currency: "EUR" }), [{ ...EUR, owner: BOB, bank: { name: "Bank", city: "Berlin" } }]);
  assert.deepEqual(await network.node("Carol").start(ListAccounts, { currency: "EUR" }), []);
});

test("an account that moves is replaced; a reference is used once", async () => {
  const network = await createNetwork(COMPANIES);
  const [alice, bob] = [network.node("Alice"), network.node("Bob")];
  for (const iban of [EUR.iban, "FR7630006000011234567890189"]) await bob.start(PublishAccount, { ...EUR, iban, tell: [ALICE] });
  assert.equal((await alice.start(InstructPayment, terms)).iban, "FR7630006000011234567890189");
  await assert.rejects(alice.start(InstructPayment, { ...terms, amount: 1 }), { type: "payments.referenceUsed" });
  assert.deepEqual(
    (await alice.start(ListPayments, { creditor: BOB })).payments.map(({ amount }) => amount),
    [12_050],
  );
});

test("nobody says where somebody else is to be paid", async () => {
  const network = await createNetwork(COMPANIES);
  const lie = network.node("Carol").run({ initiates: ACCOUNTS }, async (context) => {
    const session = await context.initiate(ALICE);
    await session.send({ ...EUR, owner: BOB });
    await session.receive(PublishAccount.output ?? PublishAccount.input);
  });
  await assert.rejects(lie, { message: /may not say where/ });
  assert.deepEqual(await network.node("Alice").start(ListAccounts, { currency: "EUR" }), []);
});

test("payments are listed newest first, page by page, whatever comes in between", async () => {
  const network = await createNetwork(COMPANIES);
  const [alice, bob] = [network.node("Alice"), network.node("Bob")];
  await bob.start(PublishAccount, { ...EUR, tell: [ALICE] });
  const pay = async (reference: string) => {
    await alice.start(InstructPayment, { ...terms, reference });
    await network.advance(seconds(1));
  };
  for (let i = 0; i < 5; i++) await pay(`INV-${i}`);
  const first = await bob.start(ListPayments, { creditor: BOB, limit: 2 });
  await pay("INV-5");
  const second = await bob.start(ListPayments, { creditor: BOB, limit: 2, after: first.next ?? "" });
  const third = await bob.start(ListPayments, { creditor: BOB, limit: 2, after: second.next ?? "" });
  assert.deepEqual(
    [first, second, third].flatMap(({ payments }) => payments.map(({ reference }) => reference)),
    ["INV-4", "INV-3", "INV-2", "INV-1", "INV-0"],
  );
  assert.equal(third.next, null);
});

test("a flow sees what it wrote, and a refused write takes back only what came after the last wait", async () => {
  const network = await createNetwork(COMPANIES);
  const alice = network.node("Alice");
  const row = (reference: string) => ({ ...terms, debtor: ALICE, reference, iban: EUR.iban, instructedAt: 0 });
  const seen = await alice.run({}, async ({ persistence }) => {
    await persistence.persist(Payment, [row("a"), row("b")]);
    const before = (await persistence.findAll(Payment)).items.length;
    await persistence.remove(Payment, row("a"));
    await persistence.persist(Payment, row("c"));
    const refusal = await persistence.persist(Payment, row("b")).then(
      async () => (await persistence.findAll(Payment)).items.length.toString(),
      (thrown: { type: string }) => thrown.type,
    );
    const keys = ["a", "b", "c"].map((reference) => ({ debtor: ALICE, reference }));
    return { before, refusal, after: (await persistence.findMany(Payment, keys)).map(({ reference }) => reference) };
  });
  assert.deepEqual(seen, { before: 2, refusal: "persistence.exists", after: ["b", "c"] });
});

test("on every bad day a reference is one payment, at both", () =>
  simulate({ ...COMPANIES, seeds: 50 }, async (network) => {
    const [alice, bob] = [network.node("Alice"), network.node("Bob")];
    await bob.start(PublishAccount, { ...EUR, tell: [ALICE] });
    const tries = await Promise.allSettled([1, 2, 3].map((amount) => alice.start(InstructPayment, { ...terms, amount })));
    assert.deepEqual(tries.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected"]);
    await network.settle();
    for (const node of [alice, bob]) assert.equal((await node.start(ListPayments, { creditor: BOB })).payments.length, 1);
  }));
