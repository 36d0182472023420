// The obligations that stand, as this member's vault holds them.

import { type FlowContext, FlowError, type StateAndRef, type TransactionView } from "@bowline/sdk";
import { OBLIGATION, Obligation, type ObligationData } from "../contract/obligation.ts";
import { agreeThat } from "./parties.ts";

export type StandingObligation = StateAndRef<ObligationData>;

/** Whose obligation it is that is looked for: mine to pay, or mine to be paid. */
export type Side = "debtor" | "creditor";

/** Throws `obligation.unknown` where nothing of that id stands, and `obligation.ambiguous` where several do. */
export async function findObligation(context: FlowContext, id: string, side: Side): Promise<StandingObligation> {
  const [found, another] = await obligationsCalled(context, id, side);
  if (found === undefined)
    throw new FlowError("obligation.unknown", `No obligation "${id}" with ${context.me} as its ${side} stands.`, { id });
  if (another !== undefined)
    throw new FlowError("obligation.ambiguous", `Several obligations "${id}" of different debtors stand. Name the debtor.`, { id });
  return found;
}

export async function obligationsCalled(context: FlowContext, id: string, side: Side): Promise<readonly StandingObligation[]> {
  const { states } = await context.vault.find(Obligation, { where: { id, [`${side}.name`]: context.me }, limit: 2 });
  return states;
}

/** The obligation before and after a proposed transaction; the contract has seen to it that there is one of each where there must be. */
export function changeOf(transaction: TransactionView): {
  readonly before: ObligationData | undefined;
  readonly after: ObligationData | undefined;
} {
  const among = (states: TransactionView["outputs"]) =>
    states.find(({ state }) => state.type === OBLIGATION)?.state.data as ObligationData | undefined;
  return { before: among(transaction.inputs), after: among(transaction.outputs) };
}

/** The one command of the proposal: what a responder was asked to agree to must be what it answers for. */
export function checkCommand(transaction: TransactionView, type: "Issue" | "Transfer" | "Settle"): void {
  agreeThat(
    transaction.commands.length === 1 && transaction.commands[0]?.type === type,
    `This is not a transaction of command ${type} alone.`,
  );
}
