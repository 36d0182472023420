// The stored connections: `db_connection` and its audit. The config of a row is JSON as it came; whoever reads it knows
// which member of it is an encrypted secret.

import type { Instant, Sql } from "@bowline/base";
import type { Privilege } from "./databases.ts";

export interface StoredConnection {
  readonly id: string;
  readonly name: string;
  readonly privilege: Privilege;
  readonly config: string;
}

export async function loadConnection(sql: Sql, name: string, privilege: Privilege): Promise<StoredConnection | undefined> {
  const [row] = await sql.query<{ connection_id: string; config: string }>(
    { name: "connection_get", text: "SELECT connection_id, config FROM db_connection WHERE connection_name = $1 AND privilege = $2" },
    [name, privilege],
  );
  return row === undefined ? undefined : { id: row.connection_id, name, privilege, config: row.config };
}

/** The row that is there afterwards: the one that was there before, if any. */
export async function ensureConnection(
  sql: Sql,
  connection: Omit<StoredConnection, "id"> & { readonly description: string },
  now: Instant,
): Promise<StoredConnection> {
  const { name, privilege, config, description } = connection;
  await sql.query(
    {
      name: "connection_put",
      text: `WITH made AS (
               INSERT INTO db_connection (connection_name, privilege, version, update_ts, update_actor, description, config)
               VALUES ($1, $2, 0, $3, 'db', $4, $5) ON CONFLICT DO NOTHING RETURNING *)
             INSERT INTO db_connection_audit (connection_id, connection_name, privilege, update_ts, update_actor, description, config)
             SELECT connection_id, connection_name, privilege, update_ts, update_actor, description, config FROM made`,
    },
    [name, privilege, new Date(now), description, config],
  );
  return (await loadConnection(sql, name, privilege)) as StoredConnection;
}
