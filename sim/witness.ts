// Sees everything that is committed, and says what may not be: the invariants that no fault may break.
//
// 1  For one client request at most one flow ever runs.
// 2  Of a session user code sees a prefix of what the other side sent, without gap or repetition (flows.ts looks).
// 3  A committed step of a journal never changes. A commit is taken once, and only over the version that it names. A flow
//    that an operator has killed commits nothing more but its end.
// What holds of the ledger is looked at in ledger-witness.ts.

import { encode, type X500Name } from "@bowline/base";
import type { StepCommit } from "@bowline/flow";

/** An invariant that did not hold. */
export class Disorder extends Error {
  override readonly name = "Disorder";
}

export class Witness {
  readonly #journal = new Map<string, Map<string, string>>();
  readonly #versions = new Map<string, string>();
  readonly #requests = new Map<string, string>();
  readonly #killed = new Map<string, number>();
  /** The first disorder seen: what is thrown inside of a network does not reach the day. */
  disorder: Disorder | undefined;
  #commits = 0;

  get commits(): number {
    return this.#commits;
  }

  say(disorder: string): void {
    this.disorder ??= new Disorder(disorder);
  }

  started(member: string, requestId: string, flowId: string): void {
    const key = `${member} ${requestId}`;
    const known = this.#requests.get(key) ?? flowId;
    this.#requests.set(key, known);
    if (known !== flowId) this.say(`Client request ${requestId} of ${member} started flow ${known}, and then ${flowId}.`);
  }

  /** From this version of its row on: what was committed before may be answered, and seen, only now. */
  killed(flowId: string, version: number): void {
    this.#killed.set(flowId, version);
  }

  committed(member: X500Name, commit: StepCommit): void {
    this.#commits++;
    if (commit.status !== "KILLED" && commit.expectedVersion >= (this.#killed.get(commit.flowId) ?? Number.POSITIVE_INFINITY))
      this.say(`Flow ${commit.flowId} was to be killed, and went on to be ${commit.status}.`);
    const version = `${member} ${commit.flowId} ${commit.expectedVersion}`;
    const by = this.#versions.get(version) ?? commit.commitId;
    this.#versions.set(version, by);
    // The same commit once more: its first answer was lost.
    if (by !== commit.commitId) this.say(`Two commits of flow ${commit.flowId} were taken over version ${commit.expectedVersion}.`);
    const known = this.#journalOf(member, commit.flowId);
    for (const row of commit.journal) this.#compare(known, commit.flowId, row);
  }

  /** What a store holds must be what was committed to it, but for the steps of children that are over. */
  loaded(member: X500Name, flowId: string, journal: StepCommit["journal"]): void {
    const known = this.#journalOf(member, flowId);
    for (const row of journal) {
      if (!known.has(row.path)) this.say(`The journal of flow ${flowId} has a step ${row.path} that was never committed.`);
      this.#compare(known, flowId, row);
    }
    const held = new Set(journal.map(({ path }) => path));
    for (const path of known.keys()) {
      const parents = path.split(".").map((_, index, parts) => parts.slice(0, index + 1).join("."));
      if (!parents.some((parent) => held.has(parent))) this.say(`The journal of flow ${flowId} has lost step ${path}.`);
    }
  }

  #compare(known: Map<string, string>, flowId: string, row: StepCommit["journal"][number]): void {
    const now = Buffer.from(encode([row.kind, row.requestHash, row.outcome as never])).toString("base64");
    const before = known.get(row.path) ?? now;
    known.set(row.path, before);
    if (before !== now) this.say(`Step ${row.path} (${row.kind}) of flow ${flowId} was committed, and then changed.`);
  }

  #journalOf(member: X500Name, flowId: string): Map<string, string> {
    const key = `${member} ${flowId}`;
    const known = this.#journal.get(key) ?? new Map<string, string>();
    this.#journal.set(key, known);
    return known;
  }
}
