// A CorDapp whose contract attacks what runs it: by the command's name. For tests of the sandbox.

import { contract, cordapp as define, state } from "@bowline/sdk";
import { compositeKeys } from "@bowline/sdk/crypto";
import * as Type from "typebox";

type View = Parameters<ReturnType<typeof contract>["verify"]>[0];

const CONTRACT = "com.example.Hostile";
/** As author code in plain JavaScript would write it: no type stops it. */
const patch = (target: object, name: string, value: unknown): void => {
  (target as Record<string, unknown>)[name] = value;
};

/** Each throws what it got, where it got anything. */
const ATTACKS: Readonly<Record<string, (view: View) => unknown>> = {
  clock: () => Date.now(),
  anotherClock: () => performance.now(),
  date: () => String(new Date()),
  chance: () => Math.random(),
  randomValues: () => crypto.getRandomValues(new Uint8Array(4)),
  timer: () => setTimeout(() => {}, 1),
  network: () => fetch("http://127.0.0.1/"),
  processGlobal: () => process.env,
  files: () => (globalThis as { require?: (name: string) => unknown }).require?.("node:fs") ?? never(),
  escape: (view) => (view.inputs.constructor.constructor as (code: string) => () => unknown)("return process")(),
  locale: () => [10].toLocaleString(),
  shared: () => patch(globalThis, "seen", 1),
  pollute: () => patch(Object.prototype, "owned", 1),
  changeView: (view) => patch(view, "signatories", []),
  changeState: (view) => patch(view.outputs[0]?.state.data as object, "amount", 0),
  patchSdk: () => patch(compositeKeys, "isFulfilledBy", () => true),
};

/** It got nothing, and says so as the sandbox would. */
function never(): never {
  throw new TypeError("there is no such thing here");
}

const Thing = state({
  name: "com.example.Thing",
  version: 1,
  contract: CONTRACT,
  schema: Type.Object({ amount: Type.Integer() }),
  participants: () => [],
});

const Hostile = contract({
  name: CONTRACT,
  commands: { Attack: Type.Object({ attack: Type.String() }), Behave: Type.Object({}) },
  verify(view) {
    for (const { type, data } of view.commands) {
      if (type === "Behave") continue;
      const got = ATTACKS[(data as { attack: string }).attack]?.(view);
      throw new Error(`got ${String(got)}`);
    }
  },
});

export const cordapp = define({ flows: [], states: [Thing], contracts: [Hostile] });
