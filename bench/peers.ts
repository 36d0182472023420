// The two that flows are measured beside: DBOS on our PostgreSQL, Restate on a log of its own on the same disk. Each as its
// documentation has it, with its durable defaults. They are installed when they are first measured, and by nobody else.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Pool } from "undici";
import { treePssMb } from "../packages/cli/src/memory.ts";
import { startProgress } from "../tools/progress.mjs";
import { type Child, startChild } from "./child.ts";
import { type Measured, measure } from "./measure.ts";

const FOLDER = fileURLToPath(new URL("peers", import.meta.url));
const DBOS_CONNECTIONS = 20;
const START_MS = 60_000;
const POLL_MS = 100;

/** Exactly what the peers' own lockfile says; install scripts do not run. */
export async function installPeers(): Promise<void> {
  const stamp = join(FOLDER, "node_modules", ".bowline-stamp");
  const wanted = createHash("sha256")
    .update(readFileSync(join(FOLDER, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const progress = startProgress("Installing DBOS and Restate, to measure beside them (60 MB)");
  const npm = process.env["npm_execpath"];
  const [program, before] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  const child = spawn(program, [...before, "ci", "--prefix", FOLDER, "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: FOLDER,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    said += part;
  });
  const [code] = await once(child, "close");
  if (code !== 0) {
    progress.fail();
    throw new Error(`npm ci failed in ${FOLDER}:\n${said}`);
  }
  writeFileSync(stamp, wanted);
  progress.done();
}

/** `url` names a database that may be made. */
export const startDbos = (url: string): Promise<Child> => startChild("peers/dbos.mjs", [url, String(DBOS_CONNECTIONS)]);

export interface Restate {
  /** What its server says of itself that bears on durability. */
  readonly settings: readonly string[];
  measure(work: string, inFlight: number, durationMs: number): Promise<Measured>;
  /** Its server and the process of its handlers. */
  pssMb(): number;
  close(): Promise<void>;
}

/** `folder` holds its log. */
export async function startRestate(folder: string): Promise<Restate> {
  const handlers = await startChild("peers/restate.mjs", []);
  const [ingress, admin, node] = await freePorts(3);
  const server = spawn(restateBinary(), ["--no-logo", "--base-dir", folder, "--bind-ip", "127.0.0.1"], {
    stdio: ["ignore", "ignore", "ignore"],
    env: {
      ...process.env,
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
      RESTATE_BIND_PORT: String(node),
      RESTATE_LISTEN_MODE: "tcp",
      RESTATE_DISABLE_TELEMETRY: "true",
      RESTATE_LOG_FILTER: "error",
      DO_NOT_TRACK: "1",
    },
  });
  process.once("exit", () => server.kill("SIGKILL"));
  const pool = new Pool(`http://127.0.0.1:${ingress}`, { connections: 64 });
  await register(`http://127.0.0.1:${admin}`, `http://127.0.0.1:${handlers.ready["port"]}`);
  const invoke = async (work: string): Promise<void> => {
    const { statusCode, body } = await pool.request({ path: `/bench/${work}`, method: "POST" });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`Restate answered ${statusCode}: ${text}`);
  };
  return {
    settings: await settingsOf(),
    measure: (work, inFlight, durationMs) => measure({ durationMs, inFlight }, () => invoke(work)),
    pssMb: () => handlers.pssMb() + (treePssMb(server.pid ?? 0, folder) ?? Number.NaN),
    async close() {
      await pool.close();
      const ended = once(server, "exit");
      server.kill("SIGTERM");
      await ended;
      await handlers.close();
    },
  };
}

const restateBinary = (): string =>
  join(FOLDER, "node_modules", "@restatedev", `restate-server-${process.platform}-${process.arch}`, "bin", "restate-server");

const DURABILITY =
  /^(default-num-partitions|default-replication|default-provider|rocksdb-disable-wal(-fsync)?|writer-batch-commit-\w+) = |^\[/;

async function settingsOf(): Promise<readonly string[]> {
  const dump = spawn(restateBinary(), ["--dump-config"], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  dump.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  await once(dump, "close");
  let section = "";
  return text.split("\n").flatMap((line) => {
    if (!DURABILITY.test(line)) return [];
    if (line.startsWith("[")) section = `${line.slice(1, -1)}.`;
    return line.startsWith("[") ? [] : [`${section}${line}`];
  });
}

/** Tells Restate where its handlers are; it may still be starting. */
async function register(admin: string, uri: string): Promise<void> {
  for (const giveUpAt = performance.now() + START_MS; ; await new Promise((resume) => setTimeout(resume, POLL_MS))) {
    const answer = await fetch(`${admin}/deployments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uri }),
    }).catch(() => undefined);
    if (answer?.ok) return;
    if (performance.now() > giveUpAt)
      throw new Error(`Restate does not start: ${answer === undefined ? "no answer" : await answer.text()}`);
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}
