-- A large answer of a step lies once by its SHA-256, as what large messages carry does. What a step refers to is kept: its
-- `touched_at` is the end of time until a step that referred to it goes.
ALTER TABLE flow_step ADD COLUMN chunk bytea;
CREATE INDEX flow_step_chunk ON flow_step (chunk) WHERE chunk IS NOT NULL;
