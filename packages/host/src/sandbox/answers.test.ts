import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkReports, parseCollected } from "./answers.ts";
import { ACTIVATION_BYTES_MAX, LOGS_PER_REPORT_MAX, STEP_BYTES_MAX, SYSCALLS_PER_REPORT_MAX } from "./limits.ts";

const live = new Map([
  ["f/", ""],
  ["f/3.1", "3.1"],
]);
const report = (fiber: string, ok: object) => ({ fiber, report: { ok: { fiber, syscalls: [], logs: [], ...ok } } });
const asking = (call: object, path = "1", fiber = "f/") => checkReports([report(fiber, { syscalls: [{ path, call }] })], live).reports[0];
const now = { kind: "clock.now" };

describe("what a bundle reports", () => {
  test("steps of the fiber itself pass, and bytes become bytes", () => {
    const exchange = { kind: "session.exchange", sends: [{ session: "s", payload: { "#": "bAAEC" } }], receives: [] };
    const {
      reports: [passed],
    } = checkReports(
      [
        report("f/", {
          syscalls: [
            { path: "1", call: now },
            { path: "2", call: exchange },
          ],
        }),
      ],
      live,
    );
    assert.deepEqual(passed?.syscalls, [
      { path: "1", call: now },
      { path: "2", call: { ...exchange, sends: [{ session: "s", payload: Uint8Array.of(0, 1, 2) }] } },
    ]);
    assert.deepEqual(asking(now, "3.1.4", "f/3.1")?.syscalls, [{ path: "3.1.4", call: now }]);
  });

  const REFUSED: readonly (readonly [string, object, string?, string?])[] = [
    ["a step of another fiber", now, "3.2.1", "f/3.1"],
    ["a step that is no number", now, "0"],
    ["a path that climbs", now, "1..2"],
    ["a service of the platform", { kind: "service", service: "crypto.sign", request: null }],
    ["a write to the vault", { kind: "vault.write", writes: [] }],
    ["a kind that does not exist", { kind: "toString" }],
    ["no kind at all", { hidden: true }],
    ["a member that the call does not have", { ...now, trusted: true }],
    ["a platform flow that authors may not call", { kind: "platform", flow: "ledger.notary", input: null }],
    ["one that only the platform's own call", { kind: "platform", flow: "ledger.resolve", input: null }],
    ["a name that is none", { kind: "members.find", name: "Bob" }],
    ["a fraction", { kind: "platform", flow: "ledger.sign", input: 0.5 }],
    ["text that UTF-8 cannot say", { kind: "platform", flow: "ledger.sign", input: "\ud800" }],
    ["bytes that are no base64", { kind: "platform", flow: "ledger.sign", input: { "#": "b???" } }],
    ["a # beside other members", { kind: "platform", flow: "ledger.sign", input: { "#": "bAAEC", more: 1 } }],
    ["too many random bytes", { kind: "random", length: 2 ** 20 }],
  ];
  for (const [what, call, path, fiber] of REFUSED) {
    test(`${what} fails the fiber`, () => {
      const failed = asking(call, path, fiber);
      assert.deepEqual(failed?.syscalls, []);
      assert.ok(failed?.finished && "error" in failed.finished);
    });
  }

  test("bytes that came apart stand in one place, and of the others' nothing is taken", () => {
    const apart = new Map([1, 2].map((id) => [id, new Uint8Array(id)]));
    const send = (path: string, id: number) => ({
      path,
      call: { kind: "session.exchange", sends: [{ session: "s", payload: { "#": `a${id}` } }], receives: [] },
    });
    const of = (...syscalls: object[]) => checkReports([report("f/", { syscalls })], live, apart).reports[0];
    assert.deepEqual(of(send("1", 2))?.syscalls[0]?.call, { ...send("1", 2).call, sends: [{ session: "s", payload: new Uint8Array(2) }] });
    assert.deepEqual(
      [of(send("1", 2)), of(send("1", 3)), of(send("1", 1), send("2", 1))].map((said) => said?.syscalls),
      [[], [], []],
    );
  });

  test("a step that is too large is refused by itself, and something stands for it", () => {
    const apart = new Map([[1, new Uint8Array(STEP_BYTES_MAX + 1)]]);
    const sign = { path: "2", call: { kind: "keys.sign", key: "k", bytes: { "#": "a1" } } };
    const said = { path: "1", kind: "session.exchange", excess: "5000000 characters" };
    const { reports } = checkReports([report("f/", { syscalls: [said, sign, { path: "3", call: now }] })], live, apart);
    const [large, signing, last] = reports[0]?.syscalls ?? [];
    assert.match(large?.refused?.message ?? "", /and this one 5000000 characters/);
    for (const [step, service] of [
      [large, "session.exchange"],
      [signing, "keys.sign"],
    ] as const) {
      assert.equal(step?.refused?.type, "sandbox.stepTooLarge");
      assert.deepEqual(step?.call, { kind: "service", service, request: step?.refused?.message });
    }
    assert.deepEqual(last, { path: "3", call: now });
    const [madeUp] = checkReports([report("f/", { syscalls: [{ ...said, kind: "vault.write" }] })], live).reports;
    assert.ok(madeUp?.finished, "what it may not ask it may not ask too much of");
  });

  test("more bytes than an isolate can hold are not taken from it", () => {
    const parsed = (...sizes: number[]) => parseCollected({ reports: [], apart: sizes.map((size, id) => [id + 1, size]) }).sizes.length;
    assert.equal(parsed(ACTIVATION_BYTES_MAX / 2, ACTIVATION_BYTES_MAX / 2), 2);
    for (const sizes of [[ACTIVATION_BYTES_MAX, 1], [ACTIVATION_BYTES_MAX + 1], [0], [1.5]])
      assert.throws(() => parsed(...sizes), { code: "sandbox.answerInvalid" });
  });

  test("what does not live here, or is said twice, is dropped", () => {
    const twice = [report("other/", { syscalls: [{ path: "1", call: now }] }), report("f/", {}), report("f/", { finished: { ok: 1 } })];
    assert.deepEqual(checkReports(twice, live).reports, [{ fiber: "f/", syscalls: [], logs: [] }]);
  });

  test("one that finished asks nothing more", () => {
    const {
      reports: [done],
    } = checkReports([report("f/", { syscalls: [{ path: "1", call: now }], finished: { ok: null } })], live);
    assert.deepEqual(done, { fiber: "f/", syscalls: [], logs: [], finished: { ok: null } });
  });

  test("steps and log lines have a limit", () => {
    const many = Array.from({ length: SYSCALLS_PER_REPORT_MAX + 1 }, (_, i) => ({ path: `${i + 1}`, call: now }));
    assert.ok(checkReports([report("f/", { syscalls: many })], live).reports[0]?.finished);
    const line = { level: "info", message: "m", facts: { share: 0.5 } };
    const {
      reports: [chatty],
    } = checkReports([report("f/", { logs: Array.from({ length: LOGS_PER_REPORT_MAX + 1 }, () => line) })], live);
    assert.equal(chatty?.logs.length, LOGS_PER_REPORT_MAX);
    assert.deepEqual(chatty?.logs[0], line);
  });

  test("what cannot be read at all is the whole bundle's failure", () => {
    for (const collected of [null, "", {}, [null], [{ fiber: 1 }]])
      assert.throws(() => checkReports(collected, live), { code: "sandbox.answerInvalid" });
  });
});
