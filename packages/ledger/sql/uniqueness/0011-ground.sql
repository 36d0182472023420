-- The history of a server's own changes on which this notary's log has grown: PostgreSQL begins a new one, a timeline, whenever a
-- standby takes over or a backup is restored. What was committed before and did not reach it is gone.

CREATE TABLE uniqueness_ground (
  one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
  timeline TEXT NOT NULL,
  -- How often an operator has said that the log is whole as it is there.
  confirmations INTEGER NOT NULL
);
INSERT INTO uniqueness_ground (timeline, confirmations) SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), 0;
