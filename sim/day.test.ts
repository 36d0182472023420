import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@bowline/base";
import type { FlowStore, StepCommit } from "@bowline/flow";
import { EMPTY_COMMIT } from "@bowline/flow/contract";
import { memoryUniqueness, type UniquenessStore } from "@bowline/ledger/notary";
import type { ClaimOutcome } from "@bowline/ledger/tokens";
import { memoryStorage, NO_FAULTS, type Party, type Storage } from "@bowline/testing/world";
import { type DayOptions, live } from "./day.ts";
import type { Deed, Manner } from "./deeds.ts";
import { AWAY_MS, isLedgerDay, MEMBERS, type Plan, planOf } from "./plan.ts";
import { liveOnPostgres } from "./postgres.ts";
import { reasonOf, shrink } from "./shrink.ts";
import { Disorder, Witness } from "./witness.ts";

type Spend = Parameters<UniquenessStore["notarise"]>[0][number];

const FLOWS = 3;

test("on bad days nothing happens that may not, and everything ends", async () => {
  for (let seed = 1; seed <= 12; seed++) await live(planOf(seed, FLOWS));
});

test("so it is where flows, vaults and the notary lie in PostgreSQL", async () => {
  const [walk, ledger] = [3, 15].map((seed) => planOf(seed, 2));
  assert.ok(walk !== undefined && ledger !== undefined && !isLedgerDay(walk.seed) && isLedgerDay(ledger.seed));
  await liveOnPostgres(walk);
  await liveOnPostgres(ledger);
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
async function isFound(storage: DayOptions["storage"], uniqueness?: DayOptions["uniqueness"]): Promise<void> {
  const options = { ...(storage === undefined ? {} : { storage }), ...(uniqueness === undefined ? {} : { uniqueness }) };
  for (let seed = 1; seed <= 60; seed++) {
    const thrown = await live(planOf(seed, FLOWS), options).catch((reason: unknown) => reason);
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

/** A notary's memory that is asked about something else. */
const asked =
  (other: (spend: Spend) => Spend): DayOptions["uniqueness"] =>
  (now) => {
    const store = memoryUniqueness(now);
    return { ...store, notarise: (batch, seal) => store.notarise(batch.map(other), seal) };
  };

test("a notary that forgets what it has consumed is found out", () =>
  isFound(
    undefined,
    asked((spend) => ({ ...spend, inputs: [] })),
  ));

test("a notary that takes no notice of references is found out", () =>
  isFound(
    undefined,
    asked((spend) => ({ ...spend, references: [] })),
  ));

test("tokens that are given to whoever asks are found out", () =>
  isFound(async (_party, now) => {
    const storage = memoryStorage(now);
    const { tokens } = storage;
    let given: Extract<ClaimOutcome, { kind: "claimed" }> | undefined;
    const claim: Storage["tokens"]["claim"] = async (requests) => {
      const outcomes = await tokens.claim(requests);
      given ??= outcomes.find((outcome) => outcome.kind === "claimed");
      return outcomes.map((outcome) => (outcome.kind === "claimed" ? (given ?? outcome) : outcome));
    };
    return { ...storage, tokens: { ...tokens, claim } };
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

/** Alice pays Bob, who signs too, while Carol looks on; nothing goes wrong but that one of them is away. */
const payment = (absence: Plan["absence"]): Plan => {
  const manner: Manner = { window: "wide", observers: [MEMBERS[2] as string], cosigned: true, refusedBy: [], refers: false };
  const [alice, bob] = MEMBERS as [string, string];
  const issue: Deed = {
    deed: "issue",
    symbol: "EUR",
    amounts: [5, 7],
    to: alice,
    partner: null,
    bound: false,
    manner: { ...manner, observers: [] },
  };
  const pay: Deed = { deed: "pay", symbol: "EUR", amount: 6, to: bob, by: "claim", manner };
  const requests = [issue, pay].map((deed, index) => ({
    id: deed.deed,
    member: alice,
    at: [index * 5_000],
    work: { kind: "deed" as const, deed },
    begins: false,
  }));
  return { ...planOf(1, 0), faults: NO_FAULTS, owners: 1, clocksOffMs: 0, absence, hostile: null, notaryWorkers: 1, requests };
};

test("whoever is away from any commit on until no window is open, all agree in the end", async () => {
  const { commits } = await live(payment(null));
  for (let afterCommits = 1; afterCommits <= commits; afterCommits++) {
    const absence = { member: MEMBERS[afterCommits % MEMBERS.length] as string, afterCommits, until: AWAY_MS };
    const thrown = await live(payment(absence)).catch((reason: unknown) => reason);
    assert.ok(!(thrown instanceof Error), `${JSON.stringify(absence)}: ${thrown}`);
  }
});
