import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data, X500Name } from "@bowline/base";
import { flow, type TransactionProposal } from "@bowline/sdk";
import Type from "typebox";
import { MemoryNetwork } from "./network.memory.ts";
import { firstOutput, manifests, PACKAGE, type Party, sample } from "./sample.memory.ts";
import { Agree, SETTLE_PROTOCOL, Settle, settledOn, settleOn } from "./settling.memory.ts";
import { encodeSigned, type SignedTransaction } from "./transaction.ts";

const shared = await sample();
const { alice, bob } = shared.parties;
const Anything = Type.Unsafe<Data>(Type.Unknown());

/** Proposes what it likes, and answers whatever is asked with what it likes. Its result is all that it heard. */
const Liar = flow({
  name: "com.example.Liar",
  startable: true,
  initiates: SETTLE_PROTOCOL,
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
const settle = (net: MemoryNetwork, proposal: TransactionProposal, ...others: readonly Party[]): Promise<string> =>
  settledOn(net, alice, proposal, ...others);

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
  const { kind, ids } = asked as { readonly [key: string]: Data };
  assert.deepEqual({ kind, ids }, { kind: "need", ids: [issue.transaction.id] });
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
  assert.deepEqual(statuses, ["I", undefined]);
});

/** An issue and then moves, each of what the one before made. */
function chainOf(length: number): readonly SignedTransaction[] {
  const chain = [shared.notarised(shared.sign(issueOf(5), alice))];
  while (chain.length < length) {
    const inputs = [firstOutput((chain.at(-1) as SignedTransaction).transaction)];
    const move = shared.build(shared.propose({ inputs, outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] }));
    chain.push(shared.notarised(shared.sign(move, alice)));
  }
  return chain;
}

const idsOf = (chain: readonly SignedTransaction[]) => chain.map(({ transaction }) => transaction.id);

/** All of it verified in the vault of `party`, and known to the notary. */
async function plant(net: MemoryNetwork, party: Party, chain: readonly SignedTransaction[]): Promise<void> {
  for (const [i, signed] of chain.entries()) {
    const { id: transactionId, inputs, references, outputs: created, timeWindow } = signed.transaction;
    const spend = { transactionId, inputs, references, outputCount: created.length, until: timeWindow.until };
    await net.uniqueness.notarise([{ ...spend, originator: party.name, mode: "write" }], async () => ({ record: new Uint8Array() }));
    const { verdict, mac, outputs } = shared.verify(
      signed,
      chain.slice(Math.max(0, i - 1), i).map(({ transaction }) => transaction),
    );
    const visible = outputs.flatMap((described, index) =>
      described.participants.includes(party.keys.publicKey) ? [{ index, ...described }] : [],
    );
    net
      .vault(party.name)
      .apply([{ flowId: "planted", writes: [{ kind: "verified", bytes: encodeSigned(signed), verdict, mac, visible } as never] }]);
  }
}

const spendOf = (chain: readonly SignedTransaction[]) =>
  shared.propose({
    inputs: [firstOutput((chain.at(-1) as SignedTransaction).transaction)],
    outputs: [{ owner: bob, amount: 5 }],
    signedBy: [alice],
  });

/** The messages of a kind that pass. */
function counting(net: MemoryNetwork, kind: string, lost: (count: number) => boolean = () => false) {
  const seen = { count: 0, payloads: [] as Data[] };
  net.interference = ({ payload }) => {
    if ((payload as { kind?: string }).kind !== kind) return "arrives";
    seen.payloads.push(payload);
    return lost(++seen.count) ? "lost" : "arrives";
  };
  return seen;
}

test("a long history takes few messages, and comes further ahead each time", async () => {
  const [net, chain] = [network(), chainOf(300)];
  await plant(net, alice, chain);
  const needs = counting(net, "need");
  await settle(net, spendOf(chain), bob);
  assert.deepEqual(new Set(await statusesOf(net, bob, idsOf(chain))), new Set(["V"]));
  assert.ok(needs.count <= 6, `${needs.count} requests for 300 transactions`);
});

test("what is known is not fetched again, and a walk that reaches it stops", async () => {
  const [net, chain] = [network(), chainOf(120)];
  await plant(net, alice, chain);
  await plant(net, bob, chain.slice(0, 100));
  const answers = counting(net, "chain");
  await settle(net, spendOf(chain), bob);
  const brought = answers.payloads.flatMap((payload) => (payload as { transactions: Data[] }).transactions);
  assert.ok(brought.length <= 60, `${brought.length} transactions for 20 that are new`);
});

test("a history whose sender is lost goes on from what came, with the next session", async () => {
  const [net, chain] = [network(), chainOf(200)];
  await plant(net, alice, chain);
  const before = counting(net, "chain", (count) => count === 3);
  const spend = spendOf(chain);
  const lost = await net.run(alice.name, Settle.name, { proposal: spend, with: [bob.name] } as unknown as Data);
  await net.settle();
  assert.ok("error" in lost);
  const kept = (await statusesOf(net, bob, idsOf(chain))).filter((status) => status === "U").length;
  assert.ok(kept > 40 && before.count === 3, `${kept} wait to be verified`);
  const after = counting(net, "chain");
  await settle(net, spend, bob);
  assert.deepEqual(new Set(await statusesOf(net, bob, idsOf(chain))), new Set(["V"]));
  const brought = after.payloads.flatMap((payload) => (payload as { transactions: Data[] }).transactions);
  assert.ok(brought.length <= 200 - kept, "nothing came twice");
});

test("a wide history is asked for several requests at a time", async () => {
  const net = network();
  const issues = Array.from({ length: 170 }, (_, i) => {
    const issue = shared.build(shared.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }), `issue ${i}`);
    return shared.notarised(shared.sign(issue, alice));
  });
  for (const issue of issues) await plant(net, alice, [issue]);
  const seen: string[] = [];
  net.interference = ({ payload }) => {
    seen.push((payload as { kind: string }).kind);
    return "arrives";
  };
  const inputs = issues.map(({ transaction }) => firstOutput(transaction));
  await settle(net, shared.propose({ inputs, outputs: [{ owner: bob, amount: 170 }], signedBy: [alice] }), bob);
  assert.deepEqual(seen.slice(0, 5), ["proposal", "need", "need", "need", "need"]);
  assert.deepEqual(new Set(await statusesOf(net, bob, idsOf(issues))), new Set(["V"]));
});

test("a sender that says the same again and again is left", async () => {
  const net = network();
  const [first, second] = chainOf(2) as [SignedTransaction, SignedTransaction];
  const spend = shared.sign(shared.build(spendOf([second])), alice);
  const again = { kind: "chain", transactions: [encodeSigned(second)] };
  const outcome = await net.run(alice.name, Liar.name, {
    to: bob.name,
    sends: [{ kind: "proposal", transaction: encodeSigned(spend) }, again, again],
  });
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  assert.equal((outcome.ok as readonly { type?: string }[])[2]?.type, "ledger.backchainWithheld");
  assert.deepEqual(await statusesOf(net, bob, idsOf([first, second])), [undefined, "U"]);
});

test("a history whose contract package is not here is kept, and goes on when it is, without being fetched again", async () => {
  const [net, chain] = [network(), chainOf(30)];
  await plant(net, alice, chain);
  const manifest = manifests.get(PACKAGE.fileChecksum);
  net.interference = ({ payload }) => {
    // Bob's verification role has lost it, or never had it.
    if ((payload as { kind?: string }).kind === "chain") manifests.delete(PACKAGE.fileChecksum);
    return "arrives";
  };
  const refused = await settleOn(net, alice, spendOf(chain), bob);
  await net.settle();
  manifests.set(PACKAGE.fileChecksum, manifest as NonNullable<typeof manifest>);
  assert.equal("error" in refused && refused.error.type, "ledger.packageUnknown");
  assert.deepEqual(new Set(await statusesOf(net, bob, idsOf(chain))), new Set(["U"]), "not verified, and not invalid either");
  const needs = counting(net, "need");
  await settle(net, spendOf(chain), bob);
  assert.deepEqual([new Set(await statusesOf(net, bob, idsOf(chain))), needs.count], [new Set(["V"]), 0]);
});
