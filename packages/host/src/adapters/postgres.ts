// The `Database` port on PostgreSQL, over `pg`.
//
// Guarantees: what `transaction` returns is committed. A transaction in which any statement failed is never reported as
// committed, even if the work caught the error. Statements of one transaction reach the server in the order in which they
// were sent; those that nobody awaits share a round trip with BEGIN, with each other and with COMMIT.
// A lost server is an `unavailable` error that names the server; passwords and row values are in no error.

import type { Writable } from "node:stream";
import { BowlineError, type Database, invariant, type Log, type Sql, type Statement, unavailable } from "@bowline/base";
import pg from "pg";
import { parametersOf } from "./postgres-arrays.ts";

export interface DatabaseOptions {
  /** A host name, or the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** The search path of every connection, so that table names need no prefix. */
  readonly schema: string;
  readonly user: string;
  readonly password: string;
  readonly connectionsMax: number;
  /** Of PostgreSQL, for these connections; values without spaces. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly log?: Log;
}

/** Connections are opened when they are needed, so this neither waits nor fails when the server is away. */
export function openDatabase(options: DatabaseOptions): Database {
  return new PostgresDatabase(options);
}

const CONNECT_TIMEOUT_MS = 10_000;
/** A connection is a process of the server and costs megabytes: what is not used goes. */
const IDLE_CLOSE_MS = 10_000;
const SETTINGS = {
  // A process that is stopped in the middle of a transaction holds up the others for so long, and no longer.
  idle_in_transaction_session_timeout: "10000",
  // A text in a statement means the same everywhere, whatever the server's owner prefers.
  standard_conforming_strings: "on",
};
const SCHEMA_PATTERN = /^[a-z_][a-z0-9_]{0,62}$/;

class PostgresDatabase implements Database {
  readonly sql: Sql;
  readonly #pool: pg.Pool;
  readonly #where: string;
  #closed: Promise<void> | undefined;

  constructor(options: DatabaseOptions) {
    const { host, port, database, schema, user, password, connectionsMax, log } = options;
    const settings = { search_path: schema, ...SETTINGS, ...options.settings };
    invariant(SCHEMA_PATTERN.test(schema), `a schema name is lower case letters, digits and underscores: ${schema}`);
    invariant(connectionsMax >= 1, "a database has at least one connection");
    this.#where = `${host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`}, database ${database}, user ${user}`;
    this.#pool = new pg.Pool({
      host,
      port,
      database,
      user,
      password,
      options: Object.entries(settings)
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(" "),
      application_name: "bowline",
      pipeline: true,
      max: connectionsMax,
      idleTimeoutMillis: IDLE_CLOSE_MS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      types: { getTypeParser },
    });
    // An idle connection that breaks is replaced when the next one is needed; of one that is going anyway nobody need hear.
    this.#pool.on("error", (error) => {
      if (this.#closed === undefined) log?.warn("a database connection was lost", { database, schema, user, reason: error.message });
    });
    // While a connection is in use its loss is told by the statement in flight; the event beside it must not end the process.
    this.#pool.on("connect", (client) => client.on("error", () => undefined));
    this.sql = { query: (statement, values) => this.#single(statement, values) };
  }

  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    const scope = new Transaction(client, this.#where);
    let result: T;
    try {
      result = await work(scope);
      await scope.commit();
    } catch (error) {
      const usable = await scope.rollback();
      client.release(!usable);
      throw scope.causeOf(error);
    }
    client.release();
    return result;
  }

  close(): Promise<void> {
    this.#closed ??= this.#pool.end();
    return this.#closed;
  }

  async #single<Row>(statement: Statement | string, values?: readonly unknown[]): Promise<Row[]> {
    const client = await this.#connect();
    try {
      const { rows } = await send(client, statement, values);
      client.release();
      return rows as Row[];
    } catch (error) {
      client.release(isBroken(error));
      throw explain(error, this.#where);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#closed !== undefined) throw unavailable("database.closed", `The connections to PostgreSQL (${this.#where}) are closed.`);
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw explain(error, this.#where);
    }
  }
}

/** One transaction on one connection. BEGIN is on its way before the first statement is asked for. */
class Transaction implements Sql {
  readonly #client: pg.PoolClient;
  readonly #where: string;
  #open = true;
  #failure: { readonly error: unknown } | undefined;

  constructor(client: pg.PoolClient, where: string) {
    this.#client = client;
    this.#where = where;
    gather(client);
    this.#watch(client.query("BEGIN"));
  }

  query<Row>(statement: Statement | string, values?: readonly unknown[]): Promise<Row[]> {
    invariant(this.#open, "a statement was sent through a transaction that had ended");
    gather(this.#client);
    const rows = this.#watch(send(this.#client, statement, values)).then(({ rows }) => rows as Row[]);
    // The commit reports a failure that nobody awaited: here it must not end the process.
    rows.catch(() => undefined);
    return rows;
  }

  async commit(): Promise<void> {
    const answer = this.#watch(this.#client.query("COMMIT"));
    this.#open = false;
    let command: string | undefined;
    try {
      ({ command } = await answer);
    } catch {
      // It is `#failure`, or follows from it.
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    // PostgreSQL answers ROLLBACK to the COMMIT of a transaction that had failed.
    invariant(command === "COMMIT", `COMMIT was answered by ${command}`);
  }

  /** After one statement has failed, PostgreSQL refuses all that follow it in words that say nothing. */
  causeOf(error: unknown): unknown {
    const follows = error instanceof pg.DatabaseError && error.code === IN_FAILED_TRANSACTION;
    return follows && this.#failure !== undefined ? this.#failure.error : error;
  }

  /** Whether the connection can be used again. */
  async rollback(): Promise<boolean> {
    this.#open = false;
    try {
      await this.#client.query("ROLLBACK");
      return true;
    } catch {
      return false;
    }
  }

  /** Keeps the first failure, in the words of this adapter: every later one only follows from it. */
  #watch(answer: Promise<pg.QueryResult>): Promise<pg.QueryResult> {
    const explained = answer.catch((error: unknown) => {
      const explanation = explain(error, this.#where);
      this.#failure ??= { error: explanation };
      throw explanation;
    });
    explained.catch(() => undefined);
    return explained;
  }
}

/** What is sent in this turn of the event loop leaves in one write: a system call each would cost more than the statements. */
function gather(client: pg.PoolClient): void {
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

function send(client: pg.PoolClient, statement: Statement | string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
  // Without values and name it is the simple protocol, which takes several statements at once.
  if (typeof statement === "string") return values.length === 0 ? client.query(statement) : client.query(statement, [...values]);
  const { name, text } = statement;
  return client.query({ ...(name === undefined ? {} : { name }), text, values: parametersOf(statement, values) });
}

const IN_FAILED_TRANSACTION = "25P02";

/** SQLSTATE to what it means for us. The first prefix that fits wins. */
const MEANINGS: readonly (readonly [prefix: string, code: string, what: string])[] = [
  ["53100", "database.diskFull", "has no disk space left; free some, and what waits will go on"],
  ["53300", "database.tooManyConnections", "has no connection to spare; raise max_connections, or lower our pools"],
  ["53", "database.exhausted", "is short of a resource"],
  ["40", "database.contended", "rolled the transaction back because another one was faster"],
  ["55P03", "database.contended", "could not lock a row in time"],
  ["25P03", "database.unavailable", "ended a transaction whose process did not go on"],
  ["25006", "database.unavailable", "is a standby, or takes no writes"],
  ["57P", "database.unavailable", "is starting or shutting down"],
  ["08", "database.unavailable", "cannot be reached"],
  ["28", "database.refused", "refused the user or the password"],
  ["3D000", "database.refused", "has no such database"],
];

function explain(error: unknown, where: string): unknown {
  if (error instanceof BowlineError) return error;
  if (error instanceof pg.DatabaseError) {
    const meaning = MEANINGS.find(([prefix]) => error.code?.startsWith(prefix));
    if (meaning !== undefined) return unavailable(meaning[1], `PostgreSQL (${where}) ${meaning[2]}: ${error.message}.`);
    // These two quote the values of rows, and a row may hold a secret.
    error.detail = undefined;
    error.where = undefined;
    return error;
  }
  if (!isBroken(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return unavailable("database.unavailable", `PostgreSQL (${where}) cannot be reached: ${reason}. Is the server running?`);
}

const CONNECTION_LOST =
  /connection (terminated|error|timeout)|terminating connection|client was closed|timeout exceeded when trying to connect/i;

/** Whether the connection is gone, as opposed to the statement being wrong. */
function isBroken(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return error.severity === "FATAL" || error.severity === "PANIC";
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return (code !== undefined && /^E[A-Z]+$/.test(code)) || CONNECTION_LOST.test(error.message);
}

const OID = { bytea: 17, int8: 20, byteaArray: 1001, int8Array: 1016 } as const;

/** Its types describe another version of it than the one that is shipped. */
const arrayParser = pg.types.arrayParser as unknown as { create<T>(text: string, item: (text: string) => T): { parse(): T[] } };

/** An int8 is a number as long as a number can say it. */
function parseInteger(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** Plain `Uint8Array`s over memory of their own, so that they compare, clone and freeze like any other. */
function parseBytes(text: string): Uint8Array {
  invariant(text.startsWith("\\x"), "bytea_output is hex");
  const bytes = Buffer.allocUnsafeSlow((text.length - 2) / 2);
  bytes.write(text.slice(2), "hex");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const parseArray =
  <T>(item: (text: string) => T) =>
  (text: string): T[] =>
    arrayParser.create(text, item).parse();

const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  [OID.bytea]: parseBytes,
  [OID.int8]: parseInteger,
  [OID.byteaArray]: parseArray(parseBytes),
  [OID.int8Array]: parseArray(parseInteger),
};

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: unknown) =>
  (format !== "binary" && PARSERS[oid]) || pg.types.getTypeParser(oid, format as "text");
