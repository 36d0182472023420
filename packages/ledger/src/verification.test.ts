import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, encode } from "@bowline/base";
import { firstOutput, MAC_KEY, manifests, notesOf, sample, verifyWith } from "./sample.memory.ts";
import { encodeSigned, resolvedOutput, type Transaction } from "./transaction.ts";
import { concludeVerification, openVerdict, planVerification } from "./verification.ts";

const network = await sample();
const { alice, bob } = network.parties;
const other = await sample();
const code = (expected: string) => (error: unknown) => error instanceof BowlineError && error.code === expected;
const { issue, move } = notesOf(network);

const violationsOf = (transaction: Transaction, sources: readonly Transaction[] = [issue]): string =>
  network
    .verify({ transaction, signatures: [] }, sources)
    .violations.map(({ message }) => message)
    .join("\n");

test("a good transaction is valid, and its outputs are described", () => {
  const reply = network.verify(network.sign(issue, alice, bob), []);
  assert.deepEqual([reply.valid, reply.violations, reply.complete], [true, [], false]);
  assert.deepEqual(reply.outputs[1], {
    participants: [bob.keys.publicKey],
    json: { amount: 7, text: "", nested: { amount: 7 } },
    token: { tokenType: "com.example.Note", issuer: "the mint", symbol: "NOTE", amount: "7", owner: bob.keys.publicKey },
  });
  assert.equal(openVerdict(reply, issue.id, MAC_KEY).complete, false);
});

test("it is complete with all signatures and the notary's acceptance, also when they come later", () => {
  const signed = network.sign(issue, alice, bob);
  const early = network.verify(signed, []);
  const final = network.notarised(signed);
  assert.equal(network.verify(final, []).complete, true);
  const late = network.verify(final, [], early);
  assert.equal(late.complete, true);
  assert.deepEqual(late.verdict, network.verify(final, []).verdict);
  assert.equal(network.verify(network.notarised(network.sign(issue, alice)), [], early).complete, false);
});

test("an earlier verdict counts only on its own transaction, with its own MAC, and if it was good", () => {
  const early = network.verify({ transaction: issue, signatures: [] }, []);
  const another = move([`${issue.id}:1`], 7);
  assert.throws(() => network.verify({ transaction: another, signatures: [] }, [], early), code("ledger.verdictRefused"));
  const forged = { ...early, mac: early.mac.map((byte) => byte ^ 1) };
  assert.throws(() => network.verify({ transaction: issue, signatures: [] }, [], forged), code("ledger.verdictRefused"));
  const bad = move([`${issue.id}:1`], 8);
  const refused = network.verify({ transaction: bad, signatures: [] }, [issue]);
  assert.equal(refused.valid, false);
  assert.throws(() => network.verify({ transaction: bad, signatures: [] }, [], refused), code("ledger.verdictRefused"));
});

test("the contract's rules count, and each broken one is named", () => {
  assert.match(violationsOf(move([`${issue.id}:1`], 8)), /a move neither makes nor destroys/);
  assert.match(violationsOf(move([`${issue.id}:1`], 7, [alice])), /every owner signs/);
  assert.equal(violationsOf(move([`${issue.id}:1`], 7)), "");
});

test("a contract that has much to say, or says it badly, is heard in short", () => {
  const plan = planVerification(
    { transaction: issue, signatures: [] },
    { inputs: [], references: [], groupParameters: network.parameters.bytes },
    manifests,
  );
  const failure = { type: "Error", message: `\ud800${"long ".repeat(1_000)}` };
  const reply = concludeVerification(plan, [{ violations: [{ contract: "c", failure }], outputs: [] }], [], MAC_KEY);
  assert.equal(reply.valid, false);
  assert.ok(encode(reply.violations.map(({ code, message }) => [code, message])).length < 2_048);
});

test("what could not be verified is no verdict", () => {
  const context = { inputs: [], references: [], groupParameters: network.parameters.bytes };
  const signed = { transaction: issue, signatures: [] };
  assert.throws(() => planVerification(signed, context, new Map()), code("ledger.packageUnknown"));
  assert.throws(() => verifyWith({ transaction: move([firstOutput(issue)], 5), signatures: [] }, context, null), code("ledger.unresolved"));
  assert.throws(
    () => verifyWith(signed, { ...context, groupParameters: other.parameters.bytes }, null),
    code("ledger.groupParametersWrong"),
  );
});

test("a verdict binds what the inputs were resolved to", () => {
  const spend = move([firstOutput(issue)], 5);
  const lie = {
    ...(resolvedOutput(issue, 0) as NonNullable<ReturnType<typeof resolvedOutput>>),
    data: (resolvedOutput(issue, 1) as { data: Uint8Array }).data,
  };
  const context = { references: [], groupParameters: network.parameters.bytes };
  const honest = verifyWith({ transaction: spend, signatures: [] }, { ...context, inputs: [resolvedOutput(issue, 0) as typeof lie] }, null);
  const lied = verifyWith({ transaction: spend, signatures: [] }, { ...context, inputs: [lie] }, null);
  assert.notDeepEqual(openVerdict(honest, spend.id, MAC_KEY).resolved, openVerdict(lied, spend.id, MAC_KEY).resolved);
  assert.ok(encodeSigned({ transaction: spend, signatures: [] }).length < 4_096);
});
