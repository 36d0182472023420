// The vault in PostgreSQL. `apply` runs inside the step commit of the flows whose writes it is handed: a few statements for
// all of them together, sent without waiting for each other. What may be written is `vault.ts`'s to decide.
//
// The rows of transactions that change are locked in order of id before it is decided; the upsert's condition is the matrix
// again, so that a row that came in between is never overwritten (`vault.contended`).
//
// States come and go at positions of the vault's clock, one row, of which the last statements of a commit take what they need: from
// then on no other commit that changes states can end before this one. So positions are in the order of commits, and who has
// read up to one has missed nothing below it.

import type { Data, SecureHash, Sql } from "@bowline/base";
import { unavailable } from "@bowline/base";
import { GROUP, parseStateRef } from "./leaves.ts";
import { REPAIR_FIRST_MS, REPAIR_GRACE_MS, REPAIR_MAX_MS } from "./limits.ts";
import type {
  DueRepair,
  Held,
  InvalidTransaction,
  KnownTransaction,
  UnverifiedTransaction,
  VaultCommit,
  VaultRead,
  VaultStore,
} from "./ports.ts";
import { decodeTransaction, type ResolvedState } from "./transaction.ts";
import { decideChanges, openWrites, type VaultChanges, withStored } from "./vault.ts";
import { answerRead, type OutputRow, type VaultRows } from "./vault-reads.ts";

/** `macKey` is the verification role's: with it the vault tells that role's verdicts from a flow's. */
export function vaultStore({ macKey }: { readonly macKey: Uint8Array }): VaultStore {
  return {
    applyVaultWrites: (sql, commits) => apply(sql, commits, macKey),
    readVault: (sql: Sql, read: VaultRead): Promise<Data> => answerRead(read, rowsOf(sql)),
    dueRepairs: (sql, now, limit) => sql.query<DueRepair>(DUE_REPAIRS, [now, limit]),
  };
}

async function apply(sql: Sql, commits: readonly VaultCommit[], macKey: Uint8Array): Promise<void> {
  const open = openWrites(commits);
  if (open.writes.length === 0) return;
  const locked = sql.query<Held & { id: SecureHash; wire: Uint8Array | null }>(LOCK, [open.ids, open.stored]);
  const sourcesOf = (ids: readonly SecureHash[]) =>
    ids.length === 0 ? [] : sql.query<{ id: SecureHash; wire: Uint8Array }>(VERIFIED, [ids]);
  // What a stored transaction builds upon is known only when its row is; nothing else waits for that.
  const early = open.stored.length === 0 ? sourcesOf(open.sources) : undefined;
  const rows = await locked;
  const stored = new Map(rows.flatMap(({ id, wire }) => (wire === null ? [] : [[id, decodeTransaction(wire)] as const])));
  const sources = withStored(open, stored.values());
  const verified = new Map((await (early ?? sourcesOf(sources))).map(({ id, wire }) => [id, decodeTransaction(wire)]));
  const others = sources.filter((id) => !verified.has(id));
  const shown = others.length === 0 ? [] : await rowsOf(sql).shown(others);
  const known = {
    held: new Map(rows.map(({ id, status, filtered }) => [id, { status, filtered }])),
    stored,
    verified,
    shown: new Map(shown.map((state) => [state.ref, state])),
  };
  await write(sql, decideChanges(open, known, macKey));
}

async function write(sql: Sql, changes: VaultChanges): Promise<void> {
  const { transactions, signatures, sources, outputs, tokens, consumed, late, released, marked, copies, shown, groupParameters } = changes;
  const work: Promise<unknown>[] = [];
  const send = (rows: number, statement: { name: string; text: string }, values: readonly unknown[]) => {
    if (rows > 0) work.push(sql.query(statement, values));
  };
  const upserted =
    transactions.length === 0
      ? []
      : sql.query<{ id: string }>(UPSERT, columns(transactions, "id", "status", "bytes", "groupParametersHash", "reason", "until"));
  send(sources.length, ADD_SOURCES, columns(sources, "id", "group", "index", "sourceId", "sourceIndex"));
  send(signatures.length, ADD_SIGNATURES, columns(signatures, "id", "by", "notary", "bytes"));
  send(outputs.length, ADD_OUTPUTS, [
    ...columns(outputs, "id", "index", "type", "info", "data"),
    outputs.map(({ json }) => JSON.stringify(json)),
  ]);
  send(marked.length, MARK, [marked]);
  send(copies.length, ADD_COPIES, columns(copies, "id", "hash", "bytes"));
  send(shown.length, ADD_SHOWN, columns(shown, "id", "index", "info", "data"));
  send(late.length, CONSUME_LATE, [late]);
  if (tokens.length > 0) send(tokens.length, ADD_TOKENS, [JSON.stringify(tokens.map(tokenRow))]);
  const refs = consumed.map(parseStateRef);
  send(refs.length, CONSUME, columns(refs, "transactionId", "index"));
  for (const { claim, flowId, used } of released) send(1, RELEASE_TOKENS, [claim, flowId, used]);
  send(groupParameters.length, ADD_GROUP_PARAMETERS, columns(groupParameters, "hash", "bytes", "signature", "signedBy"));
  const [rows] = await Promise.all([upserted, ...work]);
  if (rows.length !== transactions.length)
    throw unavailable("vault.contended", "Another worker wrote the same transaction at the same moment. The step is repeated.");
}

const tokenRow = ({ id, index, notary, token }: VaultChanges["tokens"][number]) => ({ id, idx: index, notary, ...token });

/** Rows as the columns that `unnest` takes. */
const columns = <T>(rows: readonly T[], ...keys: readonly (keyof T)[]): readonly unknown[][] =>
  keys.map((key) => rows.map((row) => row[key]));

function rowsOf(sql: Sql): VaultRows {
  return {
    transactions: (ids) => sql.query(TRANSACTIONS, [ids]),
    unresolved: (ids, limit) => sql.query<KnownTransaction>(UNRESOLVED, [ids, limit]),
    history: (ids, count, bytesMax) => sql.query(HISTORY, [ids, count, bytesMax]),
    shown: (ids) => sql.query<ResolvedState>(SHOWN, [ids]),
    copies: (ids) => sql.query<{ id: SecureHash; copy: Uint8Array }>(COPIES, [ids]),
    async ancestors(of, among, limit) {
      return (await sql.query<{ id: SecureHash }>(ANCESTORS, [of, among, limit])).map(({ id }) => id);
    },
    unverified: (limit) => sql.query<UnverifiedTransaction>(UNVERIFIED, [limit]),
    invalid: (limit) => sql.query<InvalidTransaction>(INVALID, [limit]),
    page: ({ type, consumed, where, after, limit }) =>
      sql.query<OutputRow>(consumed ? PAGE_CONSUMED : PAGE, [type, JSON.stringify(where), after, limit]),
    async changes({ after, types, limit }) {
      const rows = await sql.query<
        OutputRow & { readonly head: number; readonly at: number | null; readonly kind: "produced" | "consumed" }
      >(CHANGES, [after, types, limit]);
      const changes = rows.flatMap(({ head: _, at, kind, ...output }) => (at === null ? [] : [{ at, kind, output }]));
      return { changes, head: rows[0]?.head ?? 0 };
    },
    newest: ({ type, consumed, before, limit }) => sql.query<OutputRow>(NEWEST, [type, consumed, before, limit]),
    async groupParameters(hash) {
      const [row] = await sql.query<{ bytes: Uint8Array; signature: Uint8Array; signedBy: string }>(GROUP_PARAMETERS, [hash]);
      return row;
    },
  };
}

function interval(ms: number): string {
  return `interval '${ms} milliseconds'`;
}

const LOCK = {
  name: "vault-lock",
  text: `SELECT id, status, is_filtered AS filtered, CASE WHEN id = ANY ($2::text[]) THEN wire END AS wire
  FROM utxo_transaction WHERE id = ANY ($1::text[]) ORDER BY id FOR UPDATE`,
};
const VERIFIED = {
  name: "vault-verified",
  text: "SELECT id, wire FROM utxo_transaction WHERE id = ANY ($1::text[]) AND status = 'V' AND NOT is_filtered",
};
const UPSERT = {
  name: "vault-upsert",
  text: `INSERT INTO utxo_transaction AS t (id, status, wire, is_filtered, group_parameters_hash, reason, window_until, repair_at)
  SELECT n.id, n.status, n.wire, n.wire IS NULL, n.parameters, n.reason, to_timestamp(n.until / 1000.0),
    CASE WHEN n.until IS NOT NULL
      THEN LEAST(now() + ${interval(REPAIR_FIRST_MS)}, GREATEST(now(), to_timestamp(n.until / 1000.0)) + ${interval(REPAIR_GRACE_MS)}) END
  FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bigint[]) AS n (id, status, wire, parameters, reason, until)
  ORDER BY n.id
  ON CONFLICT (id) DO UPDATE SET status = excluded.status, reason = excluded.reason, updated = now(),
    wire = COALESCE(t.wire, excluded.wire), is_filtered = (t.is_filtered AND excluded.status <> 'V'),
    window_until = excluded.window_until, repair_at = excluded.repair_at
  WHERE ((t.status = 'D' AND excluded.status IN ('U', 'V', 'I')) OR (t.status = 'U' AND excluded.status IN ('V', 'I'))
    OR (t.status = 'V' AND t.is_filtered AND excluded.status IN ('U', 'V') AND NOT excluded.is_filtered))
  RETURNING id`,
};
const MARK = {
  name: "vault-mark-filtered",
  text: "UPDATE utxo_transaction SET is_filtered = true WHERE id = ANY ($1::text[]) AND status IN ('D', 'U')",
};
const ADD_COPIES = {
  name: "vault-add-filtered-copies",
  text: `INSERT INTO utxo_filtered_copy (transaction_id, hash, copy)
  SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) ON CONFLICT DO NOTHING`,
};
const ADD_SHOWN = {
  name: "vault-add-filtered-outputs",
  text: `INSERT INTO utxo_filtered_output (transaction_id, leaf_idx, info, data)
  SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[], $4::bytea[]) ON CONFLICT DO NOTHING`,
};
/** Of what is here and not invalid. */
const SHOWN = {
  name: "vault-filtered-outputs",
  text: `SELECT o.transaction_id || ':' || o.leaf_idx AS ref, o.info, o.data FROM utxo_filtered_output o
  JOIN utxo_transaction t ON t.id = o.transaction_id AND t.is_filtered AND t.status <> 'I' WHERE t.id = ANY ($1::text[])`,
};
const COPIES = {
  name: "vault-filtered-copies",
  text: "SELECT transaction_id AS id, copy FROM utxo_filtered_copy WHERE transaction_id = ANY ($1::text[]) ORDER BY transaction_id, hash",
};
/** As many positions as `count` says; `base` is the one before them. */
const clock = (count: string): string =>
  `clock AS (UPDATE utxo_vault_clock SET position = position + ${count} RETURNING position - ${count} AS base)`;
/** What came first of a transaction was what was used of it. */
const CONSUME_LATE = {
  name: "vault-consume-late",
  text: `WITH used AS (
    SELECT o.transaction_id, o.leaf_idx, row_number() OVER (ORDER BY o.position) AS n
    FROM utxo_visible_transaction_output o
    WHERE o.transaction_id = ANY ($1::text[]) AND o.group_idx = ${GROUP.outputs} AND o.consumed IS NULL AND EXISTS (
      SELECT FROM utxo_transaction_sources s JOIN utxo_transaction t ON t.id = s.transaction_id AND t.status = 'V'
      WHERE s.source_state_transaction_id = o.transaction_id AND s.source_state_idx = o.leaf_idx AND s.group_idx = ${GROUP.inputs})
  ), ${clock("(SELECT count(*) FROM used)")}
  UPDATE utxo_visible_transaction_output o SET consumed = now(), consumed_position = clock.base + used.n
  FROM used, clock
  WHERE o.transaction_id = used.transaction_id AND o.group_idx = ${GROUP.outputs} AND o.leaf_idx = used.leaf_idx AND o.consumed IS NULL`,
};
const ADD_SOURCES = {
  name: "vault-add-sources",
  text: `INSERT INTO utxo_transaction_sources (transaction_id, group_idx, leaf_idx, source_state_transaction_id, source_state_idx)
  SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::text[], $5::int[]) ON CONFLICT DO NOTHING`,
};
const ADD_SIGNATURES = {
  name: "vault-add-signatures",
  text: `INSERT INTO utxo_transaction_signature (transaction_id, pub_key_hash, is_notary, signature)
  SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::bytea[]) ON CONFLICT DO NOTHING`,
};
/** Before the consumption: a chain may be produced and consumed in one commit. */
const ADD_OUTPUTS = {
  name: "vault-add-outputs",
  text: `WITH ${clock("cardinality($2::int[])")}
  INSERT INTO utxo_visible_transaction_output (transaction_id, group_idx, leaf_idx, type, info, data, custom_representation, position)
  SELECT n.id, ${GROUP.outputs}, n.idx, n.type, n.info, n.data, n.json::jsonb, clock.base + n.place
  FROM unnest($1::text[], $2::int[], $3::text[], $4::bytea[], $5::bytea[], $6::text[]) WITH ORDINALITY
    AS n (id, idx, type, info, data, json, place), clock
  ON CONFLICT DO NOTHING`,
};
/** What is consumed already, because transactions came out of order, is worth nothing any more. */
const ADD_TOKENS = {
  name: "vault-add-tokens",
  text: `INSERT INTO utxo_token (transaction_id, leaf_idx, token_type, issuer, symbol, notary, amount, tag, owner, priority)
  SELECT n.id, n.idx, n."tokenType", n.issuer, n.symbol, n.notary, n.amount, n.tag, n.owner, n.priority
  FROM jsonb_to_recordset($1::jsonb) AS n (id text, idx int, "tokenType" text, issuer text, symbol text, notary text, amount numeric,
    tag text, owner text, priority bigint)
  WHERE NOT EXISTS (SELECT FROM utxo_visible_transaction_output o WHERE o.transaction_id = n.id AND o.group_idx = ${GROUP.outputs}
    AND o.leaf_idx = n.idx AND o.consumed IS NOT NULL)
  ON CONFLICT DO NOTHING`,
};
/** Tokens are locked in the order of their key, as token selection locks them where it waits. */
const CONSUME = {
  name: "vault-consume",
  text: `WITH spent AS (
    SELECT t.transaction_id, t.leaf_idx FROM utxo_token t JOIN unnest($1::text[], $2::int[]) AS c (id, idx)
    ON t.transaction_id = c.id AND t.leaf_idx = c.idx ORDER BY t.transaction_id, t.leaf_idx FOR UPDATE OF t
  ), gone AS (
    DELETE FROM utxo_token t USING spent s WHERE t.transaction_id = s.transaction_id AND t.leaf_idx = s.leaf_idx
  ), ${clock("cardinality($2::int[])")}
  UPDATE utxo_visible_transaction_output o SET consumed = now(), consumed_position = clock.base + c.place
  FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS c (id, idx, place), clock
  WHERE o.transaction_id = c.id AND o.group_idx = ${GROUP.outputs} AND o.leaf_idx = c.idx AND o.consumed IS NULL`,
};
const RELEASE_TOKENS = {
  name: "vault-release-tokens",
  text: `WITH gone AS (
    DELETE FROM utxo_token_claim WHERE claim_id = $1 AND flow_id = $2 RETURNING claim_id, transaction_ids, leaf_idxs
  )
  UPDATE utxo_token t SET claim_id = NULL, claim_flow = NULL, claim_until = NULL
  FROM gone g, unnest(g.transaction_ids, g.leaf_idxs) AS r (id, idx)
  WHERE t.transaction_id = r.id AND t.leaf_idx = r.idx AND t.claim_id = g.claim_id AND r.id || ':' || r.idx <> ALL ($3::text[])`,
};
const ADD_GROUP_PARAMETERS = {
  name: "vault-add-group-parameters",
  text: `INSERT INTO utxo_group_parameters (hash, parameters, signature_content, signature_public_key)
  SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[]) ON CONFLICT DO NOTHING`,
};
const SIGNATURES = `COALESCE(
    (SELECT array_agg(s.signature ORDER BY s.pub_key_hash, s.is_notary) FROM utxo_transaction_signature s WHERE s.transaction_id = t.id),
    '{}'::bytea[])`;
const TRANSACTIONS = {
  name: "vault-transactions",
  text: `SELECT t.id, t.status, t.wire, ${SIGNATURES} AS signatures FROM utxo_transaction t WHERE t.id = ANY ($1::text[]) AND t.wire IS NOT NULL`,
};
const DEPENDENCIES = `COALESCE((SELECT array_agg(DISTINCT s.source_state_transaction_id)
  FROM utxo_transaction_sources s WHERE s.transaction_id = t.id), '{}'::text[])`;
const STAGED = "t.status = 'U' AND t.repair_at IS NULL";
const UNRESOLVED = {
  name: "vault-unresolved",
  text: `WITH RECURSIVE walk (id) AS (
    SELECT unnest($1::text[])
    UNION
    SELECT s.source_state_transaction_id FROM walk
    JOIN utxo_transaction t ON t.id = walk.id AND ${STAGED}
    JOIN utxo_transaction_sources s ON s.transaction_id = t.id)
  SELECT walk.id, CASE WHEN t.wire IS NOT NULL THEN t.status END AS status, COALESCE(${STAGED}, false) AS staged,
    CASE WHEN ${STAGED} THEN ${DEPENDENCIES} ELSE '{}'::text[] END AS dependencies, COALESCE(octet_length(t.wire), 0) AS size
  FROM (SELECT id FROM walk LIMIT $2) walk LEFT JOIN utxo_transaction t USING (id)`,
};
/** A walk goes as far as it is read: the nearest come first. */
const WALK = `WITH RECURSIVE walk (id) AS (
    SELECT unnest($1::text[])
    UNION
    SELECT s.source_state_transaction_id FROM walk JOIN utxo_transaction_sources s ON s.transaction_id = walk.id)`;
const ANCESTORS = {
  name: "vault-ancestors",
  text: `${WALK} SELECT id FROM (SELECT id FROM walk LIMIT $3) near WHERE id = ANY ($2::text[])`,
};
const HISTORY = {
  name: "vault-history",
  text: `${WALK}
  SELECT t.id, t.status, t.wire, ${SIGNATURES} AS signatures, ${DEPENDENCIES} AS dependencies
  FROM (
    SELECT page.n, t.*, sum(octet_length(t.wire)) OVER (ORDER BY page.n) - octet_length(t.wire) AS before
    FROM (SELECT walked.id, row_number() OVER () AS n FROM (SELECT id FROM walk LIMIT $2) walked) page
    JOIN utxo_transaction t ON t.id = page.id AND t.wire IS NOT NULL) t
  WHERE t.before < $3 ORDER BY t.n`,
};
const MS = (column: string) => `floor(extract(epoch FROM ${column}) * 1000)::bigint`;
const UNVERIFIED = {
  name: "vault-unverified",
  text: `SELECT id, ${MS("created")} AS "createdAt", ${MS("window_until")} AS until, repair_attempts AS attempts, ${MS("repair_at")} AS "nextAttemptAt"
  FROM utxo_transaction WHERE status = 'U' AND repair_at IS NOT NULL ORDER BY repair_at LIMIT $1`,
};
const INVALID = {
  name: "vault-invalid",
  text: `SELECT id, ${MS("created")} AS "createdAt", ${MS("updated")} AS "invalidAt", COALESCE(reason, '') AS reason
  FROM utxo_transaction WHERE status = 'I' ORDER BY updated DESC, id DESC LIMIT $1`,
};
/** Later each time, but not beyond the moment at which the notary's answer becomes final. */
const DUE_REPAIRS = {
  name: "vault-due-repairs",
  text: `WITH due AS (
    SELECT id, to_timestamp($1::bigint / 1000.0) AS at FROM utxo_transaction
    WHERE status = 'U' AND repair_at <= to_timestamp($1::bigint / 1000.0) ORDER BY repair_at LIMIT $2 FOR UPDATE SKIP LOCKED)
  UPDATE utxo_transaction t SET repair_attempts = t.repair_attempts + 1, repair_at = LEAST(
    due.at + LEAST(${interval(REPAIR_FIRST_MS)} * power(2, LEAST(t.repair_attempts, 30)), ${interval(REPAIR_MAX_MS)}),
    CASE WHEN t.window_until > due.at THEN t.window_until + ${interval(REPAIR_GRACE_MS)} END)
  FROM due WHERE t.id = due.id RETURNING t.id, t.repair_attempts AS attempt`,
};
const OUTPUT_COLUMNS = `transaction_id AS id, leaf_idx AS index, position, type, info, data, custom_representation AS json,
  ${MS("created")} AS created, ${MS("consumed")} AS consumed`;
const pageText = (consumed: string) => `SELECT ${OUTPUT_COLUMNS} FROM utxo_visible_transaction_output
  WHERE type = $1 AND consumed IS ${consumed} AND custom_representation @> $2::jsonb AND position > $3 ORDER BY position LIMIT $4`;
const PAGE = { name: "vault-page", text: pageText("NULL") };
const PAGE_CONSUMED = { name: "vault-page-consumed", text: pageText("NOT NULL") };
const changedText = (kind: "produced" | "consumed", at: string) => `(SELECT ${at} AS at, '${kind}' AS kind, ${OUTPUT_COLUMNS}
    FROM utxo_visible_transaction_output WHERE ${at} > $1 AND ($2::text[] IS NULL OR type = ANY ($2::text[])) ORDER BY ${at} LIMIT $3)`;
/** One statement, and so one moment: below the clock as it is then, all that was ever committed is there. */
const CHANGES = {
  name: "vault-changes",
  text: `SELECT clock.position AS head, changed.* FROM utxo_vault_clock clock LEFT JOIN (
    SELECT * FROM (${changedText("produced", "position")} UNION ALL ${changedText("consumed", "consumed_position")}) each ORDER BY at LIMIT $3
  ) changed ON true ORDER BY at`,
};
const NEWEST = {
  name: "vault-newest",
  text: `SELECT ${OUTPUT_COLUMNS} FROM utxo_visible_transaction_output
  WHERE ($1::text IS NULL OR type = $1) AND ($2::boolean IS NULL OR (consumed IS NOT NULL) = $2) AND position < $3
  ORDER BY position DESC LIMIT $4`,
};
const GROUP_PARAMETERS = {
  name: "vault-group-parameters",
  text: `SELECT parameters AS bytes, signature_content AS signature, signature_public_key AS "signedBy" FROM utxo_group_parameters WHERE hash = $1`,
};
