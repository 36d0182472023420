// What is measured for `flows`: one PostgreSQL with fsync on, our network and DBOS on it, and Restate beside it.

import { randomUUID } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool } from "undici";
import { connectTo } from "../packages/cli/src/connection.ts";
import { startEmbeddedPostgres } from "../packages/host/src/adapters/embedded-postgres.ts";
import { openDatabase } from "../packages/host/src/adapters/postgres.ts";
import { type Child, startChild } from "./child.ts";
import { addParties, PARTIES } from "./network.ts";
import { type Restate, startDbos, startRestate } from "./peers.ts";

export interface FlowsNetwork {
  readonly ours: Child;
  /** One request, as a call of Restate is: it starts the flow and brings the result. */
  runOverRest(flow: string): Promise<void>;
  readonly dbos: Child;
  readonly restate: Restate;
  /** Durability settings of the PostgreSQL that we and DBOS use. */
  readonly settings: readonly string[];
  /** Transactions that were committed in the database of one of us so far. */
  commits(of: "ours" | "dbos"): Promise<number>;
  /** Step commits that flows of this name made, each of its own. */
  stepCommitsOf(flowName: string): Promise<number>;
  close(): Promise<void>;
}

const REST_CONNECTIONS = 64;
const WAIT_MS = 30_000;
const DATABASES = { ours: "bowline", dbos: "bowline_dbos" } as const;

export async function startFlowsNetwork(): Promise<FlowsNetwork> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-bench-"));
  await chmod(folder, 0o755); // PostgreSQL's own user passes through, so that the data stays in here.
  const server = await startEmbeddedPostgres({ home: join(folder, "database") });
  const { host, user, password } = server.connection;
  const url = (database: string) =>
    `postgresql://${user}:${encodeURIComponent(password)}@localhost:5432/${database}?host=${encodeURIComponent(host)}`;
  const home = join(folder, "home");
  await mkdir(home);
  const [ping = "", pong = ""] = PARTIES;
  const ours = await startChild("ours.ts", [home, ping, pong], { ...process.env, BOWLINE_DATABASE_URL: url(DATABASES.ours) });
  const { url: rest, user: login, caFile } = ours.ready as { url: string; user: string; caFile: string };
  const adminPassword = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
  const target = { url: rest, user: login, password: adminPassword, ca: await readFile(caFile, "utf8") };
  const connection = connectTo(target);
  await addParties(connection, home);
  const vnode = (await connection.virtualNodes()).find(({ x500Name }) => x500Name === ping)?.shortHash ?? "";
  await connection.close();
  const pool = new Pool(rest, { connections: REST_CONNECTIONS, connect: { ca: target.ca } });
  const dbos = await startDbos(url(DATABASES.dbos));
  const restate = await startRestate(join(folder, "restate"));
  const database = openDatabase({ ...server.connection, schema: "public", connectionsMax: 1 });
  return {
    ours,
    runOverRest: restRunner(pool, vnode, target),
    dbos,
    restate,
    settings: await database.sql
      .query<{ name: string; setting: string }>(
        "SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'shared_buffers')",
      )
      .then((rows) => rows.map(({ name, setting }) => `${name} = ${setting}`)),
    async commits(of) {
      const [row] = await database.sql.query<{ n: number }>("SELECT xact_commit AS n FROM pg_stat_database WHERE datname = $1", [
        DATABASES[of],
      ]);
      return row?.n ?? 0;
    },
    async stepCommitsOf(flowName) {
      const [table] = await database.sql.query<{ schema: string }>(
        "SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'flow' AND n.nspname LIKE $1",
        [`%${vnode.toLowerCase()}%`],
      );
      const [row] = await database.sql.query<{ n: number }>(
        `SELECT avg(version)::float8 AS n FROM "${table?.schema}".flow WHERE flow_name = $1 AND status = 'COMPLETED'`,
        [flowName],
      );
      return row?.n ?? Number.NaN;
    },
    async close() {
      await pool.close();
      await Promise.all([ours.close(), dbos.close(), restate.close()]);
      await database.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The same client that calls Restate, but over TLS and with credentials. */
function restRunner(pool: Pool, vnode: string, { user, password }: { readonly user: string; readonly password: string }) {
  const path = `/api/v5_3/flow/${vnode}?waitMs=${WAIT_MS}`;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  const headers = { authorization, "content-type": "application/json" };
  return async (flow: string): Promise<void> => {
    const body = JSON.stringify({ clientRequestId: randomUUID(), flowClassName: flow, requestBody: {} });
    const answer = await pool.request({ path, method: "POST", headers, body });
    const text = await answer.body.text();
    if (answer.statusCode !== 200 || JSON.parse(text).flowStatus !== "COMPLETED") throw new Error(`${flow}: ${answer.statusCode} ${text}`);
  };
}
