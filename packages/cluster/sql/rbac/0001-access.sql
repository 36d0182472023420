-- Who may call what over REST.

CREATE TABLE rbac_user (
  id              uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
  update_ts       timestamptz  NOT NULL,
  version         int          NOT NULL,
  full_name       varchar(255) NOT NULL,
  -- Lower case.
  login_name      varchar(255) NOT NULL UNIQUE CHECK (login_name = lower(login_name)),
  enabled         boolean      NOT NULL,
  -- Argon2id in PHC string form: parameters, salt and hash. Null: no login by password.
  hashed_password varchar(255),
  password_expiry timestamptz
);

CREATE TABLE rbac_role (
  id        uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
  update_ts timestamptz  NOT NULL,
  version   int          NOT NULL,
  name      varchar(255) NOT NULL
);

CREATE TABLE rbac_perm (
  id           uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
  update_ts    timestamptz   NOT NULL,
  version      int           NOT NULL,
  -- Informative: it takes no part in decisions.
  virtual_node varchar(255),
  perm_type    varchar(5)    NOT NULL CHECK (perm_type IN ('ALLOW', 'DENY')),
  perm_string  varchar(1024) NOT NULL
);

CREATE TABLE rbac_role_user_rel (
  user_id   uuid        NOT NULL REFERENCES rbac_user ON DELETE CASCADE,
  role_id   uuid        NOT NULL REFERENCES rbac_role ON DELETE CASCADE,
  update_ts timestamptz NOT NULL,
  PRIMARY KEY (user_id, role_id)
);

CREATE TABLE rbac_role_perm_rel (
  role_id   uuid        NOT NULL REFERENCES rbac_role ON DELETE CASCADE,
  perm_id   uuid        NOT NULL REFERENCES rbac_perm ON DELETE CASCADE,
  update_ts timestamptz NOT NULL,
  PRIMARY KEY (role_id, perm_id)
);

-- Append-only, written in the transaction of the change.
CREATE TABLE rbac_change_audit (
  id          uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
  update_ts   timestamptz   NOT NULL,
  actor_user  varchar(255)  NOT NULL,
  change_type varchar(255)  NOT NULL,
  details     varchar(2048) NOT NULL
);
