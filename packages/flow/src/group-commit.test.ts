import assert from "node:assert/strict";
import { test } from "node:test";
import { createGroupCommit } from "./group-commit.ts";
import { GROUP_COMMITS_MAX } from "./limits.ts";
import type { CommitOutcome, StepCommit } from "./ports.ts";

const commitOf = (flowId: string): StepCommit => ({ flowId }) as StepCommit;

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
