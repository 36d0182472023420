-- Keys of one virtual node. Nothing here opens without the key root, which is in no database.

-- One row per tenant and generation; the newest wraps new keys, older ones remain until what they wrap has moved.
CREATE TABLE wrapping_key (
  id                   uuid PRIMARY KEY,
  tenant_id            text NOT NULL,
  alias                text NOT NULL,
  generation           integer NOT NULL CHECK (generation >= 1),
  -- The alias of the root that wraps this row.
  parent_key_reference text NOT NULL,
  key_material         bytea NOT NULL,
  created              timestamptz NOT NULL,
  UNIQUE (tenant_id, generation),
  UNIQUE (alias, generation)
);

CREATE TABLE signing_key (
  id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id        text NOT NULL,
  -- SHA-256 of the SubjectPublicKeyInfo, and its first twelve hexadecimal digits.
  full_key_id      bytea NOT NULL CHECK (length(full_key_id) = 32),
  key_id           text NOT NULL CHECK (length(key_id) = 12),
  alias            text NOT NULL,
  category         text NOT NULL,
  scheme_code_name text NOT NULL,
  public_key       bytea NOT NULL,
  created          timestamptz NOT NULL,
  UNIQUE (tenant_id, alias),
  UNIQUE (tenant_id, key_id),
  UNIQUE (tenant_id, full_key_id)
);

-- The private key, once per generation of the wrapping key that wraps it.
CREATE TABLE signing_key_material (
  signing_key_id  uuid NOT NULL REFERENCES signing_key ON DELETE CASCADE,
  wrapping_key_id uuid NOT NULL REFERENCES wrapping_key,
  key_material    bytea NOT NULL,
  created         timestamptz NOT NULL,
  PRIMARY KEY (signing_key_id, wrapping_key_id)
);
CREATE INDEX signing_key_material_wrapping_key ON signing_key_material (wrapping_key_id);
