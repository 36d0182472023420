import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Data, decode, encode, type SecureHash, type X500Name } from "@bowline/base";
import {
  type FlowError,
  flow,
  type Outcome,
  type PlatformFlowName,
  responder,
  type StateAndRef,
  type TransactionProposal,
} from "@bowline/sdk";
import Type from "typebox";
import { stateRef } from "./leaves.ts";
import { MemoryNetwork, type Message } from "./network.memory.ts";
import type { ListedState, TransactionStatus } from "./ports.ts";
import { OUTCOME_PROTOCOL } from "./repair.flow.ts";
import { Note, type Party, sample, signatureOf } from "./sample.memory.ts";
import { agreeUnless, idOf, SETTLE_PROTOCOL, Settle, settlement, settleOn } from "./settling.memory.ts";
import { checkSignatures, encodeSignature } from "./signatures.ts";
import { decodeSigned } from "./transaction.ts";

const shared = await sample();
const { alice, bob, carol } = shared.parties;
/** What a responder finds wrong with what it is shown, by member. */
const objections = new Map<X500Name, string>();
let network: MemoryNetwork;

const Agree = agreeUnless((me) => objections.get(me));

beforeEach(() => {
  objections.clear();
  network = new MemoryNetwork(shared, [Settle, Agree]);
});

const settle = (by: Party, proposal: TransactionProposal, ...others: readonly Party[]): Promise<Outcome> =>
  settleOn(network, by, proposal, ...others);

/** As far as it comes: somebody may die. */
async function begin(by: Party, proposal: TransactionProposal, ...others: readonly Party[]): Promise<void> {
  network.start(by.name, Settle.name, settlement(proposal, others));
  await network.settle();
}

const issueTo = (owner: Party, amount: number, signedBy: readonly Party[], text = "") =>
  shared.propose({ outputs: [{ owner, amount, text }], signedBy });

function failureOf(outcome: Outcome): string {
  assert.ok("error" in outcome, "the flow was to fail");
  return outcome.error.type;
}

async function statusOf(party: Party, id: string): Promise<TransactionStatus | undefined> {
  const [row] = (await network.vault(party.name).read({ kind: "transactions", ids: [id] })) as [{ status: TransactionStatus } | null];
  return row?.status;
}

/** Of each signature that a vault keeps, whether it is the notary's. */
async function signaturesOf(party: Party, id: string): Promise<readonly boolean[]> {
  const [row] = (await network.vault(party.name).read({ kind: "transactions", ids: [id] })) as [{ bytes: Uint8Array }];
  return decodeSigned(row.bytes)
    .signatures.map(({ batch }) => batch !== undefined)
    .sort();
}

async function owned(party: Party): Promise<readonly { amount: number; ref: string }[]> {
  const { states } = (await network.vault(party.name).read({ kind: "find", query: { state: Note.name } })) as unknown as {
    states: readonly StateAndRef<{ amount: number }>[];
  };
  return states.map(({ ref, state }) => ({ amount: state.data.amount, ref }));
}

/** The only transaction that a vault lists or knows of, by the messages that passed. */
function watch(): { readonly messages: Message[]; readonly ids: Set<string> } {
  const seen = { messages: [] as Message[], ids: new Set<string>() };
  network.interference = (message) => {
    seen.messages.push(message);
    const { transaction } = message.payload as { transaction?: unknown };
    if (transaction instanceof Uint8Array) seen.ids.add(decodeSigned(transaction).transaction.id);
    return "arrives";
  };
  return seen;
}

test("an issue between two parties ends verified at both, and only its owner can spend it", async () => {
  const id = idOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob));
  await network.settle();
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["V", "V"]);
  assert.deepEqual(await owned(bob), [{ amount: 5, ref: `${id}:0` }]);
  assert.deepEqual(await owned(alice), []);
});

test("what is verified carries all signatures and the notary's acceptance", async () => {
  const id = idOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob));
  await network.settle();
  for (const party of [alice, bob]) {
    const [row] = (await network.vault(party.name).read({ kind: "transactions", ids: [id] })) as [{ bytes: Uint8Array }];
    const { transaction, signatures } = decodeSigned(row.bytes);
    const state = checkSignatures(transaction, signatures);
    assert.deepEqual([state.missing, state.invalid, state.notary?.kind], [[], [], "accepted"]);
  }
});

test("a transaction of one party needs nobody but the notary", async () => {
  const id = idOf(await settle(alice, issueTo(alice, 3, [alice])));
  assert.equal(await statusOf(alice, id), "V");
  assert.equal((await owned(alice)).length, 1);
});

test("a party that never saw a state verifies its whole history first", async () => {
  const issued = idOf(await settle(alice, issueTo(alice, 8, [alice])));
  const moved = idOf(
    await settle(alice, shared.propose({ inputs: [`${issued}:0`], outputs: [{ owner: bob, amount: 8 }], signedBy: [alice] }), bob),
  );
  await network.settle();
  assert.equal(await statusOf(bob, issued), "V");
  const last = idOf(
    await settle(bob, shared.propose({ inputs: [`${moved}:0`], outputs: [{ owner: carol, amount: 8 }], signedBy: [bob] }), carol),
  );
  await network.settle();
  assert.deepEqual(await Promise.all([issued, moved, last].map((id) => statusOf(carol, id))), ["V", "V", "V"]);
  assert.deepEqual(await owned(carol), [{ amount: 8, ref: `${last}:0` }]);
  assert.deepEqual([await owned(alice), await owned(bob)], [[], []]);
});

test("three parties: each gets the signatures of the others before the notary is asked", async () => {
  const seen = watch();
  const id = idOf(await settle(alice, issueTo(carol, 2, [alice, bob, carol]), bob, carol));
  await network.settle();
  assert.deepEqual(await Promise.all([alice, bob, carol].map((party) => statusOf(party, id))), ["V", "V", "V"]);
  const kinds = seen.messages.map(
    ({ from, to, payload }) => [from === alice.name ? to : "", (payload as { kind?: string }).kind ?? "notary"] as const,
  );
  const asked = kinds.findIndex(([to]) => shared.notary.members.includes(to as X500Name));
  for (const party of [bob, carol]) {
    const given = kinds.findIndex(([to, kind]) => to === party.name && kind === "signatures");
    assert.ok(given >= 0 && given < asked, `signatures go to ${party.name} at ${given}, and the notary is asked at ${asked}`);
  }
});

test("no signature leaves before the row, and no notary's word before V", async () => {
  const late: Promise<void>[] = [];
  const check = (party: Party, id: string, expected: readonly (TransactionStatus | undefined)[], what: string) =>
    late.push(statusOf(party, id).then((status) => assert.ok(expected.includes(status), `${what}: ${status}`)));
  let id = "";
  network.interference = ({ from, payload }) => {
    const { kind, transaction } = payload as { kind?: string; transaction?: Uint8Array };
    if (transaction !== undefined) id = decodeSigned(transaction).transaction.id;
    const party = [alice, bob].find(({ name }) => name === from);
    if (party !== undefined && (kind === "proposal" || kind === "signatures")) check(party, id, ["U"], `${kind} of ${from}`);
    if (kind === "outcome") check(alice, id, ["V"], "outcome");
    return "arrives";
  };
  idOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob));
  await Promise.all(late);
  assert.equal(late.length, 3);
});

test("a required signatory that refuses writes it off; the proposer, whose signature is out, does not", async () => {
  const seen = watch();
  objections.set(bob.name, "too little");
  const outcome = await settle(alice, issueTo(bob, 5, [alice, bob]), bob);
  await network.settle();
  assert.equal(failureOf(outcome), "example.objection");
  const [id] = [...seen.ids];
  assert.deepEqual([await statusOf(alice, id as string), await statusOf(bob, id as string)], ["U", "I"]);
});

test("an observer's refusal writes nothing off", async () => {
  const seen = watch();
  objections.set(carol.name, "none of my business");
  assert.equal(failureOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob, carol)), "example.objection");
  await network.settle();
  const [id] = [...seen.ids] as [string];
  assert.deepEqual(await Promise.all([alice, bob, carol].map((party) => statusOf(party, id))), ["U", "U", undefined]);
});

test("a double spend is refused by the notary, and both parties hold its signed refusal", async () => {
  const issued = idOf(await settle(alice, issueTo(alice, 8, [alice])));
  const spend = (to: Party) => shared.propose({ inputs: [`${issued}:0`], outputs: [{ owner: to, amount: 8 }], signedBy: [alice] });
  idOf(await settle(alice, spend(bob), bob));
  await network.settle();
  const seen = watch();
  assert.equal(failureOf(await settle(alice, spend(carol), carol)), "notary.inputStateConflict");
  await network.settle();
  const second = [...seen.ids].at(-1) as string;
  assert.deepEqual([await statusOf(alice, second), await statusOf(carol, second)], ["I", "I"]);
  assert.deepEqual([(await owned(bob)).length, (await owned(carol)).length], [1, 0]);
});

test("a transaction that breaks a rule is not even signed", async () => {
  const outcome = await settle(alice, issueTo(bob, -5, [alice, bob]), bob);
  assert.equal(failureOf(outcome), "ledger.transactionInvalid");
  assert.match(JSON.stringify(outcome), /an amount is positive/);
  assert.equal(((await network.vault(alice.name).read({ kind: "list" })) as unknown as { states: ListedState[] }).states.length, 0);
});

test("a responder that missed the notary's word has it of any participant, with no session of then", async () => {
  const seen = watch();
  const all = network.interference;
  network.interference = (message) => {
    all(message);
    return (message.payload as { kind?: string }).kind === "outcome" ? "lost" : "arrives";
  };
  const id = idOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob));
  await network.settle();
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["V", "V"]);
  const asked = seen.messages.filter(({ from, payload }) => from === bob.name && "proof" in (payload as object));
  assert.deepEqual(
    asked.map(({ to }) => to),
    [alice.name],
  );
  assert.ok(
    seen.messages.every(({ payload }) => (payload as { mode?: string }).mode !== "read"),
    "the notary was not troubled",
  );
});

test("what a participant knows is for those who have the transaction, not for those who know its id", async () => {
  const id = idOf(await settle(alice, issueTo(alice, 5, [alice])));
  const Curious = flow({
    name: "com.example.CuriousAsker",
    startable: true,
    input: Type.Null(),
    call: async (context) => {
      const session = await context.initiate(alice.name, { protocol: OUTCOME_PROTOCOL });
      const answer = await session.sendAndReceive(
        { id, proof: new Uint8Array(32) },
        Type.Object({ signatures: Type.Array(Type.Unknown()) }),
      );
      return answer.signatures.length;
    },
  });
  const vaults = network;
  network = new MemoryNetwork(shared, [Settle, Agree, Curious]);
  network.adopt(vaults);
  assert.deepEqual(await network.run(bob.name, Curious.name, null), { ok: 0 });
});

test("a responder whose initiator is gone after the notary's word asks the notary", async () => {
  const seen = watch();
  const all = network.interference;
  network.interference = (message) => {
    all(message);
    if ((message.payload as { kind?: string }).kind === "outcome") network.die(alice.name);
    return "arrives";
  };
  await begin(alice, issueTo(bob, 5, [alice, bob]), bob);
  const [id] = [...seen.ids] as [string];
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["V", "V"]);
  assert.ok(seen.messages.some(({ from, payload }) => from === bob.name && (payload as { mode?: string }).mode === "read"));
});

test("a responder whose initiator died before the notary was asked learns after the bound that it never happened", async () => {
  const seen = watch();
  const all = network.interference;
  network.interference = (message) => {
    all(message);
    const isSignature = message.from === bob.name && (message.payload as { kind?: string }).kind === "signatures";
    return isSignature ? "lost" : "arrives";
  };
  await settle(alice, issueTo(bob, 5, [alice, bob]), bob);
  await network.settle();
  const [id] = [...seen.ids] as [string];
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["U", "I"]);
});

test("a notary that is silent for a while is asked again, and nothing is done twice", async () => {
  let drops = 3;
  network.interference = ({ to }) => (shared.notary.members.includes(to) && drops-- > 0 ? "lost" : "arrives");
  const id = idOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob));
  await network.settle();
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["V", "V"]);
  assert.ok(network.now > 1_764_000_000_000);
});

test("an answer that was lost is given again, word for word", async () => {
  let drops = 2;
  network.interference = ({ from }) => (shared.notary.members.includes(from) && drops-- > 0 ? "lost" : "arrives");
  const id = idOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob));
  assert.equal(await statusOf(alice, id), "V");
});

test("a notary that stays silent leaves everybody with U, and says so", async () => {
  const seen = watch();
  network.interference = (message) => {
    const { transaction } = message.payload as { transaction?: Uint8Array };
    if (transaction !== undefined) seen.ids.add(decodeSigned(transaction).transaction.id);
    return shared.notary.members.includes(message.to) ? "lost" : "arrives";
  };
  assert.equal(failureOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob)), "ledger.notaryUnreachable");
  await network.settle();
  const [id] = [...seen.ids] as [string];
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["U", "U"]);
});

/** Everybody is there again, and what their vaults leave open is asked about until nothing is. */
async function comeBack(): Promise<void> {
  for (const { name } of [alice, bob, carol]) network.revive(name);
  for (let round = 0; round < 12; round++) {
    network.now += 30 * 60_000;
    await network.repair();
  }
}

const KINDS = ["proposal", "signatures", "notarise", "answered", "outcome"] as const;

/** Which moment of a finality this message is. */
function momentOf({ from, payload }: Message): string {
  const { kind, mode } = payload as { kind?: string; mode?: string };
  if (mode !== undefined) return "notarise";
  return shared.notary.members.includes(from) ? "answered" : (kind ?? "");
}

for (const victim of [alice, bob])
  for (const [at, when] of KINDS.entries())
    for (const delivered of [true, false])
      test(`${victim === alice ? "the initiator" : "a responder"} that dies at "${when}", ${delivered ? "received" : "lost"}, and comes back after the bound: all agree`, async () => {
        const seen = watch();
        const all = network.interference;
        let dead = false;
        network.interference = (message) => {
          all(message);
          if (dead || momentOf(message) !== KINDS[at]) return "arrives";
          dead = true;
          // The message is on its way while its sender or its receiver goes.
          queueMicrotask(() => network.die(victim.name));
          return delivered ? "arrives" : "lost";
        };
        await begin(alice, issueTo(bob, 5, [alice, bob], `${when} ${delivered}`), bob, carol);
        await comeBack();
        const [id] = [...seen.ids] as [string];
        const ends = await Promise.all([alice, bob, carol].map((party) => statusOf(party, id)));
        const decided = new Set(ends.filter((status) => status !== undefined));
        assert.ok(dead && decided.size === 1 && !decided.has("U"), `${when}: ${ends}`);
        if (decided.has("V"))
          for (const party of [alice, bob]) assert.ok((await signaturesOf(party, id)).includes(true), "V has the notary's word");
      });

test("an unverified transaction that everybody lost is settled by its own time, with the notary's signature kept", async () => {
  const seen = watch();
  const all = network.interference;
  network.interference = (message) => {
    all(message);
    // The notary decides, and then all who asked are gone.
    if (momentOf(message) === "answered") for (const { name } of [alice, bob]) network.die(name);
    return "arrives";
  };
  await begin(alice, issueTo(bob, 5, [alice, bob]), bob);
  const [id] = [...seen.ids] as [string];
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["U", "U"]);
  const before = network.now;
  network.interference = all;
  for (const { name } of [alice, bob]) network.revive(name);
  await network.repair();
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["U", "U"], "its time has not come");
  network.now = before + 11 * 60_000;
  await network.repair();
  assert.deepEqual([await statusOf(alice, id), await statusOf(bob, id)], ["V", "V"]);
  for (const party of [alice, bob]) assert.deepEqual(await signaturesOf(party, id), [false, false, true]);
  assert.deepEqual(await owned(bob), [{ amount: 5, ref: `${id}:0` }]);
});

test("finalising twice changes nothing", async () => {
  const Twice = flow({
    name: "com.example.Twice",
    startable: true,
    initiates: SETTLE_PROTOCOL,
    input: Type.Object({ proposal: Type.Unsafe<TransactionProposal>(Type.Object({})) }),
    call: async (context, { proposal }) => {
      const signed = await context.ledger.sign(proposal);
      const first = await context.ledger.finalize(signed, [await context.initiate(bob.name)]);
      const again = await context.ledger.finalize(signed, [await context.initiate(bob.name)]);
      const whole = await context.ledger.finalize(first, [await context.initiate(bob.name)]);
      return [first.id, again.id, whole.id];
    },
  });
  const vaults = network;
  network = new MemoryNetwork(shared, [Twice, Agree]);
  network.adopt(vaults);
  const outcome = await network.run(alice.name, Twice.name, { proposal: issueTo(bob, 5, [alice, bob]) } as unknown as Data);
  await network.settle();
  assert.ok("ok" in outcome, JSON.stringify(outcome));
  const [id, ...others] = outcome.ok as readonly string[];
  assert.deepEqual(others, [id, id]);
  assert.deepEqual([await statusOf(alice, id as string), await statusOf(bob, id as string)], ["V", "V"]);
  assert.equal((await owned(bob)).length, 1);
});

test("a proposer cannot be made to show what is no ancestor", async () => {
  const secret = idOf(await settle(alice, issueTo(alice, 99, [alice])));
  const issued = idOf(await settle(alice, issueTo(alice, 8, [alice])));
  const Curious = responder({
    name: "com.example.Curious",
    answers: SETTLE_PROTOCOL,
    call: async (context, session) => {
      await session.receive(Type.Unknown());
      const shown = await session.sendAndReceive({ kind: "need", ids: [secret], ahead: 0 }, Type.Unsafe<{ kind: string }>(Type.Object({})));
      context.log.info("shown", { kind: shown.kind });
      assert.equal(shown.kind, "abandoned");
    },
  });
  const vaults = network;
  network = new MemoryNetwork(shared, [Settle, Curious]);
  network.adopt(vaults);
  const spend = shared.propose({ inputs: [`${issued}:0`], outputs: [{ owner: bob, amount: 8 }], signedBy: [alice] });
  assert.equal(failureOf(await settle(alice, spend, bob)), "ledger.backchainRefused");
});

for (const [what, signatures, expected] of [
  ["no signature", () => [], "ledger.signaturesMissing"],
  [
    "a signature of something else",
    () => [encodeSignature(signatureOf(`SHA-256:${"0".repeat(64)}` as SecureHash, bob.keys))],
    "ledger.signatureInvalid",
  ],
  ["a stranger's signature", (id: SecureHash) => [encodeSignature(signatureOf(id, carol.keys))], "ledger.signaturesMissing"],
] as const)
  test(`a peer that answers with ${what} is not believed, and the notary is not asked`, async () => {
    const Sloppy = responder({
      name: "com.example.Sloppy",
      answers: SETTLE_PROTOCOL,
      call: async (_, session) => {
        const { transaction } = (await session.receive(Type.Unknown())) as { transaction: Uint8Array };
        await session.sendAndReceive(
          { kind: "signatures", signatures: signatures(decodeSigned(transaction).transaction.id) },
          Type.Unknown(),
        );
      },
    });
    network = new MemoryNetwork(shared, [Settle, Sloppy]);
    const seen = watch();
    assert.equal(failureOf(await settle(alice, issueTo(bob, 5, [alice, bob]), bob)), expected);
    await network.settle();
    assert.deepEqual(
      seen.messages.map(({ from, payload }) => [from, (payload as { kind: string }).kind]),
      [
        [alice.name, "proposal"],
        [bob.name, "signatures"],
        [alice.name, "abandoned"],
      ],
    );
    assert.equal(await statusOf(alice, [...seen.ids][0] as string), "U");
  });

test("an author gains nothing by handing on what was not signed, or what was not verified", async () => {
  const heard: string[] = [];
  const Forger = responder({
    name: "com.example.Forger",
    answers: SETTLE_PROTOCOL,
    call: async (context, session) => {
      const party = { id: session.id, counterparty: session.counterparty };
      const attempt = async (flowName: PlatformFlowName, input: Data): Promise<Data> => {
        try {
          return await context.syscall({ kind: "platform", flow: flowName, input });
        } catch (thrown) {
          heard.push((thrown as FlowError).type);
          return null;
        }
      };
      const { record } = (await attempt("ledger.receiveProposal", { session: party })) as { record: Uint8Array };
      await attempt("ledger.finalize", { record, sessions: [] });
      const { verdict, ...rest } = decode(record) as { verdict: Uint8Array } & { [key: string]: Data };
      const forged = encode({ ...rest, verdict: encode({ ...(decode(verdict) as object), complete: true }) });
      await attempt("ledger.answerProposal", { session: party, record: forged, refusal: null });
    },
  });
  network = new MemoryNetwork(shared, [Settle, Forger]);
  const seen = watch();
  await settle(alice, issueTo(bob, 5, [alice, bob]), bob);
  await network.settle();
  assert.deepEqual(heard, ["ledger.notSigned", "ledger.verdictRefused"]);
  assert.equal(await statusOf(bob, [...seen.ids][0] as string), undefined);
});

test("an issue and a move between two parties take few calls", async () => {
  const issued = idOf(await settle(alice, issueTo(alice, 8, [alice, bob]), bob));
  await network.settle();
  network.calls.clear();
  idOf(
    await settle(
      alice,
      shared.propose({ inputs: [stateRef(issued as never, 0)], outputs: [{ owner: bob, amount: 8 }], signedBy: [alice, bob] }),
      bob,
    ),
  );
  await network.settle();
  const total = [...network.calls.values()].reduce((sum, calls) => sum + calls, 0);
  assert.ok(total <= 20, `${total} calls: ${JSON.stringify([...network.calls])}`);
});
