import assert from "node:assert/strict";
import { test } from "node:test";
import * as Type from "typebox";
import { contract, state } from "./definition.ts";
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

test("what is missing is named", () => {
  const cases: [TransactionBuilder, RegExp][] = [
    [transaction(), /a notary/],
    [transaction().notary("n"), /a time window/],
    [transaction().notary("n").until(1), /a signatory/],
    [transaction().notary("n").until(1).signedBy("k"), /an input or an output/],
    [transaction().notary("n").until(1).signedBy("k").output(Coin, { amount: 1 }), /a command/],
  ];
  for (const [builder, message] of cases) assert.throws(() => builder.build(), { type: "transaction.incomplete", message });
});

test("what is wrong is named", () => {
  const cases: [() => unknown, RegExp][] = [
    [() => ready.from(100).build(), /time window/],
    [() => ready.input("a:0", "a:0").build(), /a:0 is an input twice/],
    [() => ready.reference("a:0").reference("a:0").build(), /a:0 is a reference twice/],
    [() => ready.input("a:0").reference("a:0").build(), /an input and a reference/],
    [() => ready.output(Coin, { amount: 1 }, { encumbrance: "lock" }).build(), /encumbrance lock/],
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
