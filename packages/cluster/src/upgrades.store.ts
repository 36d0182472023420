// Upgrades of virtual nodes, in the config database.

import type { Instant, ShortHash, Sql } from "@bowline/base";
import type { StoredCpi } from "./cpi.store.ts";
import type { PreviousRoutes } from "./external-routes.ts";
import type { UpgradeRequest } from "./virtual-nodes.ts";

/** One that failed is begun again by the next request for the same versions. */
export async function saveUpgrade(sql: Sql, requestId: string, data: UpgradeRequest, now: Instant): Promise<void> {
  await sql.query(
    `INSERT INTO virtual_node_operation (request_id, operation_type, data, state, request_timestamp, latest_update_timestamp)
     VALUES ($1, 'UPGRADE_VIRTUAL_NODE', $2, 'ACCEPTED', $3, $3)
     ON CONFLICT (request_id) DO UPDATE SET state = excluded.state, errors = NULL,
       request_timestamp = excluded.request_timestamp, latest_update_timestamp = excluded.latest_update_timestamp`,
    [requestId, JSON.stringify(data), new Date(now)],
  );
  await sql.query("UPDATE virtual_node SET operation_in_progress = $2 WHERE holding_identity_id = $1", [data.vnode, requestId]);
}

/** The virtual node is of this CPI from here on. */
export async function upgradeNode(sql: Sql, vnode: ShortHash, cpi: StoredCpi, previousRoutes: readonly PreviousRoutes[]): Promise<void> {
  await sql.query(
    `UPDATE virtual_node SET cpi_name = $2, cpi_version = $3, cpi_signer_summary_hash = $4, previous_routes = $5, operation_in_progress = NULL
     WHERE holding_identity_id = $1`,
    [vnode, cpi.name, cpi.version, cpi.signerSummaryHash, JSON.stringify(previousRoutes)],
  );
}

/** It has failed: another may begin. */
export async function endUpgrade(sql: Sql, vnode: ShortHash): Promise<void> {
  await sql.query("UPDATE virtual_node SET operation_in_progress = NULL WHERE holding_identity_id = $1", [vnode]);
}
