// A CorDapp whose flows attack what runs them, and one whose flows only want to finish. For tests of the sandbox.

import { decimal, cordapp as define, FlowError, flow, responder } from "@bowline/sdk";
import { Any, Integer, Object as Shape, String as Text } from "typebox";

type Context = Parameters<ReturnType<typeof flow>["call"]>[0];

const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
const forEver = (): never => {
  for (;;);
};
/** As author code in plain JavaScript would write it: no type stops it. */
const patch = (target: object, name: string, value: unknown): void => {
  (target as Record<string, unknown>)[name] = value;
};

class Hostile extends Error {
  override get message(): string {
    throw new Error("no message for you");
  }
}

/** By name; each ends in the failure that the test beside it expects. */
/** As a bundle holds it that no packager of ours has made. */
const HOARD = new Map<string, string>();
let hidden = "";

const ATTACKS: Readonly<Record<string, (context: Context) => unknown>> = {
  // Out of the sandbox.
  constructorEscape: () => ((() => 1).constructor as (code: string) => () => unknown)("return this")(),
  asyncConstructorEscape: () => Object.getPrototypeOf(async () => 1).constructor("return this")(),
  generatorConstructorEscape: () => Object.getPrototypeOf(function* () {}).constructor("return this")(),
  contextEscape: (context) => (context.now.constructor as (code: string) => () => unknown)("return process")(),
  resultEscape: async (context) =>
    ((await context.random(4)).constructor.constructor as (code: string) => () => unknown)("return process")(),
  processGlobal: () => process.exit(1),
  bufferGlobal: () => Buffer.from("x"),
  timer: () => setTimeout(() => {}, 1),
  clock: () => Date.now(),
  chance: () => Math.random(),

  // Across to others.
  pollutePrototype: () => patch(Object.prototype, "owned", 1),
  // biome-ignore lint/suspicious/noProto: that is the attack.
  polluteByProto: () => patch(({} as Readonly<Record<string, object>>)["__proto__"] as object, "owned", 1),
  polluteArray: () => patch(Array.prototype, "map", () => []),
  pollutePromise: () => patch(Promise.prototype, "then", () => {}),
  globalState: () => patch(globalThis, "shared", 1),
  keepInCollection: ({ me }) => void HOARD.set("secret", me),
  keepInVariable: ({ me }) => {
    hidden = me;
    return null;
  },
  patchErrors: () => patch(FlowError.prototype, "type", "owned"),
  patchDecimals: () => patch(decimal, "add", () => "0"),
  patchNeighbour: () => patch(Neighbour, "call", () => "owned"),
  patchSchema: () => patch(Neighbour.input, "required", []),
  stealReports: () => cordapp.collect(),
  forgeAnswers: (context) => cordapp.deliver([{ fiber: `${context.flowId}/`, path: "1", outcome: { ok: 1 } }]),
  dropNeighbour: () => cordapp.drop("any/"),
  handOver: () => cordapp.handOver(),

  // What is not an author's to ask.
  service: (context) => context.syscall({ kind: "service", service: "crypto.signTransaction", request: null }),
  vaultWrite: (context) => context.syscall({ kind: "vault.write", writes: [] }),
  platformFlow: (context) => context.syscall({ kind: "platform", flow: "ledger.notary" as never, input: null }),
  madeUpKind: (context) => context.syscall({ kind: "constructor" } as never),
  moreMembers: (context) => context.syscall({ kind: "clock.now", trusted: true } as never),
  hugeStep: (context) => context.syscall({ kind: "checkpoint", reached: "x".repeat(5_000_000) }),
  hugeBytes: (context) => context.syscall({ kind: "checkpoint", reached: new Uint8Array(5_000_000) }),
  caughtHugeSteps: async (context) => {
    const codes: string[] = [];
    for (const huge of [new Uint8Array(5_000_000), "x".repeat(5_000_000)])
      await context.syscall({ kind: "checkpoint", reached: huge }).catch(({ type }: FlowError) => codes.push(type));
    await context.now();
    return codes;
  },
  foreignSession: (context) => context.syscall({ kind: "session.exchange", sends: [{ session: "another:1", payload: 1 }], receives: [] }),
  tooManySteps: (context) => Promise.all(Array.from({ length: 5_000 }, () => context.now())),

  // Time and memory.
  loop: forEver,
  loopAfterStep: async (context) => {
    await context.now();
    forEver();
  },
  microtasks: async () => {
    for (;;) await null;
  },
  loopAfterReturn: () => {
    void (async () => {
      await null;
      forEver();
    })();
    return "done";
  },
  catchesEverything: () => {
    for (;;)
      try {
        forEver();
      } finally {
        forEver();
      }
  },
  regularExpression: () => /^(a+)+$/.test(`${"a".repeat(40)}b`),
  arrayBomb: () => {
    const all: unknown[] = [];
    for (;;) all.push(new Array(1_000).fill("x".repeat(10)));
  },
  textBomb: () => {
    const all: string[] = [];
    for (let i = 0; ; i++) all.push(JSON.stringify(`${i}`.repeat(100_000)));
  },
  typedArrayBomb: () => {
    const all: unknown[] = [];
    for (;;) all.push(new Uint8Array(10_000_000).fill(1));
  },
  recursion: () => {
    const down = (): number => 1 + down();
    return down();
  },
  waitsForNothing: () => new Promise(() => {}),
  // biome-ignore lint/suspicious/noThenProperty: that is the attack.
  thenNever: () => ({ then() {} }),
  logFlood: (context) => {
    for (let i = 0; i < 200_000; i++) context.log.info("x".repeat(100));
  },

  // What comes out.
  hugeResult: () => "x".repeat(5_000_000),
  hugeLog: (context) => context.log.info("x".repeat(5_000_000)),
  hugeFailure: () => {
    throw new FlowError("x", "y".repeat(5_000_000));
  },
  deepResult: () => deep(100),
  cyclicResult: () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    return cycle;
  },
  functionResult: () => () => 1,
  symbolResult: () => Symbol("x"),
  fractionResult: () => 0.5,
  classResult: () => new Map([[1, 2]]),
  getterResult: () => ({
    get lazy(): never {
      throw new Error("no value for you");
    },
  }),
  endlessGetter: () => ({
    get lazy() {
      return forEver();
    },
  }),
  proxyResult: () => new Proxy({}, { ownKeys: () => forEver() }),
  lyingProxy: () =>
    new Proxy(
      {},
      {
        getPrototypeOf() {
          throw new Error("no prototype for you");
        },
      },
    ),
  lyingBytes: () => Object.setPrototypeOf({ length: 1e9 }, Uint8Array.prototype),
  surrogate: () => "\ud800",
  hostileMessage: () => {
    throw new Hostile();
  },
  hostileName: () => {
    throw Object.defineProperty(new Error("x"), "name", { get: () => ({ toString: null }) });
  },
  hostileText: () => {
    throw {
      toString() {
        throw new Error("no text for you");
      },
    };
  },
  hostileDetails: () => {
    throw new FlowError("x", "y", { get: forEver } as never);
  },
  hostileProxy: () => {
    throw new Proxy(
      {},
      {
        getPrototypeOf() {
          throw new Error("no prototype for you");
        },
        get() {
          throw new Error("no member for you");
        },
      },
    );
  },
  endlessFailure: () => {
    throw new Proxy(new Error("x"), { get: () => forEver() });
  },
  nothing: () => {
    throw undefined;
  },
};

const Attack = flow({
  name: "com.example.Attack",
  startable: true,
  input: Shape({ attack: Text() }),
  output: Any(),
  async call(context, { attack }) {
    return (await ATTACKS[attack]?.(context)) as null;
  },
});

/** Takes a few steps with time between them, and looks whether anything has changed about it. */
const Neighbour = flow({
  name: "com.example.Neighbour",
  startable: true,
  input: Shape({ steps: Integer(), others: Integer() }),
  output: Text(),
  async call(context, { steps, others }) {
    let sum = "0";
    for (let i = 0; i < steps; i++) {
      await context.sleep(20);
      sum = decimal.add(sum, [1].map(String)[0] ?? "");
    }
    const { owned } = {} as { readonly owned?: unknown };
    const { shared } = globalThis as { readonly shared?: unknown };
    // What its own virtual node's flows keep is no secret from it.
    const kept = others === 0 ? "" : `${HOARD.get("secret") ?? ""}${hidden}`;
    return [sum, owned, shared, new FlowError("fine", "fine").type, kept].join();
  },
});

const Answer = responder({ name: "com.example.Answer", answers: { name: "com.example.attack", versions: [1] }, async call() {} });

export const attacks: readonly string[] = Object.keys(ATTACKS);
export const cordapp = define({ flows: [Attack, Neighbour, Answer], states: [], contracts: [] });
