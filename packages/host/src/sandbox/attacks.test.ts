// What author code may try against what runs it, tried: real isolates under a real engine. Each attack ends in a clear failure of its own
// flow, while a flow beside it in the same bundle and one of another virtual node finish.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Log, parseName, type SecureHash, type ShortHash, secureHash, type X500Name } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import {
  clientStart,
  createFlowWorker,
  createGroupCommit,
  createMemoryFlowStore,
  type FlowPersistence,
  type FlowRow,
  type FlowStore,
  inProcessFibers,
  wakeRecord,
} from "@bowline/flow";
import { cordapp as define } from "@bowline/sdk";
import { createMemoryBus } from "../adapters/memory-bus.ts";
import { systemClock as clock, systemRandom as random } from "../adapters/system.ts";
import { createIsolatePool } from "./isolate-pool.ts";
import { LOGS_PER_REPORT_MAX } from "./limits.ts";
import { silent } from "./probe.ts";
import { sampleBundle } from "./sample-bundle.ts";

const GROUP = "group";
const [MALLORY, BOB] = [parseName("O=Mallory, L=London, C=GB"), parseName("O=Bob, L=Paris, C=FR")];
const CPK = secureHash(new Uint8Array(32).fill(7));
const vnodeOf = (name: X500Name): ShortHash => (name === BOB ? "BBBBBBBBBBBB" : "AAAAAAAAAAAA") as ShortHash;
const WAIT_MS = 20_000;
const OVER = new Set(["COMPLETED", "FAILED", "PARKED", "KILLED"]);

const lines: { readonly message: string; readonly facts: unknown }[] = [];
const log: Log = { ...silent, info: (message, facts) => lines.push({ message, facts }) };
const stores = new Map<ShortHash, FlowStore>([MALLORY, BOB].map((name) => [vnodeOf(name), createMemoryFlowStore()]));
const commits = new Map([...stores].map(([vnode, store]) => [vnode, createGroupCommit(store)]));
const of = <T>(map: ReadonlyMap<ShortHash, T>, vnode: ShortHash): T => map.get(vnode) as T;
const bus = createMemoryBus(clock);
const pool = createIsolatePool({
  bundle: () => sampleBundle("sample-attacks.ts"),
  log: silent,
  onUnstoppable: () => assert.fail("unstoppable"),
});
const persistence: FlowPersistence = {
  load: ({ vnode, flowIds }) => of(stores, vnode).load(flowIds),
  commit: ({ vnode, commit }) => of(commits, vnode)(commit),
  async acknowledge({ vnode, acknowledgements }) {
    await of(stores, vnode).acknowledge(acknowledgements);
    return null;
  },
  async due({ now, leaseUntil, limit }) {
    const found = await Promise.all(
      [...stores].map(async ([vnode, store]) => (await store.due(now, leaseUntil, limit)).map((flowId) => ({ vnode, flowId }))),
    );
    return { flows: found.flat(), messages: [] };
  },
  dueBefore: async () => [],
};
const worker = createFlowWorker({
  clock,
  random,
  digest: sha256,
  log,
  workerId: "w",
  bus,
  persistence,
  directory: { hosted: async (name) => ({ vnode: vnodeOf(name), responders: [] }) },
  services: { classify: () => "forbidden", perform: async () => assert.fail("no attack may reach a service") },
  fibers: async (bundle) =>
    bundle === "platform" ? inProcessFibers(define({ flows: [], states: [], contracts: [] }), async () => {}) : pool.fibers(bundle),
});

before(() => worker.start());
after(async () => {
  await worker.stop();
  await pool.close();
});

let flows = 0;

async function start(me: X500Name, flowName: string, input: object): Promise<() => Promise<FlowRow>> {
  const id = `00000000-0000-4000-8000-${String(++flows).padStart(12, "0")}`;
  const vnode = vnodeOf(me);
  const identity = { me, groupId: GROUP };
  const asked = {
    id,
    seed: random(32),
    bundle: CPK as SecureHash,
    flowName,
    identity,
    clientRequestId: id,
    startedBy: "admin",
    input,
    now: clock.now(),
  };
  const [started] = await of(stores, vnode).start([clientStart(asked as never)]);
  await bus.publish([wakeRecord(vnode, (started as { row: FlowRow }).row)]);
  return async () => {
    for (const until = clock.now() + WAIT_MS; clock.now() < until; await new Promise((resume) => setTimeout(resume, 10))) {
      const [snapshot] = await of(stores, vnode).load([id]);
      if (snapshot !== undefined && OVER.has(snapshot.row.status)) return snapshot.row;
    }
    return assert.fail(`flow ${flowName} of ${me} did not end: ${JSON.stringify(input)}`);
  };
}

/** How the attack ended; its neighbours have finished as if nothing had been. */
async function endOf(attack: string): Promise<string> {
  const neighbours = [
    await start(MALLORY, "com.example.Neighbour", { steps: 3, others: 0 }),
    await start(BOB, "com.example.Neighbour", { steps: 3, others: 1 }),
  ];
  const ended = await start(MALLORY, "com.example.Attack", { attack });
  neighbours.push(await start(BOB, "com.example.Neighbour", { steps: 1, others: 1 }));
  const { status, outcome } = await ended();
  for (const [index, neighbour] of (await Promise.all(neighbours.map((wait) => wait()))).entries())
    assert.deepEqual([neighbour.status, neighbour.outcome], ["COMPLETED", { ok: `${index < 2 ? 3 : 1},,,fine,` }]);
  return outcome !== null && "error" in outcome
    ? `${status} ${outcome.error.type}: ${outcome.error.message}`
    : `${status} ${JSON.stringify(outcome)}`;
}

const TYPE_ERROR = /^FAILED TypeError/;
const TIME = /^PARKED sandbox\.timeLimit/;
const MEMORY = /^PARKED sandbox\.(memoryLimit|timeLimit)/;
const UNSAYABLE = /^FAILED data\.unsupported/;
const TOO_LARGE = /^FAILED sandbox\.stepTooLarge/;
const INVALID = /^FAILED sandbox\.answerInvalid/;

const EXPECTED: Readonly<Record<string, RegExp>> = {
  constructorEscape: TYPE_ERROR,
  asyncConstructorEscape: TYPE_ERROR,
  generatorConstructorEscape: TYPE_ERROR,
  contextEscape: TYPE_ERROR,
  resultEscape: TYPE_ERROR,
  processGlobal: /^FAILED (Reference|Type)Error/,
  bufferGlobal: /^FAILED (Reference|Type)Error/,
  timer: /^FAILED (Reference|Type)Error/,
  clock: TYPE_ERROR,
  chance: TYPE_ERROR,
  pollutePrototype: TYPE_ERROR,
  polluteByProto: TYPE_ERROR,
  polluteArray: TYPE_ERROR,
  pollutePromise: TYPE_ERROR,
  globalState: TYPE_ERROR,
  keepInCollection: /^COMPLETED/,
  keepInVariable: /^COMPLETED/,
  patchErrors: TYPE_ERROR,
  patchDecimals: TYPE_ERROR,
  patchNeighbour: TYPE_ERROR,
  patchSchema: TYPE_ERROR,
  stealReports: /^FAILED cordapp\.handedOver/,
  forgeAnswers: /^FAILED cordapp\.handedOver/,
  dropNeighbour: /^FAILED cordapp\.handedOver/,
  handOver: /^FAILED cordapp\.handedOver/,
  service: INVALID,
  vaultWrite: INVALID,
  platformFlow: /^FAILED (sandbox\.answerInvalid|input\.invalid)/,
  madeUpKind: INVALID,
  moreMembers: /^FAILED (sandbox\.answerInvalid|input\.invalid)/,
  hugeStep: TOO_LARGE,
  hugeBytes: TOO_LARGE,
  caughtHugeSteps: /^COMPLETED \{"ok":\["sandbox.stepTooLarge","sandbox.stepTooLarge"\]\}/,
  foreignSession: /^FAILED session\.unknown/,
  tooManySteps: INVALID,
  loop: TIME,
  loopAfterStep: TIME,
  microtasks: TIME,
  loopAfterReturn: TIME,
  catchesEverything: TIME,
  regularExpression: TIME,
  arrayBomb: MEMORY,
  textBomb: MEMORY,
  typedArrayBomb: /^(FAILED RangeError|PARKED sandbox\.(memory|time)Limit)/,
  recursion: /^FAILED RangeError/,
  waitsForNothing: /^FAILED flow\.stuck/,
  thenNever: /^FAILED flow\.stuck/,
  logFlood: /^(FAILED sandbox\.answerInvalid|PARKED sandbox\.(memory|time)Limit)/,
  hugeResult: INVALID,
  hugeLog: INVALID,
  hugeFailure: INVALID,
  deepResult: UNSAYABLE,
  cyclicResult: UNSAYABLE,
  functionResult: UNSAYABLE,
  symbolResult: UNSAYABLE,
  fractionResult: UNSAYABLE,
  classResult: UNSAYABLE,
  getterResult: /^FAILED Error: no value for you/,
  endlessGetter: TIME,
  proxyResult: TIME,
  lyingProxy: /^FAILED Error: no prototype for you/,
  lyingBytes: /^FAILED TypeError/,
  surrogate: INVALID,
  hostileMessage: /^FAILED Error/,
  hostileName: /^FAILED Error/,
  hostileText: /^FAILED Error/,
  hostileDetails: /^FAILED/,
  hostileProxy: /^FAILED Error/,
  endlessFailure: TIME,
  nothing: /^FAILED Error: undefined/,
};

describe("an attack fails its own flow", () => {
  for (const [attack, expected] of Object.entries(EXPECTED))
    test(attack, { timeout: 2 * WAIT_MS }, async () => assert.match(await endOf(attack), expected));

  test("whoever inspects such a flow sees where in its bundle it failed", async () => {
    const { id } = await (await start(MALLORY, "com.example.Attack", { attack: "processGlobal" }))();
    const inspected = await of(stores, vnodeOf(MALLORY)).inspect(id);
    assert.match(inspected?.lastError?.stack ?? "", /^ *at (?:Object\.)?processGlobal \(.*cordapp\.js:\d+:\d+\)$/m);
  });

  test("and none was forgotten here", async () => {
    const { attacks } = (await import("./sample-attacks.ts")) as { readonly attacks: readonly string[] };
    assert.deepEqual([...attacks].sort(), Object.keys(EXPECTED).sort());
  });
});

test("a flood of log lines reaches the log as few lines, or not at all", () => {
  assert.ok(lines.length <= LOGS_PER_REPORT_MAX, `${lines.length} lines`);
});
