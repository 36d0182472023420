// Who takes part: members of the group as issuers and owners of cash, and the notary that all of them use.

import { type FlowContext, FlowError, type MemberInfo, type NotaryInfo } from "@bowline/sdk";
import type { Party } from "@bowline/sdk/contracts";
import * as Type from "typebox";

/** How long the parties and the notary have to agree to a transaction. */
export const AGREEMENT_MS = 5 * 60_000;

/** A member, as a client names one. */
export const MemberName = (description: string) => Type.String({ minLength: 1, maxLength: 512, description });

/** The member called so. Throws `cash.partyUnknown` where the group has none, or where it holds no ledger. */
export async function partyNamed(context: FlowContext, name: string): Promise<Party> {
  const member = await context.members.lookup(name);
  if (member === undefined) throw new FlowError("cash.partyUnknown", `"${name}" is not a member of this network.`, { name });
  return partyOf(member);
}

export function partyOf({ name, ledgerKeys }: MemberInfo): Party {
  const [key] = ledgerKeys;
  if (key === undefined) throw new FlowError("cash.partyUnknown", `${name} has no ledger key, and cannot hold cash.`, { name });
  return { name, key };
}

/** The network's notary service. Throws `cash.noNotary` where it has none. */
export async function chooseNotary(context: FlowContext): Promise<NotaryInfo> {
  const [notary] = await context.notaries.all();
  if (notary === undefined) throw new FlowError("cash.noNotary", "This network has no notary.");
  return notary;
}

/** Refuses to take part, in the words that the initiator will read. */
export function agreeThat(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new FlowError("cash.refused", reason);
}

/** A key that its network knows as the party's own: otherwise anyone could issue cash in a bank's name. */
export async function checkKey(context: FlowContext, { name, key }: Party): Promise<void> {
  const member = await context.members.lookup(name);
  agreeThat(member?.ledgerKeys.includes(key) === true, `The key given for ${name} is not one of its ledger keys.`);
}
