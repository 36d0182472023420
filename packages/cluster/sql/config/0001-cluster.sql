-- What an operator owns: connections, packages, certificates and virtual nodes.

-- Every connection but those of this database itself. Passwords are encrypted under the secrets root.
CREATE TABLE db_connection (
  connection_id   uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
  connection_name varchar(64)  NOT NULL,
  privilege       varchar(3)   NOT NULL CHECK (privilege IN ('DDL', 'DML')),
  version         int          NOT NULL,
  update_ts       timestamptz  NOT NULL,
  update_actor    varchar(255) NOT NULL,
  description     varchar(255),
  config          text         NOT NULL,
  UNIQUE (connection_name, privilege)
);

CREATE TABLE db_connection_audit (
  change_number   bigint       GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  connection_id   uuid         NOT NULL,
  connection_name varchar(64)  NOT NULL,
  privilege       varchar(3)   NOT NULL,
  update_ts       timestamptz  NOT NULL,
  update_actor    varchar(255) NOT NULL,
  description     varchar(255),
  config          text         NOT NULL
);

CREATE TABLE cluster_certificate (
  usage           varchar(255) NOT NULL,
  -- Empty: the cluster's own.
  holding_identity_id varchar(12) NOT NULL DEFAULT '',
  alias           varchar(255) NOT NULL,
  raw_certificate text         NOT NULL,
  PRIMARY KEY (usage, holding_identity_id, alias)
);

-- An upload in progress or ended. One that was interrupted says so.
CREATE TABLE cpi_upload (
  request_id    uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
  file_name     varchar(255) NOT NULL,
  status        varchar(255) NOT NULL,
  file_checksum varchar(80),
  -- The refusal as an error is made of: {kind, code, message, details}.
  error         jsonb,
  insert_ts     timestamptz  NOT NULL
);

CREATE TABLE cpi (
  name                   varchar(255) NOT NULL,
  version                varchar(255) NOT NULL,
  signer_summary_hash    varchar(255) NOT NULL,
  file_name              varchar(255) NOT NULL,
  file_checksum          varchar(255) NOT NULL UNIQUE,
  group_policy           text         NOT NULL,
  group_id               varchar(255) NOT NULL,
  file_upload_request_id uuid,
  insert_ts              timestamptz  NOT NULL,
  PRIMARY KEY (name, version, signer_summary_hash)
);

CREATE TABLE cpk_metadata (
  file_checksum           varchar(255) PRIMARY KEY,
  cpk_name                varchar(255) NOT NULL,
  cpk_version             varchar(255) NOT NULL,
  cpk_signer_summary_hash varchar(255) NOT NULL,
  format_version          varchar(12)  NOT NULL,
  cpk_type                varchar(12)  NOT NULL,
  -- The manifest of its CorDapp.
  metadata                jsonb        NOT NULL,
  insert_ts               timestamptz  NOT NULL
);

CREATE TABLE cpk_file (
  file_checksum varchar(255) PRIMARY KEY REFERENCES cpk_metadata,
  -- The package as it was signed, and the script in it, which runs.
  data          bytea        NOT NULL,
  script        text         NOT NULL
);

CREATE TABLE cpi_cpk (
  cpi_name                varchar(255) NOT NULL,
  cpi_version             varchar(255) NOT NULL,
  cpi_signer_summary_hash varchar(255) NOT NULL,
  cpk_file_checksum       varchar(255) NOT NULL REFERENCES cpk_metadata,
  cpk_file_name           varchar(255) NOT NULL,
  -- Its place in the CPI.
  ordinal                 int          NOT NULL,
  PRIMARY KEY (cpi_name, cpi_version, cpi_signer_summary_hash, cpk_file_checksum),
  FOREIGN KEY (cpi_name, cpi_version, cpi_signer_summary_hash) REFERENCES cpi
);

CREATE TABLE holding_identity (
  holding_identity_id        varchar(12)  PRIMARY KEY,
  holding_identity_full_hash varchar(64)  NOT NULL UNIQUE,
  x500_name                  varchar(512) NOT NULL,
  mgm_group_id               varchar(255) NOT NULL,
  UNIQUE (mgm_group_id, x500_name)
);

-- A virtual node that is complete. What is still being made is an operation.
CREATE TABLE virtual_node (
  holding_identity_id          varchar(12)  PRIMARY KEY REFERENCES holding_identity,
  cpi_name                     varchar(255) NOT NULL,
  cpi_version                  varchar(255) NOT NULL,
  cpi_signer_summary_hash      varchar(255) NOT NULL,
  flow_p2p_operational_status  varchar(255) NOT NULL,
  flow_start_operational_status varchar(255) NOT NULL,
  flow_operational_status      varchar(255) NOT NULL,
  vault_db_operational_status  varchar(255) NOT NULL,
  vault_ddl_connection_id      uuid REFERENCES db_connection,
  vault_dml_connection_id      uuid REFERENCES db_connection,
  crypto_ddl_connection_id     uuid REFERENCES db_connection,
  crypto_dml_connection_id     uuid REFERENCES db_connection,
  uniqueness_ddl_connection_id uuid REFERENCES db_connection,
  uniqueness_dml_connection_id uuid REFERENCES db_connection,
  operation_in_progress        varchar(255),
  -- A digest of the migrations that its schemas have had: at a start only those of another level are opened.
  schema_level                 varchar(80)  NOT NULL,
  insert_ts                    timestamptz  NOT NULL,
  FOREIGN KEY (cpi_name, cpi_version, cpi_signer_summary_hash) REFERENCES cpi
);

CREATE TABLE virtual_node_operation (
  id                      uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
  request_id              varchar(255) NOT NULL UNIQUE,
  operation_type          varchar(255) NOT NULL,
  data                    jsonb        NOT NULL,
  state                   varchar(255) NOT NULL,
  errors                  text,
  request_timestamp       timestamptz  NOT NULL,
  latest_update_timestamp timestamptz  NOT NULL
);
CREATE INDEX virtual_node_operation_unfinished ON virtual_node_operation (request_timestamp)
  WHERE state IN ('ACCEPTED', 'IN_PROGRESS');
