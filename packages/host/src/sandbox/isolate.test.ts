import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BowlineError } from "@bowline/base";
import { isolateOf, probe, probeSource, stopOf } from "./probe.ts";

const NOTHING = { vnode: "", transaction: null, contracts: [], outputs: [] };

/** Code, and what it must answer. */
type Probe = readonly [promise: string, code: string, answer: RegExp];

const ESCAPES: readonly Probe[] = [
  ["a function's constructor makes no function", "() => (() => 1).constructor('return this')()", /^threw TypeError/],
  ["nor does an async function's", "() => Object.getPrototypeOf(async () => 1).constructor('return this')()", /^threw TypeError/],
  ["new Function makes a function of no global object", "() => String(new Function('return this')())", /^undefined$/],
  ["the argument's prototype chain leads nowhere", "(tx) => typeof tx.constructor.constructor.process", /^undefined$/],
  ["nor does that of a value that crossed", "(tx) => tx.at.constructor.constructor('return typeof process')()", /^threw TypeError/],
  ["Object.prototype cannot be polluted", "() => { Object.prototype.owned = 1; return 'polluted'; }", /^threw TypeError/],
  ["nor through __proto__", "() => { ({}).__proto__.owned = 1; return 'polluted'; }", /^threw TypeError/],
  ["nor Array.prototype's methods replaced", "() => { Array.prototype.map = () => 1; return 'replaced'; }", /^threw TypeError/],
  ["nor JSON's", "() => { JSON.stringify = () => '{}'; return 'replaced'; }", /^threw TypeError/],
  ["globals cannot be added", "() => { globalThis.shared = 1; return 'shared'; }", /^threw TypeError/],
  [
    "nothing of Node is there",
    "() => [typeof process, typeof require, typeof Buffer, typeof global, typeof module].join()",
    /^(undefined,?)+$/,
  ],
  ["nor of isolated-vm", "() => [typeof _ivm, typeof ivm, typeof $0, typeof console].join()", /^(undefined,?)+$/],
  ["call sites are not to be had", "() => String(new Error('x').stack) + typeof new Error('x').getCallSites", /^undefined$/],
  ["arguments.callee is not there", "function () { return String(arguments.callee); }", /^threw TypeError/],
  ["legacy regular expression statics are not there", "() => { /(a)/.test('a'); return String(RegExp.$1); }", /^undefined$/],
];

const DETERMINISM: readonly Probe[] = [
  ["no clock", "() => String(Date.now())", /^threw TypeError: secure mode/],
  ["no clock in a constructor", "() => String(new Date())", /^threw TypeError: secure mode/],
  ["no clock in a call", "() => Date()", /^threw TypeError: secure mode/],
  ["no randomness", "() => String(Math.random())", /^threw TypeError: secure mode/],
  ["no timers", "() => [typeof setTimeout, typeof setInterval, typeof setImmediate, typeof queueMicrotask].join()", /^(undefined,?)+$/],
  [
    "no WebAssembly, Intl, Atomics",
    "() => [typeof WebAssembly, typeof Intl, typeof Atomics, typeof SharedArrayBuffer].join()",
    /^(undefined,?)+$/,
  ],
  ["no weak references", "() => [typeof WeakRef, typeof FinalizationRegistry].join()", /^(undefined,?)+$/],
  ["no network, no crypto, no performance", "() => [typeof fetch, typeof crypto, typeof performance].join()", /^(undefined,?)+$/],
  ["no locale", "() => (1234.5).toLocaleString('de-DE') + 'I'.toLocaleLowerCase('tr')", /^1234\.5i$/],
  [
    "dates are in UTC",
    "() => [new Date(0).getHours(), new Date(0).getTimezoneOffset(), new Date(0)].join()",
    /^0,0,1970-01-01T00:00:00.000Z$/,
  ],
  ["dates from parts too", "() => new Date(2035, 0, 31, 12).toISOString()", /^2035-01-31T12:00:00.000Z$/],
  [
    "and from text without a zone",
    "() => new Date('2035-01-31T12:00').toISOString() + new Date('Jan 1 2035').getTime()",
    /^2035-01-31T12:00:00.000ZNaN$/,
  ],
  [
    "dates are still dates",
    "() => String(new Date(5) instanceof Date) + Date.UTC(1970, 0, 2) + new Date(new Date(7)).getTime()",
    /^true864000007$/,
  ],
];

for (const [name, probes] of [
  ["escape", ESCAPES],
  ["determinism", DETERMINISM],
] as const) {
  describe(name, () => {
    for (const [promise, code, answer] of probes) {
      test(promise, async () => {
        const said = await probe(code, { at: { deep: [1, new Uint8Array(2)] } });
        assert.match(String(said), answer);
      });
    }
  });
}

test("a bundle with import() is refused before it runs", async () => {
  await assert.rejects(isolateOf(probeSource("() => import('node:fs')")), { code: "sandbox.bundleRefused" });
});

test("a bundle that says other than its package is refused", async () => {
  const source = probeSource("() => 1");
  const manifest = { ...source.manifest, contracts: [{ name: "other", commands: [] }] };
  await assert.rejects(isolateOf({ ...source, manifest }), { code: "sandbox.manifestMismatch" });
});

describe("limits", () => {
  const STOPPED: readonly (readonly [string, string, RegExp])[] = [
    ["an infinite loop", "() => { for (;;); }", /timeLimit$/],
    ["a loop that catches everything", "() => { for (;;) try { for (;;); } catch {} finally { for (;;); } }", /timeLimit$/],
    ["a regular expression without end", "() => String(/^(a+)+$/.test('a'.repeat(40) + 'b'))", /timeLimit$/],
    ["a loop of microtasks", "() => { (async () => { for (;;) await null; })(); return ''; }", /timeLimit$/],
    ["a loop after an await", "() => { (async () => { await null; for (;;); })(); return ''; }", /timeLimit$/],
    ["a getter without end in the answer", "() => ({ get lazy() { for (;;); } })", /timeLimit$/],
    ["a proxy without end in the answer", "() => new Proxy({}, { ownKeys() { for (;;); } })", /timeLimit$/],
    ["an array bomb", "() => { const all = []; for (;;) all.push(new Array(1000).fill(1.5)); }", /(memory|time)Limit$/],
  ];
  for (const [what, code, limit] of STOPPED) {
    test(`${what} ends the isolate, and says nothing of the answer`, async () => {
      let isolate = await isolateOf(probeSource(code));
      const stop = await stopOf(async () => {
        if (!isolate.isAlive) isolate = await isolateOf(probeSource(code));
        await isolate.check(NOTHING);
      });
      assert.match(stop, limit);
      assert.equal(isolate.isAlive, false);
      await assert.rejects(isolate.check(NOTHING), { code: "sandbox.gone" });
    });
  }

  const REFUSED: readonly Probe[] = [
    ["an ArrayBuffer bomb", "() => { const all = []; for (;;) all.push(new ArrayBuffer(50_000_000)); }", /^threw RangeError/],
    ["deep recursion", "() => { const down = () => 1 + down(); return down(); }", /^threw RangeError/],
    ["a split that would end the process", "() => 'x'.repeat(2 ** 23).concat('y'.repeat(2 ** 24)).split('').length", /^threw RangeError/],
    ["a search that could not be stopped", "() => { const a = []; a.length = 2 ** 32 - 1; return a.indexOf(1); }", /^threw RangeError/],
    [
      "an answer deeper than data may be",
      "() => { let a = []; for (let i = 0; i < 100; i++) a = [a]; return a; }",
      /^threw TypeError: it nests deeper/,
    ],
    ["an answer that is no data", "() => (() => 1)", /^threw TypeError: it holds a function/],
    ["an answer that is too long", "() => 'x'.repeat(5_000_000)", /^threw TypeError: it takes 5000/],
  ];
  for (const [what, code, answer] of REFUSED) {
    test(`${what} is refused to the code that tries`, async () => assert.match(String(await probe(code)), answer));
  }

  test("the host lives on, and so do other isolates", async () => {
    const [good, bad] = await Promise.all([isolateOf(probeSource("(tx) => tx")), isolateOf(probeSource("() => { for (;;); }"))]);
    let isStopped = false;
    const stopped = bad.check(NOTHING).finally(() => {
      isStopped = true;
    });
    // Many calls, so that one that the machine was slow about does not count.
    const waited: boolean[] = [];
    for (let call = 0; call < 20 && !isStopped; call++) {
      await good.check({ ...NOTHING, transaction: { call } });
      waited.push(isStopped);
    }
    assert.ok(waited.includes(false), "every call waited for another isolate's loop");
    await assert.rejects(stopped, BowlineError);
    good.dispose();
  });
});

test("plain data crosses both ways unchanged", async () => {
  const { fromWire } = await import("./answers.ts");
  const data = {
    text: "ä\u{1F600}\0",
    bytes: Uint8Array.from({ length: 256 }, (_, i) => i),
    odd: new Uint8Array([1, 2]),
    big: 2n ** 63n,
    less: -(2n ** 60n),
    list: [null, true, -5, [], {}],
    "#": "a key of the notation",
    "##x": { "#": "b!" },
    ["__proto__"]: "a key like another",
  };
  const said = fromWire(await probe("(tx) => tx", data), "integers");
  assert.deepEqual(said, data);
});
