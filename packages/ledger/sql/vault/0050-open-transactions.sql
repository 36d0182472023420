-- What is not decided yet wakes up by itself: a transaction that its flow left unverified is asked about again, each on its own
-- time. Transactions of others' histories, which wait to be verified, have no such time.

ALTER TABLE utxo_transaction
  ADD COLUMN repair_at TIMESTAMPTZ,
  ADD COLUMN repair_attempts INTEGER NOT NULL DEFAULT 0,
  -- The upper bound of the time window: after it the notary's answer is final at once.
  ADD COLUMN window_until TIMESTAMPTZ;
UPDATE utxo_transaction SET repair_at = now() WHERE status = 'U';
DROP INDEX utxo_transaction_idx_open;
CREATE INDEX utxo_transaction_idx_repair ON utxo_transaction (repair_at) WHERE status = 'U' AND repair_at IS NOT NULL;
