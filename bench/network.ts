// The network that is measured by `main`: the one of `npm start`, and beside it two virtual nodes that run the benchmark's own flows.

import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProduct } from "../e2e/product.ts";
import { parseName } from "../packages/base/src/index.ts";
import { type Connection, connectTo } from "../packages/cli/src/connection.ts";
import { cpiStored, uploadCpi } from "../packages/cli/src/cpi.ts";
import { trustSigner } from "../packages/cli/src/dev-network.ts";
import { staticGroupPolicy } from "../packages/cli/src/group-policy.ts";
import type { NamedNode } from "../packages/cli/src/identity.ts";
import { treePssMb } from "../packages/cli/src/memory.ts";
import { developmentSigner, packCpi, packProject, stopBundler } from "../packages/cli/src/package-files.ts";
import { requestVirtualNode, virtualNodeReady } from "../packages/cli/src/vnode.ts";
import { startWorker, type Worker } from "../packages/cli/src/worker.ts";
import { type Worker as EmbeddedWorker, ROLES_HERE } from "../packages/host/src/compose.ts";
import { embedWorker } from "./embedded.ts";

const CORDAPP = fileURLToPath(new URL("cordapp", import.meta.url));
export const PARTIES = ["O=Ping, L=London, C=GB", "O=Pong, L=Paris, C=FR"].map(parseName);
const NOTARY = parseName("O=Bench Notary, L=Zurich, C=CH");

export interface BenchNetwork {
  readonly connection: Connection;
  readonly home: string;
  /** From the start of the process to the first answer of REST, with everything there already. */
  readonly warmStartSeconds: number;
  /** Who run `bench.Empty` and `bench.PingPong`. */
  readonly parties: readonly NamedNode[];
  readonly companies: readonly NamedNode[];
  pssMb(): number;
  /** Stops the worker process and runs its roles, all but rest, in this one. */
  embed(): Promise<Embedded>;
  close(): Promise<void>;
}

export type Embedded = Pick<EmbeddedWorker, "services" | "stop">;

export async function startBenchNetwork(environment: Readonly<Record<string, string | undefined>> = process.env): Promise<BenchNetwork> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-bench-"));
  await chmod(folder, 0o755); // PostgreSQL's own user passes through, so that the data stays in here.
  const home = join(folder, ".bowline");
  const prepared = await startProduct(["--once", "--json", "--home", home]).ended;
  if (prepared.code !== 0) throw new Error(`the network could not be prepared:\n${prepared.text}`);
  const started = performance.now();
  const worker = startWorker({ home, environment, onProgress: () => {} });
  const ready = await worker.ready;
  const warmStartSeconds = (performance.now() - started) / 1_000;
  const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
  const connection = connectTo({ url: ready.url, user: ready.user, password, ca: await readFile(ready.caFile, "utf8") });
  await addParties(connection, home);
  const nodes = await connection.virtualNodes();
  const named = (names: readonly string[]) => nodes.filter(({ x500Name }) => names.includes(x500Name));
  return {
    connection,
    home,
    warmStartSeconds,
    parties: named(PARTIES),
    companies: nodes.filter(({ x500Name }) => /O=(Alice|Bob|Charlie),/.test(x500Name)),
    pssMb: () => treePssMb(worker.pid, home) ?? Number.NaN,
    async embed() {
      await worker.stop();
      return embedWorker(home, { roles: ROLES_HERE.filter((role) => role !== "rest") });
    },
    close: () => closeAll(connection, worker, folder),
  };
}

/** With `notarised` their notary runs too, for a project whose flows need one. */
export async function addParties(
  connection: Connection,
  home: string,
  { project = CORDAPP, notarised = false }: { readonly project?: string; readonly notarised?: boolean } = {},
): Promise<void> {
  const signer = await developmentSigner(home);
  await trustSigner(connection, signer);
  const notary = { names: [NOTARY], serviceName: parseName("O=Bench Service, L=Zurich, C=CH") };
  const policy = staticGroupPolicy({ groupId: randomUUID(), members: PARTIES, notary, endpoint: "https://localhost:1080" });
  const { name, version, cpb } = await packProject(project, signer);
  const { fileName, bytes } = await packCpi({ name, version, cpb, groupPolicy: JSON.stringify(policy) }, signer);
  await stopBundler();
  const checksum = await cpiStored(connection, await uploadCpi(connection, fileName, bytes));
  for (const party of notarised ? [NOTARY, ...PARTIES] : PARTIES)
    await virtualNodeReady(connection, await requestVirtualNode(connection, checksum, party));
}

async function closeAll(connection: Connection, worker: Worker, folder: string): Promise<void> {
  await connection.close();
  await worker.stop();
  await rm(folder, { recursive: true, force: true });
}
