import type { Instant } from "@bowline/base";
import { decimal, type StateRef } from "@bowline/sdk";
import { stateRef } from "./leaves.ts";
import {
  allocate,
  type ClaimedToken,
  type ClaimOutcome,
  type ClaimRequest,
  groupsOf,
  type TokenFilter,
  type TokenStore,
} from "./tokens.ts";
import type { VaultChanges } from "./vault.ts";

export interface MemoryTokens extends TokenStore {
  apply(changes: Pick<VaultChanges, "tokens" | "consumed" | "released">): void;
}

interface Claim {
  readonly id: string;
  readonly flowId: string;
  readonly hash: Uint8Array;
  readonly tokens: readonly ClaimedToken[];
  readonly until: Instant;
}

interface Row {
  readonly token: ClaimedToken;
  readonly pool: TokenFilter;
  claim: Claim | undefined;
}

/** What is decided is decided at once: nothing comes in between that could see half of it. */
export function memoryTokens(now: () => Instant, ended: (flowId: string) => Promise<boolean>): MemoryTokens {
  const tables = new Tables(now);

  async function endedFlows(): Promise<ReadonlySet<string>> {
    const flows = tables.claimants();
    const over = await Promise.all(flows.map(ended));
    return new Set(flows.filter((_, i) => over[i]));
  }

  return {
    claim: async (requests) => tables.claim(requests, await endedFlows()),
    async balance(filter) {
      const over = await endedFlows();
      return { total: sumOf(tables.matching(filter)), available: sumOf(tables.free(filter, over)) };
    },
    async balances(limit) {
      const over = await endedFlows();
      const balances = tables.pools().map((pool) => {
        const rows = tables.matching(pool);
        return { ...pool, tokens: rows.length, total: sumOf(rows), available: sumOf(tables.free(pool, over)) };
      });
      return balances.slice(0, limit);
    },
    apply: (changes) => tables.apply(changes),
  };
}

class Tables {
  readonly #now: () => Instant;
  readonly #rows = new Map<StateRef, Row>();
  readonly #claims = new Map<string, Claim>();

  constructor(now: () => Instant) {
    this.#now = now;
  }

  apply({ tokens, consumed, released }: Parameters<MemoryTokens["apply"]>[0]): void {
    for (const { id, index, notary, token } of tokens) {
      const { tokenType, issuer, symbol, ...rest } = token;
      const ref = stateRef(id, index);
      if (this.#rows.has(ref)) continue;
      this.#rows.set(ref, { token: { ref, ...rest }, pool: { tokenType, issuer, symbol, notary }, claim: undefined });
    }
    for (const ref of consumed) this.#rows.delete(ref);
    for (const { claim: id, flowId, used } of released) {
      const found = this.#claims.get(id);
      if (found?.flowId === flowId) this.#letGo(found, used);
    }
  }

  claimants(): readonly string[] {
    return [...new Set([...this.#rows.values()].flatMap(({ claim }) => claim?.flowId ?? []))];
  }

  pools(): readonly Row["pool"][] {
    const pools = new Map(
      [...this.#rows.values()].map(({ pool }) => [JSON.stringify([pool.tokenType, pool.issuer, pool.symbol, pool.notary]), pool]),
    );
    return [...pools].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, pool]) => pool);
  }

  matching(filter: TokenFilter): readonly Row[] {
    return [...this.#rows.values()].filter((row) => matches(row, filter));
  }

  free(filter: TokenFilter, over: ReadonlySet<string>): readonly Row[] {
    const isFree = ({ claim }: Row) => claim === undefined || claim.until <= this.#now() || over.has(claim.flowId);
    return this.matching(filter).filter(isFree);
  }

  claim(requests: readonly ClaimRequest[], over: ReadonlySet<string>): readonly ClaimOutcome[] {
    const outcomes = new Map<string, ClaimOutcome>();
    const distinct = new Map(requests.map((request) => [request.id, request]));
    for (const request of distinct.values()) {
      const outcome = this.#known(request);
      if (outcome !== undefined) outcomes.set(request.id, outcome);
    }
    for (const { filter, strategy, requests: wanted } of groupsOf([...distinct.values()].filter(({ id }) => !outcomes.has(id)))) {
      const order = strategy === "priority" ? byPriority : byRef;
      const candidates = this.free(filter, over)
        .map(({ token }) => token)
        .sort(order);
      for (const [id, outcome] of allocate(wanted, candidates)) {
        outcomes.set(id, outcome);
        if (outcome.kind === "claimed") this.#mark(distinct.get(id) as ClaimRequest, outcome.tokens);
      }
    }
    return requests.map(({ id }) => outcomes.get(id) as ClaimOutcome);
  }

  #mark({ id, flowId, hash, holdMs }: ClaimRequest, tokens: readonly ClaimedToken[]): void {
    const claim: Claim = { id, flowId, hash, tokens, until: this.#now() + holdMs };
    this.#claims.set(id, claim);
    for (const { ref } of tokens) (this.#rows.get(ref) as Row).claim = claim;
  }

  #known({ id, hash }: ClaimRequest): ClaimOutcome | undefined {
    const claim = this.#claims.get(id);
    if (claim === undefined) return undefined;
    const stands = claim.until > this.#now() && claim.tokens.every(({ ref }) => this.#rows.get(ref)?.claim === claim);
    if (stands && Buffer.compare(claim.hash, hash) === 0) return { kind: "claimed", tokens: claim.tokens };
    this.#letGo(claim, []);
    return undefined;
  }

  #letGo(claim: Claim, used: readonly StateRef[]): void {
    this.#claims.delete(claim.id);
    for (const { ref } of claim.tokens) {
      const row = this.#rows.get(ref);
      if (row?.claim === claim && !used.includes(ref)) row.claim = undefined;
    }
  }
}

function matches({ token, pool }: Row, { owner, tagPattern, ...filter }: TokenFilter): boolean {
  return (
    pool.tokenType === filter.tokenType &&
    pool.issuer === filter.issuer &&
    pool.symbol === filter.symbol &&
    pool.notary === filter.notary &&
    (owner === undefined || token.owner === owner) &&
    (tagPattern === undefined || (token.tag !== undefined && new RegExp(tagPattern, "su").test(token.tag)))
  );
}

const sumOf = (rows: readonly Row[]): string => decimal.sum(rows.map(({ token }) => token.amount));

const byRef = (a: ClaimedToken, b: ClaimedToken): number => (a.ref < b.ref ? -1 : 1);
const byPriority = (a: ClaimedToken, b: ClaimedToken): number =>
  (a.priority ?? Number.POSITIVE_INFINITY) - (b.priority ?? Number.POSITIVE_INFINITY) || byRef(a, b);
