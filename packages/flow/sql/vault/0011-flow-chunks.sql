-- What parts of large payloads carry, once by its SHA-256, whichever messages carry it. A message in a queue holds the rest of
-- itself and refers to it. What no message has referred to for an hour goes.
CREATE TABLE flow_chunk (
  hash        bytea  PRIMARY KEY,
  bytes       bytea  NOT NULL,
  touched_at  bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX flow_chunk_touched ON flow_chunk (touched_at);

ALTER TABLE flow_inbox ADD COLUMN chunk bytea;
ALTER TABLE flow_outbox ADD COLUMN chunk bytea;
CREATE INDEX flow_inbox_chunk ON flow_inbox (chunk) WHERE chunk IS NOT NULL;
CREATE INDEX flow_outbox_chunk ON flow_outbox (chunk) WHERE chunk IS NOT NULL;
