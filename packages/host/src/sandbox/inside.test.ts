// What runs inside an isolate, run here: who is heard, and what is kept for whom.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FiberReport, FiberStart } from "@bowline/sdk";
import { domainsWithin, inside } from "./inside.ts";
import { answersWithin, apartWithin, notationWithin, tracesWithin } from "./inside-answers.ts";

const LIMITS = {
  depthMax: 40,
  charsMax: 1_000,
  apartBytesMin: 8,
  stepBytesMax: 100,
  activationBytesMax: 150,
  pieceBytesMax: 30,
  stackCharsMax: 100,
};
const MANIFEST = { flows: [], states: [], contracts: [] };

/** A bundle that no packager of ours has made: each evaluation reports whatever `says` of it says. */
function hostile(says: (evaluation: number) => readonly string[], keptMax = 16) {
  return reporting(
    (evaluation) => says(evaluation).map((fiber) => ({ fiber, ...NOTHING, finished: { ok: `said by ${evaluation}` } })),
    keptMax,
  );
}

const NOTHING = { syscalls: [], logs: [] };

function reporting(reports: (evaluation: number) => readonly FiberReport[], keptMax = 16) {
  let evaluated = 0;
  const evaluate = () => {
    const evaluation = ++evaluated;
    return {
      manifest: MANIFEST,
      start() {},
      deliver() {},
      drop() {},
      collect: () => reports(evaluation),
      verify: () => [{ contract: "c", failure: { type: "t", message: `judged by ${evaluation}` } }],
      describeState: () => ({ participants: [], json: null }),
    };
  };
  const apart = apartWithin(LIMITS);
  const traceOf = tracesWithin(LIMITS, ({ stack }) => String(stack));
  return inside(domainsWithin(evaluate, keptMax), answersWithin(LIMITS, { say: notationWithin(LIMITS, apart), apart, traceOf }), apart);
}

interface Collected {
  readonly ok: {
    readonly reports: readonly {
      readonly fiber: string;
      readonly report: { readonly ok?: { readonly syscalls: unknown }; readonly thrown?: string };
    }[];
    readonly apart: readonly (readonly [number, number])[];
  };
}

/** Everything that one activation of one flow says, and the bytes apart as the host takes them. */
function collected(syscalls: unknown, logs: unknown = []) {
  const isolate = reporting(() => [{ fiber: "alice/", syscalls, logs } as FiberReport]);
  isolate.activate([start("alice/", "O=Alice")], []);
  const { ok } = JSON.parse(isolate.collect()) as Collected;
  const pieces = ok.apart.map(([id, size]) => {
    const taken: (readonly number[] | null)[] = [];
    for (let from = 0; from < size; from += LIMITS.pieceBytesMax) taken.push([...(isolate.piece(id, from) ?? [])]);
    return { sizes: taken.map((piece) => piece?.length), bytes: taken.flat(), after: isolate.piece(id, 0) };
  });
  return { ...ok, report: ok.reports[0]?.report, pieces };
}

const sending = (path: string, payload: unknown) => ({ path, call: { kind: "session.exchange", payload } });

const start = (fiber: string, me: string): FiberStart =>
  ({ kind: "called", fiber, path: "", flow: "f", identity: { flowId: fiber, me, groupId: "g", properties: {} }, input: null }) as never;

function reported(isolate: ReturnType<typeof hostile>): readonly string[] {
  const { ok } = JSON.parse(isolate.collect()) as {
    readonly ok: { readonly reports: readonly { fiber: string; report: { ok: { finished: { ok: string } } } }[] };
  };
  return ok.reports.map(({ fiber, report }) => `${fiber} ${report.ok.finished.ok}`);
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

test("many bytes leave apart from the text, piece by piece, and are forgotten with the last; few stay in it", () => {
  const bytes = Uint8Array.from({ length: 70 }, (_, i) => i);
  const { report, pieces } = collected([sending("1", [bytes, bytes.subarray(0, 7), bytes.subarray(10, 20)])]);
  assert.deepEqual(report?.ok?.syscalls, [sending("1", [{ "#": "a1" }, { "#": "bAAECAwQFBg==" }, { "#": "a2" }])]);
  assert.deepEqual(pieces, [
    { sizes: [30, 30, 10], bytes: [...bytes], after: null },
    { sizes: [10], bytes: [10, 11, 12, 13, 14, 15, 16, 17, 18, 19], after: null },
  ]);
});

test("a step that is too large is named, and leaves nothing behind; those beside it leave whole", () => {
  const of = (length: number) => new Uint8Array(length);
  const { report, apart } = collected([
    sending("1", of(10)),
    sending("2", [of(60), of(60)]),
    sending("3", "x".repeat(1_100)),
    sending("4", of(20)),
  ]);
  assert.deepEqual(report?.ok?.syscalls, [
    sending("1", { "#": `a${apart[0]?.[0]}` }),
    { path: "2", kind: "session.exchange", excess: "120 bytes" },
    { path: "3", kind: "session.exchange", excess: "1160 characters" },
    sending("4", { "#": `a${apart[1]?.[0]}` }),
  ]);
  assert.deepEqual(
    apart.map(([, size]) => size),
    [10, 20],
  );
});

test("steps that share a text, or name the same bytes, have no more room than one activation has", () => {
  const same = new Uint8Array(60);
  const bytes = collected(["1", "2", "3"].map((path) => sending(path, same)));
  assert.deepEqual(
    bytes.apart.map(([, size]) => size),
    [60, 60],
  );
  const { report } = collected(["1", "2", "3"].map((path) => sending(path, "x".repeat(400))));
  assert.match(JSON.stringify(report?.ok?.syscalls), /"path":"3","kind":"session.exchange","excess":"460 characters"/);
});

test("bytes that only pretend to be some say nothing, and a list that joins as it likes forges no report", () => {
  const pretender = Object.setPrototypeOf({ length: 1e9 }, Uint8Array.prototype) as Uint8Array;
  assert.match(String(collected([sending("1", pretender)]).report?.thrown), /^TypeError/);
  const longer = Object.defineProperty(new Uint8Array(10), "length", { value: 1e9 });
  assert.deepEqual(collected([sending("1", longer)]).apart, [[1, 10]]);
  const steps = [sending("1", "x".repeat(1_100))];
  let looks = 0;
  const map = (each: () => unknown) => (looks++ === 0 ? [...steps].map(each) : { join: () => "]}}},{" });
  const forged = new Proxy(steps, { get: (list, name) => (name === "map" ? map : Reflect.get(list, name)) });
  assert.deepEqual(collected(forged).report, {
    ok: { logs: [], syscalls: [{ path: "1", kind: "session.exchange", excess: "1160 characters" }] },
  });
});
