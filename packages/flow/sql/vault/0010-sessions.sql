-- What a flow is told beside its input, and what its initiator's sessions hand on: {"platform": …, "user": …}; null for nothing.
ALTER TABLE flow ADD COLUMN properties jsonb;

-- Of a session that is initiated here: user properties for the flow that answers; null for none.
ALTER TABLE flow_session ADD COLUMN properties jsonb;
-- When it was opened: a first message is refused `timeout_ms` after it.
ALTER TABLE flow_session ADD COLUMN opened_at bigint NOT NULL DEFAULT 0;
UPDATE flow_session SET opened_at = expires_at - timeout_ms;
