// Every message of the ledger's protocols, changed at random on its way: whoever gets it ends with a code, and never with an error of
// ours; nobody is verified where another is invalid; and nothing is verified that its notary did not accept.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data } from "@bowline/base";
import { failureOf, flow, type Protocol, responder, transaction } from "@bowline/sdk";
import fc from "fast-check";
import Type from "typebox";
import { MemoryNetwork } from "./network.memory.ts";
import type { TransactionStatus } from "./ports.ts";
import { NOW, Note, NoteContract, sample } from "./sample.memory.ts";
import { checkSignatures } from "./signatures.ts";
import { decodeSigned } from "./transaction.ts";

const RUNS = 30;
/** What a flow may end with: a code of docs/errors.md. */
const CODE = /^(codec|crypto|input|key|ledger|merkle|name|notary|session|transaction|vault)\.[a-zA-Z]+$/;
const GIVE: Protocol = { name: "com.example.give", versions: [1] };
const SHOW: Protocol = { name: "com.example.show", versions: [1] };
const SWAP: Protocol = { name: "com.example.swap", versions: [1] };

const ended: string[] = [];
/** Of a flow that nobody waits for. */
async function noted(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    ended.push(failureOf(thrown).type);
    throw thrown;
  }
}

const Issue = flow({
  name: "com.example.Issue",
  startable: true,
  input: Type.Object({ times: Type.Integer() }),
  call: async ({ ledger, members, notaries }, { times }) => {
    const [[notary], { ledgerKeys }] = [await notaries.all(), await members.mine()];
    const owner = ledgerKeys[0] ?? "";
    let last = "";
    for (let i = 0; i < times; i++) {
      const begun = transaction()
        .notary(notary?.name ?? "")
        .until(NOW + 60_000)
        .output(Note, { owner, amount: 5, text: `${i}` })
        .signedBy(owner);
      const whole = i === 0 ? begun.command(NoteContract, "Issue") : begun.input(`${last}:0`).command(NoteContract, "Move");
      last = (await ledger.finalize(await ledger.sign(whole.build()), [])).id;
    }
    return last;
  },
});
/** Gives her note away, the other signs too; shows it to him; or gives it for his, in a transaction that both gather. */
const Act = flow({
  name: "com.example.Act",
  startable: true,
  input: Type.Object({ how: Type.Enum(["give", "show", "swap"]), id: Type.String(), to: Type.String() }),
  call: async ({ ledger, members, notaries, initiate }, { how, id, to }) => {
    const session = await initiate(to, { protocol: { give: GIVE, show: SHOW, swap: SWAP }[how] });
    if (how === "show") return ledger.sendTransaction({ id }, [session]);
    const [[notary], { ledgerKeys }, theirs] = [await notaries.all(), await members.mine(), await members.lookup(to)];
    const [me, them] = [ledgerKeys[0] ?? "", theirs?.ledgerKeys[0] ?? ""];
    const move = transaction()
      .notary(notary?.name ?? "")
      .until(NOW + 60_000)
      .input(`${id}:0`)
      .output(Note, { owner: them, amount: 5, text: "" })
      .command(NoteContract, "Move")
      .signedBy(me);
    const whole = how === "give" ? move.signedBy(them) : await ledger.sendAndReceiveTransactionBuilder(move, session);
    await ledger.finalize(await ledger.sign(whole.build()), [session]);
  },
});
const Take = responder({
  name: "com.example.Take",
  answers: GIVE,
  call: ({ ledger }, session) => noted(ledger.receiveFinality(session, () => {})),
});
const See = responder({ name: "com.example.See", answers: SHOW, call: ({ ledger }, session) => noted(ledger.receiveTransaction(session)) });
const Answer = responder({
  name: "com.example.Answer",
  answers: SWAP,
  call: ({ ledger, members, vault }, session) =>
    noted(
      (async () => {
        const offered = await ledger.receiveTransactionBuilder(session);
        const [me = ""] = (await members.mine()).ledgerKeys;
        const [own] = (await vault.find(Note)).states;
        const theirs = (await members.lookup(session.counterparty))?.ledgerKeys[0] ?? "";
        const note = { owner: theirs, amount: 5, text: "" };
        const whole = own === undefined ? offered : offered.input(own).output(Note, note).signedBy(me);
        await ledger.sendUpdatedTransactionBuilder(whole, session);
        await ledger.receiveFinality(session, () => {});
      })(),
    ),
});

/** One place in a message, and what becomes of it. */
const doctoring = fc.record({
  message: fc.nat(7),
  place: fc.nat(1_000),
  how: fc.constantFrom("flip", "cut", "drop", "repeat", "other", "empty"),
  bit: fc.nat(100_000),
});
type Doctoring = typeof doctoring extends fc.Arbitrary<infer T> ? T : never;

const placesIn = (value: Data): number =>
  value instanceof Uint8Array || value === null || typeof value !== "object"
    ? 1
    : Object.values(value).reduce((sum: number, member: Data) => sum + placesIn(member), 1);

/** A copy, changed where `place` says, counted through all that it holds. */
function doctored(payload: Data, { place, how, bit }: Doctoring): Data {
  let left = place % placesIn(payload);
  const change = (value: Data): Data => {
    if (left-- === 0) return changed(value, how, bit);
    if (value instanceof Uint8Array || value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(change);
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, change(member)]));
  };
  return change(payload);
}

function changed(value: Data, how: Doctoring["how"], bit: number): Data {
  if (how === "empty") return value instanceof Uint8Array ? new Uint8Array() : Array.isArray(value) ? [] : null;
  if (value instanceof Uint8Array) {
    if (how === "cut") return value.slice(0, bit % (value.length + 1));
    if (how === "repeat") return new Uint8Array([...value, ...value]);
    return value.map((byte, i) => (i === bit % value.length ? byte ^ (1 << (bit % 8)) : byte));
  }
  if (Array.isArray(value)) return how === "repeat" ? [...value, ...value] : value.filter((_, i) => i !== bit % value.length);
  if (typeof value === "string") return how === "cut" ? value.slice(0, -1) : how === "repeat" ? value + value : "other";
  if (typeof value === "number") return how === "flip" ? value ^ 1 : -value;
  if (value === null || typeof value !== "object") return [];
  const entries = Object.entries(value);
  const left = entries.filter((_, i) => i !== bit % entries.length);
  return Object.fromEntries(how === "other" ? [...entries, ["more", 1]] : left);
}

for (const verifies of [false, true]) {
  const shared = await sample({ verifies });
  const { alice, bob } = shared.parties;

  async function live(how: "give" | "show" | "swap", doctoringIs: Doctoring): Promise<void> {
    ended.length = 0;
    const network = new MemoryNetwork(shared, [Issue, Act, Take, See, Answer]);
    const issued = async (name: typeof alice.name) => {
      const outcome = await network.run(name, Issue.name, { times: 2 });
      assert.ok("ok" in outcome);
      return outcome.ok as string;
    };
    const [hers] = [await issued(alice.name), await issued(bob.name)];
    let messages = 0;
    network.interference = (message) => {
      if (messages++ === doctoringIs.message) message.payload = doctored(message.payload, doctoringIs);
      return "arrives";
    };
    const outcome = await network.run(alice.name, Act.name, { how, id: hers, to: bob.name });
    await network.settle();
    if ("error" in outcome) ended.push(outcome.error.type);
    for (const type of ended) assert.match(type, CODE);
    network.interference = () => "arrives";
    for (let round = 0; round < 6; round++) {
      network.now += 30 * 60_000;
      await network.repair();
    }
    await agree(network);
  }

  async function agree(network: MemoryNetwork): Promise<void> {
    const found = new Map<string, TransactionStatus>();
    for (const { name } of [alice, bob]) {
      const { states } = (await network.vault(name).read({ kind: "list" })) as unknown as { states: readonly { ref: string }[] };
      const rows = await network.vault(name).read({ kind: "unverified", limit: 100 });
      assert.deepEqual(rows, [], "what is open is decided in the end");
      for (const { ref } of states) {
        const id = ref.slice(0, ref.lastIndexOf(":"));
        const [row] = (await network.vault(name).read({ kind: "transactions", ids: [id] })) as [
          { status: TransactionStatus; bytes: Uint8Array } | null,
        ];
        if (row === null) continue;
        assert.ok((found.get(id) ?? row.status) === row.status, `${id} is ${row.status} at one and ${found.get(id)} at another`);
        found.set(id, row.status);
        const { transaction: verified, signatures } = decodeSigned(row.bytes);
        const state = checkSignatures(verified, signatures);
        assert.deepEqual([state.missing, state.notary?.kind], [[], "accepted"]);
      }
    }
  }

  for (const how of ["give", "show", "swap"] as const)
    test(`a message that is changed on its way harms nobody: ${how}, where the notary ${verifies ? "verifies" : "does not verify"}`, () =>
      fc.assert(
        fc.asyncProperty(doctoring, (one) => live(how, one)),
        { numRuns: RUNS },
      ));
}
