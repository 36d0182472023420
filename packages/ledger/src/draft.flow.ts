// Drafts: transactions that this member has built and signed, and keeps to itself until it takes them up.
//
// Guarantee: a draft's signature does not leave the vault. Who finds one gets its content alone; its signature comes with the
// commit that writes the transaction unverified, so that it is looked after from the moment at which it may be out.

import type { FlowContext, TransactionProposal } from "@bowline/sdk";
import { FlowError } from "@bowline/sdk";
import Type from "typebox";
import { ask, handOver, platformFlow, writeVault } from "./asking.ts";
import { verifyStored } from "./repair.flow.ts";
import { Proposal, signAs } from "./signing.flow.ts";
import { decodeSigned, encodeSigned } from "./transaction.ts";

const STRICT = { additionalProperties: false } as const;

export const keepDraft = platformFlow({
  name: "ledger.keepDraft",
  input: Type.Object({ proposal: Proposal }, STRICT),
  call: async (context, input) => {
    const { signed, view } = await signAs("D", context, input.proposal as unknown as TransactionProposal);
    return { id: signed.transaction.id, transaction: view };
  },
});

export const findDraft = platformFlow({
  name: "ledger.findDraft",
  input: Type.Object({ id: Type.String() }, STRICT),
  call: async (context, { id }) => {
    const signed = await draftOf(context, id);
    if (signed === undefined) return null;
    const { carried } = await verifyStored(context, signed);
    return { id, transaction: carried.view };
  },
});

export const takeUpDraft = platformFlow({
  name: "ledger.takeUpDraft",
  input: Type.Object({ id: Type.String() }, STRICT),
  call: async (context, { id }) => {
    const signed = await draftOf(context, id);
    if (signed === undefined) throw new FlowError("ledger.draftUnknown", `This vault holds no draft ${id}.`, { id });
    const { carried } = await verifyStored(context, signed);
    await writeVault(context, { kind: "unverified", status: "U", bytes: encodeSigned(signed) });
    return handOver(carried);
  },
});

async function draftOf(context: FlowContext, id: string) {
  const [row] = await ask(context, "vault.transactions", { ids: [id] });
  return row?.status === "D" ? decodeSigned(row.bytes) : undefined;
}
