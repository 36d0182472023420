// Schemas and their users, as the administrator makes them: one schema, a user that may change its tables, one that may
// change its rows, and where asked one that may only read. Everything may be repeated; what is there is brought to the
// same state, so that whoever died in the middle is followed by somebody who finishes.

import { type Database, invariant, type Sql } from "@bowline/base";
import type { UserKind } from "@bowline/cluster";
import { type Migration, migrate } from "../adapters/migrate.ts";
import type { ConnectionDetails } from "../services.ts";
import { SCRAM_SALT_LENGTH, scramVerifier } from "./scram.ts";

/** Serialises the making of roles and rights, which PostgreSQL does not let happen twice at once. */
const ADMINISTRATION_LOCK = "SELECT pg_advisory_xact_lock(1651471212, 0)";
const NAME = /^[a-z_][a-z0-9_]{0,62}$/;

export interface SchemaUsers {
  readonly schema: string;
  readonly ddl: ConnectionDetails;
  readonly dml: ConnectionDetails;
  readonly read?: ConnectionDetails;
}

export type OpenDatabase = (details: ConnectionDetails) => Database;

/** The database is Bowline's own: nobody has rights in it by being a user of the server. */
export async function closeToPublic(administrator: Database, database: string): Promise<void> {
  await administrator.transaction(async (sql) => {
    await sql.query(ADMINISTRATION_LOCK);
    await sql.query(`REVOKE ALL ON DATABASE ${quote(database)} FROM PUBLIC`);
    await sql.query("REVOKE ALL ON SCHEMA public FROM PUBLIC");
  });
}

/** A user that may make the schemas and users of virtual nodes, and is no superuser. */
export async function provisionCreator(
  administrator: Database,
  creator: ConnectionDetails,
  random: (length: number) => Uint8Array,
): Promise<void> {
  const verifier = await scramVerifier(creator.password, random(SCRAM_SALT_LENGTH));
  await administrator.transaction(async (sql) => {
    await sql.query(ADMINISTRATION_LOCK);
    await ensureUser(sql, creator.user, verifier, "CREATEROLE");
    await sql.query(`GRANT CONNECT, CREATE ON DATABASE ${quote(creator.database)} TO ${name(creator.user)} WITH GRANT OPTION`);
  });
}

/** Makes schema and users through `creator`, then migrates the schema as its own DDL user. */
export async function provisionSchema(options: {
  readonly creator: Database;
  readonly users: SchemaUsers;
  readonly migrations: readonly Migration[];
  readonly open: OpenDatabase;
  readonly random: (length: number) => Uint8Array;
}): Promise<void> {
  const { creator, users, random } = options;
  const made: [UserKind, ConnectionDetails, string][] = [];
  for (const kind of ["ddl", "dml", "read"] as const) {
    const details = users[kind];
    if (details !== undefined) made.push([kind, details, await scramVerifier(details.password, random(SCRAM_SALT_LENGTH))]);
  }
  await creator.transaction(async (sql) => {
    await sql.query(ADMINISTRATION_LOCK);
    await sql.query(`CREATE SCHEMA IF NOT EXISTS ${name(users.schema)}`);
    await sql.query(`REVOKE ALL ON SCHEMA ${name(users.schema)} FROM PUBLIC`);
    for (const [kind, { user, database }, verifier] of made) {
      await ensureUser(sql, user, verifier, "NOCREATEROLE");
      await sql.query(`ALTER ROLE ${name(user)} SET search_path = ${name(users.schema)}`);
      await sql.query(`GRANT CONNECT ON DATABASE ${quote(database)} TO ${name(user)}`);
      await sql.query(`GRANT USAGE${kind === "ddl" ? ", CREATE" : ""} ON SCHEMA ${name(users.schema)} TO ${name(user)}`);
    }
  });
  await migrateSchema(options);
}

/** As the DDL user, who owns what it makes: only it can say who else may use it. */
export async function migrateSchema(options: {
  readonly users: SchemaUsers;
  readonly migrations: readonly Migration[];
  readonly open: OpenDatabase;
}): Promise<void> {
  const { schema, ddl, dml, read } = options.users;
  const database = options.open(ddl);
  try {
    const rights = [
      "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
      `IN SCHEMA ${name(schema)} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${name(dml.user)}`,
      `IN SCHEMA ${name(schema)} GRANT USAGE, SELECT ON SEQUENCES TO ${name(dml.user)}`,
      ...(read === undefined ? [] : [`IN SCHEMA ${name(schema)} GRANT SELECT ON TABLES TO ${name(read.user)}`]),
    ];
    await database.transaction(async (sql) => {
      for (const right of rights) await sql.query(`ALTER DEFAULT PRIVILEGES ${right}`);
    });
    const applied = await migrate(database, schema, options.migrations);
    // The record of migrations is for whoever migrates.
    if (applied > 0) await database.sql.query(`REVOKE ALL ON schema_migration FROM ${name(dml.user)}`);
  } finally {
    await database.close();
  }
}

async function ensureUser(sql: Sql, user: string, verifier: string, attribute: "CREATEROLE" | "NOCREATEROLE"): Promise<void> {
  const [found] = await sql.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [user]);
  if (found === undefined) await sql.query(`CREATE ROLE ${name(user)} LOGIN ${attribute}`);
  invariant(/^[A-Za-z0-9$:+/=-]+$/.test(verifier), "a SCRAM verifier needs no escape");
  await sql.query(`ALTER ROLE ${name(user)} PASSWORD '${verifier}'`);
}

/** Statements that make users take no parameters: every name that we put into one is of this form. */
function name(text: string): string {
  invariant(NAME.test(text), `not a name of ours: ${text}`);
  return text;
}

const quote = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`;
