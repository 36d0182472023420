// The flows of all parties on a whole network in this process: the real engine, ledger and notary, in virtual time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cordapp, decimal, responder, transaction } from "@bowline/sdk";
import { crashEverywhere, createNetwork, type Network, type NetworkNode, simulate } from "@bowline/testing";
import * as Type from "typebox";
import { Cash, CashContract, type CashData } from "../contract/cash.ts";
import { cordapp as contracts } from "../contract/index.ts";
import { GetBalance, ListCash } from "./balances.ts";
import { cordapp as flows } from "./index.ts";
import { IssueCash } from "./issue-cash.ts";
import { CASH, PayCash } from "./pay-cash.ts";
import { RedeemCash } from "./redeem-cash.ts";
import { SwapCash } from "./swap-cash.ts";

const COMPANIES = { cordapps: [contracts, flows], members: ["Bank", "Alice", "Bob"] };
const [BANK, BOB] = ["O=Bank, L=London, C=GB", "O=Bob, L=London, C=GB"];
const EUR = { issuer: BANK, currency: "EUR" };

const partiesOf = (network: Network) => ({
  network,
  bank: network.node("Bank"),
  alice: network.node("Alice"),
  bob: network.node("Bob"),
});
type Parties = ReturnType<typeof partiesOf>;
const companies = async (): Promise<Parties> => partiesOf(await createNetwork(COMPANIES));

const issue = (bank: NetworkNode, to: NetworkNode, amount: string) => bank.start(IssueCash, { amount, currency: "EUR", to: to.name });
const pay = (payer: NetworkNode, amount: string) => payer.start(PayCash, { ...EUR, to: BOB, amount });

async function coinsOf(node: NetworkNode): Promise<readonly string[]> {
  const coins = await node.vault.find(Cash);
  return coins.map(({ state }) => state.data.amount).sort(decimal.compare);
}
const heldBy = async (node: NetworkNode): Promise<string> => decimal.sum(await coinsOf(node));

/** Issued to Alice, paid to Bob with change, redeemed by Bob in part. */
async function live({ network, bank, alice, bob }: Parties): Promise<void> {
  await issue(bank, alice, "100");
  await network.settle();
  const { change } = await pay(alice, "30.25");
  assert.equal(change, "69.75");
  await network.settle();
  assert.deepEqual([await coinsOf(alice), await coinsOf(bob)], [["69.75"], ["30.25"]]);
  await bob.start(RedeemCash, { ...EUR, amount: "30" });
  await network.settle();
  assert.deepEqual([await coinsOf(alice), await coinsOf(bob), await coinsOf(bank)], [["69.75"], ["0.25"], []]);
}

test("cash is issued, paid with change, and redeemed", async () => live(await companies()));

test("on every bad day too, and no cent comes or goes", () => simulate({ ...COMPANIES, seeds: 12 }, (network) => live(partiesOf(network))));

test("whichever moment a process dies at, a payment is made once", () =>
  crashEverywhere(COMPANIES, async (network) => {
    const { bank, alice, bob } = partiesOf(network);
    await issue(bank, alice, "10");
    await network.settle();
    await pay(alice, "4");
    await network.settle();
    assert.deepEqual([await coinsOf(alice), await coinsOf(bob)], [["6"], ["4"]]);
  }));

test("payments at the same moment take different coins, and all arrive", async () => {
  const { network, bank, alice, bob } = await companies();
  for (let i = 0; i < 8; i++) await issue(bank, alice, "10");
  await Promise.all(Array.from({ length: 8 }, () => pay(alice, "7.5")));
  await network.settle();
  assert.equal(await heldBy(bob), "60");
  assert.equal(await heldBy(alice), "20");
  assert.deepEqual(await alice.start(GetBalance, EUR), { total: "20", available: "20" });
});

test("payments wait for each other's change where coins are few", async () => {
  const { network, bank, alice, bob } = await companies();
  await issue(bank, alice, "10");
  await Promise.all(["1", "2", "3"].map((amount) => pay(alice, amount)));
  await network.settle();
  assert.deepEqual([await heldBy(alice), await heldBy(bob)], ["4", "6"]);
});

test("who has not enough pays nothing, and keeps all of it", async () => {
  const { bank, alice } = await companies();
  await issue(bank, alice, "10");
  await issue(bank, alice, "5");
  await assert.rejects(pay(alice, "15.01"), { type: "tokens.insufficient" });
  await assert.rejects(alice.start(PayCash, { ...EUR, currency: "USD", to: BOB, amount: "1" }), { type: "tokens.insufficient" });
  await assert.rejects(alice.start(PayCash, { ...EUR, issuer: BOB, to: BOB, amount: "1" }), { type: "tokens.insufficient" });
  assert.deepEqual(await alice.start(GetBalance, EUR), { total: "15", available: "15" });
});

test("what is no payment is refused with its reason", async () => {
  const { bank, alice } = await companies();
  await issue(bank, alice, "10");
  await assert.rejects(pay(alice, "0.00"), { type: "cash.amountInvalid" });
  await assert.rejects(pay(alice, "-1"), { type: "flow.invalidInput" });
  await assert.rejects(alice.start(PayCash, { ...EUR, to: alice.name, amount: "1" }), { type: "cash.ownPayee" });
  await assert.rejects(alice.start(PayCash, { ...EUR, to: "O=Dora, L=Madrid, C=ES", amount: "1" }), { type: "cash.partyUnknown" });
});

test("an issuer may hold its own cash, and takes it back by itself", async () => {
  const { bank } = await companies();
  await bank.start(IssueCash, { amount: "12.50", currency: "EUR" });
  await bank.start(IssueCash, { amount: "1", currency: "JPY" });
  assert.deepEqual(await bank.start(ListCash, {}), [
    { issuer: BANK, currency: "EUR", amount: "12.5", coins: 1 },
    { issuer: BANK, currency: "JPY", amount: "1", coins: 1 },
  ]);
  assert.equal((await bank.start(RedeemCash, { ...EUR, amount: "12.5" })).change, "0");
  assert.equal(await heldBy(bank), "1");
});

test("cash of two issuers is paid and counted apart", async () => {
  const { network, bank, alice, bob } = await companies();
  await issue(bank, alice, "3");
  await bob.start(IssueCash, { amount: "5", currency: "EUR", to: alice.name });
  await assert.rejects(pay(alice, "4"), { type: "tokens.insufficient" });
  await alice.start(PayCash, { ...EUR, issuer: BOB, to: BANK, amount: "4" });
  await network.settle();
  assert.deepEqual(await bank.start(ListCash, {}), [{ issuer: BOB, currency: "EUR", amount: "4", coins: 1 }]);
});

test("nobody accepts cash in a bank's name that the bank has not issued", async () => {
  const { alice, bob, network } = await companies();
  /** What Alice issues when nobody's flow but her own binds her. */
  const forge = (change: Partial<CashData>) =>
    alice.run({ initiates: CASH }, async (context) => {
      const me = { name: alice.name as string, key: alice.key };
      const forged = { issuer: me, owner: { name: BOB, key: bob.key }, amount: "1000", currency: "EUR", ...change };
      const proposal = transaction()
        .notary(network.notary as string)
        .until((await context.now()) + 60_000)
        .output(Cash, forged)
        .command(CashContract, "Issue")
        .signedBy(alice.key)
        .build();
      const session = await context.initiate(BOB);
      await context.ledger.finalize(await context.ledger.sign(proposal), [session]);
    });
  const refused = (reason: RegExp, change: Partial<CashData>) => assert.rejects(forge(change), { type: "cash.refused", message: reason });
  await refused(/not one of its ledger keys/, { issuer: { name: BANK, key: alice.key } });
  await refused(/not one of its ledger keys/, { owner: { name: BOB, key: alice.key } });
  await refused(/nothing in it for O=Bob/, { owner: { name: BANK, key: bob.key } });
  assert.deepEqual(await coinsOf(bob), []);
});

const SHOP = "O=Shop, L=London, C=GB";
const SWAPPERS = { ...COMPANIES, members: [...COMPANIES.members, "Shop"] };

/** Alice has 10 of the bank's and Bob 8 of the shop's; they swap 6. */
async function swap(network: Network): Promise<void> {
  const { bank, alice, bob } = partiesOf(network);
  await issue(bank, alice, "10");
  await network.node("Shop").start(IssueCash, { amount: "8", currency: "EUR", to: BOB });
  await network.settle();
  await alice.start(SwapCash, { with: BOB, give: BANK, take: SHOP, amount: "6", currency: "EUR" });
  await network.settle();
  const held = async (node: NetworkNode) => (await node.start(ListCash, {})).map(({ issuer, amount }) => `${amount} of ${issuer}`);
  assert.deepEqual(await held(alice), [`4 of ${BANK}`, `6 of ${SHOP}`]);
  assert.deepEqual(await held(bob), [`6 of ${BANK}`, `2 of ${SHOP}`]);
}

test("two owners swap cash of two issuers, each with its change", async () => swap(await createNetwork(SWAPPERS)));

test("on every bad day either both have what they wanted or nobody has given", () => simulate({ ...SWAPPERS, seeds: 12 }, swap));

test("what is not there is not swapped", async () => {
  const network = await createNetwork(SWAPPERS);
  const { bank, alice } = partiesOf(network);
  await issue(bank, alice, "10");
  await network.settle();
  const asked = { with: BOB, give: BANK, take: SHOP, amount: "6", currency: "EUR" };
  await assert.rejects(alice.start(SwapCash, asked), { message: /are needed/ });
  await assert.rejects(alice.start(SwapCash, { ...asked, take: BANK }), { type: "cash.swapEmpty" });
  assert.equal(await heldBy(alice), "10");
});

test("nobody is given its own coins for others", async () => {
  let coin = "";
  /** The shop knows the coin that it has issued to Alice, and puts that in. */
  const Cheat = responder({
    name: "com.example.cash.Cheat",
    answers: { name: "com.example.cash.swap", versions: [1] },
    async call(context, session) {
      await session.receive(Type.String());
      const offer = await context.ledger.receiveTransactionBuilder(session);
      const [hers] = await context.vault.resolve([coin]);
      const data = hers?.state.data as unknown as CashData;
      await context.ledger.sendUpdatedTransactionBuilder(offer.input(coin).output(Cash, data), session);
      await context.ledger.receiveFinality(session, () => {});
    },
  });
  const shop = { name: "Shop", cordapps: [contracts, cordapp({ flows: [IssueCash, Cheat], states: [], contracts: [] })] };
  const network = await createNetwork({ ...COMPANIES, members: [...COMPANIES.members, shop] });
  const { bank, alice } = partiesOf(network);
  await issue(bank, alice, "10");
  const { transaction: id } = await network.node("Shop").start(IssueCash, { amount: "6", currency: "EUR", to: alice.name });
  coin = `${id}:0`;
  await network.settle();
  const swapped = alice.start(SwapCash, { with: SHOP, give: BANK, take: SHOP, amount: "6", currency: "EUR" });
  await assert.rejects(swapped, { type: "cash.refused", message: /puts in what is not its own/ });
  assert.equal(await heldBy(alice), "16");
});
