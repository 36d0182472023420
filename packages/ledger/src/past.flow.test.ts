// A group whose notary verifies: what a party builds upon is proven by the notary's word, and nobody sees more of the past.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type FilteredDependency, filteredDependency } from "./dependencies.ts";
import { MemoryNetwork } from "./network.memory.ts";
import type { TransactionStatus } from "./ports.ts";
import { type Party, sample } from "./sample.memory.ts";
import { Agree, Settle, settledOn, settleOn } from "./settling.memory.ts";

const shared = await sample({ verifies: true });
const { alice, bob, carol } = shared.parties;
let network: MemoryNetwork;
let sent: { kind?: string; dependencies?: readonly FilteredDependency[] }[];

beforeEach(() => {
  network = new MemoryNetwork(shared, [Settle, Agree]);
  sent = [];
  network.interference = ({ payload }) => {
    sent.push(payload as { kind?: string });
    return "arrives";
  };
});

const move = (ref: string, from: Party, to: Party) =>
  shared.propose({ inputs: [ref], outputs: [{ owner: to, amount: 8 }], signedBy: [from] });

async function statusOf(party: Party, id: string): Promise<TransactionStatus | undefined> {
  const [row] = (await network.vault(party.name).read({ kind: "transactions", ids: [id] })) as [{ status: TransactionStatus } | null];
  return row?.status;
}

test("a state of a long past is taken on its notary's word, spent, and passed on so", async () => {
  const first = await settledOn(network, alice, shared.propose({ outputs: [{ owner: alice, amount: 8 }], signedBy: [alice] }));
  const second = await settledOn(network, alice, move(`${first}:0`, alice, alice));
  const third = await settledOn(network, alice, move(`${second}:0`, alice, bob), bob);
  assert.deepEqual(
    await Promise.all([first, second, third].map((id) => statusOf(bob, id))),
    [undefined, undefined, "V"],
    "of what came before it bob has parts",
  );
  const fourth = await settledOn(network, bob, move(`${third}:0`, bob, carol), carol);
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
    const first = await settledOn(network, alice, shared.propose({ outputs: [{ owner: alice, amount: 8 }], signedBy: [alice] }));
    network.interference = ({ payload }) => {
      const message = payload as { kind?: string; dependencies?: readonly FilteredDependency[] };
      if (message.kind !== "proposal") return "arrives";
      const dependencies = tamper(message.dependencies ?? []);
      if (dependencies === undefined) delete message.dependencies;
      else message.dependencies = dependencies;
      return "arrives";
    };
    const outcome = await settleOn(network, alice, move(`${first}:0`, alice, bob), bob);
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
