// A creditor hands an obligation on to a new creditor. All three agree: the old creditor gives it away, the new one takes
// it, the debtor learns whom it owes.

import { FlowError, flow, responder, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { Obligation, type ObligationData, ObligationId } from "../contract/obligation.ts";
import { ObligationContract } from "../contract/rules.ts";
import { AGREEMENT_MS, agreeThat, checkKeys, partyNamed } from "./parties.ts";
import { changeOf, checkCommand, findObligation } from "./standing.ts";

const PROTOCOL = { name: "com.example.obligation.transfer", versions: [1] };

/** Started by the creditor. */
export const TransferObligation = flow({
  name: "com.example.obligation.TransferObligation",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object(
    {
      id: ObligationId,
      newCreditor: Type.String({ minLength: 1, maxLength: 512, description: "The new creditor's X.500 name." }),
    },
    { additionalProperties: false },
  ),
  output: Type.Object({ id: ObligationId, transaction: Type.String() }),
  async call(context, { id, newCreditor }) {
    const standing = await findObligation(context, id, "creditor");
    const before: ObligationData = standing.state.data;
    const creditor = await partyNamed(context, newCreditor);
    if (creditor.name === before.creditor.name) throw new FlowError("obligation.sameCreditor", `${creditor.name} is the creditor already.`);
    if (creditor.name === before.debtor.name)
      throw new FlowError(
        "obligation.ownCreditor",
        `${creditor.name} is the debtor: an obligation that returns to its debtor is settled instead.`,
      );
    const proposal = transaction()
      .notary(standing.notary)
      .until((await context.now()) + AGREEMENT_MS)
      .input(standing)
      .output(Obligation, { ...before, creditor })
      .command(ObligationContract, "Transfer")
      .signedBy(before.debtor.key, before.creditor.key, creditor.key)
      .build();
    const signed = await context.ledger.sign(proposal);
    const sessions = [await context.initiate(before.debtor.name), await context.initiate(creditor.name)];
    const final = await context.ledger.finalize(signed, sessions);
    return { id, transaction: final.id };
  },
});

/** Run by the debtor and by the new creditor. */
export const AgreeToTransfer = responder({
  name: "com.example.obligation.AgreeToTransfer",
  answers: PROTOCOL,
  async call(context, session) {
    const final = await context.ledger.receiveFinality(session, async (proposed) => {
      checkCommand(proposed, "Transfer");
      const { before, after } = changeOf(proposed);
      agreeThat(before !== undefined && after !== undefined, "There is no obligation to hand on.");
      agreeThat(before.creditor.name === session.counterparty, "Only the creditor itself may hand an obligation on.");
      agreeThat(after.debtor.name === context.me || after.creditor.name === context.me, `${context.me} is no party of this obligation.`);
      await checkKeys(context, [after.debtor, after.creditor]);
    });
    context.log.info("transfer agreed to", { transaction: final.id });
  },
});
