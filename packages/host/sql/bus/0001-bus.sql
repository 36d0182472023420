-- The bus of several processes: records that wait for the subscribers of each group, and who of them has which keys.
-- Nothing here is a fact of the ledger: whoever must not lose a record has it in an outbox.

CREATE TABLE bus_group (
  id       int         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name     text        NOT NULL UNIQUE,
  used_at  timestamptz NOT NULL
);

CREATE TABLE bus_topic (
  topic     text NOT NULL,
  group_id  int  NOT NULL REFERENCES bus_group ON DELETE CASCADE,
  PRIMARY KEY (topic, group_id)
);

-- A subscriber lives as long as it says so: by this server's clock, which is the same for all.
CREATE TABLE bus_member (
  id           uuid        PRIMARY KEY,
  group_id     int         NOT NULL REFERENCES bus_group ON DELETE CASCADE,
  alive_until  timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Its owner alone takes a partition's records.
CREATE TABLE bus_partition (
  group_id   int NOT NULL REFERENCES bus_group ON DELETE CASCADE,
  partition  int NOT NULL,
  owner      uuid,
  PRIMARY KEY (group_id, partition)
) WITH (fillfactor = 50);

-- A queue: rows are written once, read once and deleted, so it is vacuumed by count and without pause. Groups that nobody
-- uses go with their records; there is no reference, which would cost each insert a lock.
CREATE TABLE bus_record (
  group_id   int    NOT NULL,
  partition  int    NOT NULL,
  id         bigint GENERATED ALWAYS AS IDENTITY,
  topic      text   NOT NULL,
  key        text   NOT NULL,
  value      bytea  NOT NULL,
  PRIMARY KEY (group_id, partition, id)
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000
);
