-- A notary's memory: which states were issued, which transaction consumed each, and what was decided on every transaction.
-- Nothing is ever deleted: a consumed state is the proof of a conflict.

CREATE TABLE uniqueness_state_details (
  issue_tx_id_algo VARCHAR(8) NOT NULL,
  issue_tx_id BYTEA NOT NULL,
  issue_tx_output_idx INTEGER NOT NULL,
  consuming_tx_id_algo VARCHAR(8),
  consuming_tx_id BYTEA,
  PRIMARY KEY (issue_tx_id_algo, issue_tx_id, issue_tx_output_idx)
) WITH (fillfactor = 80);

CREATE TABLE uniqueness_tx_details (
  tx_id_algo VARCHAR(8) NOT NULL,
  tx_id BYTEA NOT NULL,
  originator_x500_name VARCHAR(1024) NOT NULL,
  expiry_datetime TIMESTAMPTZ NOT NULL,
  commit_timestamp TIMESTAMPTZ NOT NULL,
  -- Accepted or rejected.
  result CHAR(1) NOT NULL CHECK (result IN ('A', 'R')),
  PRIMARY KEY (tx_id_algo, tx_id)
);

CREATE TABLE uniqueness_rejected_txs (
  tx_id_algo VARCHAR(8) NOT NULL,
  tx_id BYTEA NOT NULL,
  error_code VARCHAR(128) NOT NULL,
  error_details VARCHAR(1024) NOT NULL,
  PRIMARY KEY (tx_id_algo, tx_id),
  FOREIGN KEY (tx_id_algo, tx_id) REFERENCES uniqueness_tx_details (tx_id_algo, tx_id)
);
