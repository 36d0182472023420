-- What operators configure, by section: the version in force, and all that were.
CREATE TABLE config (
  section      varchar(255) PRIMARY KEY,
  source       text         NOT NULL,
  version      int          NOT NULL,
  update_ts    timestamptz  NOT NULL,
  update_actor varchar(255) NOT NULL
);

CREATE TABLE config_audit (
  change_number bigint       GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  section       varchar(255) NOT NULL,
  source        text         NOT NULL,
  version       int          NOT NULL,
  update_ts     timestamptz  NOT NULL,
  update_actor  varchar(255) NOT NULL
);

-- Routes of the CPIs that a virtual node had before this one, for whoever reads their topics still.
ALTER TABLE virtual_node ADD COLUMN previous_routes jsonb NOT NULL DEFAULT '[]';
