import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@bowline/base";
import type { FlowStore, StepCommit } from "@bowline/flow";
import { EMPTY_COMMIT } from "@bowline/flow/contract";
import { memoryStorage, type Party, type Storage } from "@bowline/testing/world";
import { live } from "./day.ts";
import { planOf } from "./plan.ts";
import { liveOnPostgres } from "./postgres.ts";
import { reasonOf, shrink } from "./shrink.ts";
import { Disorder, Witness } from "./witness.ts";

const FLOWS = 3;

test("on bad days nothing happens that may not, and everything ends", async () => {
  for (let seed = 1; seed <= 12; seed++) await live(planOf(seed, FLOWS));
});

test("so it is where flows and vaults lie in PostgreSQL", async () => {
  await liveOnPostgres(planOf(1, 2));
});

test("one seed is one day", async () => {
  assert.deepEqual(await live(planOf(5, FLOWS)), await live(planOf(5, FLOWS)));
});

/** Memory whose commits go through `change`. */
function changed(change: (commit: StepCommit, flows: FlowStore) => Promise<StepCommit>) {
  return async (_party: Party, now: () => number): Promise<Storage> => {
    const storage = memoryStorage(now);
    const { flows } = storage;
    const commit: FlowStore["commit"] = async (commits) => flows.commit(await Promise.all(commits.map((each) => change(each, flows))));
    return { ...storage, flows: { ...flows, commit } };
  };
}

/** Some seed finds it, and what it finds is a disorder. */
async function isFound(storage: (party: Party, now: () => number) => Promise<Storage>): Promise<void> {
  for (let seed = 1; seed <= 60; seed++) {
    const thrown = await live(planOf(seed, FLOWS), { storage }).catch((reason: unknown) => reason);
    if (thrown instanceof Disorder) return;
  }
  assert.fail("nobody noticed");
}

test("a store without its fence is found out", () =>
  isFound(
    changed(async (commit, flows) => {
      const [snapshot] = await flows.load([commit.flowId]);
      return snapshot === undefined ? commit : { ...commit, expectedVersion: snapshot.row.version };
    }),
  ));

test("a store that does not keep what arrived is found out", () => isFound(changed(async (commit) => ({ ...commit, inboxAdded: [] }))));

test("a store that lets flows go on which an operator has killed is found out", () =>
  isFound(async (_party, now) => {
    const storage = memoryStorage(now);
    const { flows } = storage;
    const requestKill: FlowStore["requestKill"] = async (flowId) => (await flows.byId(flowId))?.outcome === null;
    return { ...storage, flows: { ...flows, requestKill } };
  }));

test("a commit from before a flow was killed may be answered after it, and none may be taken", () => {
  const member = parseName("O=Alice, L=London, C=GB");
  const commit = (expectedVersion: number, status: StepCommit["status"]): StepCommit => ({
    ...EMPTY_COMMIT,
    flowId: "f",
    at: 0,
    expectedVersion,
    commitId: `c${expectedVersion}`,
    status,
  });
  const witness = new Witness();
  witness.committed(member, commit(2, "RUNNING"));
  witness.killed("f", 3);
  // Its first answer was lost, so it is asked again.
  witness.committed(member, commit(2, "RUNNING"));
  witness.committed(member, commit(3, "KILLED"));
  assert.equal(witness.disorder, undefined);
  witness.committed(member, commit(4, "RUNNING"));
  assert.match(String(witness.disorder), /was to be killed/);
});

test("a day that fails is made smaller, and still fails", async () => {
  const plan = planOf(3, FLOWS);
  const [first] = plan.requests;
  assert.ok(first !== undefined);
  // A client that asks for what nobody brings cannot be served.
  const failing = { ...plan, requests: [...plan.requests, { ...first, id: "wrong", member: "O=Zoe, L=London, C=GB" }] };
  const reason = await reasonOf(failing);
  assert.ok(reason !== undefined);
  const smaller = await shrink({ plan: failing, reason });
  assert.deepEqual(
    smaller.plan.requests.map(({ id }) => id),
    ["wrong"],
  );
});
