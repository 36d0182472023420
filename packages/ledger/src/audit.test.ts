import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, type SecureHash } from "@bowline/base";
import { generateKeyPair, keyIdOf, signSync } from "@bowline/crypto";
import fc from "fast-check";
import { createAudit } from "./audit.ts";
import { decodeDecisions, encodeDecisions, FIRST_HEAD, headAfter, type LogEntry, logLeaf, wordsOf } from "./history.ts";
import { stateRef } from "./leaves.ts";
import type { Spend } from "./ports.ts";
import { NOW, PLATFORM_VERSION } from "./sample.memory.ts";
import { batchOf, encodeSignature } from "./signatures.ts";
import { idOf, spendOf } from "./uniqueness.contract.ts";
import { memoryUniqueness } from "./uniqueness.memory.ts";
import type { StateInTable } from "./uniqueness-tables.store.ts";

const { publicKey, privateKey } = await generateKeyPair("CORDA.ECDSA.SECP256R1");
const stranger = await generateKeyPair("CORDA.ECDSA.SECP256R1");
const metadata = { timestamp: NOW, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION } as const;

function sealed(encoded: Uint8Array, by = { publicKey, privateKey }): Uint8Array {
  const batch = batchOf(wordsOf(decodeDecisions(encoded)), by.publicKey, metadata, (index) => logLeaf(index, encoded));
  return encodeSignature({ by: keyIdOf(by.publicKey), signature: signSync(by.privateKey, batch.preimage), metadata });
}

const ref = (name: string, index = 0) => stateRef(idOf(name), index);
const BATCHES: readonly (readonly Spend[])[] = [
  [spendOf("a"), spendOf("b", { inputs: [ref("a", 0)], references: [ref("a", 1)] })],
  [spendOf("c", { inputs: [ref("a", 1)] }), spendOf("lost", { inputs: [ref("a", 0)] })],
  [spendOf("late", { until: NOW }), spendOf("wrong", { refusal: { code: "notary.transactionInvalid", message: "no" } })],
  [spendOf("looks", { references: [ref("a", 1)] }), spendOf("d", { inputs: [ref("b", 0), ref("c", 1)], references: [ref("c", 0)] })],
];

async function history(batches = BATCHES): Promise<readonly LogEntry[]> {
  const store = memoryUniqueness(() => NOW);
  for (const batch of batches) await store.notarise(batch, async (_, encoded) => ({ record: sealed(encoded) }));
  return (await store.log(0, 1_000)).entries;
}

function audit(entries: readonly LogEntry[], options: Partial<Parameters<typeof createAudit>[0]> = {}) {
  const auditor = createAudit({ keys: [publicKey], ...options });
  for (const entry of entries) auditor.add(entry);
  return auditor.conclude();
}

function refused(entries: readonly LogEntry[], reason: RegExp, options: Partial<Parameters<typeof createAudit>[0]> = {}): void {
  assert.throws(
    () => audit(entries, options),
    (error: unknown) => error instanceof BowlineError && error.code === "ledger.historyInvalid" && reason.test(error.message),
    String(reason),
  );
}

/** The log with other decisions, chained anew and, as by a thief of the notary's key, sealed anew. */
function forged(entries: readonly LogEntry[], change: (seq: number, decisions: Uint8Array) => Uint8Array): readonly LogEntry[] {
  let head: Uint8Array = FIRST_HEAD;
  return entries.map(({ seq, decisions: before }) => {
    const decisions = change(seq, before);
    head = headAfter(head, decisions);
    return { seq, head, decisions, seal: sealed(decisions) };
  });
}

const entries = await history();

test("a notary's own history holds, and says what it amounts to", () => {
  const found = audit(entries);
  assert.deepEqual(
    { ...found, head: found.head.length },
    { entries: 4, accepted: 4, refused: 4, unspent: 4, head: 64, sealedBy: { [keyIdOf(publicKey)]: 4 } },
  );
});

test("an entry that is missing, added, moved or changed shows, with its place", () => {
  const [one, two, three, four] = entries as [LogEntry, LogEntry, LogEntry, LogEntry];
  refused([two, three, four], /entry 2: the log does not begin with 1/);
  refused([one, three, four], /entry 3: it follows entry 1/);
  refused([one, { ...three, seq: 2 }], /entry 2: its head is not that/);
  refused([one, two, two], /entry 2: it follows entry 2/);
  refused([one, { ...two, decisions: one.decisions }], /entry 2: its head/);
  refused([one, { ...two, seal: one.seal }], /entry 2: its seal is not valid/);
  refused([one, { ...two, seal: sealed(two.decisions, stranger) }], /entry 2: it is sealed by SHA-256:.* no key of this notary/);
  refused([one, { ...two, seal: new Uint8Array([1]) }], /entry 2/);
});

test("every byte of an entry counts", () => {
  fc.assert(
    fc.property(
      fc.nat(entries.length - 1),
      fc.constantFrom("decisions", "head", "seal"),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (i, part, at, flip) => {
        const bytes = entries[i]?.[part as "head"] as Uint8Array;
        const changed = bytes.with(at % bytes.length, (bytes[at % bytes.length] as number) ^ flip);
        // The time in a seal's metadata is signed too, and so is all else; nothing of it may change unnoticed.
        refused(
          entries.map((entry, j) => (i === j ? { ...entry, [part]: changed } : entry)),
          /history does not hold at entry/,
        );
      },
    ),
  );
});

test("whoever has the notary's key, and forges what it decided, is found out by what it decided", () => {
  const change = (seq: number, edit: (spend: Spend) => object | undefined, refusal?: null) =>
    forged(entries, (number, bytes) => {
      if (number !== seq) return bytes;
      const { at, decisions } = decodeDecisions(bytes);
      return encodeDecisions({
        at,
        decisions: decisions.map((decision) => {
          const edited = edit(decision.spend as Spend);
          return edited === undefined
            ? decision
            : { spend: { ...decision.spend, ...edited }, refusal: refusal === null ? null : decision.refusal };
        }),
      });
    });
  const only = (name: string, edit: object) => (spend: Spend) => (spend.transactionId === idOf(name) ? edit : undefined);
  const place = (name: string, entry: number) => `entry ${entry}, transaction ${idOf(name)}`;
  refused(change(2, only("lost", {}), null), new RegExp(`${place("lost", 2)}: it spends .*:0, which was spent before`));
  refused(change(4, only("looks", {}), null), new RegExp(`${place("looks", 4)}: it refers to .*:1, which was spent before`));
  refused(change(3, only("late", {}), null), new RegExp(`${place("late", 3)}: it was accepted outside of its time window`));
  refused(change(2, only("c", { inputs: [ref("nowhere")] })), /which was spent before, or never issued/);
  refused(change(1, only("b", { inputs: [] })), /entry 2, .*lost: .*refused as notary.inputStateConflict, and was not|entry 2/);
  refused(change(3, only("late", { until: NOW + 1 })), /refused as notary.timeWindowOutOfBounds, and was not/);
  refused(change(4, only("d", { transactionId: idOf("a") as SecureHash })), /it was decided on before/);
  refused(change(1, only("a", { outputCount: 1 })), /refers to .*:1, which was spent before, or never issued/);
});

test("a later history continues the one that was audited before", async () => {
  const earlier = audit(entries.slice(0, 2));
  const continues = { seq: earlier.entries, head: earlier.head };
  assert.equal(audit(entries, { continues }).entries, 4);
  refused(entries.slice(0, 1), /entry 1: the log ends here, and had 2 entries/, { continues });
  const other = await history([BATCHES[0] as Spend[], [spendOf("x")], [spendOf("y")]]);
  refused(other, /entry 2: its head is .*, and was .* at the earlier audit/, { continues });
});

/** The table as the log makes it. */
function tableOf(entries: readonly LogEntry[]): readonly StateInTable[] {
  const rows = new Map<string, SecureHash | null>();
  for (const { spend, refusal } of entries.flatMap(({ decisions }) => decodeDecisions(decisions).decisions)) {
    if (refusal !== null) continue;
    for (let index = 0; index < spend.outputCount; index++) rows.set(stateRef(spend.transactionId, index), null);
    for (const input of spend.inputs) rows.set(input, spend.transactionId);
  }
  return [...rows].map(([ref, by]) => ({ ref, by }));
}

test("the table of states is that of the log: what is changed, added or left out is found", async () => {
  const entries = await history();
  const table = tableOf(entries);
  /** Read after so many entries. */
  const compare = (rows: readonly StateInTable[], read = entries.length) => {
    const auditor = createAudit({ keys: [publicKey], withStates: true });
    for (const entry of entries.slice(0, read)) auditor.add(entry);
    for (const row of rows) auditor.state(row);
    for (const entry of entries.slice(read)) auditor.add(entry);
    return auditor.conclude().entries;
  };
  assert.equal(compare(table), entries.length);
  for (let read = 1; read <= entries.length; read++) {
    // Whatever was decided between the reading of the log and that of the table.
    for (let then = read; then <= entries.length; then++) assert.equal(compare(tableOf(entries.slice(0, then)), read), entries.length);
    assert.throws(() => compare(tableOf(entries.slice(0, read)).slice(1), read), /the table of states lacks 1 that were issued/);
  }
  const doctored = (ref: string, by: SecureHash | null) => table.map((row) => (row.ref === ref ? { ref, by } : row));
  assert.throws(() => compare(doctored(ref("a", 0), null)), /is unspent, and the log has it consumed by/);
  assert.throws(() => compare(doctored(ref("a", 0), idOf("lost"))), /the log has it consumed by/);
  assert.throws(() => compare(doctored(ref("d", 0), idOf("lost"))), /consumed by .*, and the log does not say so/);
  assert.throws(() => compare([...table, { ref: ref("lost"), by: null }]), /is unspent, and the log never issued it/);
  assert.throws(() => compare([]), /lacks \d+ that were issued/);
});
