// What every vault keeps, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { BowlineError, type Data, type Instant } from "@bowline/base";
import type { StateAndRef, TransactionView, VaultQuery } from "@bowline/sdk";
import type { DueRepair, InvalidTransaction, ListedState, VaultCommit, VaultRead, VaultWrite } from "./ports.ts";
import { firstOutput, MAC_KEY, Note, type Party, type Sample, sample, verifyWith } from "./sample.memory.ts";
import { decodeSignature, encodeSignature } from "./signatures.ts";
import { decodeSigned, encodeSigned, type ResolvedState, type SignedTransaction, stateAndRef, type Transaction } from "./transaction.ts";

/** One empty vault, whose verification role has the key of the sample (`MAC_KEY`). Each `apply` is one transaction. */
export interface VaultUnderTest {
  apply(commits: readonly VaultCommit[]): Promise<void>;
  read(read: VaultRead): Promise<Data>;
  dueRepairs(now: Instant, limit: number): Promise<readonly DueRepair[]>;
}

type Page = { readonly states: readonly StateAndRef<{ amount: number } & Data>[]; readonly next: string | null };

export function testVault(name: string, open: (test: TestContext, macKey: Uint8Array) => Promise<VaultUnderTest>): void {
  describe(`a vault (${name})`, async () => {
    const network = await sample();
    const { alice, bob } = network.parties;

    test("keeps what is verified, finds it, and marks what it consumes", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1, 2, 3]);
      await vault.apply([commit(verified(network, issued, [], alice))]);
      assert.deepEqual(amounts(await find(vault)), [1, 2, 3]);
      const moved = move(network, [`${issued.transaction.id}:1`], alice, bob, 2);
      await vault.apply([commit(verified(network, moved, [issued.transaction], alice))]);
      assert.deepEqual(amounts(await find(vault)), [1, 3]);
      assert.deepEqual(amounts(await find(vault, { consumed: true })), [2]);
      const [first] = (await find(vault)).states;
      assert.deepEqual(first, stateAndRef(resolved(issued.transaction, 0)));
    });

    test("finds by members of the JSON form, at any depth", async (t) => {
      const vault = await open(t, MAC_KEY);
      await vault.apply([commit(verified(network, issue(network, alice, [5, 6, 6], "a\0b"), [], alice))]);
      assert.deepEqual(amounts(await find(vault, { where: { amount: 6 } })), [6, 6]);
      assert.deepEqual(amounts(await find(vault, { where: { "nested.amount": 5, text: "a\uFFFDb" } })), [5]);
      assert.deepEqual(amounts(await find(vault, { where: { "nested.amount": 5, amount: 6 } })), []);
      assert.deepEqual(amounts(await find(vault, { where: { amount: "6" } })), [], "a text is not a number");
      assert.deepEqual((await find(vault, { state: "com.example.Other" })).states, []);
    });

    test("pages through every state once, in a stable order", async (t) => {
      const vault = await open(t, MAC_KEY);
      const all = Array.from({ length: 7 }, (_, i) => i + 1);
      await vault.apply([commit(verified(network, issue(network, alice, all), [], alice))]);
      const seen: number[] = [];
      let after: string | undefined;
      do {
        const page = await find(vault, { limit: 3, ...(after === undefined ? {} : { after }) });
        seen.push(...amounts(page));
        after = page.next ?? undefined;
      } while (after !== undefined);
      assert.deepEqual(seen, all);
      await assert.rejects(find(vault, { limit: 0 }), code("vault.badQuery"));
      await assert.rejects(find(vault, { after: "elsewhere" }), code("vault.badQuery"));
    });

    test("what this member takes no part in is verified and not found", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [4]);
      await vault.apply([commit(verified(network, issued, [], bob))]);
      assert.equal(await statusOf(vault, issued), "V");
      assert.deepEqual(amounts(await find(vault)), []);
    });

    test("a chain and its consumption in one commit, of several flows", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [4]);
      const moved = move(network, [firstOutput(issued.transaction)], alice, alice, 4);
      const other = issue(network, alice, [9], "other");
      await vault.apply([
        commit(verified(network, issued, [], alice), verified(network, moved, [issued.transaction], alice)),
        { ...commit(verified(network, other, [], alice)), flowId: "second" },
      ]);
      assert.deepEqual(amounts(await find(vault)).sort(), [4, 9]);
      assert.deepEqual(amounts(await find(vault, { consumed: true })), [4]);
    });

    test("statuses only move forward; a repeat changes nothing", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1]);
      await vault.apply([commit(unverified(issued, "D"))]);
      assert.equal(await statusOf(vault, issued), "D");
      await vault.apply([commit(unverified(issued, "U"))]);
      await vault.apply([commit(unverified(issued, "D"))]);
      assert.equal(await statusOf(vault, issued), "U");
      assert.deepEqual(amounts(await find(vault)), [], "nothing of an unverified transaction is findable");
      await vault.apply([commit(verified(network, issued, [], alice))]);
      await vault.apply([commit(unverified(issued, "U"), verified(network, issued, [], alice))]);
      assert.equal(await statusOf(vault, issued), "V");
      assert.deepEqual(amounts(await find(vault)), [1]);
      await assert.rejects(
        vault.apply([commit(invalid(issued, { kind: "rejection", word: refusal(network, issued) }))]),
        code("vault.statusRefused"),
      );
      assert.equal(await statusOf(vault, issued), "V");
    });

    test("is written invalid with the notary's refusal, and then never valid", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1]);
      await vault.apply([commit(unverified(issued, "U"))]);
      const accepted = encodeSignature(network.words([{ kind: "accepted", transactionId: issued.transaction.id, at: 1 }])[0] as never);
      await assert.rejects(vault.apply([commit(invalid(issued, { kind: "rejection", word: accepted }))]), code("vault.statusRefused"));
      const another = refusal(network, issue(network, alice, [1], "another"));
      await assert.rejects(
        vault.apply([commit(invalid(issued, { kind: "rejection", word: another }))]),
        code("ledger.notarySignatureInvalid"),
      );
      await vault.apply([commit(invalid(issued, { kind: "refusal" }))]);
      assert.equal(await statusOf(vault, issued), "U", "our signature may be out");
      assert.deepEqual(await vault.read({ kind: "invalid", limit: 10 }), []);
      await vault.apply([commit(invalid(issued, { kind: "rejection", word: refusal(network, issued) }))]);
      assert.equal(await statusOf(vault, issued), "I");
      const [found, ...others] = (await vault.read({ kind: "invalid", limit: 10 })) as unknown as InvalidTransaction[];
      assert.deepEqual([found?.id, found?.reason, others], [issued.transaction.id, "a test", []]);
      assert.ok((found?.invalidAt ?? 0) >= (found?.createdAt ?? 1));
      await assert.rejects(vault.apply([commit(verified(network, issued, [], alice))]), code("vault.statusRefused"));
      await assert.rejects(vault.apply([commit(unverified(issued, "U"))]), code("vault.statusRefused"));
    });

    test("a refusal of ours stands where we have not signed", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1]);
      await vault.apply([commit(invalid(issued, { kind: "refusal" }))]);
      assert.equal(await statusOf(vault, issued), "I");
    });

    test("nothing is verified without the verification role's complete verdict over this vault's own rows", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1]);
      const write = verified(network, issued, [], alice);
      const flipped = { ...write, mac: write.mac.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) };
      await assert.rejects(vault.apply([commit(flipped)]), code("ledger.verdictRefused"));
      const incomplete = network.verify(network.sign(issued.transaction, alice), []);
      const early = { ...write, verdict: incomplete.verdict, mac: incomplete.mac };
      await assert.rejects(vault.apply([commit(early)]), code("ledger.verdictRefused"));
      const [output] = write.visible;
      const richer = { ...write, visible: [{ ...(output as NonNullable<typeof output>), json: { amount: 1_000 } }] };
      await assert.rejects(vault.apply([commit(richer)]), code("ledger.verdictRefused"));
      const moved = move(network, [firstOutput(issued.transaction)], alice, bob, 1);
      await assert.rejects(vault.apply([commit(verified(network, moved, [issued.transaction], alice))]), code("vault.sourceUnverified"));
      assert.equal(await statusOf(vault, issued), undefined);
      await vault.apply([commit(write)]);
      await vault.apply([commit(verified(network, moved, [issued.transaction], alice))]);
      assert.equal(await statusOf(vault, moved), "V");
    });

    test("nothing is verified over other inputs than this vault holds", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1, 9]);
      await vault.apply([commit(verified(network, issued, [], alice))]);
      const moved = move(network, [firstOutput(issued.transaction)], alice, bob, 9);
      const lie = { ...resolved(issued.transaction, 1), ref: firstOutput(issued.transaction) };
      const groupParameters = network.parameters.bytes;
      const { verdict, mac, complete } = verifyWith(moved, { inputs: [lie], references: [], groupParameters }, null);
      assert.ok(complete, "the verification role believes what it is handed");
      const write = { kind: "verified", bytes: encodeSigned(moved), verdict, mac, visible: [] } as const;
      await assert.rejects(vault.apply([commit(write)]), code("ledger.verdictRefused"));
    });

    test("a commit that is refused leaves nothing of it", async (t) => {
      const vault = await open(t, MAC_KEY);
      const [good, bad] = [issue(network, alice, [1]), issue(network, alice, [2], "bad")];
      const signatures = { kind: "signatures", id: bad.transaction.id, signatures: [] } as const;
      await assert.rejects(vault.apply([commit(verified(network, good, [], alice), signatures)]), code("vault.transactionUnknown"));
      assert.equal(await statusOf(vault, good), undefined);
      assert.deepEqual(amounts(await find(vault)), []);
    });

    test("gives back signed transactions, each signature once", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1]);
      const [mine, word] = issued.signatures.map(encodeSignature) as [Uint8Array, Uint8Array];
      await vault.apply([commit(unverified({ ...issued, signatures: issued.signatures.slice(0, 1) }, "U"))]);
      const again = { ...decodeSignature(mine), signature: new Uint8Array([1]) };
      const more = { kind: "signatures", id: issued.transaction.id, signatures: [encodeSignature(again), word] } as const;
      await vault.apply([commit(more)]);
      const [row, none] = (await vault.read({
        kind: "transactions",
        ids: [issued.transaction.id, `SHA-256:${"0".repeat(64)}`],
      })) as unknown as [{ bytes: Uint8Array; status: string }, null];
      assert.equal(none, null);
      const back = decodeSigned(row.bytes);
      assert.deepEqual(back.transaction, issued.transaction);
      const texts = (signatures: readonly Uint8Array[]) => signatures.map((bytes) => Buffer.from(bytes).toString("hex")).sort();
      assert.deepEqual(texts(back.signatures.map(encodeSignature)), texts([mine, word]));
    });

    test("resolves outputs of verified transactions only, in order", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1, 2]);
      const open2 = issue(network, alice, [3], "unverified");
      await vault.apply([commit(verified(network, issued, [], alice), unverified(open2, "U"))]);
      const refs = [`${issued.transaction.id}:1`, `${issued.transaction.id}:0`];
      assert.deepEqual(
        await vault.read({ kind: "resolve", refs }),
        [1, 0].map((index) => stateAndRef(resolved(issued.transaction, index))),
      );
      const missing = [firstOutput(open2.transaction), `${issued.transaction.id}:2`];
      assert.deepEqual(await vault.read({ kind: "sources", refs: [...refs, ...missing] }), [
        resolved(issued.transaction, 1),
        resolved(issued.transaction, 0),
        null,
        null,
      ]);
      for (const ref of missing) await assert.rejects(vault.read({ kind: "resolve", refs: [ref] }), code("vault.stateUnknown"));
    });

    test("shows a transaction with its inputs resolved", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1]);
      const moved = move(network, [firstOutput(issued.transaction)], alice, bob, 1);
      await vault.apply([commit(verified(network, issued, [], alice), verified(network, moved, [issued.transaction], alice))]);
      const view = (await vault.read({ kind: "view", id: moved.transaction.id })) as unknown as TransactionView;
      assert.deepEqual(view, network.verify(moved, [issued.transaction]).view);
      assert.equal(await vault.read({ kind: "view", id: `SHA-256:${"0".repeat(64)}` }), null);
    });

    test("lists for an operator what there is, newest first", async (t) => {
      const vault = await open(t, MAC_KEY);
      const issued = issue(network, alice, [1, 2, 3]);
      const moved = move(network, [firstOutput(issued.transaction)], alice, bob, 1);
      await vault.apply([commit(verified(network, issued, [], alice)), commit(verified(network, moved, [issued.transaction], alice))]);
      const list = async (filter: Omit<Extract<VaultRead, { kind: "list" }>, "kind">) =>
        (await vault.read({ kind: "list", ...filter })) as unknown as { states: readonly ListedState[]; next: string | null };
      const told = ({ states }: { states: readonly ListedState[] }) => states.map(({ json }) => (json as { amount: number }).amount);
      assert.deepEqual(told(await list({})), [3, 2, 1]);
      assert.deepEqual(told(await list({ consumed: false, state: Note.name })), [3, 2]);
      assert.deepEqual(told(await list({ consumed: true })), [1]);
      const first = await list({ limit: 2 });
      assert.deepEqual(told(await list({ limit: 2, before: first.next as string })), [1]);
      const [newest] = first.states;
      assert.equal(newest?.ref, `${issued.transaction.id}:2`);
      assert.equal(newest?.notary, network.notary.name);
      assert.ok(newest !== undefined && newest.createdAt > 0 && newest.consumedAt === null);
    });

    test("keeps group parameters by hash", async (t) => {
      const vault = await open(t, MAC_KEY);
      const write = { kind: "groupParameters", ...network.parameters } as const;
      await vault.apply([commit(write), commit(write)]);
      const hash = issue(network, alice, [1]).transaction.metadata.membershipGroupParametersHash;
      assert.deepEqual(await vault.read({ kind: "groupParameters", hash }), { ...network.parameters });
      assert.equal(await vault.read({ kind: "groupParameters", hash: `SHA-256:${"0".repeat(64)}` }), null);
    });

    test("a write of no known form is refused", async (t) => {
      const vault = await open(t, MAC_KEY);
      for (const data of [null, {}, { kind: "verified" }, { kind: "unverified", status: "V", bytes: new Uint8Array() }])
        await assert.rejects(vault.apply([{ flowId: "flow", writes: [data as Data] }]), code("input.invalid"));
    });
  });
}

export const commit = (...writes: readonly VaultWrite[]): VaultCommit => ({ flowId: "flow", writes: writes as unknown as readonly Data[] });
export const code = (expected: string) => (error: unknown) => error instanceof BowlineError && error.code === expected;
export const unverified = (signed: SignedTransaction, status: "D" | "U"): VaultWrite => ({
  kind: "unverified",
  status,
  bytes: encodeSigned(signed),
});

export const invalid = (signed: SignedTransaction, evidence: Extract<VaultWrite, { kind: "invalid" }>["evidence"]): VaultWrite => ({
  kind: "invalid",
  bytes: encodeSigned(signed),
  reason: "a test",
  evidence,
});

export function issue(network: Sample, owner: Party, notes: readonly number[], text = ""): SignedTransaction {
  const proposal = network.propose({ outputs: notes.map((amount) => ({ owner, amount, text })), signedBy: [owner] });
  return network.notarised(network.sign(network.build(proposal, text), owner));
}

export function move(network: Sample, inputs: readonly string[], from: Party, to: Party, amount: number): SignedTransaction {
  return network.notarised(
    network.sign(network.build(network.propose({ inputs, outputs: [{ owner: to, amount }], signedBy: [from] })), from),
  );
}

export function verified(
  network: Sample,
  signed: SignedTransaction,
  sources: readonly Transaction[],
  keeper: Party,
): Extract<VaultWrite, { kind: "verified" }> {
  const { verdict, mac, outputs } = network.verify(signed, sources);
  const visible = outputs.flatMap((described, index) =>
    described.participants.includes(keeper.keys.publicKey) ? [{ index, ...described }] : [],
  );
  return { kind: "verified", bytes: encodeSigned(signed), verdict, mac, visible };
}

function refusal(network: Sample, { transaction }: SignedTransaction): Uint8Array {
  const [word] = network.words([{ kind: "refused", transactionId: transaction.id, code: "notary.inputStateConflict", message: "spent" }]);
  return encodeSignature(word as NonNullable<typeof word>);
}

async function find(vault: VaultUnderTest, query: Partial<VaultQuery> = {}): Promise<Page> {
  return (await vault.read({ kind: "find", query: { state: Note.name, ...query } })) as unknown as Page;
}

const amounts = ({ states }: Page): number[] => states.map(({ state }) => state.data.amount);

export async function statusOf(vault: VaultUnderTest, { transaction }: SignedTransaction): Promise<string | undefined> {
  const [row] = (await vault.read({ kind: "transactions", ids: [transaction.id] })) as unknown as [{ status: string } | null];
  return row?.status;
}

export function resolved({ id, groups }: Transaction, index: number): ResolvedState {
  return { ref: `${id}:${index}`, info: groups[3]?.[index] as Uint8Array, data: groups[8]?.[index] as Uint8Array };
}
