// A group whose notary verifies: what a party builds upon is proven by the notary's word, and nobody sees more of the past.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Data, X500Name } from "@bowline/base";
import { type FlowContext, flow, type Outcome, type Protocol, responder, type TransactionProposal } from "@bowline/sdk";
import Type from "typebox";
import { type FilteredDependency, filteredDependency } from "./dependencies.ts";
import { MemoryNetwork } from "./network.memory.ts";
import type { TransactionStatus } from "./ports.ts";
import { type Party, sample } from "./sample.memory.ts";

const shared = await sample({ verifies: true });
const { alice, bob, carol } = shared.parties;
const PROTOCOL: Protocol = { name: "com.example.settle", versions: [1] };
let network: MemoryNetwork;
let sent: { kind?: string; dependencies?: readonly FilteredDependency[] }[];

const Settle = flow({
  name: "com.example.Settle",
  startable: true,
  initiates: PROTOCOL,
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
const Agree = responder({
  name: "com.example.Agree",
  answers: PROTOCOL,
  call: async (context, session) => {
    await context.ledger.receiveFinality(session, () => {});
  },
});

beforeEach(() => {
  network = new MemoryNetwork(shared, [Settle, Agree]);
  sent = [];
  network.interference = ({ payload }) => {
    sent.push(payload as { kind?: string });
    return "arrives";
  };
});

const run = (by: Party, proposal: TransactionProposal, ...others: readonly Party[]): Promise<Outcome> =>
  network.run(by.name, Settle.name, { proposal, with: others.map(({ name }) => name) } as unknown as Data);

async function settle(by: Party, proposal: TransactionProposal, ...others: readonly Party[]): Promise<string> {
  const outcome = await run(by, proposal, ...others);
  await network.settle();
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as string;
}

const move = (ref: string, from: Party, to: Party) =>
  shared.propose({ inputs: [ref], outputs: [{ owner: to, amount: 8 }], signedBy: [from] });

async function statusOf(party: Party, id: string): Promise<TransactionStatus | undefined> {
  const [row] = (await network.vault(party.name).read({ kind: "transactions", ids: [id] })) as [{ status: TransactionStatus } | null];
  return row?.status;
}

test("a state of a long past is taken on its notary's word, spent, and passed on so", async () => {
  const first = await settle(alice, shared.propose({ outputs: [{ owner: alice, amount: 8 }], signedBy: [alice] }));
  const second = await settle(alice, move(`${first}:0`, alice, alice));
  const third = await settle(alice, move(`${second}:0`, alice, bob), bob);
  assert.deepEqual(
    await Promise.all([first, second, third].map((id) => statusOf(bob, id))),
    [undefined, undefined, "V"],
    "of what came before it bob has parts",
  );
  const fourth = await settle(bob, move(`${third}:0`, bob, carol), carol);
  assert.deepEqual(await Promise.all([second, third, fourth].map((id) => statusOf(carol, id))), [undefined, undefined, "V"]);
  assert.ok(
    sent.every(({ kind }) => kind !== "need" && kind !== "chain"),
    "nobody asked for more",
  );
  const states = (await network.vault(carol.name).read({ kind: "sources", refs: [`${third}:0`] })) as readonly unknown[];
  assert.notEqual(states[0], null);
});

for (const [what, tamper, expected] of [
  ["no proof of it", () => undefined, "ledger.dependenciesMissing"],
  ["a proof of another state", () => [filteredDependency(other(), [0])], "ledger.dependencyInvalid"],
  [
    "the notary's word on another",
    ([one]: readonly FilteredDependency[]) => [{ ...(one as FilteredDependency), signatures: [wordOnAnother()] }],
    "ledger.dependencyInvalid",
  ],
] as const)
  test(`a state that comes with ${what} is not taken`, async () => {
    const first = await settle(alice, shared.propose({ outputs: [{ owner: alice, amount: 8 }], signedBy: [alice] }));
    network.interference = ({ payload }) => {
      const message = payload as { kind?: string; dependencies?: readonly FilteredDependency[] };
      if (message.kind !== "proposal") return "arrives";
      const dependencies = tamper(message.dependencies ?? []);
      if (dependencies === undefined) delete message.dependencies;
      else message.dependencies = dependencies;
      return "arrives";
    };
    const outcome = await run(alice, move(`${first}:0`, alice, bob), bob);
    await network.settle();
    assert.equal("error" in outcome && outcome.error.type, expected);
    assert.deepEqual(await network.vault(bob.name).read({ kind: "sources", refs: [`${first}:0`] }), [null]);
  });

const other = () => {
  const proposal = shared.propose({ outputs: [{ owner: alice, amount: 9 }], signedBy: [alice] });
  return shared.notarised(shared.sign(shared.build(proposal, "another"), alice));
};
/** The notary's word on another transaction. */
const wordOnAnother = (): Uint8Array => filteredDependency(other(), [0]).signatures[0] as Uint8Array;
