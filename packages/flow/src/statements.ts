// The statements of the flow store, and its rows as PostgreSQL takes and gives them. Each statement is prepared once per
// connection, and takes any number of rows as arrays.

import { type Data, decode, encode, type SecureHash, type Statement, type X500Name } from "@bowline/base";
import { type Failure, type FlowProperties, NO_PROPERTIES, type Outcome, type Protocol } from "@bowline/sdk";
import { decodeMessage, encodeMessage } from "./messages.ts";
import type {
  FlowOrigin,
  FlowRow,
  FlowStatus,
  JournalRow,
  RecordedStep,
  SessionMessage,
  SessionRow,
  SessionStatus,
  Waiting,
} from "./ports.ts";
import { encodeOutcome } from "./rows.ts";

const FLOW =
  "id, bundle, flow_name, me, group_id, origin, seed, status, version, commit_id, kill, wake_at, waiting, outcome, properties, created_at, updated_at";

/** Where it is large it lies apart. */
const STEP_OUTCOME =
  "CASE WHEN s.chunk IS NULL THEN s.outcome ELSE (SELECT c.bytes FROM flow_chunk c WHERE c.hash = s.chunk) END AS outcome";

const named = <K extends string>(texts: Readonly<Record<K, string>>): Readonly<Record<K, Statement>> => {
  const entries = (Object.entries(texts) as [K, string][]).map(([name, text]) => [name, { name: `flow.${name}`, text }] as const);
  return Object.fromEntries(entries) as Readonly<Record<K, Statement>>;
};

export const SQL = named({
  insertFlows: `
    INSERT INTO flow (id, bundle, flow_name, me, group_id, client_request_id, origin, seed, status, version, commit_id, kill, wake_at, waiting, properties, created_at, updated_at)
    SELECT id, bundle, flow_name, me, group_id, client_request_id, origin, seed, 'START_REQUESTED', 0, '', false, wake_at, '[]'::jsonb, properties::jsonb, created_at, created_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::bigint[], $10::bigint[], $11::text[])
      AS n(id, bundle, flow_name, me, group_id, client_request_id, origin, seed, wake_at, created_at, properties)
    ON CONFLICT DO NOTHING
    RETURNING id`,

  insertSessions: `
    INSERT INTO flow_session (id, side, flow_id, counterparty, protocol, version, status, failure, sent, consumed, timeout_ms, expires_at, properties, opened_at)
    SELECT id, side, flow_id, counterparty, protocol::jsonb, version, status, failure::jsonb, sent, consumed, timeout_ms, expires_at, properties::jsonb, opened_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[], $9::int[], $10::int[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[])
      AS n(id, side, flow_id, counterparty, protocol, version, status, failure, sent, consumed, timeout_ms, expires_at, properties, opened_at)
    ON CONFLICT DO NOTHING`,

  known: `SELECT ${FLOW} FROM flow WHERE id = $1 OR client_request_id = $2 ORDER BY (client_request_id = $2) DESC NULLS LAST LIMIT 1`,

  loadFlows: `SELECT ${FLOW} FROM flow WHERE id = ANY($1::text[])`,
  loadSteps: `
    SELECT flow_id, path, kind, request_hash, ${STEP_OUTCOME}, activation, ordinal, asked_at, at FROM flow_step s
    WHERE flow_id = ANY($1::text[]) ORDER BY flow_id, activation, ordinal`,
  loadSessions: `
    SELECT id, side, flow_id, counterparty, protocol, version, status, failure, sent, consumed, timeout_ms, expires_at, properties, opened_at FROM flow_session
    WHERE flow_id = ANY($1::text[]) ORDER BY flow_id, id`,
  loadInbox: `
    SELECT i.flow_id, i.message, c.bytes AS part FROM flow_inbox i LEFT JOIN flow_chunk c ON c.hash = i.chunk
    WHERE i.flow_id = ANY($1::text[]) ORDER BY i.flow_id, i.session, i.sender, i.sequence`,

  // All that most groups need, in one statement: the flows that begin, the fence of the others, the steps of those that passed,
  // and what these leave behind. Rows of one call are of different flows, so that no part of it touches what another does.
  commit: `
    WITH begun AS (
      INSERT INTO flow (id, bundle, flow_name, me, group_id, client_request_id, origin, seed, status, version, commit_id, kill, outcome, wake_at, waiting, properties, created_at, updated_at)
      SELECT id, bundle, flow_name, me, group_id, client_request_id, origin, seed, status, 1, commit_id, false, outcome, wake_at, waiting::jsonb, properties::jsonb, created_at, at
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::bigint[], $10::bigint[],
          $11::text[], $12::text[], $13::text[], $14::bytea[], $15::bigint[], $16::text[], $17::bigint[])
        AS n(id, bundle, flow_name, me, group_id, client_request_id, origin, seed, started_wake_at, created_at, properties, commit_id, status, outcome, wake_at, waiting, at)
      ON CONFLICT DO NOTHING
      RETURNING id
    ), gone_on AS (
      UPDATE flow f SET version = f.version + 1, commit_id = c.commit_id, status = c.status, outcome = c.outcome, wake_at = c.wake_at,
        waiting = c.waiting::jsonb, updated_at = c.at
      FROM unnest($18::text[], $19::int[], $20::text[], $21::text[], $22::bytea[], $23::bigint[], $24::text[], $25::bigint[])
        AS c(id, version, commit_id, status, outcome, wake_at, waiting, at)
      WHERE f.id = c.id AND f.version = c.version AND (NOT f.kill OR c.status = 'KILLED')
      RETURNING f.id
    ), passed AS (
      SELECT id FROM begun UNION ALL SELECT id FROM gone_on
    ), steps AS (
      INSERT INTO flow_step (flow_id, path, kind, request_hash, request, outcome, activation, ordinal, asked_at, at)
      SELECT n.flow_id, n.path, n.kind, n.request_hash, n.request, n.outcome, n.activation, n.ordinal, n.asked_at, n.at
      FROM unnest($26::text[], $27::text[], $28::text[], $29::bytea[], $30::bytea[], $31::bytea[], $32::int[], $33::int[], $34::bigint[], $35::bigint[])
        AS n(flow_id, path, kind, request_hash, request, outcome, activation, ordinal, asked_at, at)
      JOIN passed ON passed.id = n.flow_id
      ON CONFLICT DO NOTHING
    )
    SELECT id FROM passed`,

  committedBefore: `
    SELECT f.id FROM flow f JOIN unnest($1::text[], $2::text[]) AS c(id, commit_id) ON f.id = c.id AND f.commit_id = c.commit_id`,

  // '.' is followed by '/' in the order of bytes: all paths below one lie between the two.
  collapse: `
    WITH below AS (
      DELETE FROM flow_step s USING unnest($1::text[], $2::text[], $3::text[]) AS c(flow_id, commit_id, path), flow f
      WHERE f.id = c.flow_id AND f.commit_id = c.commit_id AND s.flow_id = c.flow_id
        AND s.path > c.path || '.' COLLATE "C" AND s.path < c.path || '/' COLLATE "C"
      RETURNING s.chunk
    )
    UPDATE flow_chunk SET touched_at = 0 WHERE hash IN (SELECT chunk FROM below)`,

  insertLargeSteps: `
    WITH n AS (
      SELECT n.*, sha256(n.outcome) AS chunk
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::int[], $9::int[], $10::bigint[], $11::bigint[])
        AS n(commit_id, flow_id, path, kind, request_hash, request, outcome, activation, ordinal, asked_at, at)
      JOIN flow f ON f.id = n.flow_id AND f.commit_id = n.commit_id
    ), chunks AS (
      INSERT INTO flow_chunk (hash, bytes, touched_at) SELECT DISTINCT ON (chunk) chunk, outcome, 9223372036854775807 FROM n
      ON CONFLICT (hash) DO UPDATE SET touched_at = excluded.touched_at
    )
    INSERT INTO flow_step (flow_id, path, kind, request_hash, request, outcome, chunk, activation, ordinal, asked_at, at)
    SELECT flow_id, path, kind, request_hash, request, '', chunk, activation, ordinal, asked_at, at FROM n
    ON CONFLICT DO NOTHING`,

  saveSessions: `
    INSERT INTO flow_session AS s (id, side, flow_id, counterparty, protocol, version, status, failure, sent, consumed, timeout_ms, expires_at, properties, opened_at)
    SELECT n.id, n.side, n.flow_id, n.counterparty, n.protocol::jsonb, n.version, n.status, n.failure::jsonb, n.sent, n.consumed, n.timeout_ms, n.expires_at, n.properties::jsonb, n.opened_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[], $9::int[], $10::int[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[], $15::text[])
      AS n(id, side, flow_id, counterparty, protocol, version, status, failure, sent, consumed, timeout_ms, expires_at, properties, opened_at, commit_id)
    JOIN flow f ON f.id = n.flow_id AND f.commit_id = n.commit_id
    ON CONFLICT (id, side) DO UPDATE SET version = excluded.version, status = excluded.status, failure = excluded.failure, sent = excluded.sent,
      consumed = excluded.consumed, expires_at = excluded.expires_at`,

  consume: `
    DELETE FROM flow_inbox i USING unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[]) AS c(flow_id, commit_id, session, sender, sequence), flow f
    WHERE f.id = c.flow_id AND f.commit_id = c.commit_id AND i.session = c.session AND i.sender = c.sender AND i.sequence = c.sequence`,

  insertInbox: `
    INSERT INTO flow_inbox (flow_id, session, sender, sequence, message)
    SELECT n.flow_id, n.session, n.sender, n.sequence, n.message
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bytea[]) AS n(flow_id, commit_id, session, sender, sequence, message)
    JOIN flow f ON f.id = n.flow_id AND f.commit_id = n.commit_id
    ON CONFLICT DO NOTHING`,

  insertOutbox: `
    INSERT INTO flow_outbox (session, sender, sequence, message, attempts, resend_at, expires_at)
    SELECT n.session, n.sender, n.sequence, n.message, 1, n.resend_at, n.expires_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bytea[], $7::bigint[], $8::bigint[])
      AS n(flow_id, commit_id, session, sender, sequence, message, resend_at, expires_at)
    JOIN flow f ON f.id = n.flow_id AND f.commit_id = n.commit_id
    ON CONFLICT DO NOTHING`,

  insertStacks: `
    INSERT INTO flow_stack (flow_id, stack)
    SELECT n.flow_id, n.stack FROM unnest($1::text[], $2::text[], $3::text[]) AS n(flow_id, commit_id, stack)
    JOIN flow f ON f.id = n.flow_id AND f.commit_id = n.commit_id
    ON CONFLICT DO NOTHING`,

  // Whatever becomes of the commit: chunks are true by their hash, and go when nobody refers to them.
  insertInboxParts: `
    WITH n AS (
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bytea[], $7::bytea[], $8::bigint[])
        AS n(flow_id, commit_id, session, sender, sequence, message, part, at)
    ), chunks AS (
      INSERT INTO flow_chunk AS c (hash, bytes, touched_at) SELECT DISTINCT ON (sha256(part)) sha256(part), part, at FROM n
      ON CONFLICT (hash) DO UPDATE SET touched_at = GREATEST(c.touched_at, excluded.touched_at)
    )
    INSERT INTO flow_inbox (flow_id, session, sender, sequence, message, chunk)
    SELECT n.flow_id, n.session, n.sender, n.sequence, n.message, sha256(n.part) FROM n
    JOIN flow f ON f.id = n.flow_id AND f.commit_id = n.commit_id
    ON CONFLICT DO NOTHING`,

  insertOutboxParts: `
    WITH n AS (
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bytea[], $7::bytea[], $8::bigint[], $9::bigint[], $10::bigint[])
        AS n(flow_id, commit_id, session, sender, sequence, message, part, at, resend_at, expires_at)
    ), chunks AS (
      INSERT INTO flow_chunk AS c (hash, bytes, touched_at) SELECT DISTINCT ON (sha256(part)) sha256(part), part, at FROM n
      ON CONFLICT (hash) DO UPDATE SET touched_at = GREATEST(c.touched_at, excluded.touched_at)
    )
    INSERT INTO flow_outbox (session, sender, sequence, message, chunk, attempts, resend_at, expires_at)
    SELECT n.session, n.sender, n.sequence, n.message, sha256(n.part), 1, n.resend_at, n.expires_at FROM n
    JOIN flow f ON f.id = n.flow_id AND f.commit_id = n.commit_id
    ON CONFLICT DO NOTHING`,

  forgetChunks: `
    DELETE FROM flow_chunk c WHERE c.touched_at < $1
      AND NOT EXISTS (SELECT FROM flow_inbox i WHERE i.chunk = c.hash) AND NOT EXISTS (SELECT FROM flow_outbox o WHERE o.chunk = c.hash)
      AND NOT EXISTS (SELECT FROM flow_step s WHERE s.chunk = c.hash)`,

  acknowledge: `
    DELETE FROM flow_outbox o USING unnest($1::text[], $2::text[], $3::int[]) AS a(session, sender, sequence)
    WHERE o.session = a.session AND o.sender = a.sender AND o.sequence <= a.sequence`,

  due: `
    UPDATE flow SET wake_at = $2 FROM (
      SELECT id FROM flow WHERE wake_at <= $1 ORDER BY wake_at LIMIT $3 FOR UPDATE SKIP LOCKED
    ) AS d WHERE flow.id = d.id RETURNING flow.id`,

  dueBefore: `SELECT id FROM flow WHERE wake_at <= $1 ORDER BY wake_at`,

  expire: `DELETE FROM flow_outbox WHERE resend_at <= $1 AND expires_at <= $1`,

  // Of one session and direction no more than its receiver's window takes: what is beyond waits for its turn, not for a back-off.
  resend: `
    UPDATE flow_outbox o SET attempts = o.attempts + 1, resend_at = $1 + LEAST($3::bigint << LEAST(o.attempts, 20), $4::bigint)
    FROM (
      SELECT w.session, w.sender, w.sequence, c.bytes FROM flow_outbox w LEFT JOIN flow_chunk c ON c.hash = w.chunk
      WHERE w.resend_at <= $1
        AND w.sequence < $5::int + (SELECT min(f.sequence) FROM flow_outbox f WHERE f.session = w.session AND f.sender = w.sender)
      ORDER BY w.resend_at, w.sequence LIMIT $2 FOR UPDATE OF w SKIP LOCKED
    ) AS d WHERE o.session = d.session AND o.sender = d.sender AND o.sequence = d.sequence
    RETURNING o.message, d.bytes AS part`,

  kill: `
    UPDATE flow SET kill = true, wake_at = $2 WHERE id = $1 AND status NOT IN ('COMPLETED', 'FAILED', 'KILLED') RETURNING id`,
  retry: `
    UPDATE flow SET status = 'RUNNING', outcome = NULL, version = version + 1, wake_at = $2, bundle = COALESCE($3, bundle)
    WHERE id = $1 AND (status = 'PARKED' OR ($3::text IS NOT NULL AND status IN ('START_REQUESTED', 'RUNNING')))
      AND ($4::bigint IS NULL OR version = $4) RETURNING id`,

  byClientRequest: `SELECT ${FLOW} FROM flow WHERE client_request_id = $1`,
  list: `
    SELECT ${FLOW} FROM flow
    WHERE ($1::text[] IS NULL OR status = ANY($1::text[])) AND ($2::text IS NULL OR flow_name = $2)
      AND ($3::bigint IS NULL OR created_at >= $3) AND ($4::bigint IS NULL OR created_at <= $4)
      AND ($5::bigint IS NULL OR (created_at, id) > ($5, $6::text))
    ORDER BY created_at, id LIMIT $7`,
  // In the order of their starts, by the index that lists go by: what is over is old, so little is passed over.
  purge: `
    WITH gone AS MATERIALIZED (
      SELECT f.id FROM flow f
      WHERE f.created_at < $1 AND f.updated_at < $1 AND f.status IN ('COMPLETED', 'FAILED', 'KILLED')
        AND NOT EXISTS (SELECT FROM flow_session s WHERE s.flow_id = f.id AND s.expires_at >= $2)
      ORDER BY f.created_at, f.id LIMIT $3 FOR UPDATE SKIP LOCKED
    ), steps AS (
      DELETE FROM flow_step WHERE flow_id IN (SELECT id FROM gone) RETURNING chunk
    ), chunks AS (
      UPDATE flow_chunk SET touched_at = 0 WHERE hash IN (SELECT chunk FROM steps)
    ), stacks AS (
      DELETE FROM flow_stack WHERE flow_id IN (SELECT id FROM gone)
    ), arrived AS (
      DELETE FROM flow_inbox WHERE flow_id IN (SELECT id FROM gone)
    ), sent AS (
      DELETE FROM flow_outbox o USING flow_session s WHERE s.flow_id IN (SELECT id FROM gone) AND o.session = s.id AND o.sender = s.side
    ), sessions AS (
      DELETE FROM flow_session WHERE flow_id IN (SELECT id FROM gone)
    )
    DELETE FROM flow WHERE id IN (SELECT id FROM gone) RETURNING id`,
  readSteps: `
    SELECT flow_id, path, kind, request_hash, request, ${STEP_OUTCOME}, activation, ordinal, asked_at, at FROM flow_step s
    WHERE flow_id = $1 AND (activation, ordinal) >= ($2::int, $3::int) ORDER BY activation, ordinal LIMIT $4`,
  readStack: `SELECT stack FROM flow_stack WHERE flow_id = $1`,
  countMessages: `
    SELECT (SELECT count(*) FROM flow_inbox WHERE flow_id = $1)::int AS inbox,
      (SELECT count(*) FROM flow_outbox o JOIN flow_session s ON o.session = s.id AND o.sender = s.side WHERE s.flow_id = $1)::int AS outbox`,
});

// --- Columns, as `unnest` takes them ---

export const columns = <T, K extends keyof T>(rows: readonly T[], keys: readonly K[]): T[K][][] =>
  keys.map((key) => rows.map((row) => row[key]));

export const flowColumns = (rows: readonly FlowRow[]): readonly unknown[][] => [
  ...columns(rows, ["id", "bundle", "flowName"]),
  rows.map(({ identity }) => identity.me),
  rows.map(({ identity }) => identity.groupId),
  rows.map(requestIdOf),
  rows.map(originBytes),
  ...columns(rows, ["seed", "wakeAt", "createdAt"]),
  rows.map(({ identity }) => propertiesText(identity.properties)),
];

/** Most flows are told nothing. */
const propertiesText = (properties: FlowProperties): string | null =>
  Object.keys(properties.platform).length + Object.keys(properties.user).length === 0 ? null : JSON.stringify(properties);

export const stepColumns = (rows: readonly (JournalRow & { readonly flowId: string })[]): readonly unknown[][] => [
  ...columns(rows, ["flowId", "path", "kind", "requestHash", "request"]),
  rows.map(({ outcome }) => encodeOutcome(outcome)),
  ...columns(rows, ["activation", "ordinal", "askedAt", "at"]),
];

export const sessionColumns = (rows: readonly SessionRow[]): readonly unknown[][] => [
  ...columns(rows, ["id", "side", "flowId", "counterparty"]),
  rows.map(({ protocol }) => JSON.stringify(protocol)),
  ...columns(rows, ["version", "status"]),
  rows.map(({ failure }) => (failure === null ? null : JSON.stringify(failure))),
  ...columns(rows, ["sent", "consumed", "timeoutMs", "expiresAt"]),
  rows.map(({ properties }) => (properties === null ? null : JSON.stringify(properties))),
  ...columns(rows, ["openedAt"]),
];

export const messageColumns = (rows: readonly { readonly message: SessionMessage }[]): readonly unknown[][] => [
  ...messageKeys(rows),
  rows.map(({ message }) => encodeMessage(message)),
];

const messageKeys = (rows: readonly { readonly message: SessionMessage }[]): readonly unknown[][] => [
  rows.map(({ message }) => message.session),
  rows.map(({ message }) => message.from),
  rows.map(({ message }) => message.sequence),
];

export interface PartRow {
  readonly message: SessionMessage;
  readonly bytes: Uint8Array;
  readonly committedAt: number;
}

const NO_BYTES = new Uint8Array();

/** The bytes of a part lie apart from its message. */
export const partColumns = (rows: readonly PartRow[]): readonly unknown[][] => [
  ...messageKeys(rows),
  rows.map(({ message }) => encode({ ...message, body: { ...message.body, bytes: NO_BYTES } } as unknown as Data)),
  ...columns(rows, ["bytes", "committedAt"]),
];

// --- Rows as PostgreSQL gives them ---

export interface FlowColumns {
  readonly id: string;
  readonly bundle: string;
  readonly flow_name: string;
  readonly me: string;
  readonly group_id: string;
  readonly origin: Uint8Array;
  readonly seed: Uint8Array;
  readonly status: FlowStatus;
  readonly version: number;
  readonly commit_id: string;
  readonly kill: boolean;
  readonly wake_at: number | null;
  readonly waiting: readonly Waiting[];
  readonly outcome: Uint8Array | null;
  readonly properties: FlowProperties | null;
  readonly created_at: number;
  readonly updated_at: number;
}

export const flowOf = (row: FlowColumns): FlowRow => ({
  id: row.id,
  bundle: row.bundle as SecureHash | "platform",
  flowName: row.flow_name,
  identity: { flowId: row.id, me: row.me as X500Name, groupId: row.group_id, properties: row.properties ?? NO_PROPERTIES },
  origin: decode(row.origin) as unknown as FlowOrigin,
  seed: row.seed,
  status: row.status,
  version: row.version,
  commitId: row.commit_id,
  kill: row.kill,
  wakeAt: row.wake_at,
  waiting: row.waiting,
  outcome: row.outcome === null ? null : (decode(row.outcome) as unknown as Outcome),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export const requestIdOf = ({ origin }: FlowRow): string | null => (origin.kind === "client" ? origin.clientRequestId : null);
const originBytes = ({ origin }: FlowRow): Uint8Array => encode(origin as unknown as Data);

export interface StepColumns {
  readonly flow_id: string;
  readonly path: string;
  readonly kind: JournalRow["kind"];
  readonly request_hash: Uint8Array;
  readonly outcome: Uint8Array;
  readonly activation: number;
  readonly ordinal: number;
  readonly asked_at: number | null;
  readonly at: number;
}

export const stepOf = ({ path, kind, request_hash, outcome, activation, ordinal, asked_at, at }: StepColumns): RecordedStep => ({
  path,
  kind,
  requestHash: request_hash,
  outcome: decode(outcome) as unknown as Outcome,
  activation,
  ordinal,
  askedAt: asked_at ?? at,
  at,
});

export interface SessionColumns {
  readonly id: string;
  readonly side: SessionRow["side"];
  readonly flow_id: string;
  readonly counterparty: string;
  readonly protocol: Protocol;
  readonly version: number | null;
  readonly status: SessionStatus;
  readonly failure: Failure | null;
  readonly sent: number;
  readonly consumed: number;
  readonly timeout_ms: number;
  readonly expires_at: number;
  readonly properties: SessionRow["properties"];
  readonly opened_at: number;
}

export const sessionOf = (row: SessionColumns): SessionRow => ({
  id: row.id,
  flowId: row.flow_id,
  side: row.side,
  counterparty: row.counterparty as X500Name,
  protocol: row.protocol,
  version: row.version,
  properties: row.properties,
  status: row.status,
  failure: row.failure,
  sent: row.sent,
  consumed: row.consumed,
  openedAt: row.opened_at,
  timeoutMs: row.timeout_ms,
  expiresAt: row.expires_at,
});

export interface InboxColumns {
  readonly message: Uint8Array;
  readonly part: Uint8Array | null;
}

export function messageOf({ message, part }: InboxColumns): SessionMessage {
  const read = decodeMessage(message);
  return part === null || read.body.kind !== "part" ? read : { ...read, body: { ...read.body, bytes: part } };
}
