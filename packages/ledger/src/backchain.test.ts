import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecureHash } from "@bowline/base";
import { FlowError } from "@bowline/sdk";
import { Gathered, Shown } from "./backchain.ts";
import { HISTORY_BATCH_MAX, HISTORY_BYTES_MAX, HISTORY_SEARCHES_MAX, HISTORY_TRANSACTIONS_MAX } from "./limits.ts";
import type { KnownTransaction, ServedTransaction } from "./ports.ts";

const id = (name: string | number) => `SHA-256:${String(name)}` as SecureHash;
const unknown = (...names: readonly (string | number)[]): KnownTransaction[] =>
  names.map((name) => ({ id: id(name), status: null, staged: false, dependencies: [], size: 0 }));
const came = (name: string | number, ...on: readonly (string | number)[]) => ({ id: id(name), dependencies: on.map(id), size: 10 });
const served = (name: string, on: readonly string[], more: Partial<ServedTransaction> = {}): ServedTransaction => ({
  id: id(name),
  status: "V",
  bytes: new Uint8Array([1]),
  dependencies: on.map(id),
  ...more,
});
const code = (type: string) => (thrown: unknown) => thrown instanceof FlowError && thrown.type === type;

test("a sender shows what it led to, and what else a search finds to be an ancestor", () => {
  const shown = new Shown([id("a")]);
  assert.deepEqual(shown.strangers({ ids: [id("a"), id("b")], ahead: 0 }), [id("b")]);
  assert.throws(() => shown.admit([id("b")], []), code("ledger.backchainRefused"));
  shown.page({ ids: [id("a")], ahead: 0 }, [served("a", ["b"])]);
  assert.deepEqual(shown.strangers({ ids: [id("b"), id("c")], ahead: 0 }), [id("c")]);
  shown.admit([id("c")], [id("c")]);
  assert.deepEqual(shown.strangers({ ids: [id("c")], ahead: 0 }), []);
});

test("a sender searches for a peer only so often", () => {
  const shown = new Shown([id("a")]);
  for (let i = 0; i < HISTORY_SEARCHES_MAX; i++) shown.strangers({ ids: [id("x")], ahead: 0 });
  assert.throws(() => shown.strangers({ ids: [id("x")], ahead: 0 }), code("ledger.backchainRefused"));
});

test("a sender sends what comes ahead once, and what is asked for as often as it is", () => {
  const shown = new Shown([id("a")]);
  assert.equal(shown.page({ ids: [id("a")], ahead: 5 }, [served("a", ["b"]), served("b", [])]).length, 2);
  assert.equal(shown.page({ ids: [id("a")], ahead: 5 }, [served("a", ["b"]), served("b", [])]).length, 1);
});

test("a sender does not show what it has not verified", () => {
  const shown = new Shown([id("a")]);
  assert.throws(() => shown.page({ ids: [id("a")], ahead: 0 }, [served("a", [], { status: "U" })]), code("ledger.backchainUnknown"));
  assert.throws(() => shown.page({ ids: [id("a")], ahead: 0 }, []), code("ledger.backchainUnknown"));
});

test("a sender serves one session only so much", () => {
  const shown = new Shown([id("a")]);
  const large = served("a", [], { bytes: { length: HISTORY_BYTES_MAX + 1 } as Uint8Array });
  assert.throws(() => shown.page({ ids: [id("a")], ahead: 0 }, [large]), code("ledger.backchainTooLong"));
});

test("a receiver takes what it asked for and what that leads to, in the order in which it is led", () => {
  const gathered = new Gathered([id("a")]);
  gathered.learn(unknown("a"));
  assert.deepEqual(gathered.requests()[0]?.ids, [id("a")]);
  assert.deepEqual(gathered.take([came("a", "b"), came("b", "c"), came("c")]), new Set([id("a"), id("b"), id("c")]));
  assert.deepEqual(new Set(gathered.frontier(new Set([id("a"), id("b"), id("c")]))), new Set([id("b"), id("c")]));
  gathered.learn(unknown("b", "c"));
  assert.ok(gathered.isComplete && !gathered.isWaiting);
  assert.deepEqual(gathered.batches(), [[id("c"), id("b"), id("a")]]);
});

for (const [what, answer, expected] of [
  ["something else", [came("x")], "ledger.backchainInvalid"],
  ["an ancestor before its descendant", [came("b"), came("a", "b")], "ledger.backchainInvalid"],
  ["nothing", [], "ledger.backchainWithheld"],
] as const)
  test(`a receiver refuses an answer that brings ${what}`, () => {
    const gathered = new Gathered([id("a")]);
    gathered.learn(unknown("a"));
    gathered.requests();
    assert.throws(() => gathered.take(answer), code(expected));
  });

test("a history of its own descendants is refused, and does not keep anybody busy", () => {
  const gathered = new Gathered([id("a")]);
  gathered.learn(unknown("a"));
  gathered.requests();
  gathered.take([came("a", "b"), came("b", "a")]);
  assert.ok(gathered.isComplete);
  assert.throws(() => gathered.batches(), code("ledger.backchainInvalid"));
});

test("what is invalid here ends it, what waits here is not asked for, what is verified here is left out", () => {
  const known = (name: string, more: Partial<KnownTransaction>) => ({ ...(unknown(name)[0] as KnownTransaction), ...more });
  assert.throws(() => new Gathered([id("a")]).learn([known("a", { status: "I" })]), code("ledger.backchainInvalid"));
  const gathered = new Gathered([id("a"), id("c")]);
  gathered.learn([known("a", { status: "U", staged: true, dependencies: [id("b")] }), known("b", { status: "V" }), ...unknown("c")]);
  assert.deepEqual(gathered.requests()[0]?.ids, [id("c")]);
  gathered.take([came("c", "d"), came("d", "e")]);
  gathered.learn([known("d", { status: "V" }), known("e", { status: "V" })]);
  assert.deepEqual(gathered.batches(), [[id("a"), id("c")]]);
});

test("our own unverified transaction is fetched: the signatures that it lacks come with it", () => {
  const gathered = new Gathered([id("a")]);
  gathered.learn([{ ...(unknown("a")[0] as KnownTransaction), status: "U" }]);
  assert.deepEqual(gathered.requests()[0]?.ids, [id("a")]);
});

test("one session brings only so much", () => {
  const gathered = new Gathered([id(0)]);
  gathered.learn(unknown(0));
  gathered.requests();
  const chain = Array.from({ length: HISTORY_TRANSACTIONS_MAX + 1 }, (_, i) => came(i, i + 1));
  assert.throws(() => gathered.take(chain), code("ledger.backchainTooLong"));
});

test("batches are bounded, and in an order in which each can be verified", () => {
  const gathered = new Gathered([id(0)]);
  gathered.learn(unknown(0));
  gathered.requests();
  const length = 2 * HISTORY_BATCH_MAX + 1;
  gathered.take(Array.from({ length }, (_, i) => came(i, ...(i + 1 < length ? [i + 1] : []))));
  const batches = gathered.batches();
  assert.deepEqual(
    batches.map(({ length: count }) => count),
    [HISTORY_BATCH_MAX, HISTORY_BATCH_MAX, 1],
  );
  assert.deepEqual(
    batches.flat(),
    Array.from({ length }, (_, i) => id(length - 1 - i)),
  );
});
