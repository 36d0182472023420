import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, parseName } from "@bowline/base";
import type { TransactionProposal } from "@bowline/sdk";
import { NOW, sample } from "./sample.memory.ts";

const network = await sample();
const { alice } = network.parties;
const REF = `SHA-256:${"A".repeat(64)}:0`;
const good = network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice] });

const failuresOf = (proposal: TransactionProposal): string => {
  try {
    network.build(proposal);
  } catch (error) {
    assert.ok(error instanceof BowlineError && error.code === "ledger.proposalInvalid", `${error}`);
    return error.message;
  }
  return "";
};

test("a good proposal is built", () => assert.equal(failuresOf(good), ""));

for (const [what, change, reason] of [
  ["no signatory", { signatories: [] }, /nobody signs/],
  ["a signatory twice", { signatories: [alice.keys.publicKey, alice.keys.publicKey] }, /signatory .* stands twice/],
  ["neither inputs nor outputs", { outputs: [] }, /neither inputs nor outputs/],
  ["no command", { commands: [] }, /no command/],
  ["an input twice", { inputs: [REF, REF] }, /input .* stands twice/],
  ["a reference twice", { references: [REF, REF] }, /reference .* stands twice/],
  ["an input as reference", { inputs: [REF], references: [REF] }, /both an input and a reference/],
  ["an empty window", { timeWindow: { from: NOW, until: NOW } }, /contains no moment/],
  ["an unknown contract", { outputs: good.outputs.map((output) => ({ ...output, contract: "com.example.Other" })) }, /com.example.Other/],
  ["a lone encumbrance", { outputs: good.outputs.map((output) => ({ ...output, encumbrance: "tag" })) }, /encumbrance group tag/],
  ["a name that is none", { notary: "nobody" as never }, /nobody/],
] as const satisfies readonly [string, Partial<TransactionProposal>, RegExp][])
  test(`a proposal with ${what} is refused`, () => assert.match(failuresOf({ ...good, ...change }), reason));

test("all that is wrong is reported together", () => {
  const message = failuresOf({ ...good, signatories: [], commands: [], outputs: [], notary: parseName("O=Nobody, L=London, C=GB") });
  for (const reason of ["nobody signs", "no command", "neither inputs"]) assert.ok(message.includes(reason), message);
});
