// A cluster for tests: the db and crypto roles on a database of their own in the test run's PostgreSQL, and packages to
// upload. Calls between the roles travel as bytes.

import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Log, parseName } from "@bowline/base";
import { buildCpb, buildCpi, buildCpk, type JarSigner, packageFileName } from "@bowline/cluster";
import { createSelfSigned, generateBootKey } from "@bowline/crypto";
import type { CordappManifest } from "@bowline/sdk";
import { openDatabase } from "../adapters/postgres.ts";
import { systemClock, systemRandom } from "../adapters/system.ts";
import { testServer } from "../adapters/test-postgres.ts";
import { LocalCalls } from "../calls.ts";
import type { ConnectionDetails, CryptoService, RoleName } from "../services.ts";
import { createCryptoRole } from "./crypto.ts";
import { createDbRole, type DbRole } from "./db.ts";

export const ADMIN = { login: "admin", password: "correct horse battery" };
export const GROUP_ID = "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad";
export const ALICE = "O=Alice, L=London, C=GB";
export const NOTARY = "O=Notary, L=London, C=GB";
export const SECRETS = { passphrase: "a passphrase of tests", salt: "a salt for all the tests" };
export const SERVICE = "O=Notary Service, L=London, C=GB";

const random = systemRandom;
export const quietLog: Log = { error() {}, warn() {}, info() {}, debug() {} };

export interface TestCluster {
  readonly administrator: ConnectionDetails;
  readonly calls: LocalCalls;
  readonly db: DbRole;
  /** The crypto role as another role would reach it, were it granted every method. */
  cryptoService(role: RoleName): CryptoService;
  readonly folder: string;
  readonly signer: JarSigner;
  /** Ends the processes and begins new ones on the same database, as after a crash. */
  restart(): Promise<TestCluster>;
  stop(): Promise<void>;
}

export async function startTestCluster(log: Log = quietLog): Promise<TestCluster> {
  const server = await testServer();
  const database = `cluster_${randomBytes(5).toString("hex")}`;
  const root = openDatabase({ ...server, schema: "public", connectionsMax: 1 });
  await root.sql.query(`CREATE DATABASE ${database}`);
  await root.close();
  const folder = await mkdtemp(join(tmpdir(), "bowline-cluster-"));
  return run({ administrator: { ...server, database, schema: "public" }, folder, signer: await newSigner("signer"), log });
}

export async function newSigner(alias: string): Promise<JarSigner> {
  const subject = parseName(`CN=${alias}, O=Bowline, L=London, C=GB`);
  return { alias, ...(await createSelfSigned({ subject, use: "code-signing", days: 30 }, { now: Date.now(), random })) };
}

interface Ground {
  readonly administrator: ConnectionDetails;
  readonly folder: string;
  readonly signer: JarSigner;
  readonly log: Log;
}

async function run(ground: Ground): Promise<TestCluster> {
  const { administrator, folder, signer, log } = ground;
  const calls = new LocalCalls("bytes");
  const env = { now: Date.now, random };
  const db = await createDbRole({
    administrator,
    secretsRoot: SECRETS,
    crypto: calls.for("db").crypto,
    firstAdmin: ADMIN,
    env,
    clock: systemClock,
    alone: true,
    log,
  });
  calls.answer("db", db.service);
  const bootKey = generateBootKey();
  const crypto = await createCryptoRole({ keyRoot: SECRETS, db: calls.for("crypto").db, bootKey, clock: systemClock, random, log });
  calls.answer("crypto", crypto.service);
  await db.resume();
  const end = async () => {
    await db.close();
    await crypto.close();
  };
  return {
    administrator,
    calls,
    db,
    cryptoService: (role) => ({
      generateKey: (request) => crypto.service.generateKey(request, { role }),
      filterMyKeys: (request) => crypto.service.filterMyKeys(request, { role }),
      sign: (request) => crypto.service.sign(request, { role }),
      releaseTls: (request) => crypto.service.releaseTls(request, { role }),
    }),
    folder,
    signer,
    async restart() {
      await end();
      return run(ground);
    },
    async stop() {
      await end();
      await rm(folder, { recursive: true });
      const root = openDatabase({ ...(await testServer()), schema: "public", connectionsMax: 1 });
      await root.sql.query(`DROP DATABASE ${administrator.database} WITH (FORCE)`);
      await root.close();
    },
  };
}

export const MANIFEST: CordappManifest = {
  flows: [
    {
      name: "com.example.Pay",
      startable: true,
      input: {
        type: "object",
        required: ["amount", "to"],
        properties: { amount: { type: "integer", minimum: 1 }, to: { type: "string" } },
        additionalProperties: false,
      },
    },
    { name: "com.example.Say", startable: true, input: { type: "string" } },
    { name: "com.example.Receive", startable: false, answers: { name: "com.example.pay", versions: [1] } },
  ],
  states: [{ name: "com.example.Note", version: 1, contract: "com.example.NoteContract", schema: { type: "object" } }],
  contracts: [{ name: "com.example.NoteContract", commands: [{ name: "Issue", schema: { type: "null" } }] }],
  entities: [
    {
      name: "com.example.Draft",
      table: "draft",
      key: ["id"],
      properties: [{ name: "id", column: "id", kind: "text", missing: "never" }],
      queries: {},
    },
  ],
};
const MIGRATIONS = [{ fileName: "0001-create-draft.sql", text: "CREATE TABLE draft (id text PRIMARY KEY);" }];

export const groupPolicy = (members: readonly object[] = MEMBERS, groupId = GROUP_ID): string =>
  JSON.stringify({
    fileFormatVersion: 1,
    groupId,
    registrationProtocol: "net.corda.membership.impl.registration.staticnetwork.StaticMemberRegistrationService",
    synchronisationProtocol: "net.corda.membership.impl.sync.staticnetwork.StaticMemberSyncService",
    protocolParameters: {
      sessionKeyPolicy: "Combined",
      staticNetwork: { members, groupParameters: { "ext.motto": "fair winds", "corda.minimum.platform.version": 50100 } },
    },
    p2pParameters: {
      sessionPki: "NoPKI",
      tlsPki: "Standard",
      tlsVersion: "1.3",
      protocolMode: "Authenticated_Encryption",
      tlsType: "OneWay",
    },
    cipherSuite: {},
  });

const entry = (name: string, more: object = {}) => ({ name, "endpointUrl-1": "https://localhost:1080", "endpointProtocol-1": 1, ...more });
export const MEMBERS: readonly object[] = [
  entry(ALICE),
  entry("O=Bob, L=Paris, C=FR"),
  entry("O=Carol, L=Berlin, C=DE", { memberStatus: "SUSPENDED" }),
  entry(NOTARY, { notary: { serviceName: SERVICE } }),
];

export async function buildTestCpi(
  signer: JarSigner,
  { name = "notes", version = "1.0", policy = groupPolicy(), script = "var __cordapp = 1;", manifest = MANIFEST } = {},
): Promise<Uint8Array> {
  const bytes = await buildCpk({ name: "com.example.notes", version: "1.0.0", script, manifest, migrations: MIGRATIONS }, [signer]);
  const cpks = [{ fileName: packageFileName("com.example.notes", "1.0.0", "jar"), bytes }];
  const cpb = { fileName: "notes.cpb", bytes: await buildCpb({ name: "notes", version: "1.0.0", cpks }, [signer]) };
  return buildCpi({ name, version, groupPolicy: policy, cpb }, [signer]);
}

/** As the rest role does it: a file, an upload, and questions until it is done. The short checksum. */
export async function uploadTestCpi({ calls, folder }: TestCluster, bytes: Uint8Array): Promise<string> {
  const path = join(folder, `${randomBytes(4).toString("hex")}.upload`);
  await writeFile(path, bytes);
  const { db } = calls.for("rest");
  const { id } = await db.uploadCpi({ fileName: "notes.cpi", path });
  for (;;) {
    const { status, cpiFileChecksum } = await db.cpiStatus({ id });
    if (status === "OK") return cpiFileChecksum;
    await sleep(20);
  }
}

/** Waits for the operation's end; its last status. */
export async function createTestNode({ calls }: TestCluster, cpiFileChecksum: string, x500Name: string) {
  const { db } = calls.for("rest");
  const { requestId } = await db.createVirtualNode({ cpiFileChecksum, x500Name });
  for (;;) {
    const status = await db.virtualNodeStatus({ requestId });
    if (status.status !== "ACCEPTED" && status.status !== "IN_PROGRESS") return status;
    await sleep(20);
  }
}
