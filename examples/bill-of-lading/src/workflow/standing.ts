// The bills that stand, as this member's vault holds them, and who of their holders signs.

import { type FlowContext, FlowError, type StateAndRef } from "@bowline/sdk";
import type { Party } from "@bowline/sdk/contracts";
import * as Type from "typebox";
import { Bill, type BillData, Terms } from "../contract/bill.ts";
import { MemberName } from "./parties.ts";

export type StandingBill = StateAndRef<BillData>;

export const BillNumber = Terms.properties.number;
export const Changed = Type.Object({ number: BillNumber, transaction: Type.String() });

/** What a client says of new holders. */
export const Holders = {
  to: Type.Array(MemberName("The X.500 name of who is to hold the bill."), { minItems: 1, maxItems: 8 }),
  threshold: Type.Optional(Type.Integer({ minimum: 1, maximum: 8, description: "How many of them must sign later; all where absent." })),
};

/** What a client says of holders that sign beside it. */
export const Cosigners = {
  cosigners: Type.Optional(Type.Array(MemberName("Who of the other holders signs; all where absent."), { maxItems: 8 })),
};

/** Throws `lading.unknown` where this member holds no such bill, and `lading.ambiguous` where several carriers have issued one. */
export async function standingBill(context: FlowContext, number: string): Promise<StandingBill> {
  const { states } = await context.vault.find(Bill, { where: { "terms.number": number }, limit: 2 });
  const [found, another] = states;
  if (found === undefined) throw new FlowError("lading.unknown", `${context.me} holds no bill "${number}".`, { number });
  if (another !== undefined)
    throw new FlowError("lading.ambiguous", `${context.me} holds bills "${number}" of several carriers.`, { number });
  return found;
}

/** The holders that are asked to sign. Too few fail at the signatures, with the platform's reason. */
export function signers({ state }: StandingBill, cosigners: readonly string[] | undefined): readonly Party[] {
  const { parties } = state.data.holder;
  return cosigners === undefined ? parties : parties.filter(({ name }) => cosigners.includes(name));
}
