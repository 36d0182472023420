// The PostgreSQL that Bowline brings: a real server, from npm, of its own for each home folder.
//
// Guarantees: what is committed survives kill -9 of everything (fsync is on). It listens on a unix socket only, with a
// password that lies beside it. It does not outlive this process, however this process ends: a small watcher sees our end
// of a pipe close and stops it. What a killed predecessor left (a server, its children, lock files) is cleared first; what
// a living one holds is never touched.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BowlineError, type Log, unavailable } from "@bowline/base";
import pg from "pg";
import { claimFolder, type FolderClaim } from "./folder-claim.ts";
import { damaged, doesNotRun, explainFailure, explainFileError, isLingering, otherVersion } from "./postgres-failure.ts";
import { giveTo, makeOwnFolder, type PostgresPlace, preparePlace, removePlace } from "./postgres-place.ts";
import { clearPredecessor } from "./postgres-predecessor.ts";

export interface EmbeddedPostgresOptions {
  /** The home folder. Made here if it is missing; data, password and log lie in it. */
  readonly home: string;
  readonly log?: Log;
  /** Called with what is being done, where it may take a second or more. */
  readonly progress?: (what: string) => void;
  /** For tests: durability is off, and the home folder is removed with the server. */
  readonly temporary?: boolean;
}

export interface EmbeddedPostgres {
  /** For `openDatabase`, as the superuser. */
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };
  readonly pid: number;
  /** Resolves when the server has ended, asked or not. */
  readonly ended: Promise<void>;
  /** Finishes open transactions by rolling them back, and leaves nothing running. */
  stop(): Promise<void>;
}

const DATABASE = "bowline";
const SUPERUSER = "bowline";
const PORT = 5432; // Only part of the socket's file name.
const START_ATTEMPTS_MAX = 40;
const RETRY_MS = 500;
const RECOVERY_TIMEOUT_MS = 600_000;
const POLL_MS = 20;
const STOP_TIMEOUT_MS = 20_000;
const KILL_TIMEOUT_MS = 5_000;
const LOG_BYTES_MAX = 10 * 1024 * 1024;

/** Small: a whole network with its database has to fit a laptop beside everything else. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  port: String(PORT),
  max_connections: "200",
  shared_buffers: "64MB",
  huge_pages: "off",
  work_mem: "4MB",
  maintenance_work_mem: "32MB",
  effective_cache_size: "512MB",
  max_wal_size: "512MB",
  wal_buffers: "8MB",
  io_method: "sync", // Worker processes would cost memory, and gain nothing for short transactions.
  max_worker_processes: "2",
  max_parallel_workers_per_gather: "0",
  max_logical_replication_workers: "0",
  autovacuum_max_workers: "2",
  autovacuum_naptime: "15s",
  jit: "off",
  random_page_cost: "1.1",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "%m [%p] ",
  log_checkpoints: "off",
  password_encryption: "scram-sha-256",
};
const TEMPORARY_SETTINGS: Readonly<Record<string, string>> = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" };

/** Throws one clear sentence (`postgres.*`, `folder.inUse`) when there can be no server. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { home } = options;
  try {
    await mkdir(join(home, "logs"), { recursive: true, mode: 0o700 });
    await mkdir(join(home, "secrets"), { recursive: true, mode: 0o700 });
    const claim = await claimFolder(join(home, "postgres.claim"), `The database in ${home}`);
    try {
      const place = await preparePlace(home);
      await clearPredecessor(place.data);
      const password = await ensureData(options, place);
      return await launch(options, place, password, claim);
    } catch (error) {
      await claim.release();
      throw error;
    }
  } catch (error) {
    throw explainFileError(error, home);
  }
}

/** Starts it, or finds the one that another living process of this home has started: that one it neither watches nor stops. */
export async function joinEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres | { readonly attached: EmbeddedPostgres["connection"] }> {
  for (let waitUntil = performance.now() + RECOVERY_TIMEOUT_MS; ; await sleep(RETRY_MS)) {
    try {
      return await startEmbeddedPostgres(options);
    } catch (error) {
      if (!(error instanceof BowlineError) || error.code !== "folder.inUse" || performance.now() > waitUntil) throw error;
    }
    const password = (await readFile(join(options.home, "secrets", "postgres-password"), "utf8").catch(() => "")).trim();
    const { sockets, data } = await preparePlace(options.home);
    const attached = { host: sockets, port: PORT, database: DATABASE, user: SUPERUSER, password };
    if (password !== "" && (await answers(attached, data))) return { attached };
  }
}

/** The superuser's password. Makes the data folder the first time: all of it or nothing. */
async function ensureData(options: EmbeddedPostgresOptions, place: PostgresPlace): Promise<string> {
  const passwordFile = join(options.home, "secrets", "postgres-password");
  const known = (await readFile(passwordFile, "utf8").catch(() => "")).trim();
  if ((await stat(place.data).catch(() => undefined)) !== undefined) {
    await checkData(place);
    if (known !== "") return known;
    throw unavailable(
      "postgres.passwordMissing",
      `The password file ${passwordFile} is gone, and the database needs it. Put it back, or run \`bowline reset\` to begin anew.`,
    );
  }
  const password = known || randomBytes(24).toString("base64url");
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flush: true });
  options.progress?.("making the database");
  await initialise(options, place, password);
  return password;
}

async function checkData({ data, version }: PostgresPlace): Promise<void> {
  const major = version.split(".")[0];
  const found = (await readFile(join(data, "PG_VERSION"), "utf8").catch(() => "")).trim();
  if (!/^\d+(\.\d+)?$/.test(found)) throw damaged(data, `its file PG_VERSION ${found === "" ? "is missing" : "names no version"}`);
  if (found !== major) throw otherVersion(data, `it was made by PostgreSQL ${found}, and this is ${major}`);
}

async function initialise(options: EmbeddedPostgresOptions, place: PostgresPlace, password: string): Promise<void> {
  const fresh = `${place.data}.new`;
  const passwordFile = join(place.root, "password");
  await rm(fresh, { recursive: true, force: true });
  await makeOwnFolder(fresh, place.account);
  await writeFile(passwordFile, password, { mode: 0o600 });
  await giveTo(passwordFile, place.account);
  try {
    const child = run(place, "initdb", [
      ...["-D", fresh, "-U", SUPERUSER, `--pwfile=${passwordFile}`, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
      ...["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions", ...(options.temporary ? ["--no-sync"] : [])],
    ]);
    const { code, output } = await outcome(child);
    if (code !== 0) throw explainFailure({ output, dataFolder: place.data, logFile: "in the message above" });
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(fresh, place.data);
}

async function launch(
  options: EmbeddedPostgresOptions,
  place: PostgresPlace,
  password: string,
  claim: FolderClaim,
): Promise<EmbeddedPostgres> {
  const connection = { host: place.sockets, port: PORT, database: DATABASE, user: SUPERUSER, password };
  const logFile = join(options.home, "logs", "postgres.log");
  await rotate(logFile);
  for (let attempt = 1; ; attempt++) {
    for (const name of [`.s.PGSQL.${PORT}`, `.s.PGSQL.${PORT}.lock`]) await rm(join(place.sockets, name), { force: true });
    const started = await startOnce(options, place, logFile, connection);
    if (started.kind === "ready") return accompany(options, started, connection, claim);
    if (attempt === START_ATTEMPTS_MAX || !isLingering(started.output)) {
      throw explainFailure({ output: started.output, dataFolder: place.data, logFile });
    }
    options.progress?.("waiting for the previous database server to end");
    await sleep(RETRY_MS);
    await clearPredecessor(place.data);
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly watcher: ChildProcess;
}

type Started = (Running & { readonly kind: "ready" }) | { readonly kind: "failed"; readonly output: string };

async function startOnce(
  options: EmbeddedPostgresOptions,
  place: PostgresPlace,
  logFile: string,
  connection: EmbeddedPostgres["connection"],
): Promise<Started> {
  const before = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  const log = await open(logFile, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  const settings = { ...SETTINGS, ...(options.temporary ? TEMPORARY_SETTINGS : {}), unix_socket_directories: place.sockets };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  let child: ChildProcess;
  try {
    child = run(place, "postgres", ["-D", place.data, ...flags], log.fd);
  } finally {
    await log.close();
  }
  const ended = once(child, "exit").then(
    () => true,
    (error: Error) => {
      throw doesNotRun(error.message);
    },
  );
  // From the first moment on: we may die while it recovers.
  const watcher = watch(child.pid ?? 0, place.data, options.temporary ? [options.home, place.root] : []);
  let isReady = false;
  try {
    isReady = await ready(options, { data: place.data, connection, ended });
    if (isReady) return { kind: "ready", child, watcher };
  } finally {
    if (!isReady) {
      await stopServer(child);
      watcher.kill("SIGKILL"); // What it would remove is needed for the next attempt.
    }
  }
  const output = (await readFile(logFile)).subarray(before).toString("utf8");
  return { kind: "failed", output };
}

/** False when the server ended first. */
async function ready(
  options: EmbeddedPostgresOptions,
  server: { readonly data: string; readonly connection: EmbeddedPostgres["connection"]; readonly ended: Promise<boolean> },
): Promise<boolean> {
  let over = false;
  const watched = server.ended.then(() => {
    over = true;
  });
  const giveUpAt = performance.now() + RECOVERY_TIMEOUT_MS;
  const sayAt = performance.now() + 2_000;
  let said = false;
  while (performance.now() < giveUpAt) {
    if (over) return false;
    if (await answers(server.connection, server.data)) return true;
    if (!said && performance.now() > sayAt) {
      options.progress?.("the database is recovering after an unclean end");
      said = true;
    }
    await Promise.race([watched, sleep(POLL_MS)]);
  }
  return false;
}

/** A database without its folder, a file that is gone, a page or an index that is wrong: waiting mends none of them. */
const MISSING_OR_CORRUPT = /^(3D000|58P01|XX001|XX002)$/;

/** Whether the server takes connections; also makes our database, which the first start does not have. */
async function answers(connection: EmbeddedPostgres["connection"], data: string): Promise<boolean> {
  const client = new pg.Client({ ...connection, database: "postgres" });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [DATABASE]);
    if (rowCount === 0) {
      await client.query("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC"); // Ours are closed where they are made.
      await client.query(`CREATE DATABASE ${DATABASE}`);
    }
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === "28P01") {
      throw unavailable(
        "postgres.passwordWrong",
        "The database does not take the password in secrets/postgres-password: data and secrets are of different homes. Put the right file back, or run `bowline reset` to begin anew.",
      );
    }
    if (error instanceof pg.DatabaseError && error.code === "53100")
      throw explainFileError(Object.assign(error, { code: "ENOSPC" }), connection.host);
    if (error instanceof pg.DatabaseError && MISSING_OR_CORRUPT.test(error.code ?? "")) throw damaged(data, error.message);
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function accompany(
  options: EmbeddedPostgresOptions,
  { child, watcher }: Running,
  connection: EmbeddedPostgres["connection"],
  claim: FolderClaim,
): EmbeddedPostgres {
  // Neither keeps this process alive: whoever uses the database does.
  child.unref();
  let stopping: Promise<void> | undefined;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  ended.then(() => {
    if (stopping === undefined)
      options.log?.error("the database server ended by itself", { pid: child.pid, code: child.exitCode, signal: child.signalCode });
  });
  const stop = async () => {
    await stopServer(child);
    watcher.stdin?.destroy();
    await claim.release();
    if (options.temporary === true) {
      await removePlace(options.home);
      await rm(options.home, { recursive: true, force: true });
    }
  };
  return {
    connection,
    pid: child.pid as number,
    ended,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/**
 * Reads from us until the pipe closes, which the kernel does for every way in which a process can end. The process id is
 * checked against the server's own lock file, so that a stranger with the same id is left alone.
 */
const WATCH_SCRIPT = `
  read -r _
  [ "$(head -n 1 "$2/postmaster.pid" 2>/dev/null)" = "$1" ] && kill -INT "$1"
  if [ -n "$3" ]; then
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e "$2/postmaster.pid" ] || break; sleep 1; done
    shift 2
    rm -rf "$@"
  fi`;

function watch(pid: number, data: string, removeAfter: readonly string[]): ChildProcess {
  const watcher = spawn("/bin/sh", ["-c", WATCH_SCRIPT, "bowline-watch", String(pid), data, ...removeAfter], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.unref();
  const pipe: unknown = watcher.stdin;
  if (pipe instanceof Object && "unref" in pipe && typeof pipe.unref === "function") pipe.unref();
  return watcher;
}

/** SIGINT is PostgreSQL's fast stop: clients are disconnected, everything is written. */
async function stopServer(child: ChildProcess): Promise<void> {
  const over = () => child.exitCode !== null || child.signalCode !== null;
  for (const [name, waitMs] of [
    ["SIGINT", STOP_TIMEOUT_MS],
    ["SIGQUIT", KILL_TIMEOUT_MS],
    ["SIGKILL", KILL_TIMEOUT_MS],
  ] as const) {
    if (over() || child.pid === undefined) return;
    child.kill(name);
    await until(async () => over(), waitMs);
  }
}

function run(place: PostgresPlace, program: string, args: readonly string[], logFd?: number): ChildProcess {
  return spawn(join(place.binaries, "bin", program), args, {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
    // A session of its own: Ctrl-C reaches us, and we end the server last.
    detached: true,
    stdio: logFd === undefined ? ["ignore", "pipe", "pipe"] : ["ignore", logFd, logFd],
    ...(place.account ?? {}),
  });
}

async function outcome(child: ChildProcess): Promise<{ readonly code: number | null; readonly output: string }> {
  let output = "";
  child.stdout?.on("data", (part: Buffer) => (output += part));
  child.stderr?.on("data", (part: Buffer) => (output += part));
  try {
    const [code]: (number | null)[] = await once(child, "close");
    return { code: code ?? null, output };
  } catch (error) {
    throw doesNotRun(error instanceof Error ? error.message : String(error));
  }
}

async function rotate(logFile: string): Promise<void> {
  const size = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  if (size > LOG_BYTES_MAX) await rename(logFile, `${logFile}.1`);
}

async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  for (const giveUpAt = performance.now() + timeoutMs; performance.now() < giveUpAt; await sleep(POLL_MS)) {
    if (await condition()) return;
  }
}
