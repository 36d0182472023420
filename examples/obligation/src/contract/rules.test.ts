import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data, StateAndRef, TransactionView } from "@bowline/sdk";
import { cordapp } from "./index.ts";
import { OBLIGATION, OBLIGATION_CONTRACT, type ObligationData } from "./obligation.ts";

const alice = { name: "O=Alice, L=London, C=GB", key: "KEY-A" };
const bob = { name: "O=Bob, L=Paris, C=FR", key: "KEY-B" };
const charlie = { name: "O=Charlie, L=Berlin, C=DE", key: "KEY-C" };
const owed: ObligationData = {
  id: "AL-1",
  debtor: alice,
  creditor: bob,
  amount: { value: "120.50", currency: "EUR" },
  remaining: "120.50",
  dueDate: "2035-06-30",
};

interface Change {
  readonly command: string;
  readonly data?: Data;
  readonly before?: readonly ObligationData[];
  readonly after?: readonly ObligationData[];
  readonly signed?: readonly string[];
  readonly until?: number;
  readonly commands?: number;
}

const issue = { command: "Issue", after: [owed], signed: ["KEY-A", "KEY-B"] } satisfies Change;
const transfer = {
  command: "Transfer",
  before: [owed],
  after: [{ ...owed, creditor: charlie }],
  signed: ["KEY-A", "KEY-B", "KEY-C"],
} satisfies Change;
const settle = {
  command: "Settle",
  data: { amount: "20.50" },
  before: [owed],
  after: [{ ...owed, remaining: "100.00" }],
  signed: ["KEY-A", "KEY-B"],
} satisfies Change;

/** The rules that a change breaks, as the platform is told. */
function broken({
  command,
  data = {},
  before = [],
  after = [],
  signed = [],
  until = Date.UTC(2035, 0, 1),
  commands = 1,
}: Change): readonly string[] {
  const states = (all: readonly ObligationData[]): StateAndRef[] =>
    all.map((each, index) => ({
      ref: `SHA-256:00:${index}`,
      state: { type: OBLIGATION, version: 1, contract: OBLIGATION_CONTRACT, data: each },
      notary: "O=Notary Service, L=Zurich, C=CH" as StateAndRef["notary"],
    }));
  const transaction: TransactionView = {
    id: "SHA-256:00",
    notary: "O=Notary Service, L=Zurich, C=CH" as TransactionView["notary"],
    timeWindow: { until },
    inputs: states(before),
    references: [],
    outputs: states(after),
    commands: Array.from({ length: commands }, () => ({ type: command, contract: OBLIGATION_CONTRACT, data })),
    signatories: signed,
  };
  return cordapp.verify(structuredClone(transaction) as unknown as Data, [OBLIGATION_CONTRACT]).map(({ failure }) => failure.message);
}

const refused = (change: Change, rule: RegExp) => assert.match(broken(change).join("\n"), rule);
const issued = (change: Partial<ObligationData>): Change => ({ ...issue, after: [{ ...owed, ...change }] });
const amount = (value: string, currency: string) => issued({ amount: { value, currency }, remaining: value });

test("an obligation is issued, handed on, and settled in part or in whole", () => {
  assert.deepEqual(broken(issue), []);
  assert.deepEqual(broken(transfer), []);
  assert.deepEqual(broken(settle), []);
  assert.deepEqual(broken({ ...settle, data: { amount: "120.50" }, after: [] }), []);
});

test("an amount is money of its currency", () => {
  assert.deepEqual(broken(amount("5000", "JPY")), []);
  assert.deepEqual(broken(amount("1.250", "KWD")), []);
  refused(amount("0.00", "EUR"), /not more than zero/);
  refused(amount("-1.00", "EUR"), /pattern/);
  refused(amount("18.005", "EUR"), /more than the 2 decimals of EUR/);
  refused(amount("0.5", "JPY"), /more than the 0 decimals of JPY/);
  refused(amount("120.5", "EUR"), /all decimals of EUR/);
  refused(amount("10.00", "EUX"), /no currency of ISO 4217/);
  refused(amount("10.00", "XAU"), /no currency of ISO 4217/);
});

test("an issue starts a new obligation between two, with nothing paid", () => {
  refused({ ...issue, before: [owed] }, /consumes no obligation/);
  refused({ ...issue, after: [owed, owed] }, /produces one obligation/);
  refused(issued({ remaining: "100.00" }), /nothing is settled yet/);
  refused(issued({ creditor: alice }), /debtor and creditor differ/);
  refused(issued({ creditor: { ...bob, key: alice.key } }), /debtor and creditor differ/);
});

test("an obligation is not issued after its due date", () => {
  refused({ ...issue, until: Date.UTC(2035, 6, 1) + 1 }, /due date is not past/);
  assert.deepEqual(broken({ ...issue, until: Date.UTC(2035, 6, 1) }), [], "the due day itself counts, to its end");
  refused(issued({ dueDate: "2035-02-30" }), /day of the calendar/);
});

test("a transfer changes the creditor and nothing else", () => {
  refused({ ...transfer, after: [owed] }, /changes the creditor/);
  refused({ ...transfer, after: [{ ...owed, creditor: alice }] }, /debtor and creditor differ/);
  refused({ ...transfer, after: [] }, /produces one obligation/);
  const others: Partial<ObligationData>[] = [
    { id: "AL-2" },
    { debtor: { ...alice, key: "KEY-X" } },
    { amount: { value: "120.50", currency: "USD" } },
    { amount: { value: "999.00", currency: "EUR" } },
    { remaining: "10.00" },
    { dueDate: "2040-01-01" },
  ];
  for (const other of others) refused({ ...transfer, after: [{ ...owed, creditor: charlie, ...other }] }, /nothing but the creditor/);
});

test("a settlement reduces what remains by what was paid, and by no more than there is", () => {
  refused({ ...settle, after: [{ ...owed, remaining: "99.99" }] }, /by the settled amount/);
  refused({ ...settle, after: [{ ...owed, remaining: "100.00", creditor: charlie }] }, /changes nothing but what remains/);
  refused({ ...settle, data: { amount: "120.51" }, after: [] }, /not more than what remains/);
  refused({ ...settle, data: { amount: "120.50" }, after: [{ ...owed, remaining: "0.00" }] }, /in full ends/);
  refused({ ...settle, data: { amount: "20.50" }, after: [] }, /produces one obligation/);
  refused({ ...settle, data: { amount: "0.00" }, after: [owed] }, /not more than zero/);
});

test("everyone whom a change concerns signs it", () => {
  for (const change of [issue, transfer, settle]) {
    for (const key of change.signed) refused({ ...change, signed: change.signed.filter((each) => each !== key) }, /signs/);
  }
});

test("one transaction does one thing", () => {
  refused({ ...issue, commands: 0 }, /exactly one command/);
  refused({ ...issue, commands: 2 }, /exactly one command/);
  refused({ ...issue, command: "Burn" }, /no command Burn/);
});

test("debtor and creditor take part in an obligation, and queries see its data", () => {
  const described = cordapp.describeState({ type: OBLIGATION, data: owed });
  assert.deepEqual(described.participants, ["KEY-A", "KEY-B"]);
  assert.deepEqual(described.json, owed);
});
