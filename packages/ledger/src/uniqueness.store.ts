// The notary's memory in PostgreSQL. Several workers may serve one notary at once.
//
// Guard, whatever else goes wrong: primary keys on transactions and states, and the update that consumes a state only where
// it is unconsumed. If a row that was to be written is taken, the batch rolls back, reads again and is judged again.
// References are locked FOR SHARE, inputs FOR UPDATE, each in order of their key; the database's clock is read after that,
// in the same transaction, so that nothing which changed before `now` is missed. The head of the log is locked last, by its
// update: entries are numbered in the order in which they are committed, and whatever an entry rests on stands before it.

import { BowlineError, type Database, type Instant, invariant, type SecureHash, type Sql, secureHash, unavailable } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import type { StateRef } from "@bowline/sdk";
import { type Decisions, encodeDecisions } from "./history.ts";
import { UNIQUENESS_ATTEMPTS_MAX, UNIQUENESS_BATCH_MAX } from "./limits.ts";
import type { Seal, Spend, UniquenessStore, Verdict } from "./ports.ts";
import { type Judgement, judge } from "./uniqueness.ts";
import { type GroundRow, groundColumns, Remembered } from "./uniqueness-ground.store.ts";

/**
 * Of PostgreSQL, for the connections of this store. A commit that was told is on disk, whatever the server's owner prefers, and on
 * the standbys that it waits for. Plans are made once, row by row by key, and without a look at the tables: for a table that
 * is empty yet PostgreSQL would choose another, and making one anew for each small batch costs as much as the batch.
 */
export const UNIQUENESS_SETTINGS: Readonly<Record<string, string>> = {
  synchronous_commit: "on",
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
};

export function uniquenessStore(database: Database): UniquenessStore {
  const remembered = new Remembered();
  return {
    async notarise(batch, seal) {
      invariant(batch.length <= UNIQUENESS_BATCH_MAX, `a batch has at most ${UNIQUENESS_BATCH_MAX} requests`);
      for (let attempt = 1; ; attempt++) {
        try {
          const { entry, ground, ...judged } = await database.transaction((sql) => notarise(sql, remembered, { batch, seal }));
          const [end] = (await entry) ?? [];
          if (end !== undefined) remembered.keep({ seq: Number(end.seq), head: end.head }, ground);
          return judged;
        } catch (error) {
          if (!isOvertaken(error)) throw error;
          if (attempt < UNIQUENESS_ATTEMPTS_MAX) continue;
          throw unavailable(
            "notary.contended",
            `${batch.length} transactions could not be decided on: others change the same states. Ask again.`,
          );
        }
      }
    },
    async log(after, limit) {
      const [entries, [head]] = await Promise.all([
        database.sql.query<LogRow>(LOG, [after, limit]),
        database.sql.query<{ seq: number }>(LOG_LAST),
      ]);
      return { entries: entries.map(({ seq, ...entry }) => ({ seq: Number(seq), ...entry })), last: Number(head?.seq ?? 0) };
    },
  };
}

/** Another worker wrote a row that this batch was going to write, and so its entry has no number; or the two lock each other out. */
const isOvertaken = (error: unknown): boolean =>
  error instanceof BowlineError ? error.code === "database.contended" : (error as { readonly code?: unknown }).code === NOT_NULL_VIOLATED;
const NOT_NULL_VIOLATED = "23502";

interface Asked<S extends Seal> {
  readonly batch: readonly Spend[];
  readonly seal: (decisions: Decisions, encoded: Uint8Array) => Promise<S>;
}

interface Answered<S extends Seal> {
  readonly verdicts: readonly Verdict[];
  readonly seal: S | undefined;
  readonly ground: GroundRow;
  /** What was written, once it is committed. */
  readonly entry: Promise<readonly { readonly seq: number | string; readonly head: Uint8Array }[]> | undefined;
}

async function notarise<S extends Seal>(sql: Sql, remembered: Remembered, { batch, seal }: Asked<S>): Promise<Answered<S>> {
  const known = remembered.seq;
  const ids = [...new Set(batch.map(({ transactionId }) => transactionId))];
  const inputs = [...new Set(batch.flatMap((spend) => spend.inputs))];
  const references = [...new Set(batch.flatMap((spend) => spend.references))];
  const [referred, consumable, decided] = await Promise.all([
    references.length === 0 ? [] : sql.query<StateRow>(LOCK_REFERENCES, keysOf(references)),
    inputs.length === 0 ? [] : sql.query<StateRow>(LOCK_INPUTS, keysOf(inputs)),
    // Sent last, so that the clock is read after the locks are held.
    sql.query<DecidedRow>(DECIDED, [listOf([...new Set(ids.map(algorithmOf))]), idsOf(ids), known]),
  ]);
  const ground = decided[0] as DecidedRow;
  remembered.check(ground, known);
  const { now } = ground;
  const past = {
    verdicts: new Map(decided.flatMap((row) => (row.tx_id === null ? [] : [[secureHash(row.tx_id, row.tx_id_algo), verdictOf(row)]]))),
    states: new Map([...consumersOf(references, referred), ...consumersOf(inputs, consumable)]),
  };
  const judgement = judge(batch, past, now);
  if (judgement.decided.length === 0) return { verdicts: judgement.verdicts, seal: undefined, ground, entry: undefined };
  const decisions = { at: now, decisions: judgement.decided };
  const encoded = encodeDecisions(decisions);
  const sealed = await seal(decisions, encoded);
  const entry = remember(sql, judgement, now, { encoded, record: sealed.record });
  return { verdicts: judgement.verdicts, seal: sealed, ground, entry };
}

/**
 * In one statement, which nobody awaits, so that the commit follows it at once: from the head of the log on, all other batches
 * wait. It fails, and the transaction with it, unless as many rows are written as there are to be.
 */
function remember(
  sql: Sql,
  { decided, issued, consumed }: Judgement,
  now: Instant,
  entry: { readonly encoded: Uint8Array; readonly record: Uint8Array },
): Promise<readonly { readonly seq: number | string; readonly head: Uint8Array }[]> {
  const rejected = decided.flatMap(({ spend, refusal }) => (refusal === null ? [] : [{ id: spend.transactionId, ...refusal }]));
  // What the batch both issues and consumes is written once.
  const made = new Set(issued);
  const consumedBefore = [...consumed.keys()].filter((ref) => !made.has(ref));
  const consumers = (refs: readonly StateRef[]) => {
    const by = refs.map((ref) => consumed.get(ref) ?? null);
    return [listOf(by.map((id) => (id === null ? null : algorithmOf(id)))), idsOf(by)];
  };
  const decidedIds = decided.map(({ spend }) => spend.transactionId);
  const rejectedIds = rejected.map(({ id }) => id);
  return sql.query(REMEMBER, [
    listOf(decidedIds.map(algorithmOf)),
    idsOf(decidedIds),
    decided.map(({ spend }) => spend.originator),
    listOf(decided.map(({ spend }) => spend.until)),
    listOf(decided.map(({ refusal }) => (refusal === null ? "A" : "R"))),
    now,
    listOf(rejectedIds.map(algorithmOf)),
    idsOf(rejectedIds),
    rejected.map(({ code }) => code),
    rejected.map(({ message }) => message),
    ...keysOf(issued),
    ...consumers(issued),
    ...keysOf(consumedBefore),
    ...consumers(consumedBefore),
    `{${[decided, rejected, issued, consumedBefore].map(({ length }) => length)}}`,
    sha256(entry.encoded),
    entry.encoded,
    entry.record,
  ]);
}

/** What was found of states that were asked for, by their place in the question. */
interface StateRow {
  readonly place: number;
  readonly consuming_tx_id_algo: string | null;
  readonly consuming_tx_id: Uint8Array | null;
}

interface LogRow {
  readonly seq: number | string;
  readonly head: Uint8Array;
  readonly decisions: Uint8Array;
  readonly seal: Uint8Array;
}

/** The clock and the ground, and beside them what was decided before: at least one row, of nulls where that is nothing. */
interface DecidedRow extends GroundRow {
  readonly now: Instant;
  readonly tx_id_algo: string;
  readonly tx_id: Uint8Array | null;
  readonly at: number;
  readonly error_code: string | null;
  readonly error_details: string | null;
}

const consumersOf = (refs: readonly StateRef[], rows: readonly StateRow[]) =>
  rows.map(({ place, consuming_tx_id: id, consuming_tx_id_algo: algorithm }): readonly [StateRef, SecureHash | null] => [
    refs[place - 1] as StateRef,
    id === null || algorithm === null ? null : secureHash(id, algorithm),
  ]);

/** The digest that an id, or a reference, begins with: a group's transactions need not all be of one. */
const algorithmOf = (id: string): string => id.slice(0, id.indexOf(":"));

const verdictOf = ({ at, error_code, error_details }: DecidedRow): Verdict =>
  error_code === null ? { kind: "accepted", at } : { kind: "refused", code: error_code, message: error_details ?? "" };

// Arrays in PostgreSQL's own text: ids are hexadecimal here and there, so that their bytes need not be made on the way.

/** Of what needs no quotes: numbers, names of digests, single letters. */
const listOf = (items: readonly (string | number | null)[]): string => `{${items.map((item) => item ?? "NULL").join()}}`;

const idsOf = (ids: readonly (SecureHash | null)[]): string =>
  `{${ids.map((id) => (id === null ? "NULL" : `"\\\\x${id.slice(id.indexOf(":") + 1)}"`)).join()}}`;

/** Columns: digests, ids and indexes of references. */
function keysOf(refs: readonly StateRef[]): readonly [string, string, string] {
  const ids = refs.map((ref) => ref.slice(0, ref.lastIndexOf(":")) as SecureHash);
  return [listOf(ids.map(algorithmOf)), idsOf(ids), listOf(refs.map((ref) => ref.slice(ref.lastIndexOf(":") + 1)))];
}

const STATES_OF = `SELECT k.place::int, s.consuming_tx_id_algo, s.consuming_tx_id
  FROM uniqueness_state_details s
  JOIN unnest($1::text[], $2::bytea[], $3::int[]) WITH ORDINALITY AS k (algo, id, idx, place)
    ON s.issue_tx_id_algo = k.algo AND s.issue_tx_id = k.id AND s.issue_tx_output_idx = k.idx
  ORDER BY s.issue_tx_id_algo, s.issue_tx_id, s.issue_tx_output_idx`;
const LOCK_REFERENCES = { name: "uniqueness-lock-references", text: `${STATES_OF} FOR SHARE OF s` };
const LOCK_INPUTS = { name: "uniqueness-lock-inputs", text: `${STATES_OF} FOR UPDATE OF s` };
const DECIDED = {
  name: "uniqueness-decided",
  text: `SELECT c.*, d.* FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now, ${groundColumns("$3::bigint")}) c
  LEFT JOIN (
    SELECT t.tx_id_algo, t.tx_id, floor(extract(epoch FROM t.commit_timestamp) * 1000)::bigint AS at, r.error_code, r.error_details
    FROM uniqueness_tx_details t LEFT JOIN uniqueness_rejected_txs r USING (tx_id_algo, tx_id)
    WHERE t.tx_id_algo = ANY ($1::text[]) AND t.tx_id = ANY ($2::bytea[])
  ) d ON true`,
};
const LOG = { name: "uniqueness-log", text: "SELECT seq, head, decisions, seal FROM uniqueness_log WHERE seq > $1 ORDER BY seq LIMIT $2" };
const LOG_LAST = { name: "uniqueness-log-last", text: "SELECT seq FROM uniqueness_log_head" };
/** The head is moved, and locked, only where as many rows were written as were to be; without it the entry has no number, and is refused. */
const REMEMBER = {
  name: "uniqueness-remember",
  text: `WITH decided AS (
    INSERT INTO uniqueness_tx_details (tx_id_algo, tx_id, originator_x500_name, expiry_datetime, commit_timestamp, result)
    SELECT d.algo, d.id, d.originator, to_timestamp(d.until / 1000.0), to_timestamp($6::bigint / 1000.0), d.result
    FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::text[]) AS d (algo, id, originator, until, result)
    ORDER BY d.algo, d.id
    ON CONFLICT DO NOTHING RETURNING 1
  ), rejected AS (
    INSERT INTO uniqueness_rejected_txs (tx_id_algo, tx_id, error_code, error_details)
    SELECT r.algo, r.id, r.code, r.details FROM unnest($7::text[], $8::bytea[], $9::text[], $10::text[]) AS r (algo, id, code, details)
    ON CONFLICT DO NOTHING RETURNING 1
  ), issued AS (
    INSERT INTO uniqueness_state_details (issue_tx_id_algo, issue_tx_id, issue_tx_output_idx, consuming_tx_id_algo, consuming_tx_id)
    SELECT i.algo, i.id, i.idx, i.by_algo, i.by
    FROM unnest($11::text[], $12::bytea[], $13::int[], $14::text[], $15::bytea[]) AS i (algo, id, idx, by_algo, by)
    ON CONFLICT DO NOTHING RETURNING 1
  ), consumed AS (
    UPDATE uniqueness_state_details s SET consuming_tx_id_algo = c.by_algo, consuming_tx_id = c.by
    FROM unnest($16::text[], $17::bytea[], $18::int[], $19::text[], $20::bytea[]) AS c (algo, id, idx, by_algo, by)
    WHERE s.issue_tx_id_algo = c.algo AND s.issue_tx_id = c.id AND s.issue_tx_output_idx = c.idx AND s.consuming_tx_id IS NULL
    RETURNING 1
  ), head AS (
    UPDATE uniqueness_log_head SET seq = seq + 1, head = sha256(head || $22::bytea)
    WHERE ARRAY[(SELECT count(*) FROM decided), (SELECT count(*) FROM rejected),
      (SELECT count(*) FROM issued), (SELECT count(*) FROM consumed)] = $21::bigint[]
    RETURNING seq, head
  )
  INSERT INTO uniqueness_log (seq, head, decisions, seal)
  SELECT (SELECT seq FROM head), (SELECT head FROM head), $23::bytea, $24::bytea RETURNING seq, head`,
};
