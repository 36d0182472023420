-- Who belongs to the static networks of this cluster, and what each network has agreed on.

CREATE TABLE static_network_info (
  group_id               varchar(255) PRIMARY KEY,
  -- The private key lies with the crypto role, under the tenant p2p.
  mgm_public_signing_key text         NOT NULL
);

-- Never updated: transactions name parameters by their hash for ever.
CREATE TABLE group_parameters (
  group_id   varchar(255) NOT NULL REFERENCES static_network_info,
  epoch      int          NOT NULL,
  hash       varchar(80)  NOT NULL UNIQUE,
  parameters bytea        NOT NULL,
  signature  bytea        NOT NULL,
  signed_by  text         NOT NULL,
  PRIMARY KEY (group_id, epoch)
);

CREATE TABLE member_info (
  group_id       varchar(255) NOT NULL REFERENCES static_network_info,
  name           varchar(512) NOT NULL,
  status         varchar(16)  NOT NULL,
  serial         int          NOT NULL,
  info           jsonb        NOT NULL,
  member_context jsonb        NOT NULL,
  mgm_context    jsonb        NOT NULL,
  PRIMARY KEY (group_id, name)
);
