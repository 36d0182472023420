// Two members gather a transaction before either signs it. Bob adds to what Alice has begun; each of them may lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data, X500Name } from "@bowline/base";
import { type FlowContext, flow, type Outcome, type Protocol, responder, type Session, transaction } from "@bowline/sdk";
import type { GatheredTransaction } from "@bowline/sdk/transaction-rules";
import Type from "typebox";
import { MemoryNetwork } from "./network.memory.ts";
import { firstOutput, NOW, Note, NoteContract, type Party, type Sample, sample } from "./sample.memory.ts";

const PROTOCOL: Protocol = { name: "com.example.swap", versions: [1] };
const Ref = Type.String();

/** Alice gives a note of hers, and asks for one of the same amount. */
const Swap = flow({
  name: "com.example.Swap",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ to: Type.String(), ref: Ref, whole: Type.Boolean() }),
  call: async (context, { to, ref, whole }) => {
    const [{ ledgerKeys: mine }, theirs] = [await context.members.mine(), await context.members.lookup(to)];
    const [notary] = await context.notaries.all();
    const begun = transaction()
      .input(ref)
      .output(Note, { owner: theirs?.ledgerKeys[0] ?? "", amount: 5, text: "" })
      .command(NoteContract, "Move")
      .signedBy(mine[0] ?? "");
    const session = await context.initiate(to);
    const sent = whole ? begun.notary(notary?.name ?? "").until(NOW + 60_000) : begun;
    const agreed = await context.ledger.sendAndReceiveTransactionBuilder(sent, session);
    assert.equal(agreed.received, undefined);
    return (await context.ledger.finalize(await context.ledger.sign(agreed.build()), [session])).id;
  },
});

/** What Bob does with what he receives. */
let answer: (context: FlowContext, session: Session) => Promise<void>;
const Answer = responder({ name: "com.example.Answer", answers: PROTOCOL, call: (context, session) => answer(context, session) });

async function addAndSign(context: FlowContext, session: Session, ref: string): Promise<void> {
  const received = await context.ledger.receiveTransactionBuilder(session);
  const [offered] = await context.vault.resolve(received.gathered.inputs);
  assert.equal((offered?.state.data as { amount: number } | undefined)?.amount, 5);
  const [mine, theirs] = [await context.members.mine(), await context.members.lookup(session.counterparty)];
  const [notary] = await context.notaries.all();
  const added = received
    .input(ref)
    .output(Note, { owner: theirs?.ledgerKeys[0] ?? "", amount: 5, text: "bob's" })
    .signedBy(mine.ledgerKeys[0] ?? "");
  const whole = received.gathered.notary === undefined ? added.notary(notary?.name ?? "").until(NOW + 60_000) : added;
  await context.ledger.sendUpdatedTransactionBuilder(whole, session);
  await context.ledger.receiveFinality(session, () => {});
}

/** Issues to itself, and moves: so that there is a past. */
const Own = flow({
  name: "com.example.Own",
  startable: true,
  input: Type.Object({ times: Type.Integer() }),
  call: async (context, { times }) => {
    const [key] = (await context.members.mine()).ledgerKeys;
    const [notary] = await context.notaries.all();
    let last: string | undefined;
    for (let i = 0; i <= times; i++) {
      const begun = transaction()
        .notary(notary?.name ?? "")
        .until(NOW + 60_000)
        .output(Note, { owner: key ?? "", amount: 5, text: `${i}` })
        .signedBy(key ?? "");
      const whole = last === undefined ? begun.command(NoteContract, "Issue") : begun.input(`${last}:0`).command(NoteContract, "Move");
      last = (await context.ledger.finalize(await context.ledger.sign(whole.build()), [])).id;
    }
    return `${last}:0`;
  },
});

async function started(
  shared: Sample,
): Promise<{ network: MemoryNetwork; hers: string; his: string; run(whole?: boolean, ref?: string): Promise<Outcome> }> {
  const network = new MemoryNetwork(shared, [Swap, Answer, Own]);
  const { alice, bob } = shared.parties;
  const own = async (party: Party) => {
    const outcome = await network.run(party.name, Own.name, { times: 3 });
    assert.ok("ok" in outcome, JSON.stringify(outcome));
    return outcome.ok as string;
  };
  const [hers, his] = [await own(alice), await own(bob)];
  const run = async (whole = true, ref = hers) => {
    const outcome = await network.run(alice.name, Swap.name, { to: bob.name, ref, whole });
    await network.settle();
    return outcome;
  };
  return { network, hers, his, run };
}

async function owned(network: MemoryNetwork, { name }: Party): Promise<readonly string[]> {
  const { states } = (await network.vault(name).read({ kind: "find", query: { state: Note.name } })) as unknown as {
    states: { state: { data: { text: string } } }[];
  };
  return states.map(({ state }) => state.data.text);
}

for (const verifies of [false, true])
  for (const whole of [true, false])
    test(`two members swap in a transaction that both gathered, ${whole ? "the notary said first" : "the notary said last"}, where the notary ${verifies ? "verifies" : "does not verify"}`, async () => {
      const shared = await sample({ verifies });
      const { alice, bob } = shared.parties;
      const { network, his, run } = await started(shared);
      answer = (context, session) => addAndSign(context, session, his);
      const chains: string[] = [];
      network.interference = ({ payload }) => {
        const { kind } = payload as { kind?: string };
        if (kind === "chain") chains.push(kind);
        return "arrives";
      };
      const outcome = await run(whole);
      assert.ok("ok" in outcome, JSON.stringify(outcome));
      assert.deepEqual([await owned(network, alice), await owned(network, bob)], [["bob's"], [""]]);
      assert.equal(chains.length > 0, !verifies, "the past of each is fetched, unless the notary's word does");
    });

const shared = await sample();
const { alice, bob } = shared.parties;
const errorOf = (outcome: Outcome) => ("error" in outcome ? outcome.error.type : `ok: ${JSON.stringify(outcome.ok)}`);

/** Bob's platform lies: his additions arrive otherwise than he sent them. */
async function lied(doctor: (gathered: GatheredTransaction) => GatheredTransaction): Promise<string> {
  const { network, his, run } = await started(shared);
  answer = (context, session) => addAndSign(context, session, his);
  network.interference = ({ payload }) => {
    const message = payload as { kind?: string; gathered?: GatheredTransaction };
    if (message.kind === "additions") message.gathered = doctor(message.gathered as GatheredTransaction);
    return "arrives";
  };
  return errorOf(await run());
}

const elsewhere = firstOutput(shared.build(shared.propose({ outputs: [{ owner: bob, amount: 5 }], signedBy: [bob] }), "nowhere"));
for (const [what, doctor, code] of [
  ["another notary", (one) => ({ ...one, notary: "O=Other, L=London, C=GB" as X500Name }), "ledger.builderChanged"],
  ["another end", (one) => ({ ...one, until: NOW + 1 }), "ledger.builderChanged"],
  ["a key that is none", (one) => ({ ...one, signatories: ["AAAA"] }), "crypto.keyMalformed"],
  ["what is no reference", (one) => ({ ...one, inputs: ["x"] }), "input.invalid"],
  ["a state that he cannot prove", (one) => ({ ...one, inputs: [elsewhere] }), "ledger.backchainRefused"],
] as const satisfies readonly (readonly [string, (gathered: GatheredTransaction) => GatheredTransaction, string])[])
  test(`who adds ${what} is refused, by its code`, async () => assert.equal(await lied(doctor), code));

test("what is there already is not added again", async () => {
  let hers = "";
  const outcome = await lied((one) => {
    hers = one.inputs[0] as string;
    return { ...one, inputs: [...one.inputs, hers, hers], signatories: [...one.signatories, alice.keys.publicKey, ...one.signatories] };
  });
  assert.match(outcome, /^ok/);
});

test("who proposes a state that its vault does not hold is told before anything is sent", async () => {
  const { run } = await started(shared);
  answer = async () => assert.fail("nobody hears of it");
  assert.equal(errorOf(await run(true, elsewhere)), "vault.stateUnknown");
});

test("who receives may ask for what the states descend from, and for nothing else", async () => {
  const { network, his, run } = await started(shared);
  answer = async ({ syscall }, session) => {
    await session.receive(Type.Unsafe<Data>(Type.Unknown()));
    const payload = { kind: "need", ids: [his.replace(/:0$/, "")], ahead: 0 };
    await syscall({ kind: "session.exchange", sends: [{ session: session.id, payload }], receives: [session.id] });
  };
  assert.equal(errorOf(await run()), "ledger.backchainRefused");
  assert.deepEqual(await owned(network, bob), ["3"]);
});

test("what was not received is not sent back, and what was received not with something taken away", async () => {
  const { run } = await started(shared);
  const heard: string[] = [];
  const attempt = (work: Promise<void>) => work.catch((thrown: { type: string }) => void heard.push(thrown.type));
  answer = async ({ ledger }, session) => {
    const received = await ledger.receiveTransactionBuilder(session);
    await attempt(ledger.sendUpdatedTransactionBuilder(transaction(), session));
    await attempt(ledger.sendUpdatedTransactionBuilder(received.until(NOW + 1), session));
  };
  assert.equal(errorOf(await run()), "ledger.builderChanged", "and the other side is told");
  assert.deepEqual(heard, ["transaction.builderNotReceived", "ledger.builderChanged"]);
});

test("a counterparty that refuses what is proposed ends it for both", async () => {
  const { run } = await started(shared);
  answer = async ({ ledger }, session) => {
    await ledger.receiveTransactionBuilder(session);
    throw new Error("no, thanks");
  };
  assert.equal(errorOf(await run()), "session.failed");
});
