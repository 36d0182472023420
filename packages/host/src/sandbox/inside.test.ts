// What runs inside an isolate, run here: who is heard, and what is kept for whom.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FiberReport, FiberStart } from "@bowline/sdk";
import { answersWithin, domainsWithin, inside } from "./inside.ts";

const MANIFEST = { flows: [], states: [], contracts: [] };

/** A bundle that no packager of ours has made: each evaluation reports whatever `says` of it says. */
function hostile(says: (evaluation: number) => readonly string[], keptMax = 16) {
  let evaluated = 0;
  const evaluate = () => {
    const evaluation = ++evaluated;
    return {
      manifest: MANIFEST,
      start() {},
      deliver() {},
      drop() {},
      collect: (): FiberReport[] =>
        says(evaluation).map((fiber) => ({ fiber, syscalls: [], logs: [], finished: { ok: `said by ${evaluation}` } })),
      verify: () => [{ contract: "c", failure: { type: "t", message: `judged by ${evaluation}` } }],
      describeState: () => ({ participants: [], json: null }),
    };
  };
  return inside(domainsWithin(evaluate, keptMax), answersWithin(40, 1_000_000));
}

const start = (fiber: string, me: string): FiberStart =>
  ({ kind: "called", fiber, path: "", flow: "f", identity: { flowId: fiber, me, groupId: "g", properties: {} }, input: null }) as never;

function reported(isolate: ReturnType<typeof hostile>): readonly string[] {
  const { ok } = JSON.parse(isolate.collect()) as {
    readonly ok: readonly { fiber: string; report: { ok: { finished: { ok: string } } } }[];
  };
  return ok.map(({ fiber, report }) => `${fiber} ${report.ok.finished.ok}`);
}

test("what code of one virtual node says of another's flow is not heard, nor of one that is not there", () => {
  const isolate = hostile((evaluation) => (evaluation === 1 ? ["bob/", "alice/", "nobody/", "alice/"] : []));
  isolate.activate([start("alice/", "O=Alice"), start("bob/", "O=Bob")], []);
  assert.deepEqual(reported(isolate), ["alice/ said by 1"]);
});

test("each virtual node has one evaluation of the modules, while it has flows or was here lately", () => {
  const isolate = hostile(() => [], 3);
  const judge = (vnode: string): string => /judged by (\d+)/.exec(isolate.check(vnode, null as never, ["c"], []))?.[1] ?? "";
  isolate.activate([start("alice/", "O=Alice")], []);
  assert.deepEqual(["a", "b", "a"].map(judge), ["2", "3", "2"]);
  assert.deepEqual(
    ["c", "a", "b"].map(judge),
    ["4", "2", "5"],
    "three are kept: one has a flow, and of the others the last that were used",
  );
  isolate.activate([start("more/", "O=Alice")], []);
  isolate.drop("alice/");
  isolate.drop("more/");
  assert.match(isolate.activate([], [{ fiber: "alice/", path: "1", outcome: { ok: null } }]), /no such fiber/);
});
