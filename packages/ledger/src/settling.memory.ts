// An application for tests on a network in memory: who proposes a transaction settles it with others, and those agree.

import assert from "node:assert/strict";
import type { Data, X500Name } from "@bowline/base";
import { type FlowContext, FlowError, flow, type Outcome, type Protocol, responder, type TransactionProposal } from "@bowline/sdk";
import Type from "typebox";
import type { MemoryNetwork } from "./network.memory.ts";
import type { Party } from "./sample.memory.ts";

export const SETTLE_PROTOCOL: Protocol = { name: "com.example.settle", versions: [1] };

export const Settle = flow({
  name: "com.example.Settle",
  startable: true,
  initiates: SETTLE_PROTOCOL,
  input: Type.Object({
    proposal: Type.Unsafe<TransactionProposal>(Type.Object({})),
    with: Type.Array(Type.Unsafe<X500Name>(Type.String())),
  }),
  call: async (context: FlowContext, input) => {
    const signed = await context.ledger.sign(input.proposal);
    const sessions = await Promise.all(input.with.map((name) => context.initiate(name)));
    return (await context.ledger.finalize(signed, sessions)).id;
  },
});

/** `objectionOf` says what a member finds wrong with what it is shown. */
export const agreeUnless = (objectionOf: (me: X500Name) => string | undefined) =>
  responder({
    name: "com.example.Agree",
    answers: SETTLE_PROTOCOL,
    call: async (context, session) => {
      await context.ledger.receiveFinality(session, () => {
        const objection = objectionOf(context.me);
        if (objection !== undefined) throw new FlowError("example.objection", objection);
      });
    },
  });
export const Agree = agreeUnless(() => undefined);

export const settlement = (proposal: TransactionProposal, others: readonly Party[]): Data =>
  ({ proposal, with: others.map(({ name }) => name) }) as unknown as Data;

export const settleOn = (network: MemoryNetwork, by: Party, proposal: TransactionProposal, ...others: readonly Party[]): Promise<Outcome> =>
  network.run(by.name, Settle.name, settlement(proposal, others));

/** Settled, with everybody at rest again. The result is its id. */
export async function settledOn(
  network: MemoryNetwork,
  by: Party,
  proposal: TransactionProposal,
  ...others: readonly Party[]
): Promise<string> {
  const outcome = await settleOn(network, by, proposal, ...others);
  await network.settle();
  return idOf(outcome);
}

export function idOf(outcome: Outcome): string {
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as string;
}
