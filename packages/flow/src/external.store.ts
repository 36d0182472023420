// External messaging: what flows send to systems outside.
//
// A message is a row of the step commit that sends it, so it is sent if and only if the step is; a relay hands rows to the bus, at
// least once and those of one topic in order, and deletes what the bus answers for. Where nobody reads a topic its messages stay here,
// and past a limit the next is refused to the flow that sends it. A message's id is the record's key and the same however often it
// comes: the receiver drops repeats by it.

import { BowlineError, type BusRecord, type Data, type Database, type SecureHash, type Sql, utf8 } from "@bowline/base";
import { EXTERNAL_RELAY_MAX, EXTERNAL_WAITING_MAX } from "./limits.ts";

export { EXTERNAL_WAITING_MAX };

/** Among the writes of a step commit. */
export interface ExternalSend {
  readonly kind: "external.send";
  readonly id: string;
  /** The package of the flow, which the engine stamps. */
  readonly bundle: SecureHash;
  readonly channel: string;
  readonly message: string;
}

export const isExternalSend = (write: Data): write is Data & ExternalSend =>
  typeof write === "object" && write !== null && "kind" in write && write.kind === "external.send";

interface Member {
  readonly flowId: string;
  readonly writes: readonly Data[];
}

/** Of a send the topic of its route; null where the route is inactive and ignores. Throws where the send is refused. */
export type TopicOf = (send: ExternalSend) => string | null;

/** Adds the messages among these writes to the outbox, and answers the other writes. Throws `external.outboxFull`, and as `topicOf`. */
export async function addExternalSends(sql: Sql, members: readonly Member[], topicOf: TopicOf): Promise<readonly Member[]> {
  const sends = members.flatMap(({ writes }) => writes.filter(isExternalSend));
  if (sends.length === 0) return members;
  const routed = sends.flatMap((send) => {
    const topic = topicOf(send);
    return topic === null ? [] : [{ id: send.id, message: send.message, topic }];
  });
  const [full] = await sql.query<{ topic: string }>(FULL, [[...new Set(routed.map(({ topic }) => topic))], EXTERNAL_WAITING_MAX]);
  if (full !== undefined)
    throw new BowlineError(
      "tooMany",
      "external.outboxFull",
      `${EXTERNAL_WAITING_MAX} messages wait for a reader of ${full.topic}, which is all that are kept.`,
      { topic: full.topic },
    );
  await sql.query(ADD, [routed.map(({ id }) => id), routed.map(({ topic }) => topic), routed.map(({ message }) => message)]);
  return members.map(({ flowId, writes }) => ({ flowId, writes: writes.filter((write) => !isExternalSend(write)) }));
}

/**
 * Hands over the oldest messages of each topic until none is left, or nobody takes them: those topics are the answer. What is taken is deleted.
 * Where two relay at once, one finds nothing to do.
 */
export async function relayExternal(
  database: Database,
  handOver: (records: readonly BusRecord[]) => Promise<void>,
): Promise<readonly string[]> {
  const unread: string[] = [];
  for (const { topic } of await database.sql.query<{ topic: string }>(TOPICS))
    try {
      for (let more = true; more; ) more = await database.transaction((sql) => relayTopic(sql, topic, handOver));
    } catch (thrown) {
      if (!(thrown instanceof BowlineError && thrown.code === "bus.unread")) throw thrown;
      unread.push(topic);
    }
  return unread;
}

async function relayTopic(sql: Sql, topic: string, handOver: Parameters<typeof relayExternal>[1]): Promise<boolean> {
  const [held] = await sql.query<{ mine: boolean }>(ALONE);
  const rows = held?.mine ? await sql.query<Row>(OLDEST, [topic, EXTERNAL_RELAY_MAX]) : [];
  if (rows.length === 0) return false;
  await handOver(rows.map(({ message_id, message }) => ({ topic, key: message_id, value: utf8(message) })));
  await sql.query(DELETE, [rows.map(({ id }) => id)]);
  return true;
}

interface Row {
  readonly id: number;
  readonly message_id: string;
  readonly message: string;
}

const FULL = {
  name: "external.full",
  text: `SELECT topic FROM unnest($1::text[]) AS t(topic)
    WHERE (SELECT count(*) FROM (SELECT FROM external_outbox o WHERE o.topic = t.topic LIMIT $2::int) AS waiting) >= $2::int LIMIT 1`,
};
const ADD = {
  name: "external.add",
  text: "INSERT INTO external_outbox (message_id, topic, message) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])",
};
/** From topic to topic along the index, however many messages wait in each. */
const TOPICS = {
  name: "external.topics",
  text: `WITH RECURSIVE topics AS (
      (SELECT topic FROM external_outbox ORDER BY topic LIMIT 1)
      UNION ALL
      SELECT (SELECT o.topic FROM external_outbox o WHERE o.topic > t.topic ORDER BY o.topic LIMIT 1) FROM topics t WHERE t.topic IS NOT NULL)
    SELECT topic FROM topics WHERE topic IS NOT NULL`,
};
/** Two relays at once would mix the order. */
const ALONE = {
  name: "external.alone",
  text: "SELECT pg_try_advisory_xact_lock(hashtext(current_schema() || '.external_outbox')) AS mine",
};
const OLDEST = {
  name: "external.oldest",
  text: "SELECT id, message_id, message FROM external_outbox WHERE topic = $1 ORDER BY id LIMIT $2",
};
const DELETE = { name: "external.delete", text: "DELETE FROM external_outbox WHERE id = ANY($1::bigint[])" };
