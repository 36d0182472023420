-- The ledger of one virtual node: transactions, what they build upon, who signed them, and the states that this member keeps.

CREATE TABLE utxo_transaction (
  id VARCHAR(160) PRIMARY KEY,
  -- Draft, unverified, verified, invalid.
  status CHAR(1) NOT NULL CHECK (status IN ('D', 'U', 'V', 'I')),
  -- Canonical bytes without signatures: all components and the salt.
  wire BYTEA NOT NULL,
  group_parameters_hash VARCHAR(160) NOT NULL,
  -- Why it is invalid.
  reason TEXT,
  created TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
-- What is not decided yet, oldest first.
CREATE INDEX utxo_transaction_idx_open ON utxo_transaction (created) WHERE status IN ('D', 'U');

CREATE TABLE utxo_transaction_signature (
  transaction_id VARCHAR(160) NOT NULL REFERENCES utxo_transaction (id),
  pub_key_hash VARCHAR(160) NOT NULL,
  is_notary BOOLEAN NOT NULL,
  -- Canonical bytes of the signature with its metadata and, for a notary's, the batch proof.
  signature BYTEA NOT NULL,
  created TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (transaction_id, pub_key_hash, is_notary)
);

CREATE TABLE utxo_transaction_sources (
  transaction_id VARCHAR(160) NOT NULL REFERENCES utxo_transaction (id),
  -- Component group: 6 inputs, 7 references.
  group_idx INTEGER NOT NULL,
  leaf_idx INTEGER NOT NULL,
  source_state_transaction_id VARCHAR(160) NOT NULL,
  source_state_idx INTEGER NOT NULL,
  PRIMARY KEY (transaction_id, group_idx, leaf_idx)
);

CREATE TABLE utxo_visible_transaction_output (
  transaction_id VARCHAR(160) NOT NULL REFERENCES utxo_transaction (id),
  -- Component group: 8 outputs.
  group_idx INTEGER NOT NULL,
  leaf_idx INTEGER NOT NULL,
  -- The order of pages.
  position BIGINT GENERATED ALWAYS AS IDENTITY,
  type VARCHAR(1024) NOT NULL,
  info BYTEA NOT NULL,
  data BYTEA NOT NULL,
  custom_representation JSONB NOT NULL,
  created TIMESTAMPTZ NOT NULL DEFAULT now(),
  consumed TIMESTAMPTZ,
  PRIMARY KEY (transaction_id, group_idx, leaf_idx)
) WITH (fillfactor = 80);
CREATE INDEX utxo_visible_transaction_output_idx_unconsumed ON utxo_visible_transaction_output (type, position) WHERE consumed IS NULL;
CREATE INDEX utxo_visible_transaction_output_idx_consumed ON utxo_visible_transaction_output (type, position) WHERE consumed IS NOT NULL;
CREATE INDEX utxo_visible_transaction_output_idx_position ON utxo_visible_transaction_output (position);

CREATE TABLE utxo_group_parameters (
  hash VARCHAR(160) PRIMARY KEY,
  parameters BYTEA NOT NULL,
  signature_public_key TEXT NOT NULL,
  signature_content BYTEA NOT NULL,
  created TIMESTAMPTZ NOT NULL DEFAULT now()
);
