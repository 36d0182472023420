// What author code shows of transactions, and what it is shown, through the flows that it calls.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Data, decode, encode, hex } from "@bowline/base";
import { type FlowContext, flow, type Outcome, responder, type TransactionProposal } from "@bowline/sdk";
import type { RequiredShown, ShownTransaction } from "@bowline/sdk/filtered";
import Type from "typebox";
import { keptOutputs } from "./asking.ts";
import { MemoryNetwork } from "./network.memory.ts";
import { Note, sample } from "./sample.memory.ts";
import { decodeSigned } from "./transaction.ts";

const shared = await sample();
const { alice, bob, carol } = shared.parties;
const PROTOCOL = { name: "com.example.show", versions: [1] };
let network: MemoryNetwork;

/** Issues a note to Alice and one to Bob, and answers the views that Alice makes of it. */
const Issue = flow({
  name: "com.example.Issue",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ proposal: Type.Unsafe<TransactionProposal>(Type.Object({})) }),
  call: async (context: FlowContext, { proposal }) => {
    const signed = await context.ledger.sign(proposal);
    const early = await context.ledger.filter(signed, { outputs: "count" });
    const session = await context.initiate(bob.name);
    const { id } = await context.ledger.finalize(signed, [session]);
    const outputs = await context.ledger.filter(id, {
      notary: true,
      outputs: ({ state }) => (state.data as { amount: number }).amount === 7,
    });
    const rest = await context.ledger.filter(id, {
      timeWindow: true,
      signatories: "all",
      inputs: "all",
      commands: (_command, index) => index === 0,
    });
    const merged = await context.ledger.mergeFiltered(outputs.bytes, rest.bytes);
    return { early: early.bytes, outputs: outputs.bytes, rest: rest.bytes, merged: merged.bytes, id };
  },
});
const Agree = responder({
  name: "com.example.Agree",
  answers: PROTOCOL,
  call: async (context, session) => void (await context.ledger.receiveFinality(session, () => {})),
});
const Look = flow({
  name: "com.example.Look",
  startable: true,
  input: Type.Object({ bytes: Type.Unsafe<Uint8Array>(Type.Unknown()), required: Type.Unsafe<RequiredShown>(Type.Object({})) }),
  call: (context: FlowContext, { bytes, required }) => context.ledger.verifyFiltered(bytes, required),
});
const Unknown = flow({
  name: "com.example.Unknown",
  startable: true,
  input: Type.Null(),
  call: (context: FlowContext) => context.ledger.filter(`SHA-256:${"0".repeat(64)}`, {}),
});

beforeEach(() => {
  network = new MemoryNetwork(shared, [Issue, Agree, Look, Unknown]);
});

interface Views {
  readonly id: string;
  readonly early: Uint8Array;
  readonly outputs: Uint8Array;
  readonly rest: Uint8Array;
  readonly merged: Uint8Array;
}

async function views(): Promise<Views> {
  const proposal = shared.propose({
    outputs: [
      { owner: alice, amount: 5, text: "nobody else's business" },
      { owner: bob, amount: 7 },
    ],
    signedBy: [alice, bob],
  });
  const outcome = await network.run(alice.name, Issue.name, { proposal } as unknown as Data);
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as unknown as Views;
}

/** Carol has never heard of the transaction. */
const look = (bytes: Uint8Array, required: RequiredShown = {}): Promise<Outcome> =>
  network.run(carol.name, Look.name, { bytes, required } as unknown as Data);

async function shown(bytes: Uint8Array, required?: RequiredShown): Promise<ShownTransaction> {
  const outcome = await look(bytes, required);
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  return outcome.ok as unknown as ShownTransaction;
}

async function refusal(bytes: Uint8Array, required?: RequiredShown): Promise<string> {
  const outcome = await look(bytes, required);
  assert.ok("error" in outcome, "it was to be refused");
  assert.equal(outcome.error.type, "ledger.filteredInvalid", JSON.stringify(outcome.error));
  return outcome.error.message;
}

test("a stranger is shown some outputs, that their notary has accepted them, and how much is not shown", async () => {
  const { id, outputs } = await views();
  const seen = await shown(outputs, { accepted: true });
  assert.equal(seen.id, id);
  assert.equal(seen.notary, shared.notary.name);
  assert.equal(seen.metadata.ledgerVersion, 1);
  assert.deepEqual([seen.outputs?.count, seen.outputs?.complete], [2, false]);
  assert.deepEqual(
    seen.outputs?.items.map(({ index, value }) => [index, value.ref, value.state.type, (value.state.data as { amount: number }).amount]),
    [[1, `${id}:1`, Note.name, 7]],
  );
  for (const hidden of [seen.timeWindow, seen.inputs, seen.commands, seen.signatories]) assert.equal(hidden, undefined);
  assert.ok(!hex(outputs).includes(hex(new TextEncoder().encode("nobody else's business"))));
});

test("what is required and not shown is refused", async () => {
  const { outputs, rest, early } = await views();
  assert.match(await refusal(outputs, { complete: ["outputs"] }), /group outputs shows 1 of 2/);
  assert.match(await refusal(outputs, { counted: ["inputs"] }), /group inputs is hidden/);
  assert.match(await refusal(rest, { complete: ["notary"] }), /group notary shows 1 of 3/);
  assert.match(await refusal(rest, { accepted: true }), /its notary is not shown/);
  await shown(rest, { complete: ["inputs", "signatories", "commands"], counted: ["inputs"] });
  assert.equal((await shown(early, { counted: ["outputs"] })).outputs?.count, 2);
});

test("two views merge into one, with the notary's word", async () => {
  const { merged, id } = await views();
  const seen = await shown(merged, { accepted: true, complete: ["notary", "signatories"] });
  assert.equal(seen.id, id);
  assert.deepEqual([seen.outputs?.items.length, seen.commands?.items[0]?.value.type, seen.inputs?.count], [1, "Issue", 0]);
  assert.ok((seen.timeWindow?.until ?? 0) > 0);
});

test("a word that is not the notary's, or none, is no acceptance", async () => {
  const { outputs } = await views();
  const view = decode(outputs) as { readonly filtered: Uint8Array; readonly signatures: readonly Uint8Array[] };
  assert.match(await refusal(encode({ ...view, signatures: [] }), { accepted: true }), /not shown that .* has accepted/);
  const doctored = view.signatures.map((signature) => signature.map((byte, i) => (i === 60 ? byte ^ 1 : byte)));
  const outcome = await look(encode({ ...view, signatures: doctored }), { accepted: true });
  assert.ok("error" in outcome);
  assert.equal((await shown(encode({ ...view, signatures: [] }))).outputs?.count, 2);
});

test("what the vault does not hold cannot be shown, and bytes that are no view are refused", async () => {
  const outcome = await network.run(alice.name, Unknown.name, null);
  assert.ok("error" in outcome && outcome.error.type === "vault.transactionUnknown");
  const none = await look(encode({ filtered: new Uint8Array(3), signatures: [] }));
  assert.ok("error" in none && /^(codec\.malformed|input\.invalid)$/.test(none.error.type), JSON.stringify(none));
});

test("the salt stays at home", async () => {
  const { id, merged, early } = await views();
  const [row] = (await network.vault(alice.name).read({ kind: "transactions", ids: [id] })) as unknown as [{ bytes: Uint8Array }];
  const salt = hex(decodeSigned(row.bytes).transaction.salt);
  for (const bytes of [merged, early]) assert.ok(!hex(bytes).includes(salt));
});

test("whoever a state says sees it keeps it, and no participant whom it does not name", () => {
  const description = { participants: ["alice"], json: null };
  const visible = [
    { keys: ["auditor"], yes: true, no: 1 },
    { keys: ["bob", "carol"], yes: false, no: true },
  ] as const;
  const kept = (mine: readonly string[]) =>
    keptOutputs([description, { ...description, visible }, { ...description, visible: false }], mine).map(({ index }) => index);
  assert.deepEqual(kept(["alice"]), [0, 1]);
  assert.deepEqual(kept(["auditor"]), [1]);
  assert.deepEqual(kept(["bob"]), []);
  assert.deepEqual(kept(["auditor", "carol"]), [1]);
});
