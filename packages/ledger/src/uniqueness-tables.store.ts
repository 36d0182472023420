// A notary's tables as an auditor reads them, in the order of their key.

import { digestOf, type SecureHash, type Sql, secureHash } from "@bowline/base";
import type { StateRef } from "@bowline/sdk";
import { parseStateRef, stateRef } from "./leaves.ts";

/** A state that was issued, and the transaction that consumed it. */
export interface StateInTable {
  readonly ref: StateRef;
  readonly by: SecureHash | null;
}

export async function statesInTable(sql: Sql, after: StateRef | null, limit: number): Promise<readonly StateInTable[]> {
  const from = after === null ? undefined : parseStateRef(after);
  const id = from?.transactionId ?? "";
  const rows = await sql.query<Row>(STATES, [
    id.slice(0, Math.max(id.indexOf(":"), 0)),
    from === undefined ? new Uint8Array() : digestOf(from.transactionId),
    from?.index ?? -1,
    limit,
  ]);
  return rows.map(({ algo, id, index, by_algo, by }) => ({
    ref: stateRef(secureHash(id, algo), index),
    by: by === null || by_algo === null ? null : secureHash(by, by_algo),
  }));
}

interface Row {
  readonly algo: string;
  readonly id: Uint8Array;
  readonly index: number;
  readonly by_algo: string | null;
  readonly by: Uint8Array | null;
}

const STATES = {
  name: "uniqueness-states",
  text: `SELECT issue_tx_id_algo AS algo, issue_tx_id AS id, issue_tx_output_idx AS index, consuming_tx_id_algo AS by_algo, consuming_tx_id AS by
  FROM uniqueness_state_details
  WHERE (issue_tx_id_algo, issue_tx_id, issue_tx_output_idx) > ($1::text, $2::bytea, $3::int)
  ORDER BY issue_tx_id_algo, issue_tx_id, issue_tx_output_idx LIMIT $4`,
};
