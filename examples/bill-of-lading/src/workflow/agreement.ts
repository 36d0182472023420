// How all whom a change concerns come to agree: whoever starts it proposes it to the others, who check that the right one asks,
// that keys are those of whom they are said to be of, and that it is their business.

import { type FlowContext, FlowError, responder, type TransactionProposal, type TransactionView } from "@bowline/sdk";
import type { Party } from "@bowline/sdk/contracts";
import { Bill, type BillData } from "../contract/bill.ts";
import { Pledge, type PledgeData } from "../contract/pledge.ts";

export const AGREEMENT = { name: "com.example.lading.agree", versions: [1] };

/** Signs, has all parties but this member sign, and makes it final. Gives the id of the transaction. */
export async function agree(context: FlowContext, proposal: TransactionProposal, parties: readonly Party[]): Promise<string> {
  const signed = await context.ledger.sign(proposal);
  const names = new Set(parties.map(({ name }) => name).filter((name) => name !== context.me));
  const sessions = await Promise.all([...names].map((name) => context.initiate(name)));
  return (await context.ledger.finalize(signed, sessions)).id;
}

/** Run by all others. */
export const AgreeToChange = responder({
  name: "com.example.lading.AgreeToChange",
  answers: AGREEMENT,
  async call(context, session) {
    const { id, transaction } = await context.ledger.receiveFinality(session, async (proposed) => {
      const { asks, parties } = concerned(proposed);
      agreeThat(asks.includes(session.counterparty), `${session.counterparty} may not ask for this.`);
      agreeThat(
        parties.some(({ name }) => name === context.me),
        `${context.me} has no part in this.`,
      );
      for (const party of parties) await checkKey(context, party);
    });
    context.log.info("change agreed to", { transaction: id, commands: transaction.commands.map(({ type }) => type) });
  },
});

/** Whose word each change is, and who takes part in what comes of it. */
function concerned({ commands, inputs, outputs }: TransactionView): {
  readonly asks: readonly string[];
  readonly parties: readonly Party[];
} {
  const { bills: before, pledges: ending } = among(inputs);
  const { bills: after, pledges: beginning } = among(outputs);
  const [command] = commands.map(({ type }) => type).filter((type) => type !== "Endorse" || commands.length === 1);
  const holders = (bills: readonly BillData[]) => bills.flatMap(({ holder }) => holder.parties);
  const namesOf = (parties: readonly Party[]) => parties.map(({ name }) => name);
  switch (command) {
    case "Issue":
      return { asks: after.map(({ carrier }) => carrier.name), parties: [...holders(after), ...after.map(({ carrier }) => carrier)] };
    case "Endorse":
      return { asks: namesOf(holders(before)), parties: [...holders(before), ...holders(after)] };
    case "Surrender":
      return { asks: namesOf(holders(before)), parties: [...holders(before), ...before.map(({ carrier }) => carrier)] };
    case "Pledge":
      return { asks: namesOf(holders(before)), parties: [...holders(before), ...beginning.map(({ bank }) => bank)] };
    case "Release":
      return { asks: ending.map(({ bank }) => bank.name), parties: [...holders(after), ...ending.map(({ bank }) => bank)] };
    default:
      throw new FlowError("lading.refused", "This is no change that anybody here agrees to.");
  }
}

/** Schemas were checked before any contract runs, so that the type of the state is the type of its data. */
function among(states: TransactionView["outputs"]) {
  const of = <T>(type: string) => states.filter(({ state }) => state.type === type).map(({ state }) => state.data as T);
  return { bills: of<BillData>(Bill.name), pledges: of<PledgeData>(Pledge.name) };
}

/** Refuses to sign, in the words that the initiator will read. */
function agreeThat(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new FlowError("lading.refused", reason);
}

/** A party signs with a key that its network knows as its own: otherwise anyone could be made a party. */
async function checkKey(context: FlowContext, { name, key }: Party): Promise<void> {
  const member = await context.members.lookup(name);
  agreeThat(member?.ledgerKeys.includes(key) === true, `The key given for ${name} is not one of its ledger keys.`);
}
