// Schemas and their users, as the administrator makes them: one schema, a user that may change its tables, one that may
// change its rows, and where asked one that may only read. Everything may be repeated; what is there is brought to the
// same state, so that whoever died in the middle is followed by somebody who finishes.

import { BowlineError, type Database, invariant, type Sql } from "@bowline/base";
import { type Migration, migrate } from "../adapters/migrate.ts";
import type { ConnectionDetails } from "../services.ts";
import { SCRAM_SALT_LENGTH, scramVerifier } from "./scram.ts";

/** Serialises the making of roles and rights, which PostgreSQL does not let happen twice at once. */
const ADMINISTRATION_LOCK = "SELECT pg_advisory_xact_lock(1651471212, 0)";
const MAKERS_OF_LARGE_OBJECTS = ["lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)"];
const NAME = /^[a-z_][a-z0-9_]{0,62}$/;

export interface SchemaUsers {
  readonly schema: string;
  readonly ddl: ConnectionDetails;
  readonly dml?: ConnectionDetails;
  readonly read?: ConnectionDetails;
  /** The name of another schema's user, who may change rows here too. */
  readonly writer?: string;
  /** A user with these rights (`SELECT ON a_table`) and no others, who may not take long. */
  readonly limited?: ConnectionDetails & { readonly rights: readonly string[] };
}

/** A question that takes longer is one that nobody should have asked. */
const QUESTION_TIMEOUT_MS = 10_000;

export type OpenDatabase = (details: ConnectionDetails) => Database;

/**
 * Whether the administrator may do what follows; a superuser may, and so may an owner of the database who may make roles.
 * Throws `database.administratorRights`, which says what to run, before anything is made.
 */
export async function checkAdministrator(administrator: Database): Promise<void> {
  const [may] = await administrator.sql.query<{ user: string; database: string; roles: boolean; schemas: boolean }>(
    `SELECT current_user::text AS user, current_database()::text AS database, rolsuper OR rolcreaterole AS roles,
       has_database_privilege(current_database(), 'CREATE WITH GRANT OPTION')
         AND has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION') AS schemas
     FROM pg_roles WHERE rolname = current_user`,
  );
  invariant(may !== undefined, "who is connected is a role");
  const missing = [
    ...(may.roles ? [] : [`ALTER ROLE ${quote(may.user)} CREATEROLE`]),
    ...(may.schemas ? [] : [`ALTER DATABASE ${quote(may.database)} OWNER TO ${quote(may.user)}`]),
  ];
  if (missing.length === 0) return;
  throw new BowlineError(
    "unavailable",
    "database.administratorRights",
    `User ${may.user} may not make ${may.roles ? "schemas" : "users"} in database ${may.database}, and Bowline makes its own. As a superuser of the server run: ${missing.join("; ")}.`,
    { user: may.user, database: may.database },
  );
}

/** The database is Bowline's own: nobody has rights in it by being a user of the server. */
export async function closeToPublic(administrator: Database, database: string): Promise<void> {
  await administrator.transaction(async (sql) => {
    await sql.query(ADMINISTRATION_LOCK);
    await sql.query(`REVOKE ALL ON DATABASE ${quote(database)} FROM PUBLIC`);
    await sql.query("REVOKE ALL ON SCHEMA public FROM PUBLIC");
    // Large objects lie in no schema. Only a superuser can take them away; elsewhere they stay, readable by their maker alone.
    const [asked] = await sql.query<{ superuser: boolean }>("SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user");
    if (asked?.superuser === true) await sql.query(`REVOKE EXECUTE ON FUNCTION ${MAKERS_OF_LARGE_OBJECTS.join(", ")} FROM PUBLIC`);
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
  const made: ["ddl" | "dml" | "read" | "limited", ConnectionDetails, string][] = [];
  for (const kind of ["ddl", "dml", "read", "limited"] as const) {
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
      if (kind === "read") await sql.query(`ALTER ROLE ${name(user)} SET default_transaction_read_only = on`);
      if (kind === "read" || kind === "limited") await sql.query(`ALTER ROLE ${name(user)} SET statement_timeout = ${QUESTION_TIMEOUT_MS}`);
    }
    if (users.writer !== undefined) await sql.query(`GRANT USAGE ON SCHEMA ${name(users.schema)} TO ${name(users.writer)}`);
  });
  await migrateSchema(options);
}

/** As the DDL user, who owns what it makes: only it can say who else may use it. */
export async function migrateSchema(options: {
  readonly users: SchemaUsers;
  readonly migrations: readonly Migration[];
  readonly open: OpenDatabase;
}): Promise<void> {
  const { schema, ddl, dml, read, writer, limited } = options.users;
  const writers = [dml?.user, writer].flatMap((user) => (user === undefined ? [] : [name(user)]));
  const database = options.open(ddl);
  try {
    const rights = [
      "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
      ...writers.flatMap((user) => [
        `IN SCHEMA ${name(schema)} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${user}`,
        `IN SCHEMA ${name(schema)} GRANT USAGE, SELECT ON SEQUENCES TO ${user}`,
      ]),
      ...(read === undefined ? [] : [`IN SCHEMA ${name(schema)} GRANT SELECT ON TABLES TO ${name(read.user)}`]),
    ];
    await database.transaction(async (sql) => {
      for (const right of rights) await sql.query(`ALTER DEFAULT PRIVILEGES ${right}`);
    });
    const applied = await migrate(database, schema, options.migrations);
    // The record of migrations is for whoever migrates.
    const others = [...writers, ...(read === undefined ? [] : [name(read.user)])];
    if (applied > 0) await database.sql.query(`REVOKE ALL ON schema_migration FROM ${others.join(", ")}`);
    for (const right of limited?.rights ?? []) await database.sql.query(`GRANT ${right} TO ${name(limited?.user ?? "")}`);
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
