// Every rule of the contract library broken alone: a transaction that is right in all but one thing is refused with that rule's code.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as Type from "typebox";
import {
  type Constraint,
  chainable,
  constrainedContract,
  fungible,
  identifiable,
  identityOf,
  issuable,
  ownable,
  Party,
  pointed,
  rulesFor,
  StatePointer,
} from "./contract-library.ts";
import { type Data, type FlowError, requireThat, type StateAndRef, state, type TransactionView } from "./index.ts";
import { cordapp } from "./runtime.ts";

const CONTRACT = "com.example.ThingContract";
const Pointer = Type.Union([StatePointer, Type.Null()]);
const ThingData = Type.Object({
  issuer: Party,
  owner: Party,
  amount: Type.String(),
  currency: Type.String(),
  id: Pointer,
  previous: Pointer,
});
type ThingData = Type.Static<typeof ThingData>;
const Thing = state({
  name: "com.example.Thing",
  version: 1,
  contract: CONTRACT,
  schema: ThingData,
  participants: ({ owner }) => [owner.key],
});
const Stray = state({
  name: "com.example.Stray",
  version: 1,
  contract: CONTRACT,
  schema: Type.Object({ text: Type.String() }),
  participants: () => [],
});

const party = (name: string): Party => ({ name: `O=${name}, L=London, C=GB`, key: `KEY-${name}` });
const [bank, mint, alice, bob] = [party("Bank"), party("Mint"), party("Alice"), party("Bob")];
const thing = (change: Partial<ThingData> = {}): ThingData => ({
  issuer: bank,
  owner: alice,
  amount: "10.00",
  currency: "EUR",
  id: null,
  previous: null,
  ...change,
});
const refAt = (index: number): string => `SHA-256:${"AB".repeat(32)}:${index}`;

const COMMANDS = { Create: "create", Update: "update", Delete: "delete" } as const;

/** What a transaction with these states breaks, under a contract of these constraints: the type of the failure, and all codes. */
function judge(
  constraints: readonly Constraint<ThingData>[],
  change: {
    readonly commands?: readonly string[];
    readonly consumed?: readonly Data[];
    readonly created?: readonly Data[];
    readonly signed?: readonly Party[];
    /** Of which type what is created is. */
    readonly made?: string;
  },
  multiplies = false,
): readonly string[] {
  const { commands = [], consumed = [], created = [], signed = [bank, mint, alice, bob], made = Thing.name } = change;
  const contract = constrainedContract({
    name: CONTRACT,
    rules: [rulesFor(Thing, { commands: COMMANDS, constraints, multiplies })],
  });
  const bundle = cordapp({ flows: [], states: [Thing, Stray], contracts: [contract] });
  const states = (type: string, all: readonly Data[], from: number): readonly StateAndRef[] =>
    all.map((data, index) => ({
      ref: refAt(from + index),
      state: { type, version: 1, contract: CONTRACT, data },
      notary: "O=Notary Service, L=Zurich, C=CH" as StateAndRef["notary"],
    }));
  const transaction: TransactionView = {
    id: `SHA-256:${"CD".repeat(32)}`,
    notary: "O=Notary Service, L=Zurich, C=CH" as TransactionView["notary"],
    timeWindow: { until: 1 },
    inputs: states(Thing.name, consumed, 0),
    references: [],
    outputs: states(made, created, 100),
    commands: commands.map((type) => ({ type, contract: CONTRACT, data: {} })),
    signatories: signed.map(({ key }) => key),
  };
  const [violation, ...others] = bundle.verify(structuredClone(transaction) as unknown as Data, [CONTRACT]);
  assert.deepEqual(others, [], "a contract says once what it thinks");
  if (violation === undefined) return [];
  const { type, details } = violation.failure;
  const codes = details?.["rules"]?.split(" ") ?? [type];
  assert.equal(codes[0], type, "the failure is of the first rule's type");
  return codes;
}

test("a change of any sort is made by its command, which does nothing else", () => {
  const codes = (change: Parameters<typeof judge>[1], multiplies?: boolean) => judge([], change, multiplies);
  assert.deepEqual(codes({ commands: ["Create"], created: [thing(), thing()] }), []);
  assert.deepEqual(codes({ commands: ["Update"], consumed: [thing(), thing()], created: [thing()] }), []);
  assert.deepEqual(codes({ commands: ["Delete"], consumed: [thing()] }), []);
  assert.deepEqual(codes({ commands: ["Create"] }), ["create.nothing"]);
  assert.deepEqual(codes({ commands: ["Create"], consumed: [thing()], created: [thing()] }), ["create.consumes"]);
  assert.deepEqual(codes({ commands: ["Update"], created: [thing()] }, true), ["update.consumesNothing"]);
  assert.deepEqual(codes({ commands: ["Update"], consumed: [thing()] }), ["update.createsNothing"]);
  assert.deepEqual(codes({ commands: ["Update"], consumed: [thing()], created: [thing(), thing()] }), ["update.multiplies"]);
  assert.deepEqual(codes({ commands: ["Update"], consumed: [thing()], created: [thing(), thing()] }, true), []);
  assert.deepEqual(codes({ commands: ["Delete"] }), ["delete.nothing"]);
  for (const multiplies of [false, true])
    assert.deepEqual(codes({ commands: ["Delete"], consumed: [thing()], created: [thing()] }, multiplies), ["delete.creates"]);
});

test("where states change, exactly one command says how", () => {
  const change = { consumed: [thing()], created: [thing()] };
  assert.deepEqual(judge([], change), ["change.commandMissing"]);
  assert.deepEqual(judge([], { ...change, commands: ["Update", "Update"] }), ["change.commandRepeated"]);
  assert.deepEqual(judge([], {}), [], "a transaction that has none of the states needs no command");
});

test("a state that no rules are for is refused", () => {
  assert.deepEqual(judge([], { made: Stray.name, created: [{ text: "?" }] }), ["change.stateUncovered"]);
});

test("fungible: amounts are positive, conserved by updates and reduced by deletes", () => {
  const constraint = fungible<ThingData>({ amount: ({ amount }) => amount, kind: ({ currency, issuer }) => [currency, issuer.key] });
  const judged = (command: string, consumed: readonly ThingData[], created: readonly ThingData[]) =>
    judge([constraint], { commands: [command], consumed, created });
  const of = (amount: string, change: Partial<ThingData> = {}) => thing({ amount, ...change });
  assert.deepEqual(judged("Create", [], [of("0.01")]), []);
  assert.deepEqual(judged("Update", [of("10"), of("5.50")], [of("15.49"), of("0.01")]), []);
  assert.deepEqual(judged("Update", [of("10")], Array(10).fill(of("1"))), [], "amounts bound how many states there may be");
  assert.deepEqual(judged("Delete", [of("10")], []), []);
  assert.deepEqual(judged("Delete", [of("10")], [of("9.99")]), []);
  assert.deepEqual(judged("Create", [], [of("0.00")]), ["fungible.notPositive"]);
  assert.deepEqual(judged("Update", [of("10")], [of("10"), of("0")]), ["fungible.notPositive"]);
  assert.deepEqual(judged("Update", [of("10")], [of("11"), of("-1")]), ["fungible.notPositive"]);
  assert.deepEqual(judged("Delete", [of("10")], [of("-1")]), ["fungible.notPositive"]);
  assert.deepEqual(judged("Update", [of("10")], [of("10.01")]), ["fungible.notConserved"]);
  assert.deepEqual(judged("Update", [of("10")], [of("9.99")]), ["fungible.notConserved"]);
  assert.deepEqual(judged("Update", [of("10")], [of("10", { currency: "USD" })]), ["fungible.notConserved"], "of each kind, not in all");
  assert.deepEqual(judged("Update", [of("10")], [of("10", { issuer: mint })]), ["fungible.notConserved"]);
  assert.deepEqual(judged("Delete", [of("10")], [of("10")]), ["fungible.notReduced"]);
  assert.deepEqual(judged("Delete", [of("10")], [of("1", { currency: "USD" })]), ["fungible.notReduced"]);
  assert.deepEqual(judged("Delete", [of("10"), of("5", { issuer: mint })], [of("5", { issuer: mint })]), ["fungible.notReduced"]);
  assert.deepEqual(judged("Create", [], [of("1e3")]), ["fungible.amountInvalid"]);
  assert.deepEqual(judged("Update", [of("9".repeat(60)), of("1")], [of("9".repeat(60))]), ["fungible.amountInvalid"]);
});

test("issuable: the issuer signs what it creates and deletes, and an update makes no issuer unasked", () => {
  const constraint = issuable<ThingData>(({ issuer }) => issuer.key);
  const judged = (command: string, signed: readonly Party[], consumed: readonly ThingData[], created: readonly ThingData[]) =>
    judge([constraint], { commands: [command], consumed, created, signed });
  assert.deepEqual(judged("Create", [bank], [], [thing()]), []);
  assert.deepEqual(judged("Update", [alice], [thing()], [thing()]), []);
  assert.deepEqual(judged("Update", [alice, mint], [thing()], [thing({ issuer: mint })]), []);
  assert.deepEqual(judged("Delete", [bank], [thing()], []), []);
  assert.deepEqual(judged("Create", [bank], [], [thing(), thing({ issuer: mint })]), ["issuable.createUnsigned"]);
  assert.deepEqual(judged("Update", [alice], [thing()], [thing({ issuer: mint })]), ["issuable.issuerAppears"]);
  assert.deepEqual(judged("Delete", [alice, bank], [thing(), thing({ issuer: mint })], []), ["issuable.deleteUnsigned"]);
});

test("ownable: nothing is taken from an owner who does not sign", () => {
  const constraint = ownable<ThingData>(({ owner }) => owner.key);
  const mine = thing();
  const theirs = thing({ owner: bob });
  assert.deepEqual(judge([constraint], { commands: ["Create"], created: [mine], signed: [bank] }), [], "a gift needs no thanks");
  assert.deepEqual(judge([constraint], { commands: ["Update"], consumed: [mine], created: [theirs], signed: [alice] }), []);
  for (const command of ["Update", "Delete"])
    assert.deepEqual(
      judge([constraint], { commands: [command], consumed: [mine, theirs], created: command === "Update" ? [mine] : [], signed: [alice] }),
      ["ownable.ownerUnsigned"],
    );
});

test("identifiable: who is created has no id yet, and who is updated keeps its own", () => {
  const constraint = identifiable<ThingData>(({ id }) => id);
  const judged = (command: string, consumed: readonly (string | null)[], created: readonly (string | null)[]) => {
    const things = (ids: readonly (string | null)[]) => ids.map((id) => thing({ id }));
    return judge([constraint], { commands: [command], consumed: things(consumed), created: things(created) }, true);
  };
  const [first, second, other] = [refAt(0), refAt(1), refAt(50)];
  assert.equal(identityOf(first, null), first);
  assert.equal(identityOf(first, other), other);
  assert.deepEqual(judged("Create", [], [null, null]), []);
  assert.deepEqual(judged("Update", [null], [first]), [], "who was created is called by its reference");
  assert.deepEqual(judged("Update", [other, null], [second, other]), []);
  assert.deepEqual(judged("Update", [other], [other, null]), [], "a new one may come, where updates may make more");
  assert.deepEqual(judged("Delete", [other], []), []);
  assert.deepEqual(judged("Create", [], [other]), ["identifiable.createIdentified"]);
  assert.deepEqual(judged("Update", [other, null], [second, second]), ["identifiable.idRepeated"]);
  assert.deepEqual(judged("Update", [other, other], [other]), ["identifiable.idRepeated"]);
  assert.deepEqual(judged("Update", [null, first], [first]), ["identifiable.idRepeated"], "an id and a reference are one name");
  assert.deepEqual(judged("Delete", [other, other], []), ["identifiable.idRepeated"]);
  assert.deepEqual(judged("Update", [null], [other]), ["identifiable.idUnknown"]);
  assert.deepEqual(judged("Update", [other], [first]), ["identifiable.idUnknown"], "its reference is no name of a state that has an id");
});

test("chainable: every state follows one that is consumed, and none is followed twice", () => {
  const constraint = chainable<ThingData>(({ previous }) => previous);
  const judged = (command: string, consumed: number, created: readonly (string | null)[]) =>
    judge(
      [constraint],
      { commands: [command], consumed: Array(consumed).fill(thing()), created: created.map((previous) => thing({ previous })) },
      true,
    );
  const [first, second, other] = [refAt(0), refAt(1), refAt(50)];
  assert.deepEqual(judged("Create", 0, [null, null]), []);
  assert.deepEqual(judged("Update", 2, [second, first]), []);
  assert.deepEqual(judged("Update", 2, [second]), []);
  assert.deepEqual(judged("Delete", 2, []), []);
  assert.deepEqual(judged("Create", 0, [other]), ["chainable.createLinked"]);
  assert.deepEqual(judged("Update", 1, [first, null]), ["chainable.updateUnlinked"]);
  assert.deepEqual(judged("Update", 1, [other]), ["chainable.linkElsewhere"]);
  assert.deepEqual(judged("Update", 2, [first, first]), ["chainable.linkRepeated"]);
});

test("all rules that are broken are told together, of all constraints", () => {
  const all = [
    fungible<ThingData>({ amount: ({ amount }) => amount }),
    issuable<ThingData>(({ issuer }) => issuer.key),
    ownable<ThingData>(({ owner }) => owner.key),
    identifiable<ThingData>(({ id }) => id),
    chainable<ThingData>(({ previous }) => previous),
  ];
  const created = [thing({ amount: "11", issuer: mint, id: refAt(9), previous: refAt(9) })];
  assert.deepEqual(judge(all, { commands: ["Update"], consumed: [thing()], created, signed: [] }), [
    "fungible.notConserved",
    "issuable.issuerAppears",
    "ownable.ownerUnsigned",
    "identifiable.idUnknown",
    "chainable.linkElsewhere",
  ]);
});

test("an author's own rules run when no constraint is broken, with the data of the command", () => {
  const seen: string[] = [];
  const contract = constrainedContract({
    name: CONTRACT,
    rules: [
      rulesFor(Thing, {
        commands: {
          Create: {
            change: "create",
            data: Type.Object({ reason: Type.String() }),
            verify({ created }, { reason }) {
              seen.push(`${reason} ${created.length}`);
              requireThat(
                created.every(({ state: { data } }) => data.currency === "EUR"),
                "only euros are made",
              );
            },
          },
        },
        constraints: [issuable(({ issuer }) => issuer.key)],
      }),
    ],
    verify: ({ commands }) => requireThat(commands.length < 3, "a transaction is short"),
  });
  const run = (created: ThingData, signatories: readonly string[]) => () =>
    contract.verify({
      id: "",
      notary: "" as TransactionView["notary"],
      timeWindow: { until: 1 },
      inputs: [],
      references: [],
      outputs: [
        { ref: refAt(0), notary: "" as StateAndRef["notary"], state: { type: Thing.name, version: 1, contract: CONTRACT, data: created } },
      ],
      commands: [
        { type: "Create", contract: CONTRACT, data: { reason: "gift" } },
        ...Array(signatories.length).fill({ type: "Other", contract: "Another", data: {} }),
      ],
      signatories,
    } as unknown as Parameters<typeof contract.verify>[0]);
  assert.throws(run(thing(), []), { type: "issuable.createUnsigned" });
  assert.deepEqual(seen, []);
  run(thing(), [bank.key])();
  assert.deepEqual(seen, ["gift 1"]);
  assert.throws(run(thing({ currency: "USD" }), [bank.key]), { message: /only euros/ });
  assert.throws(run(thing(), [bank.key, alice.key]), { message: /is short/ });
});

test("rules that can be no contract's are told when they are written", () => {
  const rules = rulesFor(Thing, { commands: { Create: "create" }, constraints: [] });
  const invalid = (make: () => unknown, why: RegExp) =>
    assert.throws(make, (thrown: FlowError) => why.test(thrown.message) && thrown.type === "rules.invalid");
  invalid(() => constrainedContract({ name: "com.example.Other", rules: [rules] }), /under com\.example\.ThingContract/);
  invalid(() => constrainedContract({ name: CONTRACT, rules: [rules, rules] }), /have a command Create/);
});

test("a pointer finds its state among others, and says where it finds none", () => {
  const [at, stray] = [refAt(3), refAt(4)];
  const of = (ref: string, type: string, data: Data) => ({
    ref,
    notary: "" as StateAndRef["notary"],
    state: { type, version: 1, contract: CONTRACT, data },
  });
  const among = [of(stray, Stray.name, { text: "?" }), of(at, Thing.name, thing({ amount: "3" }))];
  assert.equal(pointed(Thing, at, among).state.data.amount, "3");
  for (const pointer of [stray, refAt(5)])
    assert.throws(() => pointed(Thing, pointer, among), { type: "pointer.unresolved", details: { pointer } });
});
