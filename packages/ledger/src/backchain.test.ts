import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data, X500Name } from "@bowline/base";
import { flow, type Protocol, responder, type TransactionProposal } from "@bowline/sdk";
import Type from "typebox";
import { MemoryNetwork } from "./network.memory.ts";
import { firstOutput, type Party, sample } from "./sample.memory.ts";
import { encodeSigned, type SignedTransaction } from "./transaction.ts";

const shared = await sample();
const { alice, bob } = shared.parties;
const PROTOCOL: Protocol = { name: "com.example.settle", versions: [1] };
const Anything = Type.Unsafe<Data>(Type.Unknown());

const Settle = flow({
  name: "com.example.Settle",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({
    proposal: Type.Unsafe<TransactionProposal>(Type.Object({})),
    with: Type.Array(Type.Unsafe<X500Name>(Type.String())),
  }),
  call: async (context, input) => {
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

/** Proposes what it likes, and answers whatever is asked with what it likes. Its result is all that it heard. */
const Liar = flow({
  name: "com.example.Liar",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ to: Type.Unsafe<X500Name>(Type.String()), sends: Type.Array(Anything) }),
  output: Type.Array(Anything),
  call: async (context, { to, sends }) => {
    const session = await context.initiate(to);
    const heard: Data[] = [];
    for (const payload of sends) heard.push(await session.sendAndReceive(payload, Anything));
    return heard;
  },
});

const network = () => new MemoryNetwork(shared, [Settle, Agree, Liar]);
const settle = async (net: MemoryNetwork, proposal: TransactionProposal, ...others: readonly Party[]): Promise<string> => {
  const outcome = await net.run(alice.name, Settle.name, { proposal, with: others.map(({ name }) => name) } as unknown as Data);
  await net.settle();
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as string;
};

async function statusesOf(net: MemoryNetwork, party: Party, ids: readonly string[]): Promise<readonly (string | undefined)[]> {
  const rows = (await net.vault(party.name).read({ kind: "transactions", ids })) as unknown as ({ status: string } | null)[];
  return rows.map((row) => row?.status);
}

test("a history that branches and meets again is verified once, the oldest first", async () => {
  const net = network();
  const ids = [
    await settle(
      net,
      shared.propose({
        outputs: [
          { owner: alice, amount: 1 },
          { owner: alice, amount: 2 },
        ],
        signedBy: [alice],
      }),
    ),
  ];
  const move = async (inputs: readonly string[], amounts: readonly number[], ...to: readonly Party[]) => {
    const owner = to[0] ?? alice;
    ids.push(
      await settle(net, shared.propose({ inputs, outputs: amounts.map((amount) => ({ owner, amount })), signedBy: [alice] }), ...to),
    );
    return ids.at(-1) as string;
  };
  let left = await move([`${ids[0]}:0`], [1]);
  let right = await move([`${ids[0]}:1`], [2]);
  for (let i = 0; i < 6; i++) {
    left = await move([`${left}:0`], [1]);
    right = await move([`${right}:0`], [2]);
  }
  await move([`${left}:0`, `${right}:0`], [3], bob);
  assert.equal(ids.length, 16);
  assert.deepEqual(
    await statusesOf(net, bob, ids),
    ids.map(() => "V"),
  );
});

/** What bob answers to a proposal that spends `issue`, when his question for it is answered with `answer`. */
async function heardFrom(issue: SignedTransaction, answer: readonly SignedTransaction[]) {
  const net = network();
  const spend = shared.build(
    shared.propose({ inputs: [firstOutput(issue.transaction)], outputs: [{ owner: bob, amount: 5 }], signedBy: [alice] }),
  );
  const proposal = { kind: "proposal", transaction: encodeSigned(shared.sign(spend, alice)) };
  const chain = { kind: "chain", transactions: answer.map(encodeSigned) };
  const outcome = await net.run(alice.name, Liar.name, { to: bob.name, sends: [proposal, chain] });
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  const [asked, said] = outcome.ok as readonly [Data, { readonly kind: string; readonly type?: string; readonly message?: string }];
  assert.deepEqual(asked, { kind: "need", ids: [issue.transaction.id] });
  return { said, statuses: await statusesOf(net, bob, [issue.transaction.id, spend.id]) };
}

const issueOf = (amount: number) => shared.build(shared.propose({ outputs: [{ owner: alice, amount }], signedBy: [alice] }));

test("a notarised history is accepted", async () => {
  const issue = shared.notarised(shared.sign(issueOf(5), alice));
  const { said, statuses } = await heardFrom(issue, [issue]);
  assert.equal(said.kind, "signatures");
  assert.deepEqual(statuses, ["V", "U"]);
});

for (const [what, lie] of [
  ["is not notarised", () => [shared.sign(issueOf(5), alice)]],
  ["is not signed", () => [shared.notarised(shared.sign(issueOf(5)))]],
  [
    "was refused",
    () => {
      const transaction = issueOf(5);
      const words = shared.words([{ kind: "refused", transactionId: transaction.id, code: "c", message: "m" }]);
      return [{ transaction, signatures: [...shared.sign(transaction, alice).signatures, ...words] }];
    },
  ],
  ["is another than was asked for", () => [shared.notarised(shared.sign(issueOf(6), alice))]],
  ["brings more than was asked for", () => [5, 6].map((amount) => shared.notarised(shared.sign(issueOf(amount), alice)))],
] as const)
  test(`a history that ${what} is refused, and nothing of it is kept`, async () => {
    const { said, statuses } = await heardFrom(shared.sign(issueOf(5), alice), lie());
    assert.deepEqual([said.kind, said.type], ["refusal", "ledger.backchainInvalid"]);
    assert.deepEqual(statuses, [undefined, undefined]);
  });

test("a history that breaks a contract's rule is refused, though the notary accepted it", async () => {
  const issue = shared.notarised(shared.sign(issueOf(-5), alice));
  const { said, statuses } = await heardFrom(issue, [issue]);
  assert.match(said.message ?? "", /an amount is positive/);
  assert.deepEqual(statuses, [undefined, undefined]);
});
