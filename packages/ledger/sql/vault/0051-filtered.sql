-- Transactions of which only parts are known: outputs that others use, proven by their notary's word.

ALTER TABLE utxo_transaction
  -- A filtered copy is here. With status V and no wire nothing else is.
  ADD COLUMN is_filtered BOOLEAN NOT NULL DEFAULT false,
  ALTER COLUMN wire DROP NOT NULL,
  ADD CHECK (wire IS NOT NULL OR (status = 'V' AND is_filtered));

-- As they came, to be shown to others.
CREATE TABLE utxo_filtered_copy (
  transaction_id VARCHAR(160) NOT NULL REFERENCES utxo_transaction (id),
  hash VARCHAR(160) NOT NULL,
  copy BYTEA NOT NULL,
  PRIMARY KEY (transaction_id, hash)
);

CREATE TABLE utxo_filtered_output (
  transaction_id VARCHAR(160) NOT NULL REFERENCES utxo_transaction (id),
  leaf_idx INTEGER NOT NULL,
  info BYTEA NOT NULL,
  data BYTEA NOT NULL,
  PRIMARY KEY (transaction_id, leaf_idx)
);
