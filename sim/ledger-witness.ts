// Sees what notaries decide, what vaults are told and what they tell, and what leaves a member; and says what may not be. (The numbers
// are those of the list in README.md.)
//
// Truth is what the notary accepted: enough of its virtual nodes. Everything that a member believes is held against it at the commit
// with which it begins to.

import type { Data, SecureHash, X500Name } from "@bowline/base";
import type { FlowStore, StepCommit } from "@bowline/flow";
import { decodeSigned, type VaultRead } from "@bowline/ledger";
import type { UniquenessStore } from "@bowline/ledger/notary";
import { decodeSignature } from "@bowline/ledger/signing";
import type { Party, Storage } from "@bowline/testing/world";
import { ClaimWitness } from "./claim-witness.ts";
import { sourceOf } from "./showing.ts";

export type Transaction = ReturnType<typeof decodeSigned>["transaction"];
type Status = "D" | "U" | "V" | "I";

/** A vault write, as far as it is looked at. */
interface Written {
  readonly kind: string;
  readonly bytes?: Uint8Array;
  readonly id?: SecureHash;
  readonly evidence?: { readonly kind: string };
}

interface Belief {
  readonly status: Status;
  /** Looks are numbered: what an earlier one saw is no news after a later one. */
  readonly look: number;
}

export interface NotaryRules {
  readonly verifies: boolean;
  readonly signaturesRequired: number;
}

export class LedgerWitness {
  /** Every transaction that any vault was told of, whole. */
  readonly contents: Map<SecureHash, Transaction> = new Map();
  readonly #say: (disorder: string) => void;
  readonly #rules: NotaryRules;
  readonly #acceptedBy = new Map<SecureHash, Set<X500Name>>();
  readonly #accepted = new Set<SecureHash>();
  readonly #spent = new Map<string, SecureHash>();
  readonly #beliefs = new Map<string, Belief>();
  /** Who wrote it invalid because it breaks a rule: a notary that sees no content may accept it all the same. */
  readonly #broken = new Set<SecureHash>();
  readonly #invalid = new Map<SecureHash, X500Name>();
  readonly #rows = new Map<X500Name, Set<SecureHash>>();
  readonly #signatures = new Map<X500Name, { readonly id: SecureHash; readonly bytes: Buffer }[]>();
  readonly #claims = new Map<X500Name, ClaimWitness>();
  #looks = 0;

  constructor(rules: NotaryRules, say: (disorder: string) => void) {
    this.#rules = rules;
    this.#say = say;
  }

  isAccepted(id: SecureHash): boolean {
    return this.#accepted.has(id);
  }

  /** Ids of all that a member's vault has a row of. */
  rowsOf(member: X500Name): ReadonlySet<SecureHash> {
    return this.#rows.get(member) ?? new Set();
  }

  claimsOf(member: X500Name): ClaimWitness {
    return this.#claims.get(member) as ClaimWitness;
  }

  /** A key of this member has signed; it is released when it leaves. */
  signed(member: X500Name, id: SecureHash, record: Uint8Array): void {
    const held = this.#signatures.get(member) ?? [];
    this.#signatures.set(member, held);
    held.push({ id, bytes: Buffer.from(decodeSignature(record).signature) });
  }

  /** The memory of one of the notary's virtual nodes, whose every word is remembered. */
  watchNotary(store: UniquenessStore, node: X500Name): UniquenessStore {
    const consumed = new Map<string, string>();
    const final = new Map<string, string>();
    return {
      log: (after, limit) => store.log(after, limit),
      notarise: async (batch, seal) => {
        const decided = await store.notarise(batch, seal);
        const { verdicts } = decided;
        const accepted: number[] = [];
        batch.forEach(({ transactionId }, index) => {
          const verdict = verdicts[index];
          if (verdict === undefined || verdict.kind === "retry") return;
          const word = verdict.kind === "accepted" ? `accepted at ${verdict.at}` : `refused as ${verdict.code}`;
          const before = final.get(transactionId);
          final.set(transactionId, before ?? word);
          if (before !== undefined && before !== word) this.#say(`Transaction ${transactionId} was ${before}, and then ${word}.`);
          if (verdict.kind === "accepted" && before === undefined) accepted.push(index);
        });
        for (const index of accepted) {
          const { transactionId, inputs, references } = batch[index] as (typeof batch)[number];
          for (const ref of [...inputs, ...references])
            if (consumed.has(ref)) this.#say(`State ${ref} was consumed by ${consumed.get(ref)}, and taken again by ${transactionId}.`);
          for (const ref of inputs) consumed.set(ref, transactionId);
          this.#accept(transactionId, inputs, node);
        }
        return decided;
      },
    };
  }

  #accept(id: SecureHash, inputs: readonly string[], node: X500Name): void {
    const by = this.#acceptedBy.get(id) ?? new Set();
    this.#acceptedBy.set(id, by.add(node));
    if (by.size !== this.#rules.signaturesRequired) return;
    this.#accepted.add(id);
    for (const ref of inputs) {
      if (this.#spent.has(ref)) this.#say(`Of the notary ${this.#spent.get(ref)} and ${id} have the word, which share ${ref}.`);
      this.#spent.set(ref, id);
    }
    const invalid = this.#invalid.get(id);
    if (invalid !== undefined) this.#judgeInvalid(id, invalid);
  }

  #judgeInvalid(id: SecureHash, member: X500Name): void {
    const mayBe = this.#broken.has(id) && !this.#rules.verifies;
    if (!mayBe) this.#say(`Transaction ${id} is invalid at ${member}, and the notary has accepted it.`);
  }

  /** A member's vault and its claims, looked at at every commit and every answer. */
  watchStorage({ name }: Party, storage: Storage, now: () => number): Storage {
    const claims = new ClaimWitness(name, now, this.#say);
    this.#claims.set(name, claims);
    const isVerified = async (id: string): Promise<boolean> => {
      if (this.#beliefs.get(`${name} ${id}`)?.status === "V") return true;
      const [row] = (await storage.readVault({ kind: "transactions", ids: [id] })) as unknown as readonly ({ status: Status } | null)[];
      return row?.status === "V";
    };
    const requireVerified = async (refs: readonly string[], how: string): Promise<void> => {
      for (const id of new Set(refs.map(sourceOf)))
        if (!(await isVerified(id))) this.#say(`${name} was given states of ${id} ${how}, which is not verified there.`);
    };
    const { flows, tokens } = storage;
    const commit: FlowStore["commit"] = async (commits) => {
      claims.ending(commits);
      const outcomes = await flows.commit(commits);
      const touched = new Set<SecureHash>();
      commits.forEach((each, index) => {
        if (outcomes[index]?.kind === "committed") this.#committed(name, each, touched);
      });
      if (touched.size > 0) await this.#look(name, storage, [...touched]);
      return outcomes;
    };
    return {
      ...storage,
      flows: { ...flows, commit },
      readVault: async (read) => {
        const answer = await storage.readVault(read);
        await requireVerified(refsOf(read, answer), `by a ${read.kind}`);
        return answer;
      },
      tokens: {
        claim: async (requests) => {
          const outcomes = await tokens.claim(requests);
          for (const [index, request] of requests.entries()) {
            const outcome = outcomes[index];
            if (outcome?.kind !== "claimed") continue;
            claims.claimed(request, outcome.tokens);
            await requireVerified(
              outcome.tokens.map(({ ref }) => ref),
              "as tokens",
            );
          }
          return outcomes;
        },
        balance: (filter) => tokens.balance(filter),
        balances: (limit) => tokens.balances(limit),
      },
    };
  }

  #committed(member: X500Name, { vaultWrites, outboxAdded }: StepCommit, touched: Set<SecureHash>): void {
    const rows = this.#rows.get(member) ?? new Set();
    this.#rows.set(member, rows);
    for (const write of vaultWrites as unknown as readonly Written[]) {
      if (write.kind === "verifiedHere" && write.id !== undefined) touched.add(write.id);
      if (write.bytes === undefined || !WHOLE.has(write.kind)) continue;
      const { transaction } = decodeSigned(write.bytes);
      this.contents.set(transaction.id, transaction);
      rows.add(transaction.id);
      touched.add(transaction.id);
      if (write.evidence?.kind === "content") this.#broken.add(transaction.id);
    }
    const held = this.#signatures.get(member);
    if (held === undefined) return;
    for (const { body } of outboxAdded)
      if (body.kind === "data" || body.kind === "part") this.#release(member, held, body.kind === "data" ? body.payload : body.bytes);
  }

  #release(member: X500Name, held: readonly { readonly id: SecureHash; readonly bytes: Buffer }[], said: Data): void {
    if (said instanceof Uint8Array) {
      for (const { id, bytes } of held)
        if (!this.rowsOf(member).has(id) && Buffer.from(said.buffer, said.byteOffset, said.length).includes(bytes))
          this.#say(`${member} gave its signature of ${id} away, and has no row of it.`);
    } else if (said !== null && typeof said === "object") for (const part of Object.values(said)) this.#release(member, held, part);
  }

  async #look(member: X500Name, storage: Storage, ids: readonly SecureHash[]): Promise<void> {
    const look = ++this.#looks;
    const rows = (await storage.readVault({ kind: "transactions", ids })) as unknown as readonly ({ readonly status: Status } | null)[];
    rows.forEach((row, index) => {
      if (row !== null) this.#believes(member, ids[index] as SecureHash, { status: row.status, look });
    });
  }

  #believes(member: X500Name, id: SecureHash, belief: Belief): void {
    const key = `${member} ${id}`;
    const before = this.#beliefs.get(key);
    if (before !== undefined && before.look > belief.look) return;
    this.#beliefs.set(key, belief);
    const { status } = belief;
    if (before?.status === status) return;
    if (before?.status === "V" || before?.status === "I")
      this.#say(`Transaction ${id} was ${before.status} at ${member}, and then ${status}.`);
    if (status === "V" && !this.isAccepted(id))
      this.#say(`Transaction ${id} is verified at ${member}, and the notary has not accepted it.`);
    if (status !== "I") return;
    this.#invalid.set(id, member);
    if (this.isAccepted(id)) this.#judgeInvalid(id, member);
  }
}

/** Writes that carry a whole transaction. */
const WHOLE = new Set(["unverified", "history", "verified", "invalid"]);

function refsOf(read: VaultRead, answer: Data): readonly string[] {
  const refs = (states: unknown) => (states as readonly { readonly ref: string }[]).map(({ ref }) => ref);
  if (read.kind === "find" || read.kind === "list") return refs((answer as { readonly states: Data }).states);
  return [];
}
