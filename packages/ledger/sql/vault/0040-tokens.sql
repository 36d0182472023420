-- Fungible states that stand, and which flow has claimed them. A row lives as long as its state is unconsumed: it is written
-- and deleted in the commit that produces and consumes the state. The token-selection role writes claims, and nothing else.

CREATE TABLE utxo_token (
  transaction_id VARCHAR(160) COLLATE "C" NOT NULL,
  leaf_idx INTEGER NOT NULL,
  token_type TEXT COLLATE "C" NOT NULL,
  issuer TEXT COLLATE "C" NOT NULL,
  symbol TEXT COLLATE "C" NOT NULL,
  notary TEXT COLLATE "C" NOT NULL,
  amount NUMERIC NOT NULL CHECK (amount > 0),
  tag TEXT COLLATE "C",
  owner TEXT COLLATE "C",
  priority BIGINT,
  -- A claim lives until its time is up or its flow is at its end: both are looked at, neither is written.
  claim_id TEXT,
  claim_flow TEXT,
  claim_until TIMESTAMPTZ,
  PRIMARY KEY (transaction_id, leaf_idx)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX utxo_token_idx_pool ON utxo_token (symbol, issuer, token_type, notary, transaction_id, leaf_idx);
CREATE INDEX utxo_token_idx_priority ON utxo_token (symbol, issuer, token_type, notary, priority, transaction_id, leaf_idx)
  WHERE priority IS NOT NULL;

-- What a claim was answered with, so that a repeat is answered with the same.
CREATE TABLE utxo_token_claim (
  claim_id TEXT PRIMARY KEY,
  flow_id TEXT NOT NULL,
  -- SHA-256 of what was asked.
  request BYTEA NOT NULL,
  transaction_ids TEXT[] NOT NULL,
  leaf_idxs INTEGER[] NOT NULL,
  tokens JSONB NOT NULL,
  claim_until TIMESTAMPTZ NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX utxo_token_claim_idx_until ON utxo_token_claim (claim_until);

-- Flows whose claims are over, as far as the token-selection role may know of flows.
CREATE VIEW utxo_ended_flow AS SELECT id FROM flow WHERE status IN ('COMPLETED', 'FAILED', 'KILLED', 'PARKED');
