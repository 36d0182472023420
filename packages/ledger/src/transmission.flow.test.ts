import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Data, X500Name } from "@bowline/base";
import { flow, type Outcome, type Protocol, responder, type TransactionProposal } from "@bowline/sdk";
import Type from "typebox";
import { MemoryNetwork } from "./network.memory.ts";
import type { TransactionStatus } from "./ports.ts";
import { Note, type Party, sample } from "./sample.memory.ts";
import { decodeSigned, encodeSigned } from "./transaction.ts";

const shared = await sample();
const { alice, bob } = shared.parties;
const PROTOCOL: Protocol = { name: "com.example.show", versions: [1] };
const Name = Type.Unsafe<X500Name>(Type.String());
const Proposal = Type.Unsafe<TransactionProposal>(Type.Object({}));
const seen: string[] = [];
let network: MemoryNetwork;

const Issue = flow({
  name: "com.example.Issue",
  startable: true,
  input: Type.Object({ proposal: Proposal }),
  call: async (context, { proposal }) => (await context.ledger.finalize(await context.ledger.sign(proposal), [])).id,
});
const Show = flow({
  name: "com.example.Show",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ id: Type.String(), to: Name, whole: Type.Boolean() }),
  call: async ({ ledger, initiate }, { id, to, whole }) => {
    const sessions = [await initiate(to)];
    await (whole ? ledger.sendTransactionWithBackchain({ id }, sessions) : ledger.sendTransaction({ id }, sessions));
  },
});
const ShowUnsigned = flow({
  name: "com.example.ShowUnsigned",
  startable: true,
  initiates: { name: "com.example.show-unsigned", versions: [1] },
  input: Type.Object({ proposal: Proposal, to: Name }),
  call: async ({ ledger, initiate }, { proposal, to }) => {
    const signed = await ledger.sign(proposal);
    await ledger.sendLedgerTransaction(signed, [await initiate(to)]);
    return signed.id;
  },
});
const See = responder({
  name: "com.example.See",
  answers: PROTOCOL,
  call: async ({ ledger }, session) => void seen.push((await ledger.receiveTransaction(session)).id),
});
const SeeUnsigned = responder({
  name: "com.example.SeeUnsigned",
  answers: { name: "com.example.show-unsigned", versions: [1] },
  call: async ({ ledger }, session) => {
    const view = await ledger.receiveLedgerTransaction(session);
    seen.push(view.id, ...view.inputs.map(({ ref }) => ref));
  },
});
const Draft = flow({
  name: "com.example.Draft",
  startable: true,
  input: Type.Object({ proposal: Proposal }),
  call: async ({ ledger }, { proposal }) => (await ledger.keepDraft(proposal)).id,
});
const TakeUp = flow({
  name: "com.example.TakeUp",
  startable: true,
  input: Type.Object({ id: Type.String() }),
  call: async ({ ledger }, { id }) => {
    const draft = await ledger.findDraft(id);
    if (draft === undefined) return null;
    assert.ok(!("record" in draft), "a draft's signature stays in the vault");
    return (await ledger.finalize(await ledger.takeUpDraft(id), [])).id;
  },
});

beforeEach(() => {
  seen.length = 0;
  network = new MemoryNetwork(shared, [Issue, Show, ShowUnsigned, See, SeeUnsigned, Draft, TakeUp]);
});

async function run(by: Party, name: string, input: object): Promise<Outcome> {
  const outcome = await network.run(by.name, name, input as unknown as Data);
  await network.settle();
  return outcome;
}

async function done(by: Party, name: string, input: object): Promise<string> {
  const outcome = await run(by, name, input);
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as string;
}

async function statusOf(party: Party, id: string): Promise<TransactionStatus | undefined> {
  const [row] = (await network.vault(party.name).read({ kind: "transactions", ids: [id] })) as [{ status: TransactionStatus } | null];
  return row?.status;
}

const issueOf = (owner: Party) => shared.propose({ outputs: [{ owner, amount: 8 }], signedBy: [alice] });

for (const whole of [true, false])
  test(`a final transaction goes to who did not sign it, ${whole ? "with its past" : "as its notary asks"}, and is its own there`, async () => {
    const issued = await done(alice, Issue.name, { proposal: issueOf(alice) });
    const moved = shared.propose({ inputs: [`${issued}:0`], outputs: [{ owner: bob, amount: 8 }], signedBy: [alice] });
    const id = await done(alice, Issue.name, { proposal: moved });
    await done(alice, Show.name, { id, to: bob.name, whole });
    assert.deepEqual([seen, await statusOf(bob, id), await statusOf(bob, issued)], [[id], "V", "V"]);
    const { states } = (await network.vault(bob.name).read({ kind: "find", query: { state: Note.name } })) as unknown as {
      states: { ref: string }[];
    };
    assert.deepEqual(
      states.map(({ ref }) => ref),
      [`${id}:0`],
    );
    await done(alice, Show.name, { id, to: bob.name, whole });
  });

test("what is not final is not sent, and what does not come as final is not taken", async () => {
  const draft = await done(alice, Draft.name, { proposal: issueOf(alice) });
  const outcome = await run(alice, Show.name, { id: draft, to: bob.name, whole: false });
  assert.equal("error" in outcome && outcome.error.type, "ledger.notFinal");
  const id = await done(alice, Issue.name, { proposal: issueOf(bob) });
  network.interference = ({ payload }) => {
    const message = payload as { kind?: string; transaction?: Uint8Array };
    // Its notary's word is taken away.
    if (message.kind === "final") {
      const { transaction } = decodeSigned(message.transaction as Uint8Array);
      message.transaction = encodeSigned({ transaction, signatures: [] });
    }
    return "arrives";
  };
  const refused = await run(alice, Show.name, { id, to: bob.name, whole: false });
  assert.equal("error" in refused && refused.error.type, "ledger.notFinal");
  assert.equal(await statusOf(bob, id), undefined);
});

test("an unsigned transaction is looked at: what it builds upon is verified and kept, and it is not", async () => {
  const issued = await done(alice, Issue.name, { proposal: issueOf(alice) });
  const moved = shared.propose({ inputs: [`${issued}:0`], outputs: [{ owner: bob, amount: 8 }], signedBy: [alice] });
  const signatures: number[] = [];
  network.interference = ({ payload }) => {
    const { kind, transaction } = payload as { kind?: string; transaction?: Uint8Array };
    if (kind === "unsigned") signatures.push(decodeSigned(transaction as Uint8Array).signatures.length);
    return "arrives";
  };
  const id = await done(alice, ShowUnsigned.name, { proposal: moved, to: bob.name });
  assert.deepEqual([seen, signatures], [[id, `${issued}:0`], [0]]);
  assert.deepEqual([await statusOf(bob, issued), await statusOf(bob, id)], ["V", undefined]);
});

test("a draft is kept, found, taken up and finalised; until then it is nobody's concern", async () => {
  const id = await done(alice, Draft.name, { proposal: issueOf(alice) });
  assert.equal(await statusOf(alice, id), "D");
  assert.deepEqual(network.vault(alice.name).dueRepairs(network.now * 2, 10), []);
  assert.equal(await done(alice, TakeUp.name, { id }), id);
  assert.equal(await statusOf(alice, id), "V");
  assert.deepEqual(await run(alice, TakeUp.name, { id }), { ok: null });
});
