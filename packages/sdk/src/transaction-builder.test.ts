import assert from "node:assert/strict";
import { test } from "node:test";
import * as Type from "typebox";
import { contract, state } from "./definition.ts";
import { FlowError } from "./failure.ts";
import { type TransactionBuilder, transaction } from "./transaction-builder.ts";

const Coin = state({ name: "Coin", version: 1, contract: "C", schema: Type.Object({ amount: Type.Integer() }), participants: () => [] });
const CoinContract = contract({
  name: "C",
  commands: { Issue: Type.Object({}), Move: Type.Object({ to: Type.String() }) },
  verify: () => {},
});

const ready = transaction()
  .notary("O=Notary, L=X, C=GB")
  .until(100)
  .output(Coin, { amount: 5 })
  .command(CoinContract, "Issue")
  .signedBy("k1", "k2", "k1");

test("a builder gathers what an author says, each kind in its order", () => {
  const proposal = ready
    .from(1)
    .input("SHA-256:1:0")
    .reference("SHA-256:2:0")
    .signedBy("k2", "k3")
    .command(CoinContract, "Move", { to: "x" })
    .build();
  assert.deepEqual(proposal, {
    notary: "O=Notary, L=X, C=GB",
    timeWindow: { from: 1, until: 100 },
    inputs: ["SHA-256:1:0"],
    references: ["SHA-256:2:0"],
    outputs: [{ type: "Coin", version: 1, contract: "C", data: { amount: 5 } }],
    commands: [
      { type: "Issue", contract: "C", data: {} },
      { type: "Move", contract: "C", data: { to: "x" } },
    ],
    signatories: ["k1", "k2", "k3"],
  });
});

test("a builder is a value: what is made of it does not change it", () => {
  assert.equal(ready.input("SHA-256:1:0").build().inputs.length, 1);
  assert.equal(ready.build().inputs.length, 0);
});

const codesOf = (builder: TransactionBuilder): readonly string[] => {
  try {
    builder.build();
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof FlowError && thrown.type === "transaction.invalid", `${thrown}`);
    return (thrown.details.failures ?? "").split("\n").map((line) => line.slice("transaction.".length, line.indexOf(":")));
  }
};

test("all that is missing is named together, in the order of the rules", () => {
  const begun = transaction().notary("n").until(1);
  const cases: [TransactionBuilder, string[]][] = [
    [transaction(), ["notaryMissing", "timeWindowMissing", "signatoryMissing", "stateMissing", "commandMissing"]],
    [transaction().notary("n"), ["timeWindowMissing", "signatoryMissing", "stateMissing", "commandMissing"]],
    [begun, ["signatoryMissing", "stateMissing", "commandMissing"]],
    [begun.signedBy("k"), ["stateMissing", "commandMissing"]],
    [begun.signedBy("k").output(Coin, { amount: 1 }), ["commandMissing"]],
  ];
  for (const [builder, codes] of cases) assert.deepEqual(codesOf(builder), codes);
});

test("each rule that is broken has its code", () => {
  const cases: [TransactionBuilder, string][] = [
    [ready.from(100), "timeWindowEmpty"],
    [ready.from(-1), "timeWindowEmpty"],
    [ready.until(Number.NaN), "timeWindowMissing"],
    [ready.input("a:0", "a:0"), "inputRepeated"],
    [ready.reference("a:0").reference("a:0"), "referenceRepeated"],
    [ready.input("a:0").reference("a:0"), "inputReferenced"],
    [ready.output(Coin, { amount: 1 }, { encumbrance: "lock" }), "encumbranceTooSmall"],
  ];
  for (const [builder, code] of cases) assert.deepEqual(codesOf(builder), [code]);
  assert.deepEqual(codesOf(ready), []);
});

test("what is wrong is named", () => {
  const cases: [() => unknown, RegExp][] = [
    [() => ready.output(Coin, { amount: "1" } as never), /amount/],
    [() => ready.command(CoinContract, "Melt"), /no command Melt/],
    [() => ready.command(CoinContract, "Move", {}), /command Move/],
  ];
  for (const [build, message] of cases) assert.throws(build, { type: "transaction.invalid", message });
  const bound = ready.output(Coin, { amount: 1 }, { encumbrance: "lock" }).output(Coin, { amount: 2 }, { encumbrance: "lock" });
  assert.deepEqual(
    bound.build().outputs.map(({ encumbrance }) => encumbrance),
    [undefined, "lock", "lock"],
  );
});
