import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkReports } from "./answers.ts";
import { LOGS_PER_REPORT_MAX, SYSCALLS_PER_REPORT_MAX } from "./limits.ts";

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
