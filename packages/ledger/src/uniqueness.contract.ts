// What every `UniquenessStore` keeps, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { parseName, type SecureHash, secureHash, utf8 } from "@bowline/base";
import { LEDGER_DIGESTS, ledgerHashes, secureHashOf } from "@bowline/crypto";
import { stateRef } from "./leaves.ts";
import type { Spend, UniquenessStore, Verdict } from "./ports.ts";

const FAR = 4_000_000_000_000;
const PAST = 1_500_000_000_000;

export const idOf = (name: string): SecureHash => secureHashOf(utf8(name));

export function spendOf(name: string, change: Partial<Spend> = {}): Spend {
  return {
    transactionId: idOf(name),
    originator: parseName("O=Alice, L=London, C=GB"),
    inputs: [],
    references: [],
    outputCount: 2,
    until: FAR,
    mode: "write",
    ...change,
  };
}

const ref = (name: string, index = 0) => stateRef(idOf(name), index);
/** Verdicts; what is decided is sealed with nothing. */
export const decide = async (store: UniquenessStore, batch: readonly Spend[]): Promise<readonly Verdict[]> =>
  (await store.notarise(batch, async () => ({ record: new Uint8Array([7]) }))).verdicts;

const codeOf = (verdict: Verdict | undefined) => (verdict === undefined || verdict.kind === "accepted" ? verdict?.kind : verdict.code);

/** `open` gives stores over one and the same empty memory: as many workers as asked. */
export function testUniqueness(name: string, open: (test: TestContext, workers: number) => Promise<readonly UniquenessStore[]>): void {
  const one = async (t: TestContext) => (await open(t, 1))[0] as UniquenessStore;
  const codes = async (store: UniquenessStore, ...batch: readonly Spend[]) => (await decide(store, batch)).map(codeOf);

  describe(`a uniqueness store (${name})`, () => {
    test("accepts the first spender of a state and refuses the second, for ever", async (t) => {
      const store = await one(t);
      await decide(store, [spendOf("issue")]);
      const [won] = await decide(store, [spendOf("won", { inputs: [ref("issue")] })]);
      const [lost] = await decide(store, [spendOf("lost", { inputs: [ref("issue")] })]);
      assert.equal(won?.kind, "accepted");
      assert.equal(codeOf(lost), "notary.inputStateConflict");
      assert.deepEqual(await decide(store, [spendOf("lost", { inputs: [ref("issue")] }), spendOf("won", { inputs: [ref("issue")] })]), [
        lost,
        won,
      ]);
    });

    test("knows transactions of every digest, and never takes one for another", async (t) => {
      const store = await one(t);
      const digest = (bytes: number) => new Uint8Array(bytes).fill(9);
      const ids = LEDGER_DIGESTS.map((name) => secureHash(digest(ledgerHashes(name).length), name));
      const issues = ids.map((transactionId) => spendOf("issue", { transactionId }));
      assert.deepEqual(await codes(store, ...issues), Array(ids.length).fill("accepted"));
      const spends = ids.map((id, i) =>
        spendOf("spend", { transactionId: secureHash(digest(32).fill(i), "SHA3-256"), inputs: [stateRef(id, 0)] }),
      );
      assert.deepEqual(await codes(store, ...spends), Array(ids.length).fill("accepted"));
      const again = ids.map((id, i) =>
        spendOf(`again ${i}`, { inputs: [stateRef(id, 0)], references: [stateRef(ids[0] as SecureHash, 1)] }),
      );
      assert.deepEqual(await codes(store, ...again), Array(ids.length).fill("notary.inputStateConflict"));
      assert.deepEqual(await codes(store, ...spends), Array(ids.length).fill("accepted"));
    });

    test("judges chains and conflicts within one batch in order", async (t) => {
      const store = await one(t);
      const verdicts = await codes(
        store,
        spendOf("a"),
        spendOf("b", { inputs: [ref("a", 0)] }),
        spendOf("c", { inputs: [ref("b", 1)], references: [ref("a", 1)] }),
        spendOf("d", { inputs: [ref("a", 0)] }),
        spendOf("e", { references: [ref("b", 1)] }),
        spendOf("b", { inputs: [ref("a", 0)] }),
      );
      assert.deepEqual(verdicts, [
        "accepted",
        "accepted",
        "accepted",
        "notary.inputStateConflict",
        "notary.referenceStateConflict",
        "accepted",
      ]);
    });

    test("an unknown state may become known: nothing is remembered", async (t) => {
      const store = await one(t);
      assert.deepEqual(
        await codes(store, spendOf("later", { inputs: [ref("sooner")] }), spendOf("looks", { references: [ref("sooner")] })),
        ["notary.inputStateUnknown", "notary.referenceStateUnknown"],
      );
      await decide(store, [spendOf("sooner")]);
      assert.deepEqual(
        await codes(store, spendOf("looks", { references: [ref("sooner")] }), spendOf("later", { inputs: [ref("sooner")] })),
        ["accepted", "accepted"],
      );
    });

    test("too early is not for ever, too late is", async (t) => {
      const store = await one(t);
      assert.deepEqual(await codes(store, spendOf("early", { from: FAR - 1 })), ["notary.timeWindowBeforeLowerBound"]);
      assert.deepEqual(await codes(store, spendOf("early")), ["accepted"]);
      assert.deepEqual(await codes(store, spendOf("late", { until: PAST })), ["notary.timeWindowOutOfBounds"]);
      assert.deepEqual(await codes(store, spendOf("late")), ["notary.timeWindowOutOfBounds"], "the same id, and the first answer stands");
    });

    test("a read decides nothing before the bound, and refuses for ever after it", async (t) => {
      const store = await one(t);
      assert.deepEqual(await codes(store, spendOf("asked", { mode: "read" })), ["notary.notPreviouslySeen"]);
      assert.deepEqual(await codes(store, spendOf("asked")), ["accepted"]);
      assert.deepEqual(await codes(store, spendOf("asked", { mode: "read" })), ["accepted"]);
      assert.deepEqual(await codes(store, spendOf("over", { mode: "read", until: PAST })), ["notary.timeWindowOutOfBounds"]);
      assert.deepEqual(await codes(store, spendOf("over")), ["notary.timeWindowOutOfBounds"], "a write that arrives after the read");
    });

    test("a state that stands twice in one transaction is no request", async (t) => {
      const store = await one(t);
      await decide(store, [spendOf("a")]);
      assert.deepEqual(
        await codes(
          store,
          spendOf("twice", { inputs: [ref("a"), ref("a")] }),
          spendOf("both", { inputs: [ref("a")], references: [ref("a")] }),
          spendOf("fine", { inputs: [ref("a")] }),
        ),
        ["notary.malformedRequest", "notary.malformedRequest", "accepted"],
      );
    });

    test("a long list of conflicts is told in short", async (t) => {
      const store = await one(t);
      const inputs = Array.from({ length: 100 }, (_, index) => ref("many", index));
      await decide(store, [spendOf("many", { outputCount: 100 }), spendOf("first", { inputs })]);
      const [verdict] = await decide(store, [spendOf("second", { inputs })]);
      assert.ok(verdict?.kind === "refused" && verdict.message.length <= 1_024 && /and \d+ more\.$/.test(verdict.message));
      assert.deepEqual(await decide(store, [spendOf("second", { inputs })]), [verdict]);
    });

    test("of many workers that spend one state at once, exactly one wins, and all agree for ever", async (t) => {
      const stores = await open(t, 4);
      const first = stores[0] as UniquenessStore;
      const rounds = 8;
      await decide(
        first,
        Array.from({ length: rounds }, (_, round) => spendOf(`race-${round}`)),
      );
      for (let round = 0; round < rounds; round++) {
        const rivals = Array.from({ length: 8 }, (_, i) =>
          spendOf(`rival-${round}-${i}`, { inputs: [ref(`race-${round}`)], outputCount: 1 }),
        );
        // Each worker is given all of them, in an order of its own.
        const answers = await Promise.all(
          stores.map(async (store, worker) => {
            const batch = [...rivals.slice(worker * 2), ...rivals.slice(0, worker * 2)];
            const verdicts = await decide(store, batch);
            return new Map(batch.map(({ transactionId }, i) => [transactionId, verdicts[i]]));
          }),
        );
        for (const { transactionId } of rivals)
          for (const answer of answers) assert.deepEqual(answer.get(transactionId), answers[0]?.get(transactionId));
        assert.equal([...(answers[0]?.values() ?? [])].filter((verdict) => verdict?.kind === "accepted").length, 1);
      }
    });

    test("one issue that many workers are asked for at once is accepted once, at one time", async (t) => {
      const stores = await open(t, 4);
      for (let round = 0; round < 16; round++) {
        const answers = await Promise.all(stores.map((store) => decide(store, [spendOf(`issue-${round}`)])));
        for (const answer of answers) assert.deepEqual(answer, answers[0]);
        assert.equal(answers[0]?.[0]?.kind, "accepted");
      }
    });

    test("an input and a reference to one state never both succeed in the wrong order", async (t) => {
      const stores = await open(t, 2);
      const [spender, looker] = stores as [UniquenessStore, UniquenessStore];
      for (let round = 0; round < 16; round++) {
        await decide(spender, [spendOf(`state-${round}`)]);
        const [[spent], [looked]] = await Promise.all([
          decide(spender, [spendOf(`spend-${round}`, { inputs: [ref(`state-${round}`)] })]),
          decide(looker, [spendOf(`look-${round}`, { references: [ref(`state-${round}`)] })]),
        ]);
        assert.equal(spent?.kind, "accepted");
        if (looked?.kind === "accepted" && spent?.kind === "accepted")
          assert.ok(looked.at <= spent.at, "it was referred to after it was consumed");
        else assert.equal(codeOf(looked), "notary.referenceStateConflict");
      }
    });
  });
}
