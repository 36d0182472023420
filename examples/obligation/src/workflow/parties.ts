// Who takes part: members of the group as parties of an obligation, and the notary that all of them use.

import { type FlowContext, FlowError, type MemberInfo, type NotaryInfo } from "@bowline/sdk";
import type { Party } from "../contract/obligation.ts";

/** How long the counterparties and the notary have to agree to a transaction. */
export const AGREEMENT_MS = 5 * 60_000;

/** The member called so. Throws `obligation.partyUnknown` where the group has none, or where it holds no ledger. */
export async function partyNamed(context: FlowContext, name: string): Promise<Party> {
  const member = await context.members.lookup(name);
  if (member === undefined) throw new FlowError("obligation.partyUnknown", `"${name}" is not a member of this network.`, { name });
  return partyOf(member);
}

export async function myself(context: FlowContext): Promise<Party> {
  return partyOf(await context.members.mine());
}

/** The network's notary service. Throws `obligation.noNotary` where it has none. */
export async function chooseNotary(context: FlowContext): Promise<NotaryInfo> {
  const [notary] = await context.notaries.all();
  if (notary === undefined) throw new FlowError("obligation.noNotary", "This network has no notary.");
  return notary;
}

/** Refuses to sign, in the words that the initiator will read. */
export function agreeThat(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new FlowError("obligation.refused", reason);
}

/** A party signs with a key that its network knows as its own: otherwise anyone could be made a debtor. */
export async function checkKeys(context: FlowContext, parties: readonly Party[]): Promise<void> {
  const members = await Promise.all(parties.map(({ name }) => context.members.lookup(name)));
  for (const [i, { name, key }] of parties.entries())
    agreeThat(members[i]?.ledgerKeys.includes(key) === true, `The key given for ${name} is not one of its ledger keys.`);
}

function partyOf({ name, ledgerKeys }: MemberInfo): Party {
  const [key] = ledgerKeys;
  if (key === undefined) throw new FlowError("obligation.partyUnknown", `${name} has no ledger key, and cannot be a party.`, { name });
  return { name, key };
}
