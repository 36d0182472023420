// All wiring of a worker process, top to bottom: who is started with what. Start in order, stop in reverse.

import { randomBytes, randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import type { Log } from "@bowline/base";
import { generateBootKey } from "@bowline/crypto";
import { administratorConnection } from "./adapters/administrator.ts";
import type { DurableBus } from "./adapters/durable-bus.ts";
import { createMemoryBus } from "./adapters/memory-bus.ts";
import { systemClock, systemRandom } from "./adapters/system.ts";
import { LocalCalls } from "./calls.ts";
import type { Granted } from "./grants.ts";
import { Home } from "./home.ts";
import { createRestRole } from "./rest/server.ts";
import { type CryptoRole, createCryptoRole } from "./roles/crypto.ts";
import { createDbRole } from "./roles/db.ts";
import { createFlowRole } from "./roles/flow.ts";
import { createPersistenceRole, type PersistenceRole } from "./roles/persistence.ts";
import { createTokenSelectionRole, type TokenSelectionRole } from "./roles/token-selection.ts";
import { createUniquenessRole, type UniquenessRole } from "./roles/uniqueness.ts";

import { readAllowForgetful } from "./roles/uniqueness-database.ts";
import { createVerificationRole } from "./roles/verification.ts";
import type { RoleName } from "./services.ts";

/** The roles that this version can run. */
export const ROLES_HERE: readonly RoleName[] = [
  "db",
  "crypto",
  "persistence",
  "verification",
  "uniqueness",
  "token-selection",
  "flow",
  "rest",
];

export interface Worker {
  /** Of REST; empty where this process does not run it. */
  readonly url: string;
  /** What signs the certificate that REST shows. */
  readonly caFile: string;
  readonly user: string;
  /** What the rest role may call, for a program that runs a worker inside itself. */
  readonly services: Granted<"rest">;
  /** Finishes what is in hand, and leaves nothing running. */
  stop(): Promise<void>;
}

const FIRST_ADMIN = "admin";
const PREFERRED_PORT = 8888;
const VERDICT_KEY_BYTES = 32;

export async function compose(options: {
  readonly roles: readonly RoleName[];
  readonly home: string;
  readonly listen: { readonly host: string; readonly port?: number };
  /** `memory` where this process serves its cluster alone, `postgres` where it shares it with others. */
  readonly bus?: "memory" | "postgres";
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly progress: (text: string) => void;
  /** This process has lost a thread and its memory to author code: it should stop, and be started anew. */
  readonly onUnstoppable: () => void;
  /** The embedded server has ended although nobody asked it to. */
  readonly onDatabaseLost: () => void;
  /** What lies between the roles, as a test has it: to break it, or to die at a certain call. */
  readonly through?: {
    bus?(bus: DurableBus): DurableBus;
    persistence?(service: PersistenceRole["service"]): PersistenceRole["service"];
    crypto?(service: CryptoRole["service"]): CryptoRole["service"];
    uniqueness?(service: UniquenessRole["service"]): UniquenessRole["service"];
    tokens?(service: TokenSelectionRole["service"]): TokenSelectionRole["service"];
  };
}): Promise<Worker> {
  const stopping: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (let last = stopping.pop(); last !== undefined; last = stopping.pop()) await last();
  };
  try {
    return { ...(await start(options, stopping)), stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

/** What the roles of one process stand on. A secret is read from the home by the role that needs it, and only where it runs. */
interface Ground {
  readonly home: Home;
  readonly calls: LocalCalls;
  readonly stopping: (() => Promise<void> | void)[];
}

async function start(options: Parameters<typeof compose>[0], stopping: (() => Promise<void> | void)[]): Promise<Omit<Worker, "stop">> {
  const { log, environment, progress, onUnstoppable } = options;
  const runs = (role: RoleName) => options.roles.includes(role);
  const clock = systemClock;
  const random = systemRandom;
  const home = Home.open(options.home);
  const shares = options.bus === "postgres";
  const claim = shares ? await home.share() : { ...(await home.claim()), place: 1 };
  stopping.push(() => claim.release());

  // An escape from the sandbox would find the key root in its own process.
  if (runs("flow") && runs("crypto"))
    log.warn("author code and the key root share this process: good for development and small installations");

  const calls = new LocalCalls(environment["BOWLINE_CALLS"] === "bytes" ? "bytes" : "frozen");

  const resume = runs("db") ? await startDb(options, { home, calls, stopping }) : undefined;
  if (runs("crypto")) {
    const keyRoot = home.rootSecret("key-root", environment);
    const crypto = await createCryptoRole({ keyRoot, db: calls.for("crypto").db, bootKey: generateBootKey(), clock, random, log });
    stopping.push(() => crypto.close());
    calls.answer("crypto", options.through?.crypto?.(crypto.service) ?? crypto.service);
  }
  await resume?.();

  const ours = shares ? await sharedBus(calls.for("persistence").db, log) : createMemoryBus(clock);
  const bus = options.through?.bus?.(ours) ?? ours;
  stopping.push(() => bus.close());

  // Verdicts lie in journals, so their MAC key outlives the process.
  const verdictKey = () => home.secretKey("verdict-key", VERDICT_KEY_BYTES, environment);
  if (runs("persistence")) {
    const persistence = createPersistenceRole({
      db: calls.for("persistence").db,
      bootKey: generateBootKey(),
      bus,
      clock,
      random,
      verdictKey: verdictKey(),
      flowsHere: runs("flow") && !shares,
      log,
    });
    stopping.push(() => persistence.close());
    calls.answer("persistence", options.through?.persistence?.(persistence.service) ?? persistence.service);
  }
  if (runs("verification")) {
    const verification = createVerificationRole({ db: calls.for("verification").db, verdictKey: verdictKey(), log, onUnstoppable });
    stopping.push(() => verification.close());
    calls.answer("verification", verification.service);
  }
  if (runs("uniqueness")) {
    const allowForgetful = readAllowForgetful(environment);
    const uniqueness = createUniquenessRole({ calls: calls.for("uniqueness"), bootKey: generateBootKey(), clock, log, allowForgetful });
    stopping.push(() => uniqueness.close());
    calls.answer("uniqueness", options.through?.uniqueness?.(uniqueness.service) ?? uniqueness.service);
  }
  if (runs("token-selection")) {
    const tokens = createTokenSelectionRole({ db: calls.for("token-selection").db, bootKey: generateBootKey(), random, log });
    stopping.push(() => tokens.close());
    calls.answer("token-selection", options.through?.tokens?.(tokens.service) ?? tokens.service);
  }
  if (runs("flow")) {
    progress("Starting flows");
    const flow = await createFlowRole({ calls: calls.for("flow"), bus, clock, random, workerId: randomUUID(), log, onUnstoppable });
    stopping.push(() => flow.close());
    calls.answer("flow", flow.service);
  }
  const rest = await startRest(options, { home, calls, stopping, place: claim.place });
  return { ...rest, user: FIRST_ADMIN, services: calls.for("rest") };
}

/** Loaded only where it is used: most installations are one process. */
async function sharedBus(db: Granted<"persistence">["db"], log: Log): Promise<DurableBus> {
  const [{ createPostgresBus }, { openConnection }] = await Promise.all([
    import("./adapters/postgres-bus.ts"),
    import("./sealed-connection.ts"),
  ]);
  const bootKey = generateBootKey();
  const { sealed } = await db.connection({ database: { kind: "bus" }, sealTo: bootKey.publicKey });
  return createPostgresBus({ connection: openConnection(bootKey, sealed), clock: systemClock, log });
}

/** The only role that is handed the administrator's connection, and so the one whose process runs the embedded server. */
async function startDb(options: Parameters<typeof compose>[0], { home, calls, stopping }: Ground): Promise<() => Promise<void>> {
  const { environment, log, progress, onDatabaseLost } = options;
  const secretsRoot = home.rootSecret("secrets-root", environment);
  const password = home.secret("admin-password", () => randomBytes(18).toString("base64url"));
  const url = environment["BOWLINE_DATABASE_URL"];
  const shares = options.bus === "postgres";
  const administrator = await administratorConnection({ home: home.path, url, log, progress, shares, onLost: onDatabaseLost });
  stopping.push(() => administrator.close());
  progress("Preparing the cluster's databases");
  const db = await createDbRole({
    administrator: administrator.details,
    secretsRoot,
    crypto: calls.for("db").crypto,
    firstAdmin: { login: FIRST_ADMIN, password },
    env: { now: systemClock.now, random: systemRandom },
    clock: systemClock,
    alone: !shares,
    log,
  });
  stopping.push(() => db.close());
  calls.answer("db", db.service);
  return () => db.resume();
}

async function startRest(
  options: Parameters<typeof compose>[0],
  { home, calls, stopping, place }: Ground & { readonly place: number },
): Promise<Pick<Worker, "url" | "caFile">> {
  const caFile = home.file("ca.pem");
  if (!options.roles.includes("rest")) return { url: "", caFile };
  const { host, port } = options.listen;
  const rest = await createRestRole({
    services: calls.for("rest"),
    bootKey: generateBootKey(),
    caFile,
    listen: { host, ports: port === undefined ? home.ports(PREFERRED_PORT) : [port] },
    uploads: home.file("uploads"),
    clock: systemClock,
    log: options.log,
  });
  stopping.push(() => rest.close());
  if (place === 1) home.rememberPort(rest.port);
  const url = `https://localhost:${rest.port}`;
  const network = home.file(place === 1 ? "network.json" : `network.${place}.json`);
  writeFileSync(network, JSON.stringify({ url, caFile, user: FIRST_ADMIN, pid: process.pid, startedAt: new Date().toISOString() }), {
    mode: 0o600,
  });
  stopping.push(() => rmSync(network, { force: true }));
  return { url, caFile };
}
