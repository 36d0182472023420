// What every vault tells of the states that come and go, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { StateChange } from "./ports.ts";
import { MAC_KEY, Note, type Sample, sample } from "./sample.memory.ts";
import { code, commit, issue, move, type VaultUnderTest, verified } from "./vault.contract.ts";

export interface ChangesPage {
  readonly changes: readonly StateChange[];
  readonly next: number;
}

export async function changesOf(vault: Pick<VaultUnderTest, "read">, after: number | null, more: object = {}): Promise<ChangesPage> {
  return (await vault.read({ kind: "changes", after, ...more })) as unknown as ChangesPage;
}

export function testVaultChanges(name: string, open: (test: TestContext, macKey: Uint8Array) => Promise<VaultUnderTest>): void {
  describe(`changes of a vault (${name})`, async () => {
    const network = await sample();
    const { alice, bob } = network.parties;
    const seen = ({ changes }: ChangesPage) => changes.map(({ kind, ref }) => `${kind} ${ref}`);

    test("tell what came and what went, each once, in the order of the commits, from anywhere", async (t) => {
      const vault = await open(t, MAC_KEY);
      assert.deepEqual(await changesOf(vault, 0), { changes: [], next: 0 });
      const issued = issue(network, alice, [1, 2]);
      const { id } = issued.transaction;
      await vault.apply([commit(verified(network, issued, [], alice))]);
      const moved = move(network, [`${id}:1`], alice, alice, 2);
      const gone = move(network, [`${moved.transaction.id}:0`], alice, bob, 2);
      // One commit that makes a state and consumes it.
      await vault.apply([
        commit(verified(network, moved, [issued.transaction], alice), verified(network, gone, [moved.transaction], alice)),
      ]);
      const expected = [
        `produced ${id}:0`,
        `produced ${id}:1`,
        `produced ${moved.transaction.id}:0`,
        `consumed ${id}:1`,
        `consumed ${moved.transaction.id}:0`,
      ];
      const all = await changesOf(vault, 0);
      assert.deepEqual(seen(all), expected);
      const positions = all.changes.map(({ position }) => position);
      assert.deepEqual(
        positions,
        [...new Set(positions)].sort((a, b) => a - b),
      );
      const paged: string[] = [];
      for (let after = 0; paged.length < expected.length; ) {
        const page = await changesOf(vault, after, { limit: 2 });
        paged.push(...seen(page));
        assert.ok(page.next > after);
        after = page.next;
      }
      assert.deepEqual(paged, expected);
      assert.deepEqual(seen(await changesOf(vault, positions[2] as number)), expected.slice(3));
      assert.deepEqual(await changesOf(vault, all.next), { changes: [], next: all.next });
      await vault.apply([commit(verified(network, issued, [], alice))]);
      assert.deepEqual(seen(await changesOf(vault, all.next)), [], "a repeat changes nothing");
    });

    test("are of some types where that is asked, and go on from where nothing was left out", async (t) => {
      const vault = await open(t, MAC_KEY);
      await vault.apply([commit(verified(network, issue(network, alice, [1, 2]), [], alice))]);
      const none = await changesOf(vault, 0, { types: ["com.example.Other"] });
      assert.deepEqual([none.changes, none.next], [[], (await changesOf(vault, null)).next]);
      const [first] = (await changesOf(vault, 0, { types: [Note.name] })).changes;
      assert.deepEqual(
        [first?.kind, first?.type, first?.json, first?.consumedAt],
        ["produced", Note.name, { amount: 1, text: "", nested: { amount: 1 } }, null],
      );
      assert.deepEqual((await changesOf(vault, null)).changes, [], "from now on is from now on");
    });

    test("refuse a position that the vault has not come to, and a page that is none", async (t) => {
      const vault = await open(t, MAC_KEY);
      await assert.rejects(changesOf(vault, 1), code("vault.positionUnknown"));
      await assert.rejects(changesOf(vault, 0, { limit: 0 }), code("vault.badQuery"));
    });
  });
}

/** Many transactions of notes, each issued to Alice. */
export function manyIssues(network: Sample, count: number) {
  const { alice } = network.parties;
  return Array.from({ length: count }, (_, i) => commit(verified(network, issue(network, alice, [i + 1], `issue ${i}`), [], alice)));
}
