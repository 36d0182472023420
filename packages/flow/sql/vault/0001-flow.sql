-- The engine's tables of one virtual node. A step of a flow is one transaction over all of them.
-- Moments are milliseconds since 1970 UTC. `bytea` columns hold canonical bytes unless their name says otherwise.

-- Identity, status, deduplication and mutex of a flow in one row: everything that touches a flow locks or updates it first.
CREATE TABLE flow (
  id                 text    PRIMARY KEY,
  bundle             text    NOT NULL,
  flow_name          text    NOT NULL,
  me                 text    NOT NULL,
  group_id           text    NOT NULL,
  -- One flow for one request of a client; null for flows that answer a session.
  client_request_id  text    UNIQUE,
  origin             bytea   NOT NULL,
  seed               bytea   NOT NULL,
  status             text    NOT NULL,
  version            int     NOT NULL,
  commit_id          text    NOT NULL,
  kill               boolean NOT NULL,
  wake_at            bigint,
  waiting            jsonb   NOT NULL,
  outcome            bytea,
  created_at         bigint  NOT NULL,
  updated_at         bigint  NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX flow_due ON flow (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX flow_created ON flow (created_at, id);

-- Settled steps. A row never changes; rows below a step go when the step itself is settled.
CREATE TABLE flow_step (
  flow_id       text             NOT NULL,
  path          text COLLATE "C" NOT NULL,
  kind          text             NOT NULL,
  request_hash  bytea            NOT NULL,
  outcome       bytea            NOT NULL,
  activation    int              NOT NULL,
  ordinal       int              NOT NULL,
  at            bigint           NOT NULL,
  PRIMARY KEY (flow_id, path)
);

-- One side of a session; both are here when both flows belong to this virtual node.
CREATE TABLE flow_session (
  id            text   NOT NULL,
  side          text   NOT NULL,
  flow_id       text   NOT NULL,
  counterparty  text   NOT NULL,
  protocol      jsonb  NOT NULL,
  version       int,
  status        text   NOT NULL,
  failure       jsonb,
  sent          int    NOT NULL,
  consumed      int    NOT NULL,
  timeout_ms    bigint NOT NULL,
  expires_at    bigint NOT NULL,
  PRIMARY KEY (id, side)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX flow_session_flow ON flow_session (flow_id);

-- Messages that arrived before their flow wanted them.
CREATE TABLE flow_inbox (
  session   text  NOT NULL,
  sender    text  NOT NULL,
  sequence  int   NOT NULL,
  flow_id   text  NOT NULL,
  message   bytea NOT NULL,
  PRIMARY KEY (session, sender, sequence)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX flow_inbox_flow ON flow_inbox (flow_id);

-- Messages that their receiver has not acknowledged. They are sent again, ever more rarely, until they expire.
CREATE TABLE flow_outbox (
  session     text   NOT NULL,
  sender      text   NOT NULL,
  sequence    int    NOT NULL,
  message     bytea  NOT NULL,
  attempts    int    NOT NULL,
  resend_at   bigint NOT NULL,
  expires_at  bigint NOT NULL,
  PRIMARY KEY (session, sender, sequence)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX flow_outbox_due ON flow_outbox (resend_at);
