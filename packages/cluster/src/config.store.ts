// Sections of configuration, in the config database, and every version that was.

import type { Instant, Sql } from "@bowline/base";
import { type ConfigChange, changedConfig, type StoredConfig } from "./config.ts";

export async function loadConfig(sql: Sql, section: string): Promise<StoredConfig | undefined> {
  const [row] = await sql.query<StoredConfig>(
    { name: "config_get", text: "SELECT section, source, version FROM config WHERE section = $1" },
    [section],
  );
  return row;
}

/** In a transaction. Throws as `changedConfig`. */
export async function saveConfig(sql: Sql, change: ConfigChange, actor: string, now: Instant): Promise<StoredConfig> {
  await sql.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`config ${change.section}`]);
  const saved = changedConfig(await loadConfig(sql, change.section), change);
  const values = [saved.section, saved.source, saved.version, new Date(now), actor];
  await sql.query(
    `INSERT INTO config (section, source, version, update_ts, update_actor) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (section) DO UPDATE SET source = excluded.source, version = excluded.version, update_ts = excluded.update_ts,
       update_actor = excluded.update_actor`,
    values,
  );
  await sql.query("INSERT INTO config_audit (section, source, version, update_ts, update_actor) VALUES ($1, $2, $3, $4, $5)", values);
  return saved;
}
