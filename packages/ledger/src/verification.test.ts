import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, type Data, decode, encode } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import { buildTransaction, type PlatformFacts } from "./builder.ts";
import { groupParametersHash } from "./group-parameters.ts";
import { GROUP } from "./leaves.ts";
import {
  CPI,
  firstOutput,
  GROUP_ID,
  MAC_KEY,
  manifests,
  PACKAGE,
  type Party,
  PLATFORM_VERSION,
  sample,
  verifyWith,
} from "./sample.memory.ts";
import { encodeSigned, resolvedOutput, type Transaction, transactionOf } from "./transaction.ts";
import { concludeVerification, openVerdict, planVerification } from "./verification.ts";

const network = await sample();
const { alice, bob } = network.parties;
const other = await sample();
const code = (expected: string) => (error: unknown) => error instanceof BowlineError && error.code === expected;
const issue = network.build(
  network.propose({
    outputs: [
      { owner: alice, amount: 5 },
      { owner: bob, amount: 7 },
    ],
    signedBy: [alice, bob],
  }),
);
const move = (inputs: readonly string[], amount: number, signedBy: readonly Party[] = [alice, bob]) =>
  network.build(network.propose({ inputs, outputs: [{ owner: bob, amount }], signedBy }));

const violationsOf = (transaction: Transaction, sources: readonly Transaction[] = [issue]): string =>
  network.verify({ transaction, signatures: [] }, sources).violations.join("\n");

/** The same transaction with some of its leaves changed: what a builder of ours would not make. */
function altered(transaction: Transaction, group: number, change: (leaves: readonly Data[]) => readonly Data[]): Transaction {
  const groups = transaction.groups.map((leaves, at) => (at === group ? change(leaves.map(decode)).map(encode) : leaves));
  return transactionOf({ ...transaction, groups });
}

const facts: PlatformFacts = {
  groupId: GROUP_ID,
  cpi: CPI,
  packages: [PACKAGE],
  platformVersion: PLATFORM_VERSION,
  groupParametersHash: groupParametersHash(network.parameters.bytes),
  notaryKey: network.notary.key,
  salt: new Uint8Array(32).fill(7),
};

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

for (const [what, change, reason] of [
  ["no signatory", (t: Transaction) => altered(t, GROUP.signatories, () => []), /nobody signs it/],
  ["a signatory twice", (t: Transaction) => altered(t, GROUP.signatories, (leaves) => [...leaves, ...leaves]), /stands twice/],
  ["an input twice", (t: Transaction) => altered(t, GROUP.inputs, (leaves) => [...leaves, ...leaves]), /stands twice/],
  ["an input as reference", (t: Transaction) => altered(t, GROUP.references, () => [`${issue.id}:1`]), /both an input and a reference/],
  [
    "no command",
    (t: Transaction) =>
      altered(
        altered(t, GROUP.commandsInfo, () => []),
        GROUP.commands,
        () => [],
      ),
    null, // The groups pair up leaf by leaf: a transaction between the two alterations cannot be.
  ],
  [
    "a command for a contract that guards nothing",
    (t: Transaction) => altered(t, GROUP.commandsInfo, () => [{ type: "Move", contract: "com.example.Other" }]),
    /guards no input or output/,
  ],
  [
    "another notary's key",
    (t: Transaction) => altered(t, GROUP.notary, ([name, , window]) => [name as Data, other.notary.key, window as Data]),
    /not the one that the group parameters list/,
  ],
  [
    "an output under another notary",
    (t: Transaction) => altered(t, GROUP.outputsInfo, ([info]) => [{ ...(info as object), notary: "O=Elsewhere, L=London, C=GB" }]),
    /output 0 is under another notary/,
  ],
  [
    "an output of an unnamed package",
    (t: Transaction) =>
      altered(t, GROUP.outputsInfo, ([info]) => [
        { ...(info as object), cpk: { name: "other", version: "1", signerSummaryHash: CPI.signerSummaryHash } },
      ]),
    /names package other 1/,
  ],
  [
    "a state that its package does not have",
    (t: Transaction) => {
      const renamed = t.groups.map((leaves, at) =>
        at === GROUP.outputs || at === GROUP.outputsInfo
          ? leaves.map((leaf) => encode({ ...(decode(leaf) as object), type: "com.example.No" }))
          : leaves,
      );
      return transactionOf({ ...t, groups: renamed });
    },
    /has no state type com.example.No/,
  ],
  [
    "a lone member of an encumbrance group",
    (t: Transaction) => altered(t, GROUP.outputsInfo, ([info]) => [{ ...(info as object), encumbrance: { tag: "x", size: 2 } }]),
    /encumbrance group x has 1 outputs/,
  ],
] as const)
  test(`a transaction with ${what} is not valid`, () => {
    const good = move([`${issue.id}:1`], 7);
    if (reason === null) assert.throws(() => change(good), code("ledger.transactionMalformed"));
    else assert.match(violationsOf(change(good)), reason);
  });

test("all that is wrong is reported together, before any contract runs", () => {
  const bad = altered(
    altered(move([`${issue.id}:1`], 8), GROUP.signatories, () => []),
    GROUP.references,
    () => [`${issue.id}:1`],
  );
  const violations = violationsOf(bad);
  for (const reason of [/nobody signs/, /both an input/]) assert.match(violations, reason);
  assert.doesNotMatch(violations, /neither makes nor destroys/);
});

test("states of one encumbrance group are consumed together", () => {
  const proposal = network.propose({
    outputs: [
      { owner: alice, amount: 1 },
      { owner: alice, amount: 2 },
    ],
    signedBy: [alice],
  });
  const tied = buildTransaction({ ...proposal, outputs: proposal.outputs.map((output) => ({ ...output, encumbrance: "tie" })) }, facts);
  assert.equal(violationsOf(tied), "");
  assert.match(violationsOf(move([firstOutput(tied)], 1), [tied]), /1 of the 2 states of encumbrance group tie/);
  assert.equal(violationsOf(move([`${tied.id}:0`, `${tied.id}:1`], 3), [tied]), "");
});

test("a state is never guarded by older code than it was made under, or by other signers' code", () => {
  const newer = { ...PACKAGE, version: "1.10.0" };
  const made = buildTransaction(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }), {
    ...facts,
    packages: [newer],
  });
  assert.match(violationsOf(move([firstOutput(made)], 1), [made]), /newer than 1.2.0/);
  const strangers = { ...PACKAGE, signerSummaryHash: secureHashOf(new Uint8Array([1])) };
  const theirs = buildTransaction(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }), {
    ...facts,
    packages: [strangers],
  });
  assert.match(violationsOf(move([firstOutput(theirs)], 1), [theirs]), /metadata do not name/);
});

test("inputs and a transaction under different notaries do not go together", () => {
  const elsewhere = altered(issue, GROUP.outputsInfo, (infos) =>
    infos.map((info) => ({ ...(info as object), notary: "O=Elsewhere, L=London, C=GB" })),
  );
  assert.match(violationsOf(move([firstOutput(elsewhere)], 5), [elsewhere]), /input or reference is under O=Elsewhere/);
});

test("a transaction of another group or of an older platform is not valid", () => {
  const foreign = transactionOf({ ...issue, groupId: issue.groupId.replace("5", "6") });
  assert.match(violationsOf(foreign), /is of group/);
  const old = buildTransaction(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }), {
    ...facts,
    platformVersion: 50_000,
  });
  assert.match(violationsOf(old), /platform version 50000/);
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
  assert.ok(encode(reply.violations).length < 2_048);
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
