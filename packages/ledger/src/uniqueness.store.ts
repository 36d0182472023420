// The notary's memory in PostgreSQL. Several workers may serve one notary at once.
//
// Guard, whatever else goes wrong: primary keys on transactions and states, and the update that consumes a state only where
// it is unconsumed. If a row that was to be written is taken, the batch rolls back, reads again and is judged again.
// References are locked FOR SHARE, inputs FOR UPDATE, each in order of their key; the database's clock is read after that,
// in the same transaction, so that nothing which changed before `now` is missed. The head of the log is locked last, by its
// update: entries are numbered in the order in which they are committed, and whatever an entry rests on stands before it.

import {
  BowlineError,
  type Database,
  digestOf,
  type Instant,
  invariant,
  type SecureHash,
  type Sql,
  secureHash,
  unavailable,
} from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import type { StateRef } from "@bowline/sdk";
import { type Decisions, encodeDecisions } from "./history.ts";
import { parseStateRef, stateRef } from "./leaves.ts";
import { UNIQUENESS_ATTEMPTS_MAX, UNIQUENESS_BATCH_MAX } from "./limits.ts";
import type { Seal, Spend, UniquenessStore, Verdict } from "./ports.ts";
import { type Judgement, judge } from "./uniqueness.ts";

export function uniquenessStore(database: Database): UniquenessStore {
  return {
    async notarise(batch, seal) {
      invariant(batch.length <= UNIQUENESS_BATCH_MAX, `a batch has at most ${UNIQUENESS_BATCH_MAX} requests`);
      for (let attempt = 1; ; attempt++) {
        try {
          return await database.transaction((sql) => notarise(sql, batch, seal));
        } catch (error) {
          const again = error instanceof Overtaken || (error instanceof BowlineError && error.code === "database.contended");
          if (!again) throw error;
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

/** Another worker wrote a row that this batch was going to write. */
class Overtaken extends Error {}

async function notarise<S extends Seal>(
  sql: Sql,
  batch: readonly Spend[],
  seal: (decisions: Decisions, encoded: Uint8Array) => Promise<S>,
): Promise<{ readonly verdicts: readonly Verdict[]; readonly seal: S | undefined }> {
  const ids = [...new Set(batch.map(({ transactionId }) => transactionId))];
  const inputs = keysOf(batch.flatMap((spend) => spend.inputs));
  const references = keysOf(batch.flatMap((spend) => spend.references));
  const [referred, consumable, decided, clock] = await Promise.all([
    references.ids.length === 0 ? [] : sql.query<StateRow>(LOCK_REFERENCES, [references.algorithms, references.ids, references.indexes]),
    inputs.ids.length === 0 ? [] : sql.query<StateRow>(LOCK_INPUTS, [inputs.algorithms, inputs.ids, inputs.indexes]),
    sql.query<VerdictRow>(DECIDED, [[...new Set(ids.map(algorithmOf))], ids.map(digestOf)]),
    // Sent last, so that it is read after the locks are held.
    sql.query<{ now: number }>(CLOCK),
  ]);
  const now = clock[0]?.now as Instant;
  const past = {
    verdicts: new Map(decided.map((row) => [secureHash(row.tx_id, row.tx_id_algo), verdictOf(row)])),
    states: new Map([...referred, ...consumable].map((row) => [refOf(row), consumerOf(row)])),
  };
  const judgement = judge(batch, past, now);
  if (judgement.decided.length === 0) return { verdicts: judgement.verdicts, seal: undefined };
  const decisions = { at: now, decisions: judgement.decided };
  const encoded = encodeDecisions(decisions);
  const sealed = await seal(decisions, encoded);
  await remember(sql, judgement, now, { encoded, record: sealed.record });
  return { verdicts: judgement.verdicts, seal: sealed };
}

async function remember(
  sql: Sql,
  { decided, issued, consumed }: Judgement,
  now: Instant,
  entry: { readonly encoded: Uint8Array; readonly record: Uint8Array },
): Promise<void> {
  const rejected = decided.flatMap(({ spend, refusal }) => (refusal === null ? [] : [{ id: spend.transactionId, ...refusal }]));
  const issuedKeys = keysOf(issued);
  // A chain within the batch consumes what the batch issues: those rows are inserted first.
  const consumedRefs = [...consumed.keys()];
  const consumedKeys = consumedRefs.map(parseStateRef);
  const writes: Promise<boolean>[] = [
    wrote(decided.length, sql, ADD_DECIDED, [
      decided.map(({ spend }) => algorithmOf(spend.transactionId)),
      decided.map(({ spend }) => digestOf(spend.transactionId)),
      decided.map(({ spend }) => spend.originator),
      decided.map(({ spend }) => spend.until),
      decided.map(({ refusal }) => (refusal === null ? "A" : "R")),
      now,
    ]),
  ];
  if (rejected.length > 0)
    writes.push(
      wrote(rejected.length, sql, ADD_REJECTED, [
        rejected.map(({ id }) => algorithmOf(id)),
        rejected.map(({ id }) => digestOf(id)),
        rejected.map(({ code }) => code),
        rejected.map(({ message }) => message),
      ]),
    );
  if (issued.length > 0) writes.push(wrote(issued.length, sql, ISSUE, [issuedKeys.algorithms, issuedKeys.ids, issuedKeys.indexes]));
  if (consumedRefs.length > 0)
    writes.push(
      wrote(consumedRefs.length, sql, CONSUME, [
        consumedKeys.map(({ transactionId }) => algorithmOf(transactionId)),
        consumedKeys.map(({ transactionId }) => digestOf(transactionId)),
        consumedKeys.map(({ index }) => index),
        consumedRefs.map((ref) => algorithmOf(consumed.get(ref) as SecureHash)),
        consumedRefs.map((ref) => digestOf(consumed.get(ref) as SecureHash)),
      ]),
    );
  // Last, so that others wait for this batch's commit and for nothing else of it.
  writes.push(wrote(1, sql, ADD_ENTRY, [sha256(entry.encoded), entry.encoded, entry.record]));
  if ((await Promise.all(writes)).includes(false)) throw new Overtaken("another worker decided on the same transaction or state");
}

/** Whether as many rows were written as were to be. */
async function wrote(expected: number, sql: Sql, statement: { name: string; text: string }, values: readonly unknown[]): Promise<boolean> {
  return (await sql.query(statement, values)).length === expected;
}

interface StateRow {
  readonly issue_tx_id_algo: string;
  readonly issue_tx_id: Uint8Array;
  readonly issue_tx_output_idx: number;
  readonly consuming_tx_id_algo: string | null;
  readonly consuming_tx_id: Uint8Array | null;
}

interface LogRow {
  readonly seq: number | string;
  readonly head: Uint8Array;
  readonly decisions: Uint8Array;
  readonly seal: Uint8Array;
}

interface VerdictRow {
  readonly tx_id_algo: string;
  readonly tx_id: Uint8Array;
  readonly at: number;
  readonly error_code: string | null;
  readonly error_details: string | null;
}

const refOf = (row: StateRow): StateRef => stateRef(secureHash(row.issue_tx_id, row.issue_tx_id_algo), row.issue_tx_output_idx);

const consumerOf = ({ consuming_tx_id: id, consuming_tx_id_algo: algorithm }: StateRow): SecureHash | null =>
  id === null || algorithm === null ? null : secureHash(id, algorithm);

/** The digest that an id begins with: a group's transactions need not all be of one. */
const algorithmOf = (id: SecureHash): string => id.slice(0, id.indexOf(":"));

const verdictOf = ({ at, error_code, error_details }: VerdictRow): Verdict =>
  error_code === null ? { kind: "accepted", at } : { kind: "refused", code: error_code, message: error_details ?? "" };

/** Columns of distinct references, in the order of their key: everybody locks in the same order. */
function keysOf(refs: readonly StateRef[]): {
  readonly algorithms: readonly string[];
  readonly ids: readonly Uint8Array[];
  readonly indexes: readonly number[];
} {
  const keys = [...new Set(refs)].map(parseStateRef);
  return {
    algorithms: keys.map(({ transactionId }) => algorithmOf(transactionId)),
    ids: keys.map(({ transactionId }) => digestOf(transactionId)),
    indexes: keys.map(({ index }) => index),
  };
}

const STATES_OF = `SELECT s.issue_tx_id_algo, s.issue_tx_id, s.issue_tx_output_idx, s.consuming_tx_id_algo, s.consuming_tx_id
  FROM uniqueness_state_details s
  JOIN unnest($1::text[], $2::bytea[], $3::int[]) AS k (algo, id, idx)
    ON s.issue_tx_id_algo = k.algo AND s.issue_tx_id = k.id AND s.issue_tx_output_idx = k.idx
  ORDER BY s.issue_tx_id_algo, s.issue_tx_id, s.issue_tx_output_idx`;
const LOCK_REFERENCES = { name: "uniqueness-lock-references", text: `${STATES_OF} FOR SHARE OF s` };
const LOCK_INPUTS = { name: "uniqueness-lock-inputs", text: `${STATES_OF} FOR UPDATE OF s` };
const CLOCK = { name: "uniqueness-clock", text: "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now" };
const DECIDED = {
  name: "uniqueness-decided",
  text: `SELECT t.tx_id_algo, t.tx_id, floor(extract(epoch FROM t.commit_timestamp) * 1000)::bigint AS at, r.error_code, r.error_details
  FROM uniqueness_tx_details t LEFT JOIN uniqueness_rejected_txs r USING (tx_id_algo, tx_id)
  WHERE t.tx_id_algo = ANY ($1::text[]) AND t.tx_id = ANY ($2::bytea[])`,
};
const ADD_ENTRY = {
  name: "uniqueness-add-entry",
  text: `WITH h AS (UPDATE uniqueness_log_head SET seq = seq + 1, head = sha256(head || $1::bytea) RETURNING seq, head)
  INSERT INTO uniqueness_log (seq, head, decisions, seal) SELECT h.seq, h.head, $2::bytea, $3::bytea FROM h RETURNING 1`,
};
const LOG = { name: "uniqueness-log", text: "SELECT seq, head, decisions, seal FROM uniqueness_log WHERE seq > $1 ORDER BY seq LIMIT $2" };
const LOG_LAST = { name: "uniqueness-log-last", text: "SELECT seq FROM uniqueness_log_head" };
const ADD_DECIDED = {
  name: "uniqueness-add-decided",
  text: `INSERT INTO uniqueness_tx_details (tx_id_algo, tx_id, originator_x500_name, expiry_datetime, commit_timestamp, result)
  SELECT d.algo, d.id, d.originator, to_timestamp(d.until / 1000.0), to_timestamp($6::bigint / 1000.0), d.result
  FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::text[]) AS d (algo, id, originator, until, result)
  ORDER BY d.algo, d.id
  ON CONFLICT DO NOTHING RETURNING 1`,
};
const ADD_REJECTED = {
  name: "uniqueness-add-rejected",
  text: `INSERT INTO uniqueness_rejected_txs (tx_id_algo, tx_id, error_code, error_details)
  SELECT r.algo, r.id, r.code, r.details FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[]) AS r (algo, id, code, details)
  ON CONFLICT DO NOTHING RETURNING 1`,
};
const ISSUE = {
  name: "uniqueness-issue",
  text: `INSERT INTO uniqueness_state_details (issue_tx_id_algo, issue_tx_id, issue_tx_output_idx)
  SELECT i.algo, i.id, i.idx FROM unnest($1::text[], $2::bytea[], $3::int[]) AS i (algo, id, idx)
  ON CONFLICT DO NOTHING RETURNING 1`,
};
const CONSUME = {
  name: "uniqueness-consume",
  text: `UPDATE uniqueness_state_details s SET consuming_tx_id_algo = c.by_algo, consuming_tx_id = c.by
  FROM unnest($1::text[], $2::bytea[], $3::int[], $4::text[], $5::bytea[]) AS c (algo, id, idx, by_algo, by)
  WHERE s.issue_tx_id_algo = c.algo AND s.issue_tx_id = c.id AND s.issue_tx_output_idx = c.idx AND s.consuming_tx_id IS NULL
  RETURNING 1`,
};
