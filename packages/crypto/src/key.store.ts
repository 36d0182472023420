// Keys in PostgreSQL: the crypto database of the cluster, or of one virtual node. Both have the same tables.

import { type Database, digestOf, type Statement, secureHash, shortHash } from "@bowline/base";
import { type KeyNames, type KeyStore, parseCategory, type SigningKey, type WrappingKeyRow } from "./key-store.ts";
import { parseScheme } from "./schemes.ts";

export function keyStore(database: Database): KeyStore {
  const { sql } = database;
  return {
    async wrappingKey(tenant) {
      const [row] = await sql.query<WrappingKeyColumns>(NEWEST_WRAPPING_KEY, [tenant]);
      return row && wrappingKeyOf(row);
    },

    async addWrappingKey(row) {
      const { id, tenant, alias, generation, rootAlias, material, created } = row;
      await sql.query(ADD_WRAPPING_KEY, [id, tenant, alias, generation, rootAlias, material, created]);
      const [there] = await sql.query<WrappingKeyColumns>(WRAPPING_KEY_OF_GENERATION, [tenant, generation]);
      return there === undefined ? row : wrappingKeyOf(there);
    },

    async addSigningKey(key, material) {
      // One statement, so that no other writer sees or leaves a key without its material.
      const values = [key.tenant, digestOf(key.id), shortHash(key.id), key.alias, key.category, key.scheme];
      const publicKey = Buffer.from(key.publicKey, "base64");
      await sql.query(ADD_SIGNING_KEY, [...values, publicKey, key.created, material.wrappingKeyId, material.material]);
      const [there] = await find(database, key.tenant, { by: "alias", values: [key.alias] });
      return there;
    },

    find: (tenant, names) => find(database, tenant, names),

    async list(tenant) {
      return (await sql.query<SigningKeyColumns>(LIST, [tenant])).map(signingKeyOf);
    },

    async material(tenant, id) {
      const [row] = await sql.query<WrappingKeyColumns & { key_material: Uint8Array }>(MATERIAL, [tenant, digestOf(id)]);
      return row && { wrappingKey: wrappingKeyOf(row), material: row.key_material };
    },
  };
}

async function find({ sql }: Database, tenant: string, names: KeyNames): Promise<readonly SigningKey[]> {
  const values = names.by === "id" ? names.values.map(digestOf) : names.values;
  return (await sql.query<SigningKeyColumns>(FIND[names.by], [tenant, values])).map(signingKeyOf);
}

interface WrappingKeyColumns {
  readonly id: string;
  readonly tenant_id: string;
  readonly alias: string;
  readonly generation: number;
  readonly parent_key_reference: string;
  readonly wrapped: Uint8Array;
  readonly created_ms: number;
}

interface SigningKeyColumns {
  readonly tenant_id: string;
  readonly full_key_id: Uint8Array;
  readonly alias: string;
  readonly category: string;
  readonly scheme_code_name: string;
  readonly public_key: Uint8Array;
  readonly created_ms: number;
}

const wrappingKeyOf = (row: WrappingKeyColumns): WrappingKeyRow => ({
  id: row.id,
  tenant: row.tenant_id,
  alias: row.alias,
  generation: row.generation,
  rootAlias: row.parent_key_reference,
  material: row.wrapped,
  created: row.created_ms,
});

const signingKeyOf = (row: SigningKeyColumns): SigningKey => ({
  tenant: row.tenant_id,
  id: secureHash(row.full_key_id),
  alias: row.alias,
  category: parseCategory(row.category),
  scheme: parseScheme(row.scheme_code_name),
  publicKey: Buffer.from(row.public_key).toString("base64"),
  created: row.created_ms,
});

const WRAPPING_KEY_COLUMNS = `w.id, w.tenant_id, w.alias, w.generation, w.parent_key_reference, w.key_material AS wrapped,
  (extract(epoch FROM w.created) * 1000)::int8 AS created_ms`;

const SIGNING_KEY_COLUMNS = `s.tenant_id, s.full_key_id, s.alias, s.category, s.scheme_code_name, s.public_key,
  (extract(epoch FROM s.created) * 1000)::int8 AS created_ms`;

const NEWEST_WRAPPING_KEY: Statement = {
  name: "crypto.newestWrappingKey",
  text: `SELECT ${WRAPPING_KEY_COLUMNS} FROM wrapping_key w WHERE w.tenant_id = $1 ORDER BY w.generation DESC LIMIT 1`,
};

const WRAPPING_KEY_OF_GENERATION: Statement = {
  name: "crypto.wrappingKeyOfGeneration",
  text: `SELECT ${WRAPPING_KEY_COLUMNS} FROM wrapping_key w WHERE w.tenant_id = $1 AND w.generation = $2`,
};

const ADD_WRAPPING_KEY: Statement = {
  name: "crypto.addWrappingKey",
  text: `INSERT INTO wrapping_key (id, tenant_id, alias, generation, parent_key_reference, key_material, created)
    VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7::float8 / 1000))
    ON CONFLICT DO NOTHING`,
};

const ADD_SIGNING_KEY: Statement = {
  name: "crypto.addSigningKey",
  text: `WITH key AS (
      INSERT INTO signing_key (tenant_id, full_key_id, key_id, alias, category, scheme_code_name, public_key, created)
      VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8::float8 / 1000))
      ON CONFLICT DO NOTHING
      RETURNING id, created
    )
    INSERT INTO signing_key_material (signing_key_id, wrapping_key_id, key_material, created)
    SELECT key.id, $9, $10, key.created FROM key`,
};

const LIST: Statement = {
  name: "crypto.listSigningKeys",
  text: `SELECT ${SIGNING_KEY_COLUMNS} FROM signing_key s WHERE s.tenant_id = $1 ORDER BY s.created, s.alias`,
};

const findBy = (column: string, type: string): Statement => ({
  name: `crypto.findSigningKeys.${column}`,
  text: `SELECT ${SIGNING_KEY_COLUMNS} FROM signing_key s WHERE s.tenant_id = $1 AND s.${column} = ANY($2::${type}[]) ORDER BY s.created, s.alias`,
});

const FIND: Readonly<Record<KeyNames["by"], Statement>> = {
  id: findBy("full_key_id", "bytea"),
  shortId: findBy("key_id", "text"),
  alias: findBy("alias", "text"),
};

const MATERIAL: Statement = {
  name: "crypto.signingKeyMaterial",
  text: `SELECT ${WRAPPING_KEY_COLUMNS}, m.key_material
    FROM signing_key s
    JOIN signing_key_material m ON m.signing_key_id = s.id
    JOIN wrapping_key w ON w.id = m.wrapping_key_id
    WHERE s.tenant_id = $1 AND s.full_key_id = $2
    ORDER BY w.generation DESC
    LIMIT 1`,
};
