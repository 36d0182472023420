-- Groups of users, properties, and what belongs to a group. Whoever is in a group has its roles and those of the groups above.

CREATE TABLE rbac_group (
  id           uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
  update_ts    timestamptz  NOT NULL,
  version      int          NOT NULL,
  name         varchar(255) NOT NULL,
  -- Null: at the root. Only an empty group is deleted.
  parent_group uuid         REFERENCES rbac_group,
  UNIQUE (name, parent_group)
);
CREATE INDEX rbac_group__parent_group__idx ON rbac_group (parent_group);

CREATE TABLE rbac_role_group_rel (
  group_id  uuid        NOT NULL REFERENCES rbac_group ON DELETE CASCADE,
  role_id   uuid        NOT NULL REFERENCES rbac_role ON DELETE CASCADE,
  update_ts timestamptz NOT NULL,
  PRIMARY KEY (group_id, role_id)
);

CREATE TABLE rbac_user_props (
  user_ref  uuid         NOT NULL REFERENCES rbac_user ON DELETE CASCADE,
  key       varchar(255) NOT NULL,
  value     varchar(255) NOT NULL,
  update_ts timestamptz  NOT NULL,
  PRIMARY KEY (user_ref, key)
);
CREATE INDEX rbac_user_props__key_value__idx ON rbac_user_props (key, value);

ALTER TABLE rbac_user
  ADD COLUMN parent_group uuid REFERENCES rbac_group,
  -- The login of whoever made the user: his repeated request is answered as the first was.
  ADD COLUMN created_by varchar(255);
CREATE INDEX rbac_user__parent_group__idx ON rbac_user (parent_group);

ALTER TABLE rbac_role ADD COLUMN group_vis uuid REFERENCES rbac_group;
CREATE INDEX rbac_role__group_vis__idx ON rbac_role (group_vis);

ALTER TABLE rbac_perm ADD COLUMN group_vis uuid REFERENCES rbac_group;
CREATE INDEX rbac_perm__group_vis__idx ON rbac_perm (group_vis);

-- In which order changes were made.
ALTER TABLE rbac_change_audit ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
