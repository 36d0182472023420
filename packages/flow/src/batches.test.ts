import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, unavailable } from "@bowline/base";
import type { FiberStart } from "@bowline/sdk";
import { type ActivationReply, Activations, createGroupCommit } from "./batches.ts";
import { BESIDE_COMMITS_MIN, GROUP_COMMITS_MAX } from "./limits.ts";
import type { CommitOutcome, Fibers, StepCommit } from "./ports.ts";
import { EMPTY_COMMIT } from "./store-samples.contract.ts";

const start = (fiber: string): FiberStart => ({ fiber }) as FiberStart;
const starting = (...fibers: string[]) => ({ starts: fibers.map(start), deliveries: [], alone: false });
const delivering = (fiber: string) => ({ starts: [], deliveries: [{ fiber, path: "1", outcome: { ok: null } }], alone: false });

/** An isolate that breaks when it is asked to run `culprit`, and takes all its fibers with it. */
function isolates(culprit?: string) {
  const batches: string[][] = [];
  let current: Fibers | undefined;
  const open = (): Fibers => {
    const alive = new Set<string>();
    const fibers: Fibers = {
      async activate({ starts, deliveries }) {
        const names = [...starts, ...deliveries].map(({ fiber }) => fiber);
        batches.push(names);
        for (const { fiber } of starts) alive.add(fiber);
        assert.ok(
          deliveries.every(({ fiber }) => alive.has(fiber)),
          "nothing is delivered to a fiber that is gone",
        );
        if (culprit === undefined || !names.includes(culprit)) return names.map((fiber) => ({ fiber, syscalls: [], logs: [] }));
        current = undefined;
        throw new BowlineError("internal", "sandbox.memoryLimit", "Too much memory.");
      },
      drop: (fiber) => void alive.delete(fiber),
    };
    return fibers;
  };
  const source = async (): Promise<Fibers> => {
    current ??= open();
    return current;
  };
  return { batches, source, lose: () => (current = undefined) };
}

const kinds = (replies: readonly ActivationReply[]) => replies.map(({ kind }) => kind);

test("what is asked at once is one batch, and each asker hears of its own fibers", async () => {
  const { batches, source } = isolates();
  const activations = new Activations(source);
  const replies = await Promise.all([
    activations.request("platform", starting("a", "a/1")),
    activations.request("platform", starting("b")),
  ]);
  assert.deepEqual(batches, [["a", "a/1", "b"]]);
  assert.deepEqual(
    replies.map((reply) => reply.kind === "reports" && reply.reports.map(({ fiber }) => fiber)),
    [["a", "a/1"], ["b"]],
  );
});

test("fibers of an instance that is gone are lost, and nobody is blamed", async () => {
  const { source, lose } = isolates();
  const activations = new Activations(source);
  await activations.request("platform", starting("a"));
  lose();
  const replies = await Promise.all([activations.request("platform", delivering("a")), activations.request("platform", starting("b"))]);
  assert.deepEqual(replies[0], { kind: "lost", suspect: false });
  assert.equal(replies[1]?.kind, "reports");
});

test("of a batch that breaks its instance everyone may try again alone, and only the culprit fails", async () => {
  const { batches, source } = isolates("bad");
  const activations = new Activations(source);
  const together = ["good", "bad", "fine"].map((fiber) => activations.request("platform", starting(fiber)));
  assert.deepEqual(await Promise.all(together), Array(3).fill({ kind: "lost", suspect: true }));
  const alone = ["good", "bad", "fine"].map((fiber) => activations.request("platform", { ...starting(fiber), alone: true }));
  const replies = await Promise.all(alone);
  assert.deepEqual(kinds(replies), ["reports", "failed", "reports"]);
  assert.deepEqual(replies[1], { kind: "failed", failure: { type: "sandbox.memoryLimit", message: "Too much memory." } });
  assert.deepEqual(batches.slice(1), [["good"], ["bad"], ["fine"]]);
  assert.equal((await activations.request("platform", delivering("good"))).kind, "lost");
});

test("where no instance can be had the flows wait", async () => {
  const activations = new Activations(async () => {
    throw unavailable("sandbox.gone", "No isolate now.");
  });
  assert.deepEqual(await activations.request("platform", starting("a")), {
    kind: "lost",
    suspect: false,
    down: { type: "sandbox.gone", message: "No isolate now." },
  });
});

const commitOf = (flowId: string, more: Partial<StepCommit> = {}): StepCommit => ({
  ...EMPTY_COMMIT,
  flowId,
  at: 0,
  expectedVersion: 0,
  commitId: flowId,
  ...more,
});

/** A store whose transactions end when the test says so. */
function held() {
  const groups: { readonly flows: readonly string[]; end(): void; fail(): void }[] = [];
  const commit = (commits: readonly StepCommit[]): Promise<readonly CommitOutcome[]> =>
    new Promise((resolve, reject) => {
      groups.push({
        flows: commits.map(({ flowId }) => flowId),
        end: () => resolve(commits.map(() => ({ kind: "committed" }))),
        fail: () => reject(new Error("down")),
      });
    });
  return { groups, commit: createGroupCommit({ commit }) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("one group is in flight; what arrives meanwhile is the next", async () => {
  const { groups, commit } = held();
  const first = [commit(commitOf("a")), commit(commitOf("b"))];
  await turn();
  const second = ["c", "d", "e"].map((flowId) => commit(commitOf(flowId)));
  await turn();
  assert.deepEqual(
    groups.map(({ flows }) => flows),
    [["a", "b"]],
  );
  groups[0]?.end();
  assert.deepEqual(await Promise.all(first), [{ kind: "committed" }, { kind: "committed" }]);
  await turn();
  assert.deepEqual(groups[1]?.flows, ["c", "d", "e"]);
  groups[1]?.end();
  await Promise.all(second);
});

test("a group has its limit, and one commit of each flow", async () => {
  const { groups, commit } = held();
  const all = Array.from({ length: GROUP_COMMITS_MAX + 1 }, (_, index) => commit(commitOf(`f${index}`)));
  all.push(commit(commitOf(`f${GROUP_COMMITS_MAX}`)));
  await turn();
  for (let group = 0; group < 3; group++) {
    groups[group]?.end();
    await turn();
  }
  await Promise.all(all);
  assert.deepEqual(
    groups.map(({ flows }) => flows.length),
    [GROUP_COMMITS_MAX, 1, 1],
  );
});

test("beside the group in flight goes one more, where many wait that touch nothing but their own flows", async () => {
  const { groups, commit } = held();
  const all = [commit(commitOf("a"))];
  await turn();
  const names = Array.from({ length: BESIDE_COMMITS_MIN }, (_, index) => `f${index}`);
  all.push(commit(commitOf("writer", { vaultWrites: ["a state"] })), commit(commitOf("a")));
  all.push(...names.slice(1).map((name) => commit(commitOf(name))));
  await turn();
  assert.equal(groups.length, 1, "two of them may not go");
  all.push(...names.slice(0, 1).map((name) => commit(commitOf(name))));
  await turn();
  assert.deepEqual(groups[1]?.flows.toSorted(), names.toSorted());
  all.push(...names.map((name) => commit(commitOf(`next of ${name}`))));
  await turn();
  assert.equal(groups.length, 2, "no third");
  groups[0]?.end();
  await turn();
  assert.deepEqual(groups[2]?.flows, ["writer", "a", ...names.map((name) => `next of ${name}`)]);
  groups[2]?.end();
  groups[1]?.end();
  await Promise.all(all);
});

test("who waits for one of the same flow in the group beside goes after it", async () => {
  const { groups, commit } = held();
  const first = commit(commitOf("a"));
  await turn();
  const names = Array.from({ length: BESIDE_COMMITS_MIN }, (_, index) => `f${index}`);
  const beside = names.map((name) => commit(commitOf(name)));
  await turn();
  const repeated = commit(commitOf("f0"));
  groups[0]?.end();
  await first;
  await turn();
  assert.equal(groups.length, 2);
  groups[1]?.end();
  await Promise.all(beside);
  await turn();
  assert.deepEqual(groups[2]?.flows, ["f0"]);
  groups[2]?.end();
  assert.deepEqual(await repeated, { kind: "committed" });
});

test("a store that is down fails its group alone", async () => {
  const { groups, commit } = held();
  const first = commit(commitOf("a"));
  await turn();
  const second = commit(commitOf("b"));
  groups[0]?.fail();
  await assert.rejects(first, /down/);
  await turn();
  groups[1]?.end();
  assert.deepEqual(await second, { kind: "committed" });
});
