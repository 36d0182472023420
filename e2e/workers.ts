// Several workers of one cluster as processes of their own, on a PostgreSQL that outlives them.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { addParties, PARTIES } from "../bench/network.ts";
import type { Database } from "../packages/base/src/index.ts";
import { type Connection, connectTo } from "../packages/cli/src/connection.ts";
import { treePssMb } from "../packages/cli/src/memory.ts";
import { startEmbeddedPostgres } from "../packages/host/src/adapters/embedded-postgres.ts";
import { openDatabase } from "../packages/host/src/adapters/postgres.ts";

const ENTRY = fileURLToPath(new URL("faulty-worker.ts", import.meta.url));
const CORDAPP = fileURLToPath(new URL("cordapp", import.meta.url));
/** As the command line runs a worker. */
const RUNTIME_FLAGS = ["--no-node-snapshot", "--max-semi-space-size=16", "--no-parallel-scavenge", "--disable-warning=ExperimentalWarning"];

export interface WorkerProcess {
  readonly pid: number;
  readonly connection: Connection;
  /** How the command line is told of it, and the password that it reads from its environment. */
  readonly target: readonly string[];
  readonly password: string;
  readonly ended: Promise<{ readonly signal: string | null }>;
  /** Its log so far, a line each. */
  log(): readonly string[];
  signal(name: NodeJS.Signals): void;
  pssMb(): number;
}

export interface Workers {
  /** One more process; with a fault as `faulty-worker.ts` has them. */
  start(fault?: string): Promise<WorkerProcess>;
  /** Uploads a CorDapp and makes two virtual nodes, and one for their notary where that is said. */
  prepare(worker: WorkerProcess, what?: { readonly project: string; readonly notarised: boolean }): Promise<void>;
  /** The short hash of the virtual node that starts flows, and the name of its peer. */
  readonly vnode: () => string;
  readonly peer: string;
  /** Flows of that name and status in both vaults. */
  count(flowName: string, status?: string): Promise<number>;
  /** Forgets every flow and session that is over, as retention does in the end. */
  purge(): Promise<void>;
  close(): Promise<void>;
}

/** With `durable` its database waits for the disk. */
export async function openWorkers({ durable = false } = {}): Promise<Workers> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-workers-"));
  await chmod(folder, 0o755); // PostgreSQL's own user passes through, so that the data stays in here.
  const server = await startEmbeddedPostgres({ home: join(folder, "database"), temporary: !durable });
  const { host, user, password, database: name } = server.connection;
  const url = `postgresql://${user}:${encodeURIComponent(password)}@localhost:5432/${name}?host=${encodeURIComponent(host)}`;
  const home = join(folder, "home");
  await mkdir(home);
  const database = openDatabase({ ...server.connection, schema: "public", connectionsMax: 2 });
  const running = new Set<WorkerProcess>();
  let vnode = "";
  return {
    vnode: () => vnode,
    peer: PARTIES[1] ?? "",
    async start(fault = "") {
      const worker = await startWorker(home, { ...process.env, BOWLINE_DATABASE_URL: url, BOWLINE_E2E_FAULT: fault });
      running.add(worker);
      worker.ended.then(() => running.delete(worker));
      return worker;
    },
    async prepare({ connection }, what = { project: CORDAPP, notarised: false }) {
      await addParties(connection, home, what);
      vnode = (await connection.virtualNodes()).find(({ x500Name }) => x500Name === PARTIES[0])?.shortHash ?? "";
    },
    async count(flowName, status) {
      let total = 0;
      for (const schema of await vaultsOf(database)) {
        const [row] = await database.sql.query<{ count: number }>(
          `SELECT count(*)::int AS count FROM ${schema}.flow WHERE flow_name = $1 AND ($2::text IS NULL OR status = $2)`,
          [flowName, status ?? null],
        );
        total += row?.count ?? 0;
      }
      return total;
    },
    async purge() {
      for (const schema of await vaultsOf(database))
        await database.sql.query(`DELETE FROM ${schema}.flow WHERE wake_at IS NULL; DELETE FROM ${schema}.flow_session`);
    },
    async close() {
      for (const worker of running) worker.signal("SIGKILL");
      await Promise.all([...running].map(({ ended }) => ended));
      await database.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function vaultsOf(database: Database): Promise<readonly string[]> {
  const rows = await database.sql.query<{ schema: string }>(
    "SELECT nspname AS schema FROM pg_namespace WHERE nspname LIKE 'vnode\\_vault\\_%' ORDER BY nspname",
  );
  return rows.map(({ schema }) => schema);
}

async function startWorker(home: string, environment: NodeJS.ProcessEnv): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [...RUNTIME_FLAGS, ENTRY, home], { stdio: ["ignore", "pipe", "pipe"], env: environment });
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => lines.push(line));
  const ended = once(child, "close").then(([, signal]) => ({ signal: signal as string | null }));
  const ready = await Promise.race([firstLine(child), ended.then(() => undefined)]);
  if (ready === undefined) throw new Error(`a worker ended before it was ready:\n${lines.join("\n")}`);
  const { url, caFile, user } = JSON.parse(ready) as { url: string; caFile: string; user: string };
  const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
  const connection = connectTo({ url, user, password, ca: await readFile(caFile, "utf8") });
  const pid = child.pid ?? 0;
  ended.then(() => connection.close());
  return {
    pid,
    connection,
    target: ["--target", url, "--user", user, "--ca", caFile],
    password,
    ended,
    log: () => lines,
    signal: (name) => void child.kill(name),
    pssMb: () => treePssMb(pid, home) ?? Number.NaN,
  };
}

const firstLine = async (child: ChildProcess): Promise<string> => {
  if (child.stdout === null) return "";
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return line;
};

/** How a flow ended. */
export interface End {
  readonly status: string;
  readonly output: unknown;
  readonly error: string;
}

/** Waits for it, however long it takes. */
export async function result(connection: Connection, vnode: string, id: string): Promise<End> {
  for (;;) {
    const reply = await connection.call("getFlowResult", {
      params: { holdingidentityshorthash: vnode, clientrequestid: id },
      query: { waitMs: 30_000 },
    });
    const { flowStatus: status, json: output, flowError } = reply;
    if (["COMPLETED", "FAILED", "KILLED"].includes(status)) return { status, output, error: flowError?.message ?? "" };
  }
}

/** Waits until it is so, and no longer than that. */
export async function within(milliseconds: number, what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const until = performance.now() + milliseconds; !(await condition()); await sleep(50))
    if (performance.now() > until) throw new Error(`not in time: ${what}`);
}
