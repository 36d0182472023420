-- Messages of flows to systems outside, written in the step commit that sends them and kept until the bus has them.
CREATE TABLE external_outbox (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id  text   NOT NULL,
  topic       text   NOT NULL,
  message     text   NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Where an operator departs from the default route of a channel: another topic, or none for now.
CREATE TABLE external_route (
  channel            text    PRIMARY KEY,
  topic              text,
  active             boolean NOT NULL DEFAULT true,
  inactive_response  text    NOT NULL DEFAULT 'ERROR' CHECK (inactive_response IN ('ERROR', 'IGNORE'))
);
