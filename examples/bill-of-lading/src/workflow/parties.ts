// Who takes part: members of the group as parties, alone or together, and the notary that all of them use.

import { type FlowContext, FlowError, type MemberInfo, type NotaryInfo } from "@bowline/sdk";
import type { Party } from "@bowline/sdk/contracts";
import * as Type from "typebox";
import { type Holder, holderOf } from "../contract/bill.ts";

/** How long the parties and the notary have to agree to a transaction. */
export const AGREEMENT_MS = 5 * 60_000;

/** A member, as a client names one. */
export const MemberName = (description: string) => Type.String({ minLength: 1, maxLength: 512, description });

/** The member called so. Throws `lading.partyUnknown` where the group has none, or where it holds no ledger. */
export async function partyNamed(context: FlowContext, name: string): Promise<Party> {
  const member = await context.members.lookup(name);
  if (member === undefined) throw new FlowError("lading.partyUnknown", `"${name}" is not a member of this network.`, { name });
  return partyOf(member);
}

export const myself = async (context: FlowContext): Promise<Party> => partyOf(await context.members.mine());

function partyOf({ name, ledgerKeys }: MemberInfo): Party {
  const [key] = ledgerKeys;
  if (key === undefined) throw new FlowError("lading.partyUnknown", `${name} has no ledger key, and cannot be a party.`, { name });
  return { name, key };
}

/** Those members together, of whom `threshold` must sign: all, where nothing is said. Throws `lading.holderInvalid`. */
export async function holderNamed(context: FlowContext, names: readonly string[], threshold = names.length): Promise<Holder> {
  if (new Set(names).size < names.length || threshold > names.length)
    throw new FlowError(
      "lading.holderInvalid",
      `No ${threshold} of ${names.join("; ")} can sign: each is named once, and there are enough.`,
    );
  return holderOf(await Promise.all(names.map((name) => partyNamed(context, name))), threshold);
}

/** The network's notary service. Throws `lading.noNotary` where it has none. */
export async function chooseNotary(context: FlowContext): Promise<NotaryInfo> {
  const [notary] = await context.notaries.all();
  if (notary === undefined) throw new FlowError("lading.noNotary", "This network has no notary.");
  return notary;
}
