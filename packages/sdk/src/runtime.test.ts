import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Data, parseName } from "@bowline/base";
import * as Type from "typebox";
import type { CordappBundle, Delivery, FiberStart, Visibility } from "./activation.ts";
import { older } from "./canonical.ts";
import { type CordappDefinition, contract, flow, responder, state } from "./definition.ts";
import { FlowError, type Outcome, requireThat } from "./failure.ts";
import { NO_PROPERTIES } from "./properties.ts";
import { cordapp } from "./runtime.ts";
import { dataOf } from "./state-versions.ts";
import type { Syscall } from "./syscalls.ts";
import { keysAsked, sees } from "./visibility.ts";

const ME = parseName("O=Alice, L=London, C=GB");
const BOB = parseName("O=Bob, L=Paris, C=FR");
const IDENTITY = { flowId: "f", me: ME, groupId: "g", properties: NO_PROPERTIES };
const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });

const called = (name: string, input: Data, path = ""): FiberStart => ({
  fiber: `f/${path}`,
  path,
  flow: name,
  identity: IDENTITY,
  kind: "called",
  input,
});

const drained = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs a flow as an engine would: every step is answered at once, in the order in which they were asked. */
async function runs(bundle: CordappBundle, start: FiberStart, answer: (call: Syscall, path: string) => Outcome) {
  const asked: [string, Syscall][] = [];
  bundle.start(start);
  for (;;) {
    await drained();
    const [report] = bundle.collect();
    assert.ok(report !== undefined, "the flow waits for nothing");
    if (report.finished !== undefined) return { asked, finished: report.finished };
    asked.push(...report.syscalls.map(({ path, call }) => [path, call] as [string, Syscall]));
    bundle.deliver(report.syscalls.map(({ path, call }): Delivery => ({ fiber: start.fiber, path, outcome: answer(call, path) })));
  }
}

async function errorOf(bundle: CordappBundle, start: FiberStart, answer: (call: Syscall) => Outcome = () => ({ ok: null })) {
  const { finished } = await runs(bundle, start, answer);
  assert.ok("error" in finished, JSON.stringify(finished));
  return finished.error;
}

/** A sub-flow ends as it says. */
const ended = (call: Syscall): Outcome => (call.kind === "subFlow" ? (call.outcome ?? { ok: null }) : { ok: 7 });

describe("fibers", () => {
  const inner = flow({
    name: "inner",
    startable: false,
    input: Type.Object({ n: Type.Integer() }),
    async call(ctx, { n }) {
      await ctx.now();
      await Promise.all([ctx.now(), ctx.now()]);
      return n;
    },
  });
  const outer = flow({
    name: "outer",
    startable: true,
    input: Type.Object({}),
    async call(ctx) {
      const [a, at, b] = await Promise.all([ctx.subFlow(inner, { n: 1 }), ctx.now(), ctx.subFlow(inner, { n: 2 })]);
      return [a, at, b, await ctx.now()] as Data;
    },
  });

  test("steps are numbered in the order they are asked, sub-flows' below the step that called them", async () => {
    const { asked, finished } = await runs(cordapp(app(outer)), called("outer", {}), ended);
    assert.deepEqual(
      asked.map(([path]) => path),
      ["1.1", "2", "3.1", "1.2", "1.3", "3.2", "3.3", "1", "3", "4"],
    );
    assert.deepEqual(finished, { ok: [1, 7, 2, 7] });
  });

  test("a sub-flow that is over is asked for, and not run", async () => {
    const start = { ...called("outer", {}), replayed: { subFlows: ["1", "3"], decisions: [] } };
    const { asked, finished } = await runs(cordapp(app(outer)), start, (_call, path) => ({ ok: Number(path) }));
    assert.deepEqual(
      asked.map(([path, call]) => [path, call.kind === "subFlow" ? call.input : call.kind]),
      [
        ["1", { n: 1 }],
        ["2", "clock.now"],
        ["3", { n: 2 }],
        ["4", "clock.now"],
      ],
    );
    assert.deepEqual(finished, { ok: [1, 2, 3, 4] });
  });

  test("a child's steps are below its parent's step", async () => {
    const { asked } = await runs(cordapp(app(inner)), called("inner", { n: 1 }, "3.2"), () => ({ ok: 7 }));
    assert.deepEqual(
      asked.map(([path]) => path),
      ["3.2.1", "3.2.2", "3.2.3"],
    );
  });

  test("paths do not depend on the order in which steps are answered", async () => {
    const bundle = cordapp(app(outer));
    bundle.start(called("outer", {}));
    await drained();
    const [first] = bundle.collect();
    assert.deepEqual(
      first?.syscalls.map(({ path }) => path),
      ["1.1", "2", "3.1"],
    );
    const order = ["3.1", "2", "1.1"];
    const seen: string[] = [];
    for (const path of order) {
      bundle.deliver([{ fiber: "f/", path, outcome: { ok: 1 } }]);
      await drained();
      seen.push(...(bundle.collect()[0]?.syscalls.map((step) => step.path) ?? []));
    }
    assert.deepEqual(seen, ["3.2", "3.3", "1.2", "1.3"]);
  });

  test("many fibers run side by side, and a dropped one never goes on", async () => {
    const bundle = cordapp(app(inner));
    for (const id of ["a", "b"]) bundle.start({ ...called("inner", { n: 1 }), fiber: id });
    await drained();
    assert.deepEqual(
      bundle.collect().map(({ fiber }) => fiber),
      ["a", "b"],
    );
    bundle.drop("a");
    assert.throws(() => bundle.deliver([{ fiber: "a", path: "1", outcome: { ok: 1 } }]), { type: "fiber.unknown" });
    bundle.deliver([{ fiber: "b", path: "1", outcome: { ok: 1 } }]);
    await drained();
    assert.deepEqual(
      bundle.collect().map(({ fiber, syscalls }) => [fiber, syscalls.length]),
      [["b", 2]],
    );
    assert.throws(() => bundle.deliver([{ fiber: "b", path: "9", outcome: { ok: 1 } }]), { type: "fiber.stepUnknown" });
  });

  test("what a flow throws is data, and never a stack", async () => {
    const throwing = (thrown: unknown) =>
      flow({
        name: "t",
        startable: true,
        input: Type.Object({}),
        async call() {
          throw thrown;
        },
      });
    assert.deepEqual(await errorOf(cordapp(app(throwing(new FlowError("a.b", "c", { d: "e" })))), called("t", {})), {
      type: "a.b",
      message: "c",
      details: { d: "e" },
    });
    assert.deepEqual(await errorOf(cordapp(app(throwing(new TypeError("x")))), called("t", {})), { type: "TypeError", message: "x" });
    assert.deepEqual(await errorOf(cordapp(app(throwing("text"))), called("t", {})), { type: "Error", message: "text" });
    assert.equal((await errorOf(cordapp(app()), called("none", {}))).type, "flow.unknown");
  });

  test("a step's failure is an error that a flow can catch, with its type and its details", async () => {
    const catching = flow({
      name: "c",
      startable: true,
      input: Type.Object({}),
      call: (ctx) => ctx.now().then(String, (thrown: FlowError) => `${thrown.type} ${thrown.message} ${thrown.details.a}`),
    });
    const { finished } = await runs(cordapp(app(catching)), called("c", {}), () => ({
      error: { type: "t", message: "m", details: { a: "d" } },
    }));
    assert.deepEqual(finished, { ok: "t m d" });
  });

  test("what a flow leaves running when it returns asks nothing more", async () => {
    const hasty = flow({
      name: "h",
      startable: true,
      input: Type.Object({}),
      async call(ctx) {
        void ctx.now().then(() => ctx.now());
        return "gone";
      },
    });
    const { asked, finished } = await runs(cordapp(app(hasty)), called("h", {}), () => ({ ok: 1 }));
    assert.deepEqual([asked, finished], [[], { ok: "gone" }]);
  });
});

describe("what goes in and out", () => {
  const echo = (call: (input: Data) => unknown, output?: Type.TSchema) =>
    cordapp(
      app(
        flow({
          name: "e",
          startable: true,
          input: Type.Object({ a: Type.Integer() }, { additionalProperties: false }),
          ...(output === undefined ? {} : { output }),
          call: async (_ctx, input) => call(input as Data),
        }),
      ),
    );

  test("input and output fit their schemas, or the member and the reason are named", async () => {
    const wrong = await errorOf(
      echo((input) => input),
      called("e", { a: "x" }),
    );
    assert.deepEqual([wrong.type, wrong.details?.field], ["flow.invalidInput", "input/a"]);
    assert.equal(
      (
        await errorOf(
          echo((input) => input),
          called("e", { a: 1, b: 2 }),
        )
      ).type,
      "flow.invalidInput",
    );
    assert.equal(
      (
        await errorOf(
          echo(() => ({ b: 1 }), Type.Object({ b: Type.String() })),
          called("e", { a: 1 }),
        )
      ).type,
      "flow.invalidOutput",
    );
  });

  test("only what canonical bytes can say leaves a flow", async () => {
    for (const value of [0.5, Number.NaN, 2 ** 60, Symbol("x"), () => 1, new Map(), new Date(0), [undefined]]) {
      assert.equal(
        (
          await errorOf(
            echo(() => value),
            called("e", { a: 1 }),
          )
        ).type,
        "data.unsupported",
        String(value),
      );
    }
    let deep: unknown = 1;
    for (let level = 0; level < 40; level++) deep = [deep];
    assert.equal(
      (
        await errorOf(
          echo(() => deep),
          called("e", { a: 1 }),
        )
      ).type,
      "data.unsupported",
    );
    const value = { left: undefined, small: 5n, large: 2n ** 60n, minus: -0, bytes: Uint8Array.of(1), list: [null, true, "x"] };
    const { finished } = await runs(
      echo(() => value),
      called("e", { a: 1 }),
      () => ({ ok: null }),
    );
    assert.deepEqual(finished, { ok: { small: 5, large: 2n ** 60n, minus: 0, bytes: Uint8Array.of(1), list: [null, true, "x"] } });
    assert.ok("ok" in finished && !Object.hasOwn(finished.ok as object, "left"));
  });

  test("what was sent is what was there when it was sent", async () => {
    const changing = flow({
      name: "c",
      startable: true,
      initiates: { name: "p", versions: [1] },
      input: Type.Object({}),
      async call(ctx) {
        const session = await ctx.initiate(BOB);
        const payload = { list: [1] };
        const sent = session.send(payload);
        payload.list.push(2);
        await sent;
      },
    });
    const { asked } = await runs(cordapp(app(changing)), called("c", {}), (_call, path) => ({ ok: path === "1" ? "f:1" : [] }));
    assert.deepEqual(asked[1]?.[1], { kind: "session.exchange", sends: [{ session: "f:1", payload: { list: [1] } }], receives: [] });
  });

  test("a message that does not fit is the counterparty's fault, by name", async () => {
    const hears = responder({
      name: "r",
      answers: { name: "p", versions: [1] },
      async call(_ctx, session) {
        await session.receive(Type.Object({ n: Type.Integer() }));
      },
    });
    const start: FiberStart = {
      fiber: "f/",
      path: "",
      flow: "r",
      identity: IDENTITY,
      kind: "initiated",
      session: "i:1",
      counterparty: BOB,
      version: 1,
    };
    const failure = await errorOf(cordapp(app(hears)), start, () => ({ ok: [{ n: "1" }] }));
    assert.equal(failure.type, "session.unexpectedPayload");
    assert.match(failure.message, /O=Bob/);
  });
});

describe("the ledger's steps", () => {
  const proposed = { id: "SHA-256:1", transaction: { id: "SHA-256:1" }, record: Uint8Array.of(1) };
  const receiving = (validate: () => void) =>
    responder({
      name: "r",
      answers: { name: "p", versions: [1] },
      async call(ctx, session) {
        await ctx.ledger.receiveFinality(session, validate);
      },
    });
  const start: FiberStart = {
    fiber: "f/",
    path: "",
    flow: "r",
    identity: IDENTITY,
    kind: "initiated",
    session: "i:1",
    counterparty: BOB,
    version: 1,
  };

  test("a proposal that the validator takes is answered without a refusal, and one that it does not with its reason", async () => {
    const accepted = await runs(cordapp(app(receiving(() => {}))), start, () => ({ ok: proposed }));
    const session = { id: "i:1", counterparty: BOB };
    assert.deepEqual(accepted.asked, [
      ["1", { kind: "platform", flow: "ledger.receiveProposal", input: { session } }],
      ["2", { kind: "platform", flow: "ledger.answerProposal", input: { session, record: proposed.record, refusal: null } }],
    ]);
    const refusing = receiving(() => {
      throw new FlowError("too.much", "Too much.");
    });
    const refused = await runs(cordapp(app(refusing)), start, () => ({ ok: proposed }));
    const [, answered] = refused.asked.at(1) ?? [];
    assert.ok(answered?.kind === "platform");
    assert.deepEqual((answered.input as { readonly refusal: Data }).refusal, { type: "too.much", message: "Too much." });
    assert.deepEqual(refused.finished, { error: { type: "too.much", message: "Too much.", details: {} } });
  });
});

describe("contracts", () => {
  const Coin = state({
    name: "Coin",
    version: 2,
    contract: "CoinContract",
    schema: Type.Object({ owner: Type.String(), amount: Type.Integer() }),
    participants: ({ owner }) => [owner],
    json: ({ amount }) => ({ amount: String(amount) }),
    older: [older(Type.Object({ holder: Type.String() }), ({ holder }) => ({ owner: holder, amount: 1 }))],
  });
  const Shown = state({
    name: "Shown",
    version: 1,
    contract: "CoinContract",
    schema: Type.Object({
      all: Type.Array(Type.String()),
      or: Type.String(),
      not: Type.String(),
      fixed: Type.Union([Type.Boolean(), Type.Null()]),
    }),
    participants: () => [],
    visible: ({ all, or, not, fixed }, { isMine }) => fixed ?? ((all.every((key) => isMine(key)) || isMine(or)) && !isMine(not)),
  });
  const CoinContract = contract({
    name: "CoinContract",
    commands: { Issue: Type.Object({}, { additionalProperties: false }) },
    verify({ outputs }) {
      requireThat(outputs.length === 1, "an issue produces one coin");
      const [coin] = outputs;
      requireThat(coin !== undefined && (coin.state.data as { amount: number }).amount > 0, "a coin is worth something");
    },
  });
  const Careless = contract({
    name: "Careless",
    commands: { Do: Type.Object({}) },
    verify(transaction) {
      (transaction.outputs as unknown[]).push("more");
    },
  });
  const Late = contract({ name: "Late", commands: { Do: Type.Object({}) }, verify: async () => {} });
  const bundle = cordapp({ flows: [], states: [Coin, Shown], contracts: [CoinContract, Careless, Late] });
  const output = (data: Data, changes: Record<string, Data> = {}) => ({
    ref: "SHA-256:1:0",
    state: { type: "Coin", version: 2, contract: "CoinContract", data, ...changes },
    notary: "O=Notary, L=X, C=GB",
  });
  const transaction = (outputs: Data[], commands: Data[]): Data => ({
    id: "SHA-256:1",
    notary: "O=Notary, L=X, C=GB",
    timeWindow: { until: 1 },
    inputs: [],
    references: [],
    outputs,
    commands,
    signatories: [],
  });
  const issue = { type: "Issue", contract: "CoinContract", data: {} };
  const broken = (outputs: Data[], commands: Data[], judges = ["CoinContract"]) =>
    bundle.verify(transaction(outputs, commands), judges).map(({ contract: name, failure }) => [name, failure.type]);

  test("a transaction that keeps all rules breaks none", () => {
    assert.deepEqual(broken([output({ owner: "k", amount: 1 })], [issue]), []);
  });

  test("only the contracts that are to judge are asked: others may be in another package", () => {
    const elsewhere = output({ anything: 1 }, { type: "Bond", contract: "BondContract" });
    const commands = [issue, { type: "Do", contract: "Careless", data: {} }, { type: "Buy", contract: "BondContract", data: {} }];
    const view = { ...(transaction([output({ owner: "k", amount: 1 })], commands) as Record<string, Data>), references: [elsewhere] };
    assert.deepEqual(bundle.verify(view, ["CoinContract"]), []);
    assert.deepEqual(
      bundle.verify(view, ["BondContract"]).map(({ failure }) => failure.type),
      ["contract.unknown"],
    );
    assert.deepEqual(bundle.verify(view, []), []);
  });

  test("all contracts that judge are asked, and all their failures come together", () => {
    const commands = [
      issue,
      { type: "Do", contract: "Careless", data: {} },
      { type: "Do", contract: "Late", data: {} },
      { type: "X", contract: "None", data: {} },
    ];
    assert.deepEqual(broken([output({ owner: "k", amount: 0 })], commands, ["Careless", "CoinContract", "Late", "None"]), [
      ["Careless", "TypeError"],
      ["CoinContract", "rule.broken"],
      ["Late", "contract.asynchronous"],
      ["None", "contract.unknown"],
    ]);
  });

  test("data that does not fit its schema breaks a rule before any contract runs", () => {
    assert.deepEqual(
      broken(
        [output({ owner: 1 })],
        [
          { ...issue, data: { x: 1 } },
          { ...issue, type: "Melt" },
        ],
      ),
      [
        ["CoinContract", "contract.commandInvalid"],
        ["CoinContract", "contract.commandUnknown"],
        ["CoinContract", "state.invalid"],
      ],
    );
    assert.deepEqual(broken([output({ owner: "k", amount: 1 }, { version: 3 })], [issue]), [["CoinContract", "state.unknown"]]);
    const under = bundle.verify(
      transaction([output({ owner: "k", amount: 1 }, { contract: "Careless" })], [{ type: "Do", contract: "Careless", data: {} }]),
      ["Careless"],
    );
    assert.deepEqual(
      under.map(({ failure }) => failure.type),
      ["state.wrongContract"],
    );
  });

  test("a state tells who takes part and what queries see", () => {
    assert.deepEqual(bundle.describeState({ type: "Coin", data: { owner: "k", amount: 5 } }), {
      participants: ["k"],
      json: { amount: "5" },
    });
    assert.throws(() => bundle.describeState({ type: "Coin", data: {} }), { type: "state.invalid" });
    assert.throws(() => bundle.describeState({ type: "Note", data: {} }), { type: "state.unknown" });
  });

  test("a contract sees a state of an older version in the newest, and refuses one that it cannot bring there", () => {
    const old = (data: Data, version = 1) => output(data, { version });
    assert.deepEqual(broken([old({ holder: "k" })], [issue]), []);
    assert.deepEqual(broken([old({ owner: "k", amount: 1 })], [issue]), [["CoinContract", "state.invalid"]]);
    assert.deepEqual(broken([old({ holder: "k" }, 0)], [issue]), [["CoinContract", "state.unknown"]]);
    const state = { type: "Coin", version: 1, contract: "CoinContract", data: { holder: "k" } };
    assert.deepEqual(dataOf(Coin, { ref: "r", state }), { owner: "k", amount: 1 });
    assert.equal(bundle.manifest.states[0]?.oldest, 1);
    assert.throws(() => cordapp({ flows: [], states: [{ ...Coin, version: 1 }], contracts: [] }), { type: "cordapp.versionsWrong" });
    assert.throws(() => cordapp({ flows: [], states: [Coin, Coin], contracts: [] }), { type: "cordapp.repeated" });
  });

  test("who sees a state turns on the keys that it asks about, at every member alike", () => {
    const visible = (data: Data): Visibility => bundle.describeState({ type: "Shown", data }).visible ?? false;
    const seenWith = (data: Data, ...mine: string[]) => sees(visible(data), (key) => mine.includes(key));
    const data = { all: ["a", "b"], or: "c", not: "d", fixed: null };
    assert.deepEqual(new Set(keysAsked(visible(data))), new Set(["a", "b", "c", "d"]));
    for (let bits = 0; bits < 16; bits++) {
      const mine = ["a", "b", "c", "d"].filter((_, i) => (bits >> i) & 1);
      const [a, b, c, d] = ["a", "b", "c", "d"].map((key) => mine.includes(key));
      assert.equal(seenWith(data, ...mine), ((a && b) || c) && !d, mine.join());
    }
    assert.equal(visible({ ...data, fixed: true }), true);
    assert.equal(visible({ ...data, fixed: false }), false);
    assert.throws(() => visible({ ...data, all: Array.from({ length: 200 }, (_, i) => `k${i}`) }), { type: "state.visibilityTooComplex" });
    assert.equal(bundle.describeState({ type: "Coin", data: { owner: "k", amount: 5 } }).visible, undefined);
    // Questions that lead backwards are nobody's to follow for ever.
    assert.equal(
      sees([{ keys: ["a"], yes: 0, no: 0 }], () => true),
      false,
    );
  });

  test("the manifest is plain data with JSON schemas", () => {
    const { manifest } = bundle;
    assert.deepEqual(JSON.parse(JSON.stringify(manifest)), manifest);
    assert.deepEqual(
      manifest.states.map(({ name, version, contract: under }) => [name, version, under]),
      [
        ["Coin", 2, "CoinContract"],
        ["Shown", 1, "CoinContract"],
      ],
    );
    assert.deepEqual(manifest.contracts[0]?.commands, [
      { name: "Issue", schema: { type: "object", properties: {}, additionalProperties: false } },
    ]);
    assert.throws(() => cordapp({ flows: [], states: [], contracts: [Late, Late] }), { type: "cordapp.repeated" });
  });
});
