// What every vault keeps of histories that are served and fetched, and of transactions that are not decided yet, as tests.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { SecureHash } from "@bowline/base";
import { dependenciesMac, type FilteredDependency, filteredDependency } from "./dependencies.ts";
import { stateRef } from "./leaves.ts";
import { REPAIR_FIRST_MS, REPAIR_GRACE_MS } from "./limits.ts";
import type { KnownTransaction, ServedTransaction, UnverifiedTransaction, VaultWrite, VerifiableTransaction } from "./ports.ts";
import { firstOutput, MAC_KEY, Note, type Sample, sample } from "./sample.memory.ts";
import { decodeSigned, encodeSigned, type SignedTransaction } from "./transaction.ts";
import { code, commit, invalid, issue, resolved, statusOf, unverified, type VaultUnderTest, verified } from "./vault.contract.ts";

export function testVaultHistory(name: string, open: (test: TestContext, macKey: Uint8Array) => Promise<VaultUnderTest>): void {
  describe(`histories in a vault (${name})`, async () => {
    const network = await sample();
    const { alice } = network.parties;

    test("serves a history: what is asked for, then its ancestors, up to a count and a size", async (t) => {
      const vault = await open(t, MAC_KEY);
      const chain = await plantChain(vault, network, 6);
      const ids = chain.map(({ transaction: { id } }) => id);
      const history = async (ahead: number, bytesMax = 1e6) =>
        (await vault.read({ kind: "history", ids: [ids[4] as string], ahead, bytesMax })) as unknown as readonly ServedTransaction[];
      assert.deepEqual(
        (await history(2)).map(({ id }) => id),
        [ids[4], ids[3], ids[2]],
      );
      const [only] = (await history(0)) as readonly [ServedTransaction];
      const { transaction, signatures } = decodeSigned(only.bytes);
      assert.deepEqual([transaction.id, signatures.length], [ids[4], 2]);
      assert.deepEqual([only.status, only.dependencies], ["V", [ids[3]]]);
      const size = chain[4]?.transaction.bytes.length as number;
      assert.equal((await history(5, size)).length, 1);
      assert.equal((await history(5, size + 1)).length, 2, "the one that crosses it still comes");
      assert.equal((await history(50)).length, 5);
    });

    test("finds ancestors, the nearest of them", async (t) => {
      const vault = await open(t, MAC_KEY);
      const ids = (await plantChain(vault, network, 5)).map(({ transaction: { id } }) => id);
      const ancestors = (limit: number) =>
        vault.read({ kind: "ancestors", of: [ids[2] as string], among: [ids[0] as string, ids[4] as string], limit });
      assert.deepEqual(await ancestors(100), [ids[0]]);
      assert.deepEqual(await ancestors(2), []);
    });

    test("a history waits here unverified, is walked through, verified where it lies, and never repaired", async (t) => {
      const vault = await open(t, MAC_KEY);
      const [first, second, third] = chainFrom(network, 3) as [SignedTransaction, SignedTransaction, SignedTransaction];
      const [id1, id2, id3] = [first, second, third].map(({ transaction: { id } }) => id) as [SecureHash, SecureHash, SecureHash];
      await vault.apply([commit(history(second), history(third))]);
      const unresolved = async (limit = 10) =>
        (await vault.read({ kind: "unresolved", ids: [id3], limit })) as unknown as readonly KnownTransaction[];
      const brief = (known: readonly KnownTransaction[]) =>
        known.map(({ id, status, staged, dependencies }) => [id, [status, staged, dependencies]] as const);
      assert.deepEqual(
        new Map(brief(await unresolved())),
        new Map([
          [id3, ["U", true, [id2]]],
          [id2, ["U", true, [id1]]],
          [id1, [null, false, []]],
        ]),
      );
      assert.equal((await unresolved(2)).length, 2);
      assert.equal((await unresolved()).find(({ id }) => id === id3)?.size, third.transaction.bytes.length);
      assert.deepEqual(await vault.read({ kind: "unverified", limit: 10 }), []);
      await assert.rejects(vault.read({ kind: "verifiable", ids: [id2] }), code("vault.stateUnknown"));
      await vault.apply([commit(history(first))]);
      const [verifiable] = (await vault.read({ kind: "verifiable", ids: [id2] })) as unknown as readonly [VerifiableTransaction];
      assert.deepEqual(verifiable.inputs, [resolved(first.transaction, 0)]);
      assert.equal(decodeSigned(verifiable.bytes).transaction.id, id2);
      const here = ({ bytes, ...write }: ReturnType<typeof verified>) => ({
        ...write,
        kind: "verifiedHere" as const,
        id: decodeSigned(bytes).transaction.id,
      });
      const [v1, v2] = [verified(network, first, [], alice), verified(network, second, [first.transaction], alice)];
      await assert.rejects(vault.apply([commit(here(v2))]), code("vault.sourceUnverified"));
      await vault.apply([commit(here(v1), here(v2))]);
      assert.deepEqual([await statusOf(vault, first), await statusOf(vault, second), await statusOf(vault, third)], ["V", "V", "U"]);
      const strange = issue(network, alice, [1], "strange");
      await assert.rejects(vault.apply([commit(here(verified(network, strange, [], alice)))]), code("vault.transactionUnknown"));
    });

    test("an unverified transaction has its own time: later each time, but not beyond its upper bound", async (t) => {
      const vault = await open(t, MAC_KEY);
      const now = Date.now();
      const until = now + 25 * 60_000;
      const open1 = network.sign(
        network.build(network.propose({ outputs: [{ owner: alice, amount: 1 }], signedBy: [alice], until }), "open"),
        alice,
      );
      await vault.apply([commit(unverified(open1, "U"))]);
      const { id } = open1.transaction;
      const next = async () => ((await vault.read({ kind: "unverified", limit: 10 })) as unknown as readonly UnverifiedTransaction[])[0];
      const first = (await next())?.nextAttemptAt as number;
      assert.ok(Math.abs(first - now - REPAIR_FIRST_MS) < 60_000);
      assert.deepEqual(await vault.dueRepairs(first - 1_000, 10), []);
      assert.deepEqual(await vault.dueRepairs(first + 1, 10), [{ id, attempt: 1 }]);
      assert.deepEqual(await vault.dueRepairs(first + 1, 10), [], "it is one caller's");
      const second = (await next())?.nextAttemptAt as number;
      assert.ok(Math.abs(second - first - REPAIR_FIRST_MS) < 1_000);
      await vault.dueRepairs(second + 1, 10);
      assert.ok(Math.abs(((await next())?.nextAttemptAt as number) - until - REPAIR_GRACE_MS) < 1_000);
      const later = until + REPAIR_GRACE_MS;
      assert.equal((await vault.dueRepairs(later, 10))[0]?.attempt, 3);
      assert.deepEqual(await next(), {
        id,
        createdAt: (await next())?.createdAt,
        until,
        attempts: 3,
        nextAttemptAt: later + 4 * REPAIR_FIRST_MS,
      });
      await vault.apply([commit(verified(network, network.notarised(open1), [], alice))]);
      assert.deepEqual([await next(), await vault.dueRepairs(later * 2, 10)], [undefined, []]);
    });

    test("parts that the verification role has checked stand in for a transaction, until it is here whole", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1, 2, 3]);
      const { id } = issued.transaction;
      const ref = (index: number) => stateRef(id, index);
      const sources = (...refs: readonly string[]) => vault.read({ kind: "sources", refs });
      const part = (...outputs: readonly number[]) => filtered([filteredDependency(issued, outputs)]);
      const forged = { ...part(0), mac: new Uint8Array(32) };
      await assert.rejects(vault.apply([commit(forged)]), code("ledger.verdictRefused"));
      await vault.apply([commit(part(0))]);
      await vault.apply([commit(part(0), part(1, 0))]);
      assert.deepEqual(await sources(ref(1), ref(2)), [resolved(issued.transaction, 1), null]);
      assert.equal(await statusOf(vault, issued), undefined, "it is not here to be shown whole");
      const again = (await vault.read({ kind: "dependencies", refs: [ref(1), ref(0)] })) as unknown as readonly FilteredDependency[];
      assert.deepEqual(again, [filteredDependency(issued, [0, 1])]);
      await assert.rejects(vault.read({ kind: "dependencies", refs: [ref(2)] }), code("vault.stateUnknown"));
      const [walked] = (await vault.read({ kind: "unresolved", ids: [id], limit: 9 })) as unknown as readonly KnownTransaction[];
      assert.deepEqual([walked?.status, walked?.staged], [null, false]);
      await assert.rejects(vault.apply([commit(invalid(issued, { kind: "refusal" }))]), code("vault.statusRefused"));
      // What uses it is verified over the parts; then the whole comes, and what was used of it is consumed.
      const moved = network.notarised(
        network.sign(
          network.build(network.propose({ inputs: [ref(1)], outputs: [{ owner: alice, amount: 2 }], signedBy: [alice] })),
          alice,
        ),
      );
      await vault.apply([commit(verified(network, moved, [issued.transaction], alice))]);
      await vault.apply([commit(unverified(issued, "U"))]);
      assert.deepEqual([await statusOf(vault, issued), await sources(ref(0))], ["U", [resolved(issued.transaction, 0)]]);
      await vault.apply([commit(verified(network, issued, [], alice))]);
      await vault.apply([commit(part(2))]);
      assert.deepEqual([await statusOf(vault, issued), ((await sources(ref(2))) as readonly unknown[]).length], ["V", 1]);
      const { states } = (await vault.read({ kind: "find", query: { state: Note.name } })) as unknown as {
        states: readonly { ref: string }[];
      };
      assert.deepEqual(new Set(states.map((state) => state.ref)), new Set([ref(0), ref(2), firstOutput(moved.transaction)]));
    });

    test("what several showed of a transaction proves it together, and no more of it is shown than is needed", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1, 2, 3, 4]);
      const proof = async (...indexes: readonly number[]) =>
        (await vault.read({ kind: "dependencies", refs: indexes.map((index) => stateRef(issued.transaction.id, index)) })) as unknown;
      for (const outputs of [[0], [2], [1, 2]]) await vault.apply([commit(filtered([filteredDependency(issued, outputs)]))]);
      for (const outputs of [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
        assert.deepEqual(await proof(...outputs), [filteredDependency(issued, outputs)]);
      await assert.rejects(proof(0, 3), code("vault.stateUnknown"));
    });

    test("parts of what waits here unverified make its outputs known, and do not verify it", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1, 2]);
      await vault.apply([commit(unverified(issued, "U"))]);
      await vault.apply([commit(filtered([filteredDependency(issued, [1])]))]);
      assert.equal(await statusOf(vault, issued), "U");
      const refs = [stateRef(issued.transaction.id, 1)];
      assert.deepEqual(await vault.read({ kind: "sources", refs }), [resolved(issued.transaction, 1)]);
      const broken = issue(network, alice, [-1]);
      await vault.apply([commit(unverified(broken, "U"), filtered([filteredDependency(broken, [0])]))]);
      const { verdict, mac } = network.verify(broken, []);
      await vault.apply([commit(invalid(broken, { kind: "content", verdict, mac }))]);
      assert.deepEqual(
        [await statusOf(vault, broken), await vault.read({ kind: "sources", refs: [firstOutput(broken.transaction)] })],
        ["I", [null]],
      );
      await assert.rejects(vault.apply([commit(filtered([filteredDependency(broken, [0])]))]), code("vault.statusRefused"));
    });

    test("what cannot be repaired takes no other's turn", async (t) => {
      const vault = await open(t, MAC_KEY);
      const all = Array.from({ length: 5 }, (_, i) => issue(network, alice, [1], `stuck ${i}`));
      await vault.apply([commit(...all.map((one) => unverified(one, "U")))]);
      const seen = new Set<string>();
      const far = Date.now() + 365 * 24 * 3_600_000;
      for (let round = 0; round < 3; round++) for (const { id } of await vault.dueRepairs(far, 2)) seen.add(id);
      assert.equal(seen.size, 5);
    });
  });
}

const filtered = (dependencies: readonly FilteredDependency[]): VaultWrite => ({
  kind: "filtered",
  dependencies,
  mac: dependenciesMac(MAC_KEY, dependencies),
});

const history = (signed: SignedTransaction): VaultWrite => ({ kind: "history", bytes: encodeSigned(signed) });

/** An issue and then moves, each of what the one before made. */
function chainFrom(network: Sample, length: number): readonly SignedTransaction[] {
  const { alice } = network.parties;
  const chain = [issue(network, alice, [5])];
  while (chain.length < length) {
    const inputs = [firstOutput((chain.at(-1) as SignedTransaction).transaction)];
    const moved = network.build(network.propose({ inputs, outputs: [{ owner: alice, amount: 5 }], signedBy: [alice] }));
    chain.push(network.notarised(network.sign(moved, alice)));
  }
  return chain;
}

async function plantChain(vault: VaultUnderTest, network: Sample, length: number): Promise<readonly SignedTransaction[]> {
  const chain = chainFrom(network, length);
  const writes = chain.map((signed, i) =>
    verified(
      network,
      signed,
      chain.slice(Math.max(0, i - 1), i).map(({ transaction }) => transaction),
      network.parties.alice,
    ),
  );
  await vault.apply([commit(...writes)]);
  return chain;
}
