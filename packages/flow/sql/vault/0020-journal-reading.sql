-- What a step asked and when, for whoever reads a journal. Null in rows that are older than these columns.
ALTER TABLE flow_step
  ADD COLUMN request   bytea,
  ADD COLUMN asked_at  bigint;
