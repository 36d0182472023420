// What every `FlowStore` must keep, whatever holds its rows.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { BowlineError, type Data, type SecureHash, unavailable } from "@bowline/base";
import { CHUNK_KEPT_MS, RESEND_FIRST_MS, WINDOW_MESSAGES_MAX } from "./limits.ts";
import type { FlowFilter, FlowStore, SessionMessage, SessionRow, StepCommit } from "./ports.ts";
import { clientStart } from "./rows.ts";
import {
  ALICE,
  CLIENT,
  client,
  full,
  GROUP,
  journalRow,
  LARGE,
  largeStep,
  message,
  NOW,
  only,
  responder,
  SESSION,
  session,
  step,
} from "./store-samples.contract.ts";

export { EMPTY_COMMIT, largeStep, startOf } from "./store-samples.contract.ts";

/** An empty store. Its vault takes any write but these: `{ refuse: code }` is refused so, `{ down: true }` finds the world down. */
export type OpenFlowStore = (test: TestContext) => Promise<{ readonly store: FlowStore; vault(): Promise<readonly Data[]> }>;

/** What the vault of a store under test does with one write; `keep` it where this returns. */
export function judgeVaultWrite(write: Data): void {
  if (typeof write !== "object" || write === null || !("refuse" in write || "down" in write)) return;
  if ("refuse" in write) throw new BowlineError("conflict", String(write.refuse), "The vault refuses this.");
  throw unavailable("vault.down", "The vault is away.");
}

export function flowStoreContract(name: string, open: OpenFlowStore): void {
  describe(`flow store contract: ${name}`, () => {
    starts(open);
    commits(open);
    groups(open);
    timers(open);
    operators(open);
  });
}

function starts(open: OpenFlowStore): void {
  test("a client's request starts one flow, however often it is asked", async (t) => {
    const { store } = await open(t);
    const [first] = await store.start([client("1")]);
    assert.equal(first?.kind, "started");
    assert.deepEqual([first?.row.status, first?.row.version, first?.row.waiting], ["START_REQUESTED", 0, []]);
    const again = clientStart({
      ...CLIENT,
      id: "another",
      clientRequestId: "r1",
      input: { b: 2n ** 60n, a: [1, "x", null] },
      startedBy: "someone else",
    });
    const [known, started] = await store.start([again, client("2")]);
    assert.deepEqual([known?.kind, known?.row.id, started?.kind], ["known", "1", "started"]);
    const [twice, repeated] = await store.start([client("3"), client("3")]);
    assert.deepEqual([twice?.kind, repeated?.kind], ["started", "known"]);
  });

  test("the same request id with another flow or another input is a conflict", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    const [otherInput] = await store.start([clientStart({ ...CLIENT, id: "2", clientRequestId: "r1", input: { a: 2 } })]);
    const [otherFlow] = await store.start([clientStart({ ...CLIENT, id: "3", clientRequestId: "r1", flowName: "Other" })]);
    assert.deepEqual([otherInput?.kind, otherFlow?.kind], ["conflict", "conflict"]);
    assert.equal((await store.byClientRequest("r1"))?.id, "1");
    assert.equal(await store.byClientRequest("r2"), undefined);
    assert.equal((await store.byId("1"))?.flowName, (await store.byClientRequest("r1"))?.flowName);
    assert.equal(await store.byId("none"), undefined);
  });

  test("all of a flow comes back as it was written, and nothing of others", async (t) => {
    const { store } = await open(t);
    await store.start([client("1"), client("2")]);
    const commit = full("1");
    assert.deepEqual(await store.commit([commit]), [{ kind: "committed" }]);
    const snapshot = await only(store, "1");
    const { row } = snapshot;
    assert.deepEqual(
      [row.version, row.commitId, row.status, row.wakeAt, row.updatedAt],
      [1, commit.commitId, "RUNNING", NOW + 50, NOW + 1],
    );
    assert.deepEqual(row.waiting, commit.waiting);
    assert.deepEqual(row.origin, client("1").row.origin);
    assert.deepEqual(row.identity, { flowId: "1", me: ALICE, groupId: GROUP, properties: CLIENT.properties });
    assert.deepEqual([...row.seed], [...CLIENT.seed]);
    assert.deepEqual(
      snapshot.journal,
      commit.journal.map(({ request: _, ...recorded }) => recorded),
    );
    assert.deepEqual(snapshot.sessions, commit.sessions);
    assert.deepEqual(snapshot.inbox, commit.inboxAdded);
    const other = await only(store, "2");
    assert.deepEqual([other.journal, other.sessions, other.inbox], [[], [], []]);
    assert.deepEqual(await store.load(["none"]), []);
  });
}

function commits(open: OpenFlowStore): void {
  test("a commit to another version than the flow has writes nothing", async (t) => {
    const { store, vault } = await open(t);
    await store.start([client("1")]);
    await store.commit([step("1", { commitId: "first" })]);
    const late = { ...full("1"), commitId: "late", vaultWrites: ["late"] };
    assert.deepEqual(await store.commit([late]), [{ kind: "fenced" }]);
    const snapshot = await only(store, "1");
    assert.deepEqual([snapshot.row.commitId, snapshot.row.version], ["first", 1]);
    assert.deepEqual([snapshot.journal, snapshot.sessions, snapshot.inbox], [[], [], []]);
    assert.deepEqual(await store.unacknowledged(NOW + 1e9, 10), []);
    assert.deepEqual(await vault(), []);
    assert.deepEqual(await store.commit([step("none", {})]), [{ kind: "fenced" }]);
  });

  test("a commit whose answer was lost is answered again, and not applied again", async (t) => {
    const { store, vault } = await open(t);
    await store.start([client("1")]);
    const commit = step("1", { vaultWrites: ["once"] });
    assert.deepEqual(await store.commit([commit]), [{ kind: "committed" }]);
    assert.deepEqual(await store.commit([commit]), [{ kind: "committed" }]);
    assert.equal((await only(store, "1")).row.version, 1);
    assert.deepEqual(await vault(), ["once"]);
  });

  test("a collapsed step loses the rows below it, and only those", async (t) => {
    const { store } = await open(t);
    await store.start([client("1"), client("2")]);
    const paths = ["1", "2.1", "2.1.1", "2.10", "20.1", "3"];
    const journal = paths.map((path, ordinal) => journalRow(path, ordinal));
    await store.commit([step("1", { journal }), step("2", { journal })]);
    await store.commit([step("1", { expectedVersion: 1, commitId: "c2", collapsed: ["2"], journal: [journalRow("2", 9)] })]);
    assert.deepEqual((await only(store, "1")).journal.map(({ path }) => path).sort(), ["1", "2", "20.1", "3"]);
    assert.equal((await only(store, "2")).journal.length, paths.length);
  });

  test("a consumed message leaves the inbox, and an acknowledged one the outbox with all before it", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    await store.commit([full("1")]);
    const consumed = { session: SESSION, from: "responder" as const, sequence: 1 };
    const acknowledged = { session: SESSION, from: "initiator" as const, sequence: 2 };
    await store.commit([step("1", { expectedVersion: 1, commitId: "c2", inboxConsumed: [consumed], outboxAcknowledged: [acknowledged] })]);
    assert.deepEqual(
      (await only(store, "1")).inbox.map(({ sequence }) => sequence),
      [2],
    );
    const left = await store.unacknowledged(NOW + 1e6, 10);
    assert.deepEqual(
      left.map(({ sequence }) => sequence),
      [3],
    );
    await store.acknowledge([{ session: SESSION, from: "responder", sequence: 9 }]);
    assert.equal((await store.unacknowledged(NOW + 2e6, 10)).length, 1);
    await store.acknowledge([{ ...acknowledged, sequence: 3 }]);
    assert.deepEqual(await store.unacknowledged(NOW + 4e6, 10), []);
  });

  test("a session row is replaced by its later state", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    await store.commit([full("1")]);
    const later: SessionRow = {
      ...session("1"),
      status: "failed",
      failure: { type: "t", message: "m", details: { a: "b" } },
      version: 2,
      consumed: 5,
    };
    await store.commit([step("1", { expectedVersion: 1, commitId: "c2", sessions: [later] })]);
    assert.deepEqual((await only(store, "1")).sessions, [later]);
  });

  test("a responder's first commit inserts it; the second of two owners is fenced", async (t) => {
    const { store } = await open(t);
    const start = responder("resp");
    const mine = step("resp", { start, commitId: "mine", journal: [journalRow("1", 0)] });
    assert.deepEqual(await store.commit([mine]), [{ kind: "committed" }]);
    assert.deepEqual(await store.commit([{ ...mine, commitId: "theirs", journal: [journalRow("1", 0), journalRow("2", 1)] }]), [
      { kind: "fenced" },
    ]);
    const snapshot = await only(store, "resp");
    assert.deepEqual([snapshot.row.version, snapshot.row.origin, snapshot.sessions], [1, start.row.origin, [start.session]]);
    assert.deepEqual(
      snapshot.journal.map(({ path }) => path),
      ["1"],
    );
  });

  test("a client's flow may begin with its first commit, as if it had been started before", async (t) => {
    const { store } = await open(t);
    const finish = (id: string): StepCommit =>
      step(id, { status: "COMPLETED", outcome: { ok: 1 }, wakeAt: null, journal: [journalRow("1", 0)] });
    const start = client("2");
    await store.start([client("1"), client("3")]);
    const group = [finish("1"), { ...finish("2"), start }, { ...finish("3"), start: client("3") }];
    assert.deepEqual(
      await store.commit(group),
      group.map(() => ({ kind: "committed" })),
    );
    assert.deepEqual(
      await store.commit(group),
      group.map(() => ({ kind: "committed" })),
    );
    const [one, ...others] = await store.load(["1", "2", "3"]);
    for (const other of others) {
      const { id, identity, origin, commitId, ...row } = other.row;
      assert.deepEqual(
        { ...one, row: { ...one?.row, ...{ id, identity, origin, commitId } } },
        { ...other, row: { ...row, id, identity, origin, commitId } },
      );
      assert.equal(other.row.origin.kind === "client" && other.row.origin.clientRequestId, `r${id}`);
    }
    assert.equal((await store.start([client("2")]))[0]?.kind, "known");
  });

  test("of two flows that begin for one request of a client only the first is written", async (t) => {
    const { store } = await open(t);
    const beginning = (id: string): StepCommit =>
      step(id, { start: clientStart({ ...CLIENT, id, clientRequestId: "r1" }), journal: [journalRow("1", 0)] });
    assert.deepEqual(await store.commit([beginning("1"), beginning("2")]), [{ kind: "committed" }, { kind: "fenced" }]);
    assert.deepEqual(await store.commit([beginning("3")]), [{ kind: "fenced" }]);
    assert.deepEqual(await store.load(["2", "3"]), []);
    assert.equal((await store.byClientRequest("r1"))?.id, "1");
  });

  test("a finished flow keeps its outcome and is never due", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    const outcome = { error: { type: "some.code", message: "Why." } };
    await store.commit([step("1", { status: "FAILED", outcome, wakeAt: null })]);
    assert.deepEqual((await only(store, "1")).row.outcome, outcome);
    assert.deepEqual(await store.due(NOW + 1e9, NOW + 2e9, 10), []);
  });
}

function groups(open: OpenFlowStore): void {
  test("a fenced member of a group takes no other with it", async (t) => {
    const { store, vault } = await open(t);
    await store.start([client("1"), client("2"), client("3")]);
    const outcomes = await store.commit([
      { ...full("3"), vaultWrites: ["three"] },
      { ...full("2"), expectedVersion: 7, vaultWrites: ["two"] },
      { ...full("1"), vaultWrites: ["one"] },
    ]);
    assert.deepEqual(outcomes, [{ kind: "committed" }, { kind: "fenced" }, { kind: "committed" }]);
    assert.deepEqual(new Set(await vault()), new Set(["one", "three"]));
    assert.equal((await only(store, "2")).journal.length, 0);
    assert.equal((await only(store, "1")).journal.length, 2);
  });

  test("a refused member of a group takes no other with it, and leaves nothing", async (t) => {
    const { store, vault } = await open(t);
    await store.start([client("1"), client("2"), client("3")]);
    const outcomes = await store.commit([
      step("1", { vaultWrites: ["one"] }),
      { ...full("2"), vaultWrites: ["lost", { refuse: "vault.conflict" }] },
      step("3", { vaultWrites: ["three"] }),
    ]);
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ["committed", "refused", "committed"],
    );
    assert.equal(outcomes[1]?.kind === "refused" && outcomes[1].code, "vault.conflict");
    assert.deepEqual(new Set(await vault()), new Set(["one", "three"]));
    const refused = await only(store, "2");
    assert.deepEqual([refused.row.version, refused.journal, refused.sessions], [0, [], []]);
  });

  test("a world that is down is thrown, and the same commits can be asked again", async (t) => {
    const { store, vault } = await open(t);
    await store.start([client("1")]);
    await assert.rejects(store.commit([step("1", { vaultWrites: [{ down: true }] })]), { code: "vault.down" });
    assert.deepEqual(await store.commit([step("1", { vaultWrites: ["now"] })]), [{ kind: "committed" }]);
    assert.deepEqual(await vault(), ["now"]);
  });
}

function timers(open: OpenFlowStore): void {
  test("a due flow goes to one caller, until its lease runs out", async (t) => {
    const { store } = await open(t);
    await store.start([client("1"), client("2"), client("3")]);
    await store.commit([step("1", { wakeAt: NOW + 30 }), step("2", { wakeAt: NOW + 10 }), step("3", { wakeAt: null })]);
    assert.deepEqual(await store.due(NOW + 9, NOW + 100, 10), []);
    assert.deepEqual([await store.dueBefore(NOW + 9), await store.dueBefore(NOW + 10)], [[], ["2"]]);
    assert.deepEqual([...(await store.dueBefore(NOW + 30))].sort(), ["1", "2"], "whoever looks changes nothing");
    assert.deepEqual(await store.due(NOW + 30, NOW + 100, 1), ["2"]);
    assert.deepEqual(await store.due(NOW + 30, NOW + 100, 10), ["1"]);
    assert.deepEqual(await store.due(NOW + 99, NOW + 200, 10), []);
    assert.deepEqual([...(await store.due(NOW + 100, NOW + 200, 10))].sort(), ["1", "2"]);
    // A lease is no version: whoever has the flow in memory goes on.
    assert.deepEqual(await store.commit([step("1", { expectedVersion: 1, commitId: "c2" })]), [{ kind: "committed" }]);
  });

  test("a message is sent again after ever longer, until it expires", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    const sent = { ...message(1, "initiator"), expiresAt: NOW + 20 * RESEND_FIRST_MS };
    await store.commit([step("1", { at: NOW, outboxAdded: [sent] })]);
    const at = async (moment: number) => (await store.unacknowledged(NOW + moment, 10)).length;
    assert.equal(await at(RESEND_FIRST_MS - 1), 0);
    assert.deepEqual(await store.unacknowledged(NOW + RESEND_FIRST_MS, 10), [sent]);
    assert.equal(await at(2 * RESEND_FIRST_MS), 0);
    assert.equal(await at(3 * RESEND_FIRST_MS), 1);
    assert.equal(await at(6 * RESEND_FIRST_MS), 0);
    assert.equal(await at(7 * RESEND_FIRST_MS), 1);
    assert.equal(await at(20 * RESEND_FIRST_MS), 0);
    assert.equal(await at(1e9), 0);
  });

  test("of one session no more comes again than its receiver's window takes, whatever it waits for", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    const outboxAdded = Array.from({ length: WINDOW_MESSAGES_MAX + 5 }, (_, index) => message(index + 1, "initiator"));
    await store.commit([step("1", { outboxAdded })]);
    const highest = async (now: number) => Math.max(...(await store.unacknowledged(now, 1_000)).map(({ sequence }) => sequence));
    assert.equal(await highest(NOW + RESEND_FIRST_MS + 1), WINDOW_MESSAGES_MAX);
    await store.acknowledge([{ session: SESSION, from: "initiator", sequence: 3 }]);
    assert.equal(await highest(NOW + RESEND_FIRST_MS + 2), WINDOW_MESSAGES_MAX + 3);
  });

  test("large answers of steps come back with all their bytes, however many steps have the same", async (t) => {
    const { store } = await open(t);
    await store.start([client("1"), client("2")]);
    await store.commit([largeStep("1", 0, { paths: ["1", "2.1", "2.2"] }), largeStep("2", 0, { paths: ["1"] })]);
    const fenced = largeStep("1", 0, { paths: ["7"], commitId: "late" });
    assert.deepEqual(await store.commit([fenced]), [{ kind: "fenced" }]);
    const answers = async (flowId: string) => (await only(store, flowId)).journal.map(({ path, outcome }) => [path, outcome]);
    const small = ["9", journalRow("9", 9).outcome];
    assert.deepEqual(await answers("1"), [["1", LARGE], ["2.1", LARGE], ["2.2", LARGE], small]);
    assert.deepEqual((await store.inspect("1"))?.journal[2]?.outcome, LARGE);
    await store.commit([step("1", { expectedVersion: 1, commitId: "next", collapsed: ["2"], status: "COMPLETED", outcome: LARGE })]);
    assert.equal(await store.purge({ overBefore: NOW + 2, expiredBefore: NOW, limit: 9 }), 1);
    await store.unacknowledged(NOW + 2 * CHUNK_KEPT_MS, 10);
    assert.deepEqual(await answers("2"), [["1", LARGE], small], "what a step still refers to stays");
  });

  test("parts of payloads come back with all their bytes, from inbox and outbox, however many messages carry the same", async (t) => {
    const { store } = await open(t);
    await store.start([client("1"), client("2")]);
    const part = (sequence: number, from: SessionMessage["from"], bytes: Uint8Array): SessionMessage => {
      return { ...message(sequence, from), body: { kind: "part", hash: Uint8Array.of(1, 2), index: sequence - 1, count: 3, bytes } };
    };
    const large = (first: number) => Uint8Array.from({ length: 100_000 }, (_, index) => (first + index) & 255);
    const sent = [part(1, "initiator", large(1)), part(2, "initiator", large(2)), part(3, "initiator", large(1))];
    const arrived = [part(1, "responder", large(1)), part(2, "responder", large(3)), message(3, "responder")];
    const again = arrived.map((each) => ({ ...each, session: "other:1" }));
    await store.commit([step("1", { outboxAdded: sent, inboxAdded: arrived }), step("2", { inboxAdded: again })]);
    assert.deepEqual((await only(store, "1")).inbox, arrived);
    assert.deepEqual((await only(store, "2")).inbox, again);
    const resent = [...(await store.unacknowledged(NOW + RESEND_FIRST_MS + 1, 10))].sort((a, b) => a.sequence - b.sequence);
    assert.deepEqual(resent, sent);
    await store.acknowledge([{ session: SESSION, from: "initiator", sequence: 3 }]);
    assert.deepEqual(await store.unacknowledged(NOW + 2 * CHUNK_KEPT_MS, 10), []);
    assert.deepEqual((await only(store, "2")).inbox, again, "what a message still refers to stays");
  });
}

function operators(open: OpenFlowStore): void {
  test("where a flow's code threw is told to who inspects it, and goes with the flow", async (t) => {
    const { store } = await open(t);
    await store.start([client("1"), client("2")]);
    const failed = { status: "FAILED", outcome: { error: { type: "t", message: "m" } }, wakeAt: null } as const;
    const stack = "at pay (cordapp.js:1:2)\nat ünï (cordapp.js:3:4)";
    await store.commit([step("1", { ...failed, stack }), step("2", failed)]);
    await store.commit([step("1", { ...failed, stack: "at another (cordapp.js:5:6)", commitId: "late" })]);
    const known = { type: "t", message: "m", step: null, since: NOW + 1 };
    assert.deepEqual((await store.inspect("1"))?.lastError, { ...known, stack });
    assert.deepEqual((await store.inspect("2"))?.lastError, known);
    assert.equal(await store.purge({ overBefore: NOW + 2, expiredBefore: NOW, limit: 9 }), 2);
    await store.start([client("1")]);
    await store.commit([step("1", failed)]);
    assert.deepEqual((await store.inspect("1"))?.lastError, known);
  });

  test("a flow that is to be killed takes no commit but the one that ends it", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    assert.equal(await store.requestKill("none", NOW), false);
    assert.equal(await store.requestKill("1", NOW + 5), true);
    assert.deepEqual(await store.due(NOW + 5, NOW + 100, 10), ["1"]);
    assert.equal((await only(store, "1")).row.kill, true);
    assert.deepEqual(await store.commit([step("1", {})]), [{ kind: "fenced" }]);
    assert.deepEqual(await store.commit([step("1", { status: "KILLED", wakeAt: null, outcome: { ok: null } })]), [{ kind: "committed" }]);
    assert.equal(await store.requestKill("1", NOW), false);
  });

  test("a parked flow runs again when an operator says so, and its owner before is fenced", async (t) => {
    const { store } = await open(t);
    await store.start([client("1")]);
    assert.equal(await store.requestRetry("1", NOW), false);
    await store.commit([step("1", { status: "PARKED", wakeAt: null, outcome: { error: { type: "t", message: "m" } } })]);
    assert.equal(await store.requestRetry("1", NOW + 7), true);
    const { row } = await only(store, "1");
    assert.deepEqual([row.status, row.outcome, row.wakeAt], ["RUNNING", null, NOW + 7]);
    assert.deepEqual(await store.commit([step("1", { expectedVersion: 1, commitId: "before" })]), [{ kind: "fenced" }]);
  });

  test("an unfinished flow goes on in other code when an operator says in which", async (t) => {
    const { store } = await open(t);
    const fixed = "SHA-256:FIXED" as SecureHash;
    await store.start([client("1"), client("2")]);
    await store.commit([step("1", {}), step("2", { status: "COMPLETED", outcome: { ok: 1 }, wakeAt: null })]);
    assert.equal(await store.requestRetry("1", NOW + 7, { bundle: fixed, version: 0 }), false, "its row was written since");
    assert.equal(await store.requestRetry("1", NOW + 7, { bundle: fixed, version: 1 }), true);
    assert.equal(await store.requestRetry("2", NOW + 7, { bundle: fixed, version: 1 }), false);
    const { row } = await only(store, "1");
    assert.deepEqual([row.status, row.bundle, row.version, row.wakeAt], ["RUNNING", fixed, 2, NOW + 7]);
    assert.deepEqual(await store.commit([step("1", { expectedVersion: 1, commitId: "before" })]), [{ kind: "fenced" }]);
  });

  test("flows are listed in the order of their starts, by status", async (t) => {
    const { store } = await open(t);
    await store.start([clientStart({ ...CLIENT, id: "later", clientRequestId: "l", now: NOW + 1 }), client("1")]);
    await store.commit([step("1", { status: "COMPLETED", outcome: { ok: 1 }, wakeAt: null })]);
    assert.deepEqual(await listed(store, {}), ["1", "later"]);
    assert.deepEqual(await listed(store, { status: ["COMPLETED"] }), ["1"]);
    assert.deepEqual(await listed(store, { status: ["KILLED"] }), []);
    assert.deepEqual(await listed(store, { status: ["COMPLETED", "START_REQUESTED"] }), ["1", "later"]);
  });

  test("flows are listed by name and by the time of their start", async (t) => {
    const { store } = await open(t);
    const starts = [0, 10, 20].map((after) =>
      clientStart({ ...CLIENT, id: `${after}`, clientRequestId: `${after}`, flowName: `Flow${after % 20}`, now: NOW + after }),
    );
    await store.start(starts);
    assert.deepEqual(await listed(store, { flowName: "Flow0" }), ["0", "20"]);
    assert.deepEqual(await listed(store, { flowName: "Flow" }), []);
    assert.deepEqual(await listed(store, { startedAfter: NOW + 10 }), ["10", "20"]);
    assert.deepEqual(await listed(store, { startedBefore: NOW + 10 }), ["0", "10"]);
    assert.deepEqual(await listed(store, { startedAfter: NOW + 1, startedBefore: NOW + 19 }), ["10"]);
  });

  test("pages follow one another without gap or repetition, though flows start at one moment and start meanwhile", async (t) => {
    const { store } = await open(t);
    await store.start(["a", "b", "c", "d", "e"].map(client));
    const seen: string[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const page = await store.list({ limit: 2, ...(after === undefined ? {} : { after }) });
      assert.ok(page.rows.length <= 2);
      seen.push(...page.rows.map(({ id }) => id));
      after = page.next;
      if (seen.length === 2) await store.start([client("bb")]);
    }
    assert.deepEqual(seen, ["a", "b", "bb", "c", "d", "e"]);
    for (const wrong of [{ limit: 0 }, { limit: 1_001 }, { limit: 1.5 }, { limit: 1, after: "nonsense" }]) {
      await assert.rejects(
        store.list(wrong).then(() => undefined),
        { code: "flow.filterInvalid" },
      );
    }
  });

  test("what is over goes after its time, with all that belongs to it, and its client request id is free", async (t) => {
    const { store } = await open(t);
    const over = { status: "COMPLETED", outcome: { ok: 1 }, wakeAt: null, waiting: [] } as const;
    const expired = NOW + 100_000;
    await store.start([client("1"), client("2"), client("3"), client("4"), client("5")]);
    await store.commit([{ ...full("1"), ...over }, { ...full("2"), at: NOW + 50, ...over }, full("3")]);
    await store.commit([step("4", { status: "PARKED", wakeAt: null, outcome: { error: { type: "t", message: "m" } } }), step("5", over)]);
    const purge = (overBefore: number, expiredBefore: number, limit = 10) => store.purge({ overBefore, expiredBefore, limit });
    assert.equal(await purge(NOW + 1, expired), 0);
    // A message of its session may still come.
    assert.equal(await purge(NOW + 50, NOW + 60_000), 1);
    assert.deepEqual(await listed(store, {}), ["1", "2", "3", "4"]);
    assert.equal(await purge(NOW + 50, NOW + 60_001), 1);
    assert.equal(await store.inspect("1"), undefined);
    assert.deepEqual(await listed(store, {}), ["2", "3", "4"]);
    assert.equal((await store.inspect("2"))?.journal.length, 2);
    assert.deepEqual((await store.unacknowledged(NOW + RESEND_FIRST_MS * 2, 100)).map(({ session: of }) => of).sort(), [
      "2:1",
      "2:1",
      "2:1",
      "3:1",
      "3:1",
      "3:1",
    ]);
    assert.deepEqual(
      (await store.start([client("1")])).map(({ kind }) => kind),
      ["started"],
    );
    assert.deepEqual(await store.commit([full("1")]), [{ kind: "committed" }]);
    assert.equal((await only(store, "1")).inbox.length, 2);
  });

  test("flows that are over go in batches, the oldest first", async (t) => {
    const { store } = await open(t);
    const ids = ["a", "b", "c"];
    await store.start(ids.map(client));
    await store.commit(ids.map((id) => step(id, { status: "FAILED", outcome: { error: { type: "t", message: "m" } }, wakeAt: null })));
    assert.equal(await store.purge({ overBefore: NOW + 2, expiredBefore: NOW, limit: 2 }), 2);
    assert.deepEqual(await listed(store, {}), ["c"]);
  });

  test("an operator sees every step with what it asked, the sessions, and what waits to come and go", async (t) => {
    const { store } = await open(t);
    assert.equal(await store.inspect("1"), undefined);
    await store.start([client("1"), client("2")]);
    const commit = full("1");
    await store.commit([commit, full("2")]);
    const seen = await store.inspect("1");
    assert.deepEqual(seen, {
      row: (await only(store, "1")).row,
      journal: commit.journal,
      sessions: commit.sessions,
      inbox: 2,
      outbox: 3,
      lastError: null,
      attempts: 0,
    });
    const [first, ...rest] = commit.journal;
    assert.ok(first !== undefined && rest.length > 0);
    const page = async (activation: number, ordinal: number) => store.inspect("1", { from: { activation, ordinal }, limit: 1 });
    assert.deepEqual((await page(0, 0))?.journal, [first]);
    assert.deepEqual((await page(first.activation, first.ordinal + 1))?.journal, rest.slice(0, 1));
    const failure = { type: "flow.nonDeterminism", message: "Why." };
    await store.commit([
      step("1", { at: NOW + 9, expectedVersion: 1, commitId: "parks", status: "PARKED", outcome: { error: failure }, wakeAt: null }),
    ]);
    assert.deepEqual((await store.inspect("1"))?.lastError, { ...failure, step: null, since: NOW + 9 });
  });
}

const listed = async (store: FlowStore, filter: Omit<FlowFilter, "limit">): Promise<readonly string[]> =>
  (await store.list({ ...filter, limit: 100 })).rows.map(({ id }) => id);

// --- Rows ---
