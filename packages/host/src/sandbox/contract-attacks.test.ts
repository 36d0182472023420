// What a contract may try against what runs it, tried: it has no clock, no chance, no way out, nothing that outlives one transaction, and
// cannot change what it judges. What limits end is in isolate.test.ts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Data } from "@bowline/base";
import { BundleIsolate } from "./isolate.ts";
import { CONTRACT_LIMITS } from "./limits.ts";
import { silent } from "./probe.ts";
import { sampleBundle } from "./sample-bundle.ts";

const CONTRACT = "com.example.Hostile";
let isolate: BundleIsolate;
before(async () => {
  const source = await sampleBundle("sample-contract-attacks.ts");
  isolate = await BundleIsolate.create(source, {
    name: "hostile",
    limits: CONTRACT_LIMITS,
    log: silent,
    onUnstoppable: () => assert.fail("unstoppable"),
  });
});
after(() => isolate.dispose());

async function failures(command: { readonly type: string; readonly data: Data }, vnode = ""): Promise<readonly string[]> {
  const transaction: Data = {
    id: "SHA-256:00",
    notary: "O=Notary, L=London, C=GB",
    timeWindow: { until: 1 },
    inputs: [],
    references: [],
    outputs: [
      {
        ref: "SHA-256:00:0",
        notary: "O=Notary, L=London, C=GB",
        state: { type: "com.example.Thing", version: 1, contract: CONTRACT, data: { amount: 5 } },
      },
    ],
    commands: [{ ...command, contract: CONTRACT }],
    signatories: ["K"],
  };
  const answer = await isolate.check({ vnode, transaction, contracts: [CONTRACT], outputs: [] });
  assert.ok("ok" in answer, JSON.stringify(answer));
  return (answer.ok as { violations: readonly { failure: { type: string; message: string } }[] }).violations.map(
    ({ failure }) => `${failure.type}: ${failure.message}`,
  );
}

const behave = () => failures({ type: "Behave", data: {} });

for (const [attack, expected] of [
  ["clock", /^TypeError/],
  ["anotherClock", /^(Reference|Type)Error/],
  ["date", /^TypeError/],
  ["chance", /^TypeError/],
  ["randomValues", /^(Reference|Type)Error/],
  ["timer", /^(Reference|Type)Error/],
  ["network", /^(Reference|Type)Error/],
  ["processGlobal", /^(Reference|Type)Error/],
  ["files", /^(Reference|Type)Error/],
  ["escape", /^(Reference|Type|Eval|Syntax)Error/],
  ["shared", /^TypeError/],
  ["pollute", /^TypeError/],
  ["changeView", /^TypeError/],
  ["changeState", /^TypeError/],
  ["patchSdk", /^TypeError/],
] as const)
  test(`${attack} gets a contract nothing, and its transaction is refused`, async () => {
    const [failure, ...more] = await failures({ type: "Attack", data: { attack } });
    assert.match(failure ?? "", expected);
    assert.deepEqual(more, []);
    assert.deepEqual(await behave(), [], "the next transaction is judged as if nothing had been");
  });
