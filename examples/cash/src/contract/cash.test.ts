import assert from "node:assert/strict";
import { test } from "node:test";
import { type Data, decimal, type StateAndRef, type TransactionView } from "@bowline/sdk";
import fc from "fast-check";
import { Cash, CashContract, type CashData } from "./cash.ts";
import { cordapp } from "./index.ts";

const party = (name: string) => ({ name: `O=${name}, L=London, C=GB`, key: `KEY-${name}` });
const [bank, alice, bob] = [party("Bank"), party("Alice"), party("Bob")];
const cash = (amount: string, change: Partial<CashData> = {}): CashData => ({
  issuer: bank,
  owner: alice,
  amount,
  currency: "EUR",
  ...change,
});

/** The rules that a change breaks. */
function broken(command: string, before: readonly CashData[], after: readonly CashData[], signed: readonly { key: string }[]): string {
  const states = (all: readonly CashData[]): StateAndRef[] =>
    all.map((data, index) => ({
      ref: `SHA-256:00:${index}`,
      state: { type: Cash.name, version: 1, contract: CashContract.name, data },
      notary: "O=Notary Service, L=Zurich, C=CH" as StateAndRef["notary"],
    }));
  const transaction: TransactionView = {
    id: "SHA-256:00",
    notary: "O=Notary Service, L=Zurich, C=CH" as TransactionView["notary"],
    timeWindow: { until: 1 },
    inputs: states(before),
    references: [],
    outputs: states(after),
    commands: [{ type: command, contract: CashContract.name, data: {} }],
    signatories: signed.map(({ key }) => key),
  };
  const violations = cordapp.verify(structuredClone(transaction) as unknown as Data, [CashContract.name]);
  return violations.map(({ failure }) => failure.details?.["rules"] ?? failure.type).join(" ");
}

test("cash is issued by its issuer, paid by its owner, and redeemed by both", () => {
  assert.equal(broken("Issue", [], [cash("10")], [bank]), "");
  assert.equal(broken("Pay", [cash("10"), cash("5.5")], [cash("12", { owner: bob }), cash("3.5")], [alice]), "");
  assert.equal(broken("Redeem", [cash("10")], [cash("2.5")], [alice, bank]), "");
});

test("nobody makes cash, takes it, or gives it another name", () => {
  assert.equal(broken("Issue", [], [cash("10")], [alice]), "issuable.createUnsigned");
  assert.equal(broken("Pay", [cash("10")], [cash("10", { owner: bob })], [bob]), "ownable.ownerUnsigned");
  assert.equal(broken("Redeem", [cash("10")], [], [bank]), "ownable.ownerUnsigned");
  assert.equal(broken("Redeem", [cash("10")], [], [alice]), "issuable.deleteUnsigned");
  const renamed = cash("10", { issuer: { ...bank, name: bob.name } });
  assert.equal(broken("Pay", [cash("10")], [renamed], [alice]), "fungible.notConserved");
  assert.equal(broken("Pay", [cash("10")], [cash("10", { currency: "USD" })], [alice]), "fungible.notConserved");
  assert.equal(broken("Issue", [], [cash("10.0")], [bank]), "state.invalid", "equal amounts are equal text");
});

test("of any payment, no more and no less comes out than goes in", () => {
  const cents = fc.bigInt({ min: 1n, max: 10n ** 12n });
  const written = (unscaled: bigint) => decimal.format({ unscaled, scale: 2 });
  fc.assert(
    fc.property(fc.array(cents, { minLength: 1, maxLength: 8 }), cents, fc.constantFrom(0n, 1n), (coins, asked, extra) => {
      const whole = coins.reduce((sum, coin) => sum + coin, 0n);
      const paid = asked % whole || whole;
      const change = whole - paid + extra;
      const after = [cash(written(paid), { owner: bob }), ...(change > 0n ? [cash(written(change))] : [])];
      const expected = extra === 0n ? "" : "fungible.notConserved";
      assert.equal(
        broken(
          "Pay",
          coins.map((coin) => cash(written(coin))),
          after,
          [alice],
        ),
        expected,
      );
    }),
  );
});

test("its owner sees it, and it is claimed by issuer, currency and owner", () => {
  const { participants, token } = cordapp.describeState({ type: Cash.name, data: cash("12.5") });
  assert.deepEqual(participants, [alice.key]);
  assert.equal(token?.amount, "12.5");
  assert.equal(token?.symbol, "EUR");
  assert.notEqual(token?.issuer, token?.owner);
});
