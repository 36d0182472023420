-- The order in which states come and go. Whoever changes them takes its positions from one row, and so holds it until its commit:
-- positions are in the order of the commits, and who has seen one has seen all below it.

CREATE TABLE utxo_vault_clock (
  one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
  -- The last that was given.
  position BIGINT NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
INSERT INTO utxo_vault_clock (position) SELECT COALESCE(max(position), 0) FROM utxo_visible_transaction_output;

ALTER TABLE utxo_visible_transaction_output
  ALTER COLUMN position DROP IDENTITY,
  ADD COLUMN consumed_position BIGINT;
WITH before AS (
  SELECT transaction_id, group_idx, leaf_idx, row_number() OVER (ORDER BY consumed, position) AS n
  FROM utxo_visible_transaction_output WHERE consumed IS NOT NULL)
UPDATE utxo_visible_transaction_output o SET consumed_position = clock.position + before.n
FROM before, utxo_vault_clock clock
WHERE o.transaction_id = before.transaction_id AND o.group_idx = before.group_idx AND o.leaf_idx = before.leaf_idx;
UPDATE utxo_vault_clock SET position = position + (SELECT count(*) FROM utxo_visible_transaction_output WHERE consumed IS NOT NULL);
CREATE INDEX utxo_visible_transaction_output_idx_gone ON utxo_visible_transaction_output (consumed_position) WHERE consumed_position IS NOT NULL;
