-- What this member found that nobody can ever verify, for its operators: the newest first.
CREATE INDEX utxo_transaction_idx_invalid ON utxo_transaction (updated, id) WHERE status = 'I';
