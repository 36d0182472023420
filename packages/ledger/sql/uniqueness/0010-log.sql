-- The log of what a notary decided, batch by batch: gap-free, in an order in which every conflict is decided as it stands here,
-- each entry bound to the one before it. Nothing is ever changed or deleted.

CREATE TABLE uniqueness_log (
  seq BIGINT PRIMARY KEY,
  -- SHA-256 of the head before and of the decisions.
  head BYTEA NOT NULL,
  -- Canonical bytes: every transaction that was decided on, with all that the decision rests on.
  decisions BYTEA NOT NULL,
  -- The notary's signature over its words on them, and over the hash of the decisions.
  seal BYTEA NOT NULL
);
-- Hashes do not compress.
ALTER TABLE uniqueness_log ALTER COLUMN decisions SET STORAGE EXTERNAL;

-- One row. Whoever commits a batch holds it, last of all that it locks: so batches commit one after the other.
CREATE TABLE uniqueness_log_head (
  one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
  seq BIGINT NOT NULL,
  head BYTEA NOT NULL
) WITH (fillfactor = 10);
INSERT INTO uniqueness_log_head (seq, head) VALUES (0, decode(repeat('00', 32), 'hex'));
