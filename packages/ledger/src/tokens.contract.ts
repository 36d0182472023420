// What every selection of tokens keeps, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { decimal } from "@bowline/sdk";
import type { TokenCriteria, TokenFilter } from "@bowline/sdk/tokens";
import fc from "fast-check";
import type { VaultCommit } from "./ports.ts";
import { MAC_KEY, Note, sample } from "./sample.memory.ts";
import { type ClaimedToken, type ClaimOutcome, claimRequest, type TokenStore, tagPatternFault } from "./tokens.ts";
import { commit, issue, move, verified } from "./vault.contract.ts";

/** The tokens of one empty vault. */
export interface TokensUnderTest {
  /** Each is one transaction of the vault. */
  apply(commits: readonly VaultCommit[]): Promise<void>;
  /** As many as processes select tokens of this vault. */
  readonly workers: readonly [TokenStore, ...TokenStore[]];
  /** So much time goes by. */
  elapse(ms: number): Promise<void>;
  endFlow(flowId: string, status: "COMPLETED" | "FAILED" | "KILLED" | "PARKED"): Promise<void>;
}

const WORKERS = 4;
const PATTERNS = ["", "a", "^a", "b$", "^(?:ab|cd)+$", "[^a]", "[a-c]{2,3}", "\\d+", "a.c", "(a|b)*c", "x?y", "[\\]\\^\\-]", "\\.", "^$"];
const TAGS = ["", "a", "ab", "abc", "cdab", "a\nc", "xy", "y", "1", "a.c", "]", "ß"];
/** Of the property over concurrent claims: each run is a vault of its own. */
const RUNS = Number(process.env["BOWLINE_PROPERTY_RUNS"] ?? 5);

export function testTokens(name: string, open: (test: TestContext, macKey: Uint8Array, workers: number) => Promise<TokensUnderTest>): void {
  describe(`selection of tokens (${name})`, async () => {
    const network = await sample();
    const { alice, bob } = network.parties;
    const pool: TokenFilter = { tokenType: Note.name, issuer: "the mint", symbol: "NOTE", notary: network.notary.name };
    const asks = (flow: string, amount: number | string, more: Partial<TokenCriteria> = {}) =>
      claimRequest(flow, "1", { ...pool, amount: `${amount}`, ...more });
    const funded = async (t: TestContext, amounts: readonly number[], text = "") => {
      const vault = await open(t, MAC_KEY, WORKERS);
      const issued = issue(network, alice, amounts, text);
      await vault.apply([commit(verified(network, issued, [], alice))]);
      return { ...vault, tokens: vault.workers[0], issued };
    };

    test("a claim holds enough, and what it holds is nobody else's", async (t) => {
      const { tokens } = await funded(t, [5, 5, 5]);
      assert.deepEqual(await tokens.balance(pool), { total: "15", available: "15" });
      const [first] = await tokens.claim([asks("a", 7)]);
      assert.deepEqual(amountsOf(first), ["5", "5"]);
      assert.deepEqual(await tokens.balance(pool), { total: "15", available: "5" });
      const [{ tokens: count, ...balance } = { tokens: 0 }, ...others] = await tokens.balances(10);
      assert.deepEqual([balance, others, count > 0], [{ ...pool, total: "15", available: "5" }, [], true]);
      assert.deepEqual(await tokens.balances(0), []);
      assert.deepEqual(await tokens.claim([asks("b", 6)]), [{ kind: "insufficient" }]);
      const [second] = await tokens.claim([asks("c", 5)]);
      assert.equal(new Set([...refsOf(first), ...refsOf(second)]).size, 3);
    });

    test("a repeat has the same tokens, and one that asks otherwise has others in their place", async (t) => {
      const { tokens } = await funded(t, [5, 5, 5, 5]);
      const [first] = await tokens.claim([asks("a", 10)]);
      assert.deepEqual(await tokens.claim([asks("a", 10), asks("a", 10)]), [first, first]);
      const [smaller] = await tokens.claim([asks("a", 5)]);
      assert.deepEqual(amountsOf(smaller), ["5"]);
      assert.deepEqual(await tokens.balance(pool), { total: "20", available: "15" });
    });

    test("claims that come together are served together, each with its own", async (t) => {
      const { tokens } = await funded(t, [1, 1, 1, 1, 1, 1]);
      const outcomes = await tokens.claim([asks("a", 2), asks("b", 3), asks("c", 4), asks("d", 1)]);
      assert.deepEqual(outcomes.map(amountsOf), [["1", "1"], ["1", "1", "1"], [], ["1"]]);
      assert.equal(outcomes[2]?.kind, "insufficient");
      assert.equal(new Set(outcomes.flatMap(refsOf)).size, 6);
    });

    test("a claim ends with its time", async (t) => {
      const { tokens, elapse } = await funded(t, [5]);
      const [first] = await tokens.claim([asks("a", 5, { holdMs: 2_000 })]);
      assert.deepEqual(await tokens.claim([asks("b", 5)]), [{ kind: "insufficient" }]);
      await elapse(2_100);
      assert.equal((await tokens.balance(pool)).available, "5");
      const [second] = await tokens.claim([asks("b", 5)]);
      assert.deepEqual(refsOf(second), refsOf(first));
      assert.deepEqual(await tokens.claim([asks("a", 5, { holdMs: 2_000 })]), [{ kind: "insufficient" }], "it is another's now");
    });

    for (const status of ["COMPLETED", "FAILED", "KILLED", "PARKED"] as const)
      test(`a claim ends with its flow: ${status}`, async (t) => {
        const { tokens, endFlow } = await funded(t, [5]);
        const [first] = await tokens.claim([asks("a", 5)]);
        await endFlow("a", status);
        assert.equal((await tokens.balance(pool)).available, "5");
        const [second] = await tokens.claim([asks("b", 5)]);
        assert.deepEqual(refsOf(second), refsOf(first));
        assert.deepEqual(await tokens.claim([asks("a", 5)]), [{ kind: "insufficient" }], "a flow that comes back finds them gone");
      });

    test("a release frees what was not used, at once, and is the flow's own", async (t) => {
      const { tokens, apply } = await funded(t, [5, 5]);
      const [first] = await tokens.claim([asks("a", 10)]);
      const [used = ""] = refsOf(first);
      const release = { kind: "tokens.release", claim: "a:1", used: [used] } as const;
      await apply([{ ...commit(release), flowId: "another" }]);
      assert.equal((await tokens.balance(pool)).available, "0");
      await apply([{ ...commit(release), flowId: "a" }]);
      assert.deepEqual(await tokens.balance(pool), { total: "10", available: "5" });
      const [second] = await tokens.claim([asks("b", 5)]);
      assert.ok(!refsOf(second).includes(used));
      await apply([{ ...commit(release), flowId: "a" }]);
      assert.deepEqual(await tokens.balance(pool), { total: "10", available: "0" }, "a claim that is over is not released again");
    });

    test("what is consumed is a token no more, and what is not verified is none yet", async (t) => {
      const { tokens, apply, issued } = await funded(t, [5, 7]);
      const [claimed] = await tokens.claim([asks("a", 12)]);
      const [spent = ""] = refsOf(claimed).filter((ref) => ref.endsWith(":0"));
      const moved = move(network, [spent], alice, bob, 5);
      await apply([commit(verified(network, moved, [issued.transaction], alice))]);
      assert.deepEqual(await tokens.balance(pool), { total: "7", available: "0" });
      await apply([{ ...commit({ kind: "tokens.release", claim: "a:1", used: [] }), flowId: "a" }]);
      assert.deepEqual(await tokens.balance(pool), { total: "7", available: "7" });
      const [rest] = await tokens.claim([asks("b", 1)]);
      assert.deepEqual(amountsOf(rest), ["7"]);
    });

    test("produced and consumed in one commit, it never was a token", async (t) => {
      const vault = await open(t, MAC_KEY, 1);
      const issued = issue(network, alice, [4]);
      const moved = move(network, [`${issued.transaction.id}:0`], alice, alice, 4);
      await vault.apply([commit(verified(network, issued, [], alice), verified(network, moved, [issued.transaction], alice))]);
      const [only] = await vault.workers[0].claim([asks("a", 4)]);
      assert.deepEqual(refsOf(only), [`${moved.transaction.id}:0`]);
    });

    test("by priority: the lowest first, those without one last", async (t) => {
      const { tokens, apply } = await funded(t, [1], "");
      for (const text of ["#7", "#3", "#5"]) await apply([commit(verified(network, issue(network, alice, [1], text), [], alice))]);
      const claimed = await tokens.claim(["a", "b", "c", "d"].map((flow) => asks(flow, 1, { strategy: "priority" })));
      assert.deepEqual(
        claimed.map((outcome) => tokensOf(outcome).map(({ priority }) => priority)),
        [[3], [5], [7], [undefined]],
      );
    });

    test("of an owner, and with a tag; of no other pool", async (t) => {
      const { tokens, apply } = await funded(t, [1], "# red");
      await apply([commit(verified(network, issue(network, alice, [2], "# green"), [], alice))]);
      const claim = async (flow: string, more: Partial<TokenCriteria>) => amountsOf((await tokens.claim([asks(flow, 1, more)]))[0]);
      assert.deepEqual(await claim("a", { owner: bob.keys.publicKey }), []);
      assert.deepEqual(await claim("b", { tagPattern: "^gr" }), ["2"]);
      assert.deepEqual(await claim("c", { owner: alice.keys.publicKey, tagPattern: "e" }), ["1"]);
      for (const other of [{ symbol: "COIN" }, { issuer: "" }, { tokenType: "com.example.Other" }, { notary: "O=Other, L=London, C=GB" }])
        assert.deepEqual(await tokens.balance({ ...pool, ...other }), { total: "0", available: "0" });
    });

    test("a tag pattern means the same everywhere", async (t) => {
      const vault = await open(t, MAC_KEY, 1);
      const tags = TAGS.filter((tag) => tag !== "");
      for (const [i, tag] of tags.entries())
        await vault.apply([commit(verified(network, issue(network, alice, [2 ** i], `# ${tag}`), [], alice))]);
      const total = async (tagPattern: string) => (await vault.workers[0].balance({ ...pool, tagPattern })).total;
      for (const pattern of PATTERNS) {
        assert.equal(tagPatternFault(pattern), undefined, pattern);
        const matching = tags.reduce((sum, tag, i) => sum + (new RegExp(pattern, "su").test(tag) ? 2 ** i : 0), 0);
        assert.equal(await total(pattern), String(matching), pattern);
      }
    });

    test("amounts are exact", async (t) => {
      const { tokens } = await funded(t, [9_007_199_254_740_991, 1]);
      assert.equal((await tokens.balance(pool)).total, "9007199254740992");
      assert.deepEqual(await tokens.claim([asks("a", "9007199254740992.000000000000000000000001")]), [{ kind: "insufficient" }]);
      assert.equal(amountsOf((await tokens.claim([asks("a", "9007199254740992.000")]))[0]).length, 2);
    });

    test("more pieces than a transaction should consume are not claimed", async (t) => {
      const { tokens } = await funded(
        t,
        Array.from({ length: 1_001 }, () => 1),
      );
      assert.deepEqual(await tokens.claim([asks("a", 1_001)]), [{ kind: "tooMany" }]);
      assert.equal(amountsOf((await tokens.claim([asks("a", 1_000)]))[0]).length, 1_000);
    });

    test("no two live claims have a token in common, however many are made at once, and nobody is denied what is there", async (t) => {
      const plan = fc.record({
        notes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 40 }),
        claims: fc.array(fc.record({ amount: fc.integer({ min: 1, max: 6 }), worker: fc.nat(WORKERS - 1), ends: fc.boolean() }), {
          minLength: 1,
          maxLength: 24,
        }),
      });
      await fc.assert(
        fc.asyncProperty(plan, async ({ notes, claims }) => {
          const vault = await funded(t, notes);
          const live = new Map<string, ClaimOutcome | undefined>();
          const ask = async (round: string, only: (claim: (typeof claims)[number]) => boolean) => {
            await Promise.all(
              claims.map(async (claim, i) => {
                if (!only(claim)) return;
                const flow = `${round}${i}`;
                const worker = vault.workers[claim.worker % vault.workers.length] as TokenStore;
                live.set(flow, (await worker.claim([asks(flow, claim.amount)]))[0]);
              }),
            );
            const refs = [...live.values()].flatMap(refsOf);
            assert.equal(new Set(refs).size, refs.length, "a token in two live claims");
          };
          await ask("first ", () => true);
          const total = decimal.sum(claims.map(({ amount }) => `${amount}`));
          if (notes.every((note) => note === 1) && decimal.compare(`${notes.length}`, total) >= 0)
            assert.ok([...live.values()].every((outcome) => outcome?.kind === "claimed"));
          for (const [i, { ends }] of claims.entries()) {
            if (!ends) continue;
            await vault.endFlow(`first ${i}`, "COMPLETED");
            live.delete(`first ${i}`);
          }
          await ask("second ", ({ ends }) => ends);
        }),
        { numRuns: RUNS },
      );
    });

    test("nobody is denied what another is about to leave", async (t) => {
      const vault = await funded(
        t,
        Array.from({ length: 40 }, () => 1),
      );
      const claims = Array.from({ length: 40 }, (_, i) =>
        (vault.workers[i % vault.workers.length] as TokenStore).claim([asks(`flow ${i}`, 1)]),
      );
      const outcomes = (await Promise.all(claims)).flat();
      assert.ok(outcomes.every(({ kind }) => kind === "claimed"));
      assert.equal(new Set(outcomes.flatMap(refsOf)).size, 40);
    });
  });
}

const tokensOf = (outcome: ClaimOutcome | undefined): readonly ClaimedToken[] => (outcome?.kind === "claimed" ? outcome.tokens : []);
const refsOf = (outcome: ClaimOutcome | undefined): readonly string[] => tokensOf(outcome).map(({ ref }) => ref);
const amountsOf = (outcome: ClaimOutcome | undefined): readonly string[] => tokensOf(outcome).map(({ amount }) => amount);
