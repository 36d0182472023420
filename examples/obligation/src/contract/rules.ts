// The rules of obligations. One transaction issues, transfers or settles one obligation: one command, one change.
//
// Issue     none -> one      everything sane, nothing paid yet               signed by debtor and creditor
// Transfer  one -> one       only the creditor changes                       signed by debtor, old and new creditor
// Settle    one -> one|none  only `remaining` falls, by the settled amount   signed by debtor and creditor

import { contract, decimal, requireThat, type TransactionView } from "@bowline/sdk";
import * as Type from "typebox";
import { problemWith, written } from "./money.ts";
import { Decimal, endOfDay, OBLIGATION, OBLIGATION_CONTRACT, type ObligationData, type Party } from "./obligation.ts";

const NO_DATA = Type.Object({}, { additionalProperties: false });
const SettleData = Type.Object({ amount: Decimal }, { additionalProperties: false });
type SettleData = Type.Static<typeof SettleData>;

export const ObligationContract = contract({
  name: OBLIGATION_CONTRACT,
  commands: { Issue: NO_DATA, Transfer: NO_DATA, Settle: SettleData },
  verify: verifyObligation,
});

/** Throws at the first rule that `transaction` breaks. */
export function verifyObligation(transaction: TransactionView): void {
  const commands = transaction.commands.filter((command) => command.contract === OBLIGATION_CONTRACT);
  const [command] = commands;
  requireThat(command !== undefined && commands.length === 1, "a transaction holds exactly one command of obligations");
  const inputs = obligationsAmong(transaction.inputs);
  const outputs = obligationsAmong(transaction.outputs);
  if (command.type === "Issue") verifyIssue(inputs, outputs, transaction);
  else if (command.type === "Transfer") verifyTransfer(inputs, outputs, transaction);
  else verifySettle(inputs, outputs, transaction, command.data as SettleData);
}

function verifyIssue(inputs: readonly ObligationData[], outputs: readonly ObligationData[], transaction: TransactionView): void {
  requireThat(inputs.length === 0, "an issue consumes no obligation");
  const issued = only(outputs, "an issue produces one obligation");
  const { debtor, creditor, amount, remaining, dueDate } = issued;
  requireMoney("the amount", amount.value, amount.currency);
  requireThat(remaining === amount.value, "nothing is settled yet when an obligation is issued");
  requireThat(!sameParty(debtor, creditor), "debtor and creditor differ");
  const end = endOfDay(dueDate);
  requireThat(end !== undefined, "the due date is a day of the calendar");
  requireThat(transaction.timeWindow.until <= end, "the due date is not past when the obligation is issued");
  requireSignatures(transaction, { debtor, creditor });
}

function verifyTransfer(inputs: readonly ObligationData[], outputs: readonly ObligationData[], transaction: TransactionView): void {
  const before = only(inputs, "a transfer consumes one obligation");
  const after = only(outputs, "a transfer produces one obligation");
  requireSame(before, { ...after, creditor: before.creditor }, "a transfer changes nothing but the creditor");
  requireThat(!sameParty(before.creditor, after.creditor), "a transfer changes the creditor");
  requireThat(!sameParty(after.debtor, after.creditor), "debtor and creditor differ");
  requireSignatures(transaction, { debtor: before.debtor, creditor: before.creditor, "new creditor": after.creditor });
}

function verifySettle(
  inputs: readonly ObligationData[],
  outputs: readonly ObligationData[],
  transaction: TransactionView,
  { amount }: SettleData,
): void {
  const before = only(inputs, "a settlement consumes one obligation");
  const { currency } = before.amount;
  requireMoney("the settled amount", amount, currency);
  requireThat(decimal.compare(amount, before.remaining) <= 0, "a settlement is not more than what remains");
  requireSignatures(transaction, { debtor: before.debtor, creditor: before.creditor });
  if (decimal.equals(amount, before.remaining)) {
    requireThat(outputs.length === 0, "an obligation that is settled in full ends");
    return;
  }
  const remaining = written(decimal.subtract(before.remaining, amount), currency);
  const after = only(outputs, "a settlement in part produces one obligation");
  requireSame({ ...before, remaining }, after, "a settlement changes nothing but what remains, by the settled amount");
}

/** Schemas were checked before any contract runs, so that the type of the state is the type of its data. */
function obligationsAmong(states: TransactionView["outputs"]): readonly ObligationData[] {
  return states.filter(({ state }) => state.type === OBLIGATION).map(({ state }) => state.data as ObligationData);
}

function only(obligations: readonly ObligationData[], rule: string): ObligationData {
  const [first] = obligations;
  requireThat(first !== undefined && obligations.length === 1, rule);
  return first;
}

/** One way to write each amount, so that equal amounts are equal text. */
function requireMoney(what: string, amount: string, currency: string): void {
  const problem = problemWith(amount, currency);
  requireThat(problem === undefined, `${what} ${problem}`);
  requireThat(written(amount, currency) === amount, `${what} is written with all decimals of ${currency}`);
}

const sameParty = (a: Party, b: Party): boolean => a.name === b.name || a.key === b.key;

function requireSame(expected: ObligationData, actual: ObligationData, rule: string): void {
  const same =
    expected.id === actual.id &&
    expected.debtor.name === actual.debtor.name &&
    expected.debtor.key === actual.debtor.key &&
    expected.creditor.name === actual.creditor.name &&
    expected.creditor.key === actual.creditor.key &&
    expected.amount.value === actual.amount.value &&
    expected.amount.currency === actual.amount.currency &&
    expected.remaining === actual.remaining &&
    expected.dueDate === actual.dueDate;
  requireThat(same, rule);
}

function requireSignatures(transaction: TransactionView, parties: Readonly<Record<string, Party>>): void {
  for (const [role, { key }] of Object.entries(parties)) {
    requireThat(transaction.signatories.includes(key), `the ${role} signs`);
  }
}
