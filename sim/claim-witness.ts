// Sees which tokens a member's flows have claimed: no token is in two live claims.

import type { X500Name } from "@bowline/base";
import type { StepCommit } from "@bowline/flow";
import type { ClaimRequest } from "@bowline/ledger/tokens";

interface Claim {
  readonly refs: readonly string[];
  readonly until: number;
}

interface Release {
  readonly kind: string;
  readonly claim: string;
  readonly used: readonly string[];
}

const OVER = new Set<StepCommit["status"]>(["COMPLETED", "FAILED", "KILLED", "PARKED"]);

export class ClaimWitness {
  readonly #member: X500Name;
  readonly #now: () => number;
  readonly #say: (disorder: string) => void;
  readonly #live = new Map<string, Claim & { readonly flowId: string }>();

  constructor(member: X500Name, now: () => number, say: (disorder: string) => void) {
    this.#member = member;
    this.#now = now;
    this.#say = say;
  }

  /** These claims may be over from now on: the commits that end them are being written. */
  ending(commits: readonly StepCommit[]): void {
    if (this.#live.size === 0) return;
    for (const { flowId, status, vaultWrites } of commits) {
      if (OVER.has(status)) for (const [id, claim] of this.#live) if (claim.flowId === flowId) this.#live.delete(id);
      for (const write of vaultWrites as unknown as readonly Release[]) if (write.kind === "tokens.release") this.#released(write);
    }
  }

  /** What was used stays out of reach. */
  #released({ claim: id, used }: Release): void {
    const claim = this.#live.get(id);
    if (claim === undefined) return;
    const refs = claim.refs.filter((ref) => used.includes(ref));
    if (refs.length === 0) this.#live.delete(id);
    else this.#live.set(id, { ...claim, refs });
  }

  claimed({ id, flowId, holdMs }: ClaimRequest, tokens: readonly { readonly ref: string }[]): void {
    const refs = tokens.map(({ ref }) => ref);
    for (const [other, claim] of this.#live) {
      if (other === id || claim.until <= this.#now()) continue;
      const shared = refs.find((ref) => claim.refs.includes(ref));
      if (shared !== undefined) this.#say(`Token ${shared} of ${this.#member} is in claim ${id} and in claim ${other}.`);
    }
    const known = this.#live.get(id);
    // Asked for again it is the same claim, and goes on for no longer.
    const isSame = known !== undefined && known.until > this.#now() && known.refs.join() === refs.join();
    this.#live.set(id, { refs, until: isSame ? known.until : this.#now() + holdMs, flowId });
  }

  /**
   * Tokens that only their time frees: of a flow that claimed before its first commit and never came to it, because the client's other
   * question for the same was faster.
   */
  async heldByNobody(exists: (flowId: string) => Promise<boolean>): Promise<ReadonlySet<string>> {
    const held = new Set<string>();
    for (const { flowId, until, refs } of this.#live.values())
      if (until > this.#now() && !(await exists(flowId))) for (const ref of refs) held.add(ref);
    return held;
  }
}
