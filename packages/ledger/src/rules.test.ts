// Every rule of a transaction, broken alone: the builder's copy refuses to build it, and a verifier finds exactly that rule's code in what a
// dishonest builder made.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BowlineError, type Data, decode, encode, parseName, type X500Name } from "@bowline/base";
import { composeKeys, LEDGER_DIGESTS, secureHashOf } from "@bowline/crypto";
import { contract, cordapp, requireThat, state, type TransactionProposal } from "@bowline/sdk";
import { older } from "@bowline/sdk/encoding";
import Type from "typebox";
import { buildTransaction, type PlatformFacts } from "./builder.ts";
import { DIGEST_EXTENSION, groupParametersHash } from "./group-parameters.ts";
import { GROUP, stateOf } from "./leaves.ts";
import {
  CPI,
  firstOutput,
  GROUP_ID,
  MAC_KEY,
  manifests,
  NOW,
  Note,
  NoteContract,
  noteApp,
  notesOf,
  PACKAGE,
  type Party,
  PLATFORM_VERSION,
  sample,
} from "./sample.memory.ts";
import { type ResolvedState, resolvedOutput, type Transaction, transactionOf } from "./transaction.ts";
import { concludeVerification, planVerification } from "./verification.ts";

const network = await sample();
const { alice, bob } = network.parties;
const facts: PlatformFacts = {
  groupId: GROUP_ID,
  cpi: CPI,
  packages: [PACKAGE],
  platformVersion: PLATFORM_VERSION,
  groupParametersHash: groupParametersHash(network.parameters.bytes),
  digest: "SHA-256",
  notaryKey: network.notary.key,
  salt: new Uint8Array(32).fill(7),
};
const { issue, move } = notesOf(network);
const good = move([`${issue.id}:1`], 7);

const violationsOf = (transaction: Transaction, sources: readonly Transaction[] = [issue]) =>
  network.verify({ transaction, signatures: [] }, sources).violations;
const codesOf = (transaction: Transaction, sources: readonly Transaction[] = [issue]): readonly string[] =>
  violationsOf(transaction, sources).map(({ code }) => code);

type Change = (leaves: readonly Data[]) => readonly Data[];

/** The same transaction with some of its leaves changed: what a builder of ours would not make. */
const altered = (transaction: Transaction, ...changes: readonly (readonly [group: number, change: Change])[]): Transaction =>
  transactionOf({
    ...transaction,
    groups: transaction.groups.map((leaves, at) =>
      changes.filter(([group]) => group === at).reduce((kept, [, change]) => change(kept.map(decode)).map(encode), leaves),
    ),
  });
const infosWith = (more: object): [number, Change] => [
  GROUP.outputsInfo,
  (infos) => infos.map((info) => ({ ...(info as object), ...more })),
];
const metadataWith = (more: object): [number, Change] => [GROUP.metadata, ([metadata]) => [{ ...(metadata as object), ...more } as Data]];
const ELSEWHERE = parseName("O=Elsewhere, L=London, C=GB");
const none: Change = () => [];
const twice: Change = (leaves) => [...leaves, ...leaves];

describe("a transaction that a dishonest builder made is found out by a verifier, where", () => {
  const cases: readonly (readonly [what: string, code: string, ...changes: readonly (readonly [number, Change])[]])[] = [
    ["nobody signs", "transaction.signatoryMissing", [GROUP.signatories, none]],
    [
      "somebody signs twice",
      "transaction.signatoryRepeated",
      [GROUP.signatories, ([first, ...more]) => [first as Data, first as Data, ...more]],
    ],
    ["an input stands twice", "transaction.inputRepeated", [GROUP.inputs, twice]],
    ["a reference stands twice", "transaction.referenceRepeated", [GROUP.references, () => [`${issue.id}:0`, `${issue.id}:0`]]],
    ["an input is a reference", "transaction.inputReferenced", [GROUP.references, () => [`${issue.id}:1`]]],
    ["there is no command", "transaction.commandMissing", [GROUP.commands, none], [GROUP.commandsInfo, none]],
    [
      "a command is nobody's to judge",
      "transaction.commandUnguarded",
      [GROUP.commandsInfo, () => [{ type: "Move", contract: "com.example.Other" }]],
    ],
    ["an encumbrance holds one output", "transaction.encumbranceTooSmall", infosWith({ encumbrance: { tag: "x", size: 1 } })],
    ["an output is under another notary", "transaction.outputNotaryDiffers", infosWith({ notary: ELSEWHERE })],
    ["an output is under another notary's key", "transaction.outputNotaryDiffers", infosWith({ notaryKey: alice.keys.publicKey })],
    [
      "an output names a package that the metadata do not",
      "transaction.packageUnnamed",
      infosWith({ cpk: { name: "other", version: "1", signerSummaryHash: CPI.signerSummaryHash } }),
    ],
    [
      "its package has no such state",
      "transaction.stateUnknown",
      infosWith({ type: "com.example.No" }),
      [GROUP.outputs, ([data]) => [{ ...(data as object), type: "com.example.No" }]],
    ],
    [
      "an output is of a version that its package does not write",
      "transaction.stateVersionUnknown",
      infosWith({ version: 2 }),
      [GROUP.outputs, ([data]) => [{ ...(data as object), version: 2 }]],
    ],
    ["it was built by too old a platform", "transaction.platformTooOld", metadataWith({ platformVersion: 50_000 })],
    ["it is hashed as its group did not choose", "transaction.digestDiffers", metadataWith({ digest: "SHA-512" })],
  ];
  for (const [what, code, ...changes] of cases)
    test(`${what} (${code})`, () => assert.deepEqual(codesOf(altered(good, ...changes)), [code]));

  test("nothing is consumed and nothing made (transaction.stateMissing)", () => {
    const empty = altered(good, [GROUP.inputs, none], [GROUP.outputs, none], [GROUP.outputsInfo, none]);
    assert.deepEqual(codesOf(empty), ["transaction.stateMissing", "transaction.commandUnguarded"]);
  });

  test("members of an encumbrance miscount it (transaction.encumbranceMiscounted)", () => {
    const tied = (...sizes: readonly number[]): [number, Change] => [
      GROUP.outputsInfo,
      (infos) => infos.map((info, i) => ({ ...(info as object), encumbrance: { tag: "x", size: sizes[i] as number } })),
    ];
    assert.deepEqual(codesOf(altered(issue, tied(2, 2)), []), []);
    for (const sizes of [
      [3, 3],
      [2, 3],
      [1, 1],
    ] as const)
      assert.deepEqual(codesOf(altered(issue, tied(...sizes)), []), ["transaction.encumbranceMiscounted"]);
  });

  test("the notary is not the group's, or has another key (transaction.notaryUnlisted, transaction.notaryKeyDiffers)", () => {
    const under = (name: X500Name, key: string) =>
      altered(issue, [GROUP.notary, ([, , window]) => [name, key, window as Data]], infosWith({ notary: name, notaryKey: key }));
    assert.deepEqual(codesOf(under(ELSEWHERE, network.notary.key), []), ["transaction.notaryUnlisted"]);
    assert.deepEqual(codesOf(under(network.notary.name, alice.keys.publicKey), []), ["transaction.notaryKeyDiffers"]);
  });

  test("an input, or a reference, is under another notary (transaction.notaryDiffers)", () => {
    const elsewhere = altered(issue, infosWith({ notary: ELSEWHERE }));
    assert.deepEqual(codesOf(move([firstOutput(elsewhere)], 5), [elsewhere]), ["transaction.notaryDiffers"]);
    const referring = altered(good, [GROUP.references, () => [firstOutput(elsewhere)]]);
    assert.deepEqual(codesOf(referring, [issue, elsewhere]), ["transaction.notaryDiffers"]);
  });

  test("it is of another group (transaction.groupDiffers)", () => {
    assert.deepEqual(codesOf(transactionOf({ ...issue, groupId: issue.groupId.replace("5", "6") }), []), ["transaction.groupDiffers"]);
  });

  test("part of an encumbrance is consumed, or one of its members twice (transaction.encumbranceSplit)", () => {
    const proposal = network.propose({ outputs: [1, 2, 3].map((amount) => ({ owner: alice, amount })), signedBy: [alice] });
    const tied = buildTransaction(
      { ...proposal, outputs: proposal.outputs.map((output, i) => (i < 2 ? { ...output, encumbrance: "tie" } : output)) },
      facts,
    );
    assert.deepEqual(codesOf(tied, []), []);
    assert.deepEqual(codesOf(move([`${tied.id}:0`], 1), [tied]), ["transaction.encumbranceSplit"]);
    assert.deepEqual(codesOf(move([`${tied.id}:0`, `${tied.id}:2`], 4), [tied]), ["transaction.encumbranceSplit"]);
    const doubled = altered(move([`${tied.id}:0`], 1), [GROUP.inputs, twice]);
    assert.deepEqual(codesOf(doubled, [tied]), ["transaction.inputRepeated", "transaction.encumbranceSplit"]);
    assert.deepEqual(codesOf(move([`${tied.id}:0`, `${tied.id}:1`], 3), [tied]), []);
    // The tag binds states of one transaction: another's of the same tag are no help.
    const again = transactionOf({ ...tied, salt: new Uint8Array(32).fill(8) });
    assert.deepEqual(codesOf(move([`${tied.id}:0`, `${again.id}:1`], 3), [tied, again]), [
      "transaction.encumbranceSplit",
      "transaction.encumbranceSplit",
    ]);
  });

  test("a state is guarded by older code, or by other signers' (transaction.packageOlder, transaction.packageUnnamed)", () => {
    const madeBy = (changes: object) =>
      buildTransaction(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }), {
        ...facts,
        packages: [{ ...PACKAGE, ...changes }],
      });
    const newer = madeBy({ version: "1.10.0" });
    assert.deepEqual(codesOf(move([firstOutput(newer)], 1), [newer]), ["transaction.packageOlder"]);
    const theirs = madeBy({ signerSummaryHash: secureHashOf(new Uint8Array([1])) });
    assert.deepEqual(codesOf(move([firstOutput(theirs)], 1), [theirs]), ["transaction.packageUnnamed"]);
  });

  test("its metadata name a package that judges nothing (transaction.packageContractless)", () => {
    const workflows = { ...PACKAGE, name: "workflows", fileChecksum: secureHashOf(new Uint8Array([2])), contracts: [] };
    const made = buildTransaction(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }), {
      ...facts,
      packages: [PACKAGE, workflows],
    });
    const plan = planVerification(
      { transaction: made, signatures: [] },
      { inputs: [], references: [], groupParameters: network.parameters.bytes },
      new Map([...manifests, [workflows.fileChecksum, cordapp({ flows: [], states: [], contracts: [] }).manifest]]),
    );
    assert.deepEqual(
      plan.violations.map(({ code }) => code),
      ["transaction.packageContractless"],
    );
    assert.deepEqual(plan.calls, []);
  });

  test("all that is wrong is reported together, in the order of the rules, before any contract runs", () => {
    const bad = altered(move([`${issue.id}:1`], 8), [GROUP.signatories, none], [GROUP.references, () => [`${issue.id}:1`]]);
    assert.deepEqual(codesOf(bad), ["transaction.signatoryMissing", "transaction.inputReferenced"]);
    assert.deepEqual(codesOf(move([`${issue.id}:1`], 8)), ["rule.broken"]);
  });
});

describe("the platform's builder refuses to build, where", () => {
  const REF = `SHA-256:${"A".repeat(64)}:0`;
  const proposal = network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] });
  const refused = (change: Partial<TransactionProposal>): readonly string[] => {
    try {
      network.build({ ...proposal, ...change });
      return [];
    } catch (error) {
      assert.ok(error instanceof BowlineError && error.code === "ledger.proposalInvalid", `${error}`);
      return (error.details.failures ?? "").split("\n").map((line) => line.slice(0, line.indexOf(":")));
    }
  };
  const key = alice.keys.publicKey;
  const cases: readonly (readonly [what: string, code: string, change: Partial<TransactionProposal>])[] = [
    ["no notary is named", "transaction.notaryMissing", { notary: undefined as never }],
    ["the notary's name is none", "transaction.notaryMalformed", { notary: "nobody" as never }],
    ["there is no time window", "transaction.timeWindowMissing", { timeWindow: {} as never }],
    ["the time window contains no moment", "transaction.timeWindowEmpty", { timeWindow: { from: NOW, until: NOW } }],
    [
      "an encumbrance holds one output",
      "transaction.encumbranceTooSmall",
      { outputs: proposal.outputs.map((output) => ({ ...output, encumbrance: "x" })) },
    ],
    ["nobody signs", "transaction.signatoryMissing", { signatories: [] }],
    ["somebody signs twice", "transaction.signatoryRepeated", { signatories: [key, key] }],
    ["an input stands twice", "transaction.inputRepeated", { inputs: [REF, REF] }],
    ["a reference stands twice", "transaction.referenceRepeated", { references: [REF, REF] }],
    ["an input is a reference", "transaction.inputReferenced", { inputs: [REF], references: [REF] }],
    ["there is no command", "transaction.commandMissing", { commands: [] }],
    ["nothing is consumed and nothing made", "transaction.stateMissing", { outputs: [] }],
    [
      "no package has the contract",
      "transaction.contractUnknown",
      { outputs: proposal.outputs.map((output) => ({ ...output, contract: "x.Other" })) },
    ],
  ];
  for (const [what, code, change] of cases)
    test(`${what} (${code})`, () => assert.ok(refused(change).includes(code), refused(change).join()));

  test("the group lists no such notary (transaction.notaryUnlisted), beside all else that is wrong", () => {
    assert.throws(() => buildTransaction(proposal, { ...facts, notaryKey: undefined }), /list no notary/);
    assert.deepEqual(refused({ signatories: [], commands: [], outputs: [] }), [
      "transaction.signatoryMissing",
      "transaction.stateMissing",
      "transaction.commandMissing",
    ]);
  });
});

test("a window is half-open: from the first moment until right before the last, at the builder and at the notary's clock", () => {
  const at = (timeWindow: TransactionProposal["timeWindow"]) =>
    network.build({ ...network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] }), timeWindow });
  assert.deepEqual(at({ from: NOW, until: NOW + 1 }).timeWindow, { from: NOW, until: NOW + 1 });
  assert.deepEqual(at({ until: 1 }).timeWindow, { until: 1 });
  assert.throws(() => at({ from: NOW + 1, until: NOW + 1 }), /no moment/);
});

test("every digest that the ledger allows gives transactions that verify, where the group has chosen it, and only there", () => {
  const parameters = decode(network.parameters.bytes) as { readonly [key: string]: Data };
  const ids = new Set<string>();
  for (const digest of LEDGER_DIGESTS) {
    const groupParameters = encode({ ...parameters, extensions: { [DIGEST_EXTENSION]: digest } });
    const built = (input?: Transaction) =>
      buildTransaction(
        network.propose({ inputs: input ? [firstOutput(input)] : [], outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] }),
        { ...facts, digest, groupParametersHash: groupParametersHash(groupParameters) },
      );
    const made = built();
    const spent = built(made);
    const inputs = [resolvedOutput(made, 0) as ResolvedState];
    const plan = planVerification({ transaction: spent, signatures: [] }, { inputs, references: [], groupParameters }, manifests);
    assert.deepEqual(plan.violations, []);
    assert.ok(spent.id.startsWith(`${digest}:`) && spent.inputs[0] === `${made.id}:0`);
    const { signatures } = network.notarised(network.sign(spent, alice));
    assert.equal(signatures.length, 2);
    ids.add(made.id);
  }
  assert.equal(ids.size, LEDGER_DIGESTS.length);
  const unknown = encode({ ...parameters, extensions: { [DIGEST_EXTENSION]: "MD5" } });
  const made = buildTransaction(network.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] }), {
    ...facts,
    groupParametersHash: groupParametersHash(unknown),
  });
  const context = { inputs: [], references: [], groupParameters: unknown };
  assert.throws(() => planVerification({ transaction: made, signatures: [] }, context, manifests), { code: "ledger.digestUnknown" });
  assert.throws(() => altered(issue, metadataWith({ digest: "MD5" })), { code: "input.invalid" });
});

test("metadata are the platform's: no field of another name, and none of another value, is read", () => {
  for (const more of [
    { more: 1 },
    { ledgerModel: "another" },
    { ledgerVersion: 2 },
    { transactionSubtype: "NOTARY_CHANGE" },
    { schemaVersion: 2 },
    { cpkMetadata: [] },
    { platformVersion: -1 },
    { membershipGroupParametersHash: "SHA-256:00" },
  ])
    assert.throws(() => altered(issue, metadataWith(more)), { code: "input.invalid" }, JSON.stringify(more));
  assert.throws(() => altered(issue, metadataWith({ componentGroups: [["metadata"]] })), { code: "ledger.metadataUnknown" });
  assert.throws(() => altered(issue, [GROUP.metadata, twice]), { code: "ledger.transactionMalformed" });
});

test("a composite key signs by whoever carries its threshold", () => {
  const board = composeKeys({ threshold: 2, children: [alice, bob].map(({ keys }) => ({ key: keys.publicKey, weight: 1 })) });
  const made = network.build({ ...network.propose({ outputs: [{ owner: alice, amount: 5 }], signedBy: [] }), signatories: [board] });
  const signedBy = (...by: readonly Party[]) => network.verify(network.notarised(network.sign(made, ...by)), []);
  assert.equal(signedBy(alice, bob).complete, true);
  assert.deepEqual([signedBy(alice).complete, signedBy(alice).signatures.missing], [false, [board]]);
});

describe("a contract package that has moved on", () => {
  const NoteOfTwo = state({
    ...Note,
    version: 2,
    older: [older(Note.schema, (note) => ({ ...note, colour: "white" }))],
    schema: Type.Object({ ...Note.schema.properties, colour: Type.String() }),
    json: ({ colour }) => ({ colour }),
  });
  const seen: unknown[] = [];
  const appOf = (states: readonly (typeof NoteOfTwo | typeof Note)[]) =>
    cordapp({
      flows: [],
      states,
      contracts: [
        contract({
          ...NoteContract,
          verify(transaction) {
            seen.push(
              ...transaction.inputs.map(({ state: { version, data } }) => ({ version, colour: (data as { colour: string }).colour })),
            );
            requireThat(transaction.metadata.cpkMetadata.length === 1 && transaction.groupParameters.notaries.length === 1, "all is told");
            NoteContract.verify(transaction);
          },
        }),
      ],
    });
  const two = { ...PACKAGE, version: "2.0.0", fileChecksum: secureHashOf(new Uint8Array([3])) };
  const moved = (): Transaction => {
    const proposal = network.propose({ inputs: [firstOutput(issue)], outputs: [{ owner: bob, amount: 5 }], signedBy: [alice] });
    const outputs = proposal.outputs.map((output) => ({ ...output, version: 2, data: { ...(output.data as object), colour: "red" } }));
    return buildTransaction({ ...proposal, outputs }, { ...facts, packages: [two] });
  };
  const verifyUnder = (app: ReturnType<typeof appOf>) => {
    const context = { inputs: [resolvedOutput(issue, 0) as ResolvedState], references: [], groupParameters: network.parameters.bytes };
    const plan = planVerification({ transaction: moved(), signatures: [] }, context, new Map([[two.fileChecksum, app.manifest]]));
    const results = plan.calls.map((call) => ({
      violations: app.verify(call.transaction as unknown as Data, call.contracts),
      outputs: call.outputs.map((output) => app.describeState(output)),
    }));
    return concludeVerification(plan, results, [], MAC_KEY);
  };

  test("consumes states of an older version as if they were of its own, and leaves the ledger as it was", () => {
    const reply = verifyUnder(appOf([NoteOfTwo]));
    assert.deepEqual(reply.violations, []);
    assert.deepEqual(seen, [{ version: 2, colour: "white" }]);
    assert.deepEqual(reply.outputs[0]?.json, { colour: "red" });
    assert.equal(stateOf(issue.groups[GROUP.outputs]?.[0] as Uint8Array).version, 1);
  });

  test("refuses them by name once it no longer reads their version (transaction.stateVersionUnknown)", () => {
    const reply = verifyUnder(appOf([state({ ...NoteOfTwo, older: [] })]));
    assert.deepEqual(
      reply.violations.map(({ code }) => code),
      ["transaction.stateVersionUnknown"],
    );
  });

  test("leaves old transactions to the code that they name, and says which is missing where it never was (ledger.packageUnknown)", () => {
    const context = { inputs: [], references: [], groupParameters: network.parameters.bytes };
    const signed = { transaction: issue, signatures: [] };
    const both = new Map([...manifests, [two.fileChecksum, appOf([NoteOfTwo]).manifest]]);
    const plan = planVerification(signed, context, both);
    assert.deepEqual(
      plan.calls.map(({ cpk }) => cpk),
      [PACKAGE.fileChecksum],
    );
    assert.throws(() => planVerification(signed, context, new Map([[two.fileChecksum, noteApp.manifest]])), {
      code: "ledger.packageUnknown",
      details: { name: PACKAGE.name, version: PACKAGE.version, fileChecksum: PACKAGE.fileChecksum },
    });
  });
});
