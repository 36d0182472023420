// Virtual nodes and the operations that make them, in the config database. A virtual node's row appears in the
// transaction that completes its operation: who sees it sees it whole.

import {
  type HoldingIdentity,
  type Instant,
  parseSecureHash,
  type SecureHash,
  SHA_256,
  type ShortHash,
  type Sql,
  type X500Name,
} from "@bowline/base";
import type { PreviousRoutes } from "./external-routes.ts";
import type { CreationRequest, Operation, OperationState } from "./virtual-nodes.ts";

export type OperationalStatus = "ACTIVE" | "INACTIVE";

export interface VirtualNodeConnections {
  readonly vaultDdl: string | null;
  readonly vaultDml: string | null;
  readonly cryptoDdl: string | null;
  readonly cryptoDml: string | null;
  readonly uniquenessDdl: string | null;
  readonly uniquenessDml: string | null;
}

export interface StoredVirtualNode {
  readonly identity: HoldingIdentity;
  readonly cpi: {
    readonly cpiName: string;
    readonly cpiVersion: string;
    readonly signerSummaryHash: SecureHash;
    readonly fileChecksum: SecureHash;
  };
  readonly connections: VirtualNodeConnections;
  /** The schema in which the notary that it runs keeps its memory. Those that run one service share it. */
  readonly uniqueness: string | null;
  readonly statuses: {
    readonly flowP2p: OperationalStatus;
    readonly flowStart: OperationalStatus;
    readonly flow: OperationalStatus;
    readonly vaultDb: OperationalStatus;
  };
  readonly operationInProgress: string | null;
  readonly schemaLevel: string;
  readonly previousRoutes: readonly PreviousRoutes[];
}

/** What is known of an identity before its virtual node is made. */
export async function loadIdentity(
  sql: Sql,
  id: ShortHash,
): Promise<{ readonly fullHash: SecureHash; readonly exists: boolean; readonly operation: OperationState | undefined } | undefined> {
  const [row] = await sql.query<{ full_hash: string; exists: boolean; state: OperationState | null }>(
    {
      name: "identity_get",
      text: `SELECT h.holding_identity_full_hash AS full_hash, v.holding_identity_id IS NOT NULL AS exists, o.state
             FROM holding_identity h LEFT JOIN virtual_node v USING (holding_identity_id)
             LEFT JOIN virtual_node_operation o ON o.request_id = h.holding_identity_id WHERE h.holding_identity_id = $1`,
    },
    [id],
  );
  return row === undefined ? undefined : { fullHash: fullHash(row.full_hash), exists: row.exists, operation: row.state ?? undefined };
}

/** One operation per identity: one that failed is begun again by the next request. */
export async function saveOperation(sql: Sql, identity: HoldingIdentity, data: CreationRequest, now: Instant): Promise<void> {
  await sql.query(
    `INSERT INTO holding_identity (holding_identity_id, holding_identity_full_hash, x500_name, mgm_group_id)
     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
    [identity.shortHash, identity.fullHash.slice(SHA_256.length + 1), identity.x500Name, identity.groupId],
  );
  await sql.query(
    `INSERT INTO virtual_node_operation (request_id, operation_type, data, state, request_timestamp, latest_update_timestamp)
     VALUES ($1, 'CREATE_VIRTUAL_NODE', $2, 'ACCEPTED', $3, $3)
     ON CONFLICT (request_id) DO UPDATE SET data = excluded.data, state = excluded.state, errors = NULL,
       request_timestamp = excluded.request_timestamp, latest_update_timestamp = excluded.latest_update_timestamp`,
    [identity.shortHash, JSON.stringify(data), new Date(now)],
  );
}

export async function setOperationState(
  sql: Sql,
  requestId: string,
  state: OperationState,
  errors: string | null,
  now: Instant,
): Promise<void> {
  await sql.query(
    {
      name: "operation_state",
      text: "UPDATE virtual_node_operation SET state = $2, errors = $3, latest_update_timestamp = $4 WHERE request_id = $1",
    },
    [requestId, state, errors, new Date(now)],
  );
}

interface OperationRow {
  readonly request_id: string;
  readonly operation_type: Operation["type"];
  readonly data: Operation["data"];
  readonly state: OperationState;
  readonly errors: string | null;
  readonly latest_update_timestamp: Date;
}

export async function loadOperation(sql: Sql, requestId: string): Promise<Operation | undefined> {
  const [row] = await sql.query<OperationRow>(
    { name: "operation_get", text: "SELECT * FROM virtual_node_operation WHERE request_id = $1" },
    [requestId],
  );
  return row === undefined ? undefined : operationOf(row);
}

/** Oldest first. */
export async function loadUnfinishedOperations(sql: Sql): Promise<readonly Operation[]> {
  const rows = await sql.query<OperationRow>(
    "SELECT * FROM virtual_node_operation WHERE state IN ('ACCEPTED', 'IN_PROGRESS') ORDER BY request_timestamp",
  );
  return rows.map(operationOf);
}

const operationOf = (row: OperationRow): Operation =>
  ({
    requestId: row.request_id,
    type: row.operation_type,
    data: row.data, // Written by us, with the type beside it.
    state: row.state,
    errors: row.errors,
    updatedAt: row.latest_update_timestamp.getTime(),
  }) as Operation;

export async function saveVirtualNode(
  sql: Sql,
  node: {
    readonly id: ShortHash;
    readonly cpi: { readonly name: string; readonly version: string; readonly signerSummaryHash: SecureHash };
    readonly connections: VirtualNodeConnections;
    readonly schemaLevel: string;
  },
  now: Instant,
): Promise<void> {
  const { cpi, connections: c } = node;
  await sql.query(
    `INSERT INTO virtual_node (holding_identity_id, cpi_name, cpi_version, cpi_signer_summary_hash, flow_p2p_operational_status,
       flow_start_operational_status, flow_operational_status, vault_db_operational_status, vault_ddl_connection_id,
       vault_dml_connection_id, crypto_ddl_connection_id, crypto_dml_connection_id, uniqueness_ddl_connection_id,
       uniqueness_dml_connection_id, schema_level, insert_ts)
     VALUES ($1, $2, $3, $4, 'ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE', $5, $6, $7, $8, $9, $10, $11, $12)
     ON CONFLICT DO NOTHING`,
    [
      node.id,
      cpi.name,
      cpi.version,
      cpi.signerSummaryHash,
      c.vaultDdl,
      c.vaultDml,
      c.cryptoDdl,
      c.cryptoDml,
      c.uniquenessDdl,
      c.uniquenessDml,
      node.schemaLevel,
      new Date(now),
    ],
  );
}

export async function saveSchemaLevel(sql: Sql, id: ShortHash, level: string): Promise<void> {
  await sql.query("UPDATE virtual_node SET schema_level = $2 WHERE holding_identity_id = $1", [id, level]);
}

interface NodeRow {
  readonly id: ShortHash;
  readonly full_hash: string;
  readonly x500_name: X500Name;
  readonly mgm_group_id: string;
  readonly cpi_name: string;
  readonly cpi_version: string;
  readonly cpi_signer_summary_hash: SecureHash;
  readonly file_checksum: SecureHash;
  readonly flow_p2p_operational_status: OperationalStatus;
  readonly flow_start_operational_status: OperationalStatus;
  readonly flow_operational_status: OperationalStatus;
  readonly vault_db_operational_status: OperationalStatus;
  readonly vault_ddl_connection_id: string | null;
  readonly vault_dml_connection_id: string | null;
  readonly crypto_ddl_connection_id: string | null;
  readonly crypto_dml_connection_id: string | null;
  readonly uniqueness_ddl_connection_id: string | null;
  readonly uniqueness_dml_connection_id: string | null;
  readonly uniqueness_connection_name: string | null;
  readonly operation_in_progress: string | null;
  readonly schema_level: string;
  readonly previous_routes: readonly PreviousRoutes[];
}

export async function loadVirtualNodes(sql: Sql): Promise<readonly StoredVirtualNode[]> {
  const rows = await sql.query<NodeRow>({
    name: "vnode_list",
    text: `SELECT h.holding_identity_id AS id, h.holding_identity_full_hash AS full_hash, h.x500_name, h.mgm_group_id, c.file_checksum,
             u.connection_name AS uniqueness_connection_name, v.*
           FROM virtual_node v JOIN holding_identity h USING (holding_identity_id)
           JOIN cpi c ON (c.name, c.version, c.signer_summary_hash) = (v.cpi_name, v.cpi_version, v.cpi_signer_summary_hash)
           LEFT JOIN db_connection u ON u.connection_id = v.uniqueness_dml_connection_id
           ORDER BY v.insert_ts, h.holding_identity_id`,
  });
  return rows.map(nodeOf);
}

const nodeOf = (row: NodeRow): StoredVirtualNode => ({
  identity: { x500Name: row.x500_name, groupId: row.mgm_group_id, shortHash: row.id, fullHash: fullHash(row.full_hash) },
  cpi: {
    cpiName: row.cpi_name,
    cpiVersion: row.cpi_version,
    signerSummaryHash: row.cpi_signer_summary_hash,
    fileChecksum: row.file_checksum,
  },
  connections: {
    vaultDdl: row.vault_ddl_connection_id,
    vaultDml: row.vault_dml_connection_id,
    cryptoDdl: row.crypto_ddl_connection_id,
    cryptoDml: row.crypto_dml_connection_id,
    uniquenessDdl: row.uniqueness_ddl_connection_id,
    uniquenessDml: row.uniqueness_dml_connection_id,
  },
  uniqueness: row.uniqueness_connection_name,
  statuses: {
    flowP2p: row.flow_p2p_operational_status,
    flowStart: row.flow_start_operational_status,
    flow: row.flow_operational_status,
    vaultDb: row.vault_db_operational_status,
  },
  operationInProgress: row.operation_in_progress,
  schemaLevel: row.schema_level,
  previousRoutes: row.previous_routes,
});

const fullHash = (digits: string): SecureHash => parseSecureHash(`${SHA_256}:${digits}`) as SecureHash;
