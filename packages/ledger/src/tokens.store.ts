// Claims of tokens in PostgreSQL. Requests that come together are one transaction of a few statements, however many they are.
//
// Guarantees: a token is claimed by an update of a row that this transaction has locked and seen unclaimed, so no two claims
// have it. Claimers never wait for each other (SKIP LOCKED), so what they find too little is asked once more, alone and waiting:
// rows are then locked in the order of their key, as everybody locks them who waits, and nobody waits in a ring.
//
// A claim is not synced to disk by itself: whatever rests on it is committed later to the same write-ahead log, and a log keeps
// its order. What a crash may take is a claim that nobody had acted upon.

import { BowlineError, type Database, invariant, type Sql, unavailable } from "@bowline/base";
import { decimal } from "@bowline/sdk";
import { parseStateRef, stateRef } from "./leaves.ts";
import { CLAIM_ATTEMPTS_MAX, CLAIM_CANDIDATES_FIRST, CLAIM_CANDIDATES_MAX, CLAIM_TOKENS_MAX } from "./limits.ts";
import {
  allocate,
  type ClaimedToken,
  type ClaimGroup,
  type ClaimOutcome,
  type ClaimRequest,
  groupsOf,
  type PoolBalance,
  type TokenFilter,
  type TokenStore,
} from "./tokens.ts";

/** `random` says where in the order of ids a search begins: flows that claim at once begin at different places. */
export function tokenStore(database: Database, random: (length: number) => Uint8Array): TokenStore {
  const start = () => `SHA-256:${Buffer.from(random(8)).toString("hex").toUpperCase()}`;
  return {
    async claim(requests) {
      const distinct = new Map(requests.map((request) => [request.id, request]));
      const outcomes = new Map(await contending(() => claimTogether(database, [...distinct.values()], start(), false)));
      for (const [id, { kind }] of [...outcomes]) {
        if (kind !== "insufficient") continue;
        const alone = await contending(() => claimTogether(database, [distinct.get(id) as ClaimRequest], start(), true));
        outcomes.set(id, alone.get(id) as ClaimOutcome);
      }
      return requests.map(({ id }) => outcomes.get(id) as ClaimOutcome);
    },
    async balance(filter) {
      const [row] = await database.sql.query<{ total: string; available: string }>(BALANCE, filterValues(filter));
      invariant(row !== undefined, "a sum is a row");
      return { total: decimal.canonical(row.total), available: decimal.canonical(row.available) };
    },
    async balances(limit) {
      const rows = await database.sql.query<PoolBalance>(BALANCES, [limit]);
      return rows.map((row) => ({ ...row, total: decimal.canonical(row.total), available: decimal.canonical(row.available) }));
    },
  };
}

type Outcomes = Map<string, ClaimOutcome>;

/** Another process may answer the same claim at the same moment: one of the two begins again, and finds the other's. */
async function contending(work: () => Promise<Outcomes>): Promise<Outcomes> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof BowlineError) || thrown.code !== CONTENDED || attempt === CLAIM_ATTEMPTS_MAX) throw thrown;
    }
  }
}
const CONTENDED = "tokens.contended";

function claimTogether(database: Database, requests: readonly ClaimRequest[], start: string, waits: boolean): Promise<Outcomes> {
  return database.transaction(async (sql) => {
    void sql.query("SET LOCAL synchronous_commit = off");
    const known = await knownClaims(sql, requests);
    const fresh: Outcomes = new Map();
    const taken = new Set<string>();
    for (const group of groupsOf(requests.filter(({ id }) => !known.has(id)))) {
      for (const [id, outcome] of await claimGroup(sql, group, { start, waits, taken })) {
        fresh.set(id, outcome);
        if (outcome.kind === "claimed") for (const { ref } of outcome.tokens) taken.add(ref);
      }
    }
    await writeClaims(
      sql,
      requests.flatMap((request) => {
        const outcome = fresh.get(request.id);
        return outcome?.kind === "claimed" ? [{ ...request, tokens: outcome.tokens }] : [];
      }),
    );
    return new Map([...known, ...fresh]);
  });
}

/** Repeats have the answer of the first time, where the claim still lives. What is left of one that does not is let go. */
async function knownClaims(sql: Sql, requests: readonly ClaimRequest[]): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  const rows = await sql.query<{ id: string; request: Uint8Array; tokens: readonly ClaimedToken[]; lives: boolean }>(KNOWN, [
    requests.map(({ id }) => id),
  ]);
  const over: string[] = [];
  for (const { id, request, tokens, lives } of rows) {
    const asked = requests.find((each) => each.id === id) as ClaimRequest;
    if (lives && Buffer.compare(request, asked.hash) === 0) outcomes.set(id, { kind: "claimed", tokens });
    else over.push(id);
  }
  if (over.length > 0) await sql.query(LET_GO, [over]);
  return outcomes;
}

/** `taken`: what other groups of this transaction have. */
async function claimGroup(
  sql: Sql,
  { filter, strategy, requests }: ClaimGroup,
  { start, waits, taken }: { readonly start: string; readonly waits: boolean; readonly taken: ReadonlySet<string> },
): Promise<ReadonlyMap<string, ClaimOutcome>> {
  for (let limit = taken.size + requests.length * CLAIM_CANDIDATES_FIRST; ; limit *= 8) {
    const most = Math.min(limit, CLAIM_CANDIDATES_MAX);
    const found = waits ? await waitFor(sql, filter, strategy) : await look(sql, spansOf(filter, strategy, start), most);
    const candidates = found.filter(({ ref }) => !taken.has(ref));
    const outcomes = allocate(requests, candidates);
    const isAll = waits || found.length < most || most === CLAIM_CANDIDATES_MAX;
    if (isAll || [...outcomes.values()].every(({ kind }) => kind === "claimed")) return outcomes;
  }
}

interface Span {
  readonly statement: { readonly name: string; readonly text: string };
  readonly values: readonly unknown[];
}

/** One after the other they are all tokens that match, in the order of the strategy. */
function spansOf(filter: TokenFilter, strategy: ClaimGroup["strategy"], start: string): readonly Span[] {
  const values = filterValues(filter);
  if (strategy === "priority")
    return [
      { statement: BY_PRIORITY, values },
      { statement: WITHOUT_PRIORITY, values },
    ];
  return [
    { statement: FROM_START, values: [...values, start] },
    { statement: UP_TO_START, values: [...values, start] },
  ];
}

async function look(sql: Sql, spans: readonly Span[], limit: number): Promise<readonly ClaimedToken[]> {
  const found: ClaimedToken[] = [];
  for (const { statement, values } of spans) {
    if (found.length < limit) found.push(...(await sql.query<TokenRow>(statement, [...values, limit - found.length])).map(tokenOf));
  }
  return found;
}

/** All that match, as far as a claim may need them, after whoever has one locked has let go of it. */
async function waitFor(sql: Sql, filter: TokenFilter, strategy: ClaimGroup["strategy"]): Promise<readonly ClaimedToken[]> {
  await sql.query(LOCK_ALL, [...filterValues(filter), CLAIM_CANDIDATES_MAX]);
  return look(sql, spansOf(filter, strategy, ""), CLAIM_TOKENS_MAX);
}

async function writeClaims(sql: Sql, made: readonly (ClaimRequest & { readonly tokens: readonly ClaimedToken[] })[]): Promise<void> {
  if (made.length === 0) return;
  const marks = made.flatMap(({ id, flowId, holdMs, tokens }) => tokens.map(({ ref }) => ({ ...parseStateRef(ref), id, flowId, holdMs })));
  const [marked, inserted] = await Promise.all([
    sql.query(MARK, [
      marks.map(({ transactionId }) => transactionId),
      marks.map(({ index }) => index),
      marks.map(({ id }) => id),
      marks.map(({ flowId }) => flowId),
      marks.map(({ holdMs }) => holdMs),
    ]),
    sql.query(INSERT, [
      JSON.stringify(
        made.map(({ id, flowId, hash, holdMs, tokens }) => ({
          id,
          flow: flowId,
          request: Buffer.from(hash).toString("hex"),
          hold: holdMs,
          ids: tokens.map(({ ref }) => parseStateRef(ref).transactionId),
          indexes: tokens.map(({ ref }) => parseStateRef(ref).index),
          tokens,
        })),
      ),
    ]),
    sql.query(FORGET, [made.length * 2]),
  ]);
  invariant(marked.length === marks.length, "what is claimed was locked before");
  if (inserted.length !== made.length)
    throw unavailable(CONTENDED, "Another process answered the same claim at the same moment. It is looked at again.");
}

interface TokenRow {
  readonly id: string;
  readonly index: number;
  readonly amount: string;
  readonly tag: string | null;
  readonly owner: string | null;
  readonly priority: number | null;
}

const tokenOf = ({ id, index, amount, tag, owner, priority }: TokenRow): ClaimedToken => ({
  ref: stateRef(id as never, index),
  amount,
  ...(tag === null ? {} : { tag }),
  ...(owner === null ? {} : { owner }),
  ...(priority === null ? {} : { priority }),
});

const filterValues = ({ symbol, issuer, tokenType, notary, owner, tagPattern }: TokenFilter): readonly unknown[] => [
  symbol,
  issuer,
  tokenType,
  notary,
  owner ?? null,
  tagPattern ?? null,
];

const FREE = `(t.claim_until IS NULL OR t.claim_until <= now() OR EXISTS (SELECT FROM utxo_ended_flow f WHERE f.id = t.claim_flow))`;
const MATCHES = `t.symbol = $1 AND t.issuer = $2 AND t.token_type = $3 AND t.notary = $4
  AND ($5::text IS NULL OR t.owner = $5) AND ($6::text IS NULL OR t.tag ~ $6)`;
const candidates = (name: string, where: string, order: string, limit: string) => ({
  name: `tokens-${name}`,
  text: `SELECT t.transaction_id AS id, t.leaf_idx AS index, t.amount::text AS amount, t.tag, t.owner, t.priority FROM utxo_token t
  WHERE ${MATCHES} AND ${where} AND ${FREE} ORDER BY ${order} LIMIT ${limit} FOR UPDATE OF t SKIP LOCKED`,
});
const BY_ID = "t.transaction_id, t.leaf_idx";
const FROM_START = candidates("from-start", "t.transaction_id >= $7", BY_ID, "$8");
const UP_TO_START = candidates("up-to-start", "t.transaction_id < $7", BY_ID, "$8");
const BY_PRIORITY = candidates("by-priority", "t.priority IS NOT NULL", `t.priority, ${BY_ID}`, "$7");
const WITHOUT_PRIORITY = candidates("without-priority", "t.priority IS NULL", BY_ID, "$7");
const LOCK_ALL = {
  name: "tokens-lock-all",
  text: `SELECT FROM utxo_token t WHERE ${MATCHES} AND ${FREE} ORDER BY ${BY_ID} LIMIT $7 FOR UPDATE OF t`,
};
const KNOWN = {
  name: "tokens-known",
  text: `SELECT c.claim_id AS id, c.request, c.tokens, c.claim_until > now() AND cardinality(c.leaf_idxs) = (
    SELECT count(*) FROM unnest(c.transaction_ids, c.leaf_idxs) AS r (id, idx)
    JOIN utxo_token t ON t.transaction_id = r.id AND t.leaf_idx = r.idx WHERE t.claim_id = c.claim_id) AS lives
  FROM utxo_token_claim c WHERE c.claim_id = ANY ($1::text[]) ORDER BY c.claim_id FOR UPDATE OF c`,
};
const LET_GO = {
  name: "tokens-let-go",
  text: `WITH gone AS (DELETE FROM utxo_token_claim WHERE claim_id = ANY ($1::text[]) RETURNING claim_id, transaction_ids, leaf_idxs)
  UPDATE utxo_token t SET claim_id = NULL, claim_flow = NULL, claim_until = NULL
  FROM gone g, unnest(g.transaction_ids, g.leaf_idxs) AS r (id, idx)
  WHERE t.transaction_id = r.id AND t.leaf_idx = r.idx AND t.claim_id = g.claim_id`,
};
const MS = "interval '1 millisecond'";
const MARK = {
  name: "tokens-mark",
  text: `UPDATE utxo_token t SET claim_id = m.claim, claim_flow = m.flow, claim_until = now() + m.hold * ${MS}
  FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::bigint[]) AS m (id, idx, claim, flow, hold)
  WHERE t.transaction_id = m.id AND t.leaf_idx = m.idx RETURNING t.leaf_idx`,
};
const INSERT = {
  name: "tokens-insert",
  text: `INSERT INTO utxo_token_claim (claim_id, flow_id, request, transaction_ids, leaf_idxs, tokens, claim_until)
  SELECT n.id, n.flow, decode(n.request, 'hex'), n.ids, n.indexes, n.tokens, now() + n.hold * ${MS}
  FROM jsonb_to_recordset($1::jsonb) AS n (id text, flow text, request text, hold bigint, ids text[], indexes int[], tokens jsonb)
  ORDER BY n.id ON CONFLICT (claim_id) DO NOTHING RETURNING claim_id`,
};
/** Claims whose time is up, a few at a time. */
const FORGET = {
  name: "tokens-forget",
  text: `DELETE FROM utxo_token_claim WHERE claim_id IN (
    SELECT claim_id FROM utxo_token_claim WHERE claim_until <= now() ORDER BY claim_until LIMIT $1 FOR UPDATE SKIP LOCKED)`,
};
const BALANCES = {
  name: "tokens-balances",
  text: `SELECT t.token_type AS "tokenType", t.issuer, t.symbol, t.notary, count(*)::int AS tokens,
    sum(t.amount)::text AS total, COALESCE(sum(t.amount) FILTER (WHERE ${FREE}), 0)::text AS available
  FROM utxo_token t GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LIMIT $1`,
};
const BALANCE = {
  name: "tokens-balance",
  text: `SELECT COALESCE(sum(t.amount), 0)::text AS total, COALESCE(sum(t.amount) FILTER (WHERE ${FREE}), 0)::text AS available
  FROM utxo_token t WHERE ${MATCHES}`,
};
