// The cluster's own databases, brought to the state that this program needs: schemas, users, tables, built-in roles and
// the first administrator. At a start that finds everything in place it costs one question. Of processes that start at
// once one prepares, and the others find everything in place.

import { BowlineError, type Database } from "@bowline/base";
import {
  CONFIG_DATABASE,
  CRYPTO_DATABASE,
  type DatabasePlan,
  ensureBuiltInRoles,
  ensureFirstAdmin,
  hashPassword,
  loadStanding,
  RBAC_DATABASE,
  SALT_LENGTH,
  userName,
  VIRTUAL_NODES_CONNECTION,
} from "@bowline/cluster";
import { type Migration, migrationLevel } from "../adapters/migrate.ts";
import type { ConnectionDetails } from "../services.ts";
import type { ConnectionBook } from "./db-connections.ts";
import type { MigrationSets } from "./migrations.ts";
import { checkAdministrator, closeToPublic, type OpenDatabase, provisionCreator, provisionSchema } from "./provision.ts";
import { inTurn } from "./turns.ts";

/** Where several processes meet without Kafka. Nothing in it is a fact. */
const BUS_DATABASE: DatabasePlan = { schema: "bus", connection: "corda-bus", description: "Messages between processes" };

export interface Bootstrap {
  readonly administrator: ConnectionDetails;
  readonly book: ConnectionBook;
  readonly migrations: MigrationSets;
  readonly firstAdmin: { readonly login: string; readonly password: string };
  readonly open: OpenDatabase;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
}

export interface ClusterDatabases {
  readonly config: Database;
  readonly rbac: Database;
  close(): Promise<void>;
}

export async function bootstrap(options: Bootstrap): Promise<ClusterDatabases> {
  const administrator = options.open(options.administrator);
  try {
    return await inTurn(administrator, "preparation", () => prepare(options, administrator));
  } finally {
    await administrator.close();
  }
}

async function prepare(options: Bootstrap, administrator: Database): Promise<ClusterDatabases> {
  const { book, migrations, open } = options;
  const config = open(book.config("dml"));
  let rbac: Database | undefined;
  try {
    const levels = await readLevels(administrator);
    const place = { administrator, levels, options };
    const fresh = await ensureLevel(place, CONFIG_DATABASE, migrations.config, async () => {
      await closeToPublic(administrator, options.administrator.database);
      return { ddl: book.config("ddl"), dml: book.config("dml"), read: book.config("read") };
    });
    if (!fresh) await checkRoot(config);
    const users = async (plan: DatabasePlan) => ({
      ddl: (await book.ensure(config.sql, plan, "DDL", "ddl", options.now())).details,
      dml: (await book.ensure(config.sql, plan, "DML", "dml", options.now())).details,
    });
    await ensureLevel(place, RBAC_DATABASE, migrations.rbac, () => users(RBAC_DATABASE));
    await ensureLevel(place, CRYPTO_DATABASE, migrations.crypto, () => users(CRYPTO_DATABASE));
    await ensureLevel(place, BUS_DATABASE, migrations.bus, () => users(BUS_DATABASE));
    await ensureCreator(options, administrator, config, fresh);
    rbac = open((await users(RBAC_DATABASE)).dml);
    await ensureAdministrator(options, rbac);
  } catch (error) {
    await Promise.all([config.close(), rbac?.close()]);
    throw error;
  }
  const opened = { config, rbac };
  return { ...opened, close: async () => void (await Promise.all([opened.config.close(), opened.rbac.close()])) };
}

interface Provisioning {
  readonly administrator: Database;
  readonly levels: ReadonlyMap<string, string>;
  readonly options: Bootstrap;
}

/** A schema's level stands in its comment, written last: what has it is complete. False where it has it already. */
async function ensureLevel(
  { administrator, levels, options }: Provisioning,
  plan: DatabasePlan,
  migrations: readonly Migration[],
  users: () => Promise<{ readonly ddl: ConnectionDetails; readonly dml: ConnectionDetails; readonly read?: ConnectionDetails }>,
): Promise<boolean> {
  const level = migrationLevel(migrations);
  if (levels.get(plan.schema) === level) return false;
  const { open, random } = options;
  await checkAdministrator(administrator);
  await provisionSchema({ creator: administrator, users: { schema: plan.schema, ...(await users()) }, migrations, open, random });
  await administrator.sql.query(`COMMENT ON SCHEMA ${plan.schema} IS '${level}'`);
  return true;
}

async function readLevels(administrator: Database): Promise<ReadonlyMap<string, string>> {
  const rows = await administrator.sql.query<{ nspname: string; level: string | null }>(
    "SELECT nspname, obj_description(oid, 'pg_namespace') AS level FROM pg_namespace WHERE nspname IN ('config', 'rbac', 'crypto', 'bus')",
  );
  return new Map(rows.map(({ nspname, level }) => [nspname, level ?? ""]));
}

/** Passwords of config's users derive from the secrets root: with another root the server refuses them. */
async function checkRoot(config: Database): Promise<void> {
  try {
    await config.sql.query("SELECT 1");
  } catch (error) {
    if (!(error instanceof BowlineError) || error.code !== "database.refused") throw error;
    throw new BowlineError(
      "unavailable",
      "secrets.rootChanged",
      "This database was made under another secrets root. Restore the passphrase and salt that it was made with (secrets/secrets-root.json in the home folder, or the environment).",
    );
  }
}

async function ensureCreator(options: Bootstrap, administrator: Database, config: Database, fresh: boolean): Promise<void> {
  const plan = {
    schema: "virtual_nodes",
    connection: VIRTUAL_NODES_CONNECTION,
    description: "Makes the schemas and users of virtual nodes",
  };
  const user = userName(options.administrator.database, plan.schema, "admin");
  const [found] = await administrator.sql.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [user]);
  const { details } = await options.book.ensure(config.sql, plan, "DDL", "admin", options.now());
  if (fresh || found === undefined) await provisionCreator(administrator, details, options.random);
}

async function ensureAdministrator({ firstAdmin, now, random }: Bootstrap, rbac: Database): Promise<void> {
  await ensureBuiltInRoles(rbac, now());
  if ((await loadStanding(rbac.sql, firstAdmin.login)) !== undefined) return;
  const hashedPassword = await hashPassword(firstAdmin.password, random(SALT_LENGTH));
  await ensureFirstAdmin(rbac, { login: firstAdmin.login, hashedPassword }, now());
}
