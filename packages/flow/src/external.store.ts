// External messaging: what flows send to systems outside.
//
// A message is a row of the step commit that sends it, so it is sent if and only if the step is; a relay carries rows to the bus, at
// least once and in order, and deletes those that the bus has taken. Its id is the record's key and the same however often it
// comes: the receiver drops repeats by it. Topics lie below the virtual node's own prefix unless an operator's route says otherwise.

import { type BusRecord, badRequest, type Data, type Database, type ShortHash, type Sql, utf8 } from "@bowline/base";
import { EXTERNAL_RELAY_MAX } from "./limits.ts";

/** Among the writes of a step commit. */
export interface ExternalSend {
  readonly kind: "external.send";
  readonly id: string;
  readonly channel: string;
  readonly message: string;
}

export const isExternalSend = (write: Data): boolean =>
  typeof write === "object" && write !== null && "kind" in write && write.kind === "external.send";

interface Member {
  readonly flowId: string;
  readonly writes: readonly Data[];
}

/** Adds the messages among these writes to the outbox, and answers the other writes. Throws `external.routeInactive`. */
export async function addExternalSends(sql: Sql, vnode: ShortHash, members: readonly Member[]): Promise<readonly Member[]> {
  const sends = members.flatMap(({ writes }) => writes.filter(isExternalSend)) as unknown as readonly ExternalSend[];
  if (sends.length === 0) return members;
  const routes = new Map((await sql.query<Route>(ROUTES, [sends.map(({ channel }) => channel)])).map((route) => [route.channel, route]));
  const routed = sends.flatMap(({ id, channel, message }) => {
    const route = routes.get(channel);
    if (route === undefined || route.active) return [{ id, message, topic: route?.topic ?? `ext.${vnode}.${channel}.receive` }];
    if (route.inactive_response === "IGNORE") return [];
    throw badRequest("external.routeInactive", `Messages of channel ${channel} go nowhere for now: its route is inactive.`, { channel });
  });
  await sql.query(ADD, [routed.map(({ id }) => id), routed.map(({ topic }) => topic), routed.map(({ message }) => message)]);
  return members.map(({ flowId, writes }) => ({ flowId, writes: writes.filter((write) => !isExternalSend(write)) }));
}

/** Hands the oldest messages to `publish` until none is left; what it takes is deleted. One caller at a time gets them. */
export async function relayExternal(database: Database, publish: (records: readonly BusRecord[]) => Promise<void>): Promise<void> {
  for (let more = true; more; )
    more = await database.transaction(async (sql) => {
      const [held] = await sql.query<{ mine: boolean }>(ALONE);
      const rows = held?.mine ? await sql.query<Row>(OLDEST, [EXTERNAL_RELAY_MAX]) : [];
      if (rows.length === 0) return false;
      await publish(rows.map(({ topic, message_id, message }) => ({ topic, key: message_id, value: utf8(message) })));
      await sql.query(DELETE, [rows.map(({ id }) => id)]);
      return true;
    });
}

interface Route {
  readonly channel: string;
  readonly topic: string | null;
  readonly active: boolean;
  readonly inactive_response: "ERROR" | "IGNORE";
}

interface Row {
  readonly id: number;
  readonly topic: string;
  readonly message_id: string;
  readonly message: string;
}

const ROUTES = {
  name: "external.routes",
  text: "SELECT channel, topic, active, inactive_response FROM external_route WHERE channel = ANY($1::text[])",
};
const ADD = {
  name: "external.add",
  text: "INSERT INTO external_outbox (message_id, topic, message) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])",
};
/** Two relays at once would mix the order. */
const ALONE = {
  name: "external.alone",
  text: "SELECT pg_try_advisory_xact_lock(hashtext(current_schema() || '.external_outbox')) AS mine",
};
const OLDEST = { name: "external.oldest", text: "SELECT id, topic, message_id, message FROM external_outbox ORDER BY id LIMIT $1" };
const DELETE = { name: "external.delete", text: "DELETE FROM external_outbox WHERE id = ANY($1::bigint[])" };
