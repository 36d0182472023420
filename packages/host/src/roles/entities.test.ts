// A CorDapp's own tables on a real virtual node: made from what was uploaded, written in step commits, read by a user who
// may do nothing else. What runs is the product's; the flows are commits written by hand.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { BowlineError, type Data, type Database, type SecureHash, type ShortHash, type X500Name } from "@bowline/base";
import { buildCpb, buildCpi, buildCpk, type CpkMigration } from "@bowline/cluster";
import { generateBootKey, pemOf } from "@bowline/crypto";
import type { StepCommit } from "@bowline/flow";
import { EMPTY_COMMIT } from "@bowline/flow/contract";
import { type CordappManifest, entity } from "@bowline/sdk";
import type { StateQueryDescription } from "@bowline/sdk/queries";
import * as Type from "typebox";
import { createMemoryBus } from "../adapters/memory-bus.ts";
import { openDatabase } from "../adapters/postgres.ts";
import { systemClock, systemRandom } from "../adapters/system.ts";
import { openConnection } from "../sealed-connection.ts";
import type { ConnectionDetails, LogicalDatabase } from "../services.ts";
import { createPersistenceRole, type PersistenceRole } from "./persistence.ts";
import {
  ALICE,
  createTestNode,
  GROUP_ID,
  groupPolicy,
  MANIFEST,
  quietLog,
  startTestCluster,
  type TestCluster,
  uploadTestCpi,
} from "./test-cluster.ts";

const Contact = entity({
  name: "com.example.Contact",
  schema: Type.Object({ id: Type.String(), rank: Type.Integer() }),
  key: "id",
  queries: { ranked: { where: [{ property: "rank", operator: ">=" }], orderBy: ["rank"] } },
});
const Owed: StateQueryDescription = {
  name: "com.example.Owed",
  states: ["com.example.Debt"],
  standing: "unconsumed",
  fields: [
    { name: "to.id", kind: "text", missing: "never" },
    { name: "amount", kind: "decimal", missing: "never" },
  ],
  where: [{ property: "contact.rank", operator: "<=", parameter: "rank" }],
  orderBy: ["amount"],
  descending: true,
  index: ["amount"],
  join: [{ name: "contact", entity: Contact.name, on: { id: "to.id" }, optional: false }],
};
const ENTITIES: CordappManifest = { ...MANIFEST, entities: [Contact.description], queries: [Owed] };
const TABLE = 'CREATE TABLE contact (id text COLLATE "C" PRIMARY KEY, rank int NOT NULL CHECK (rank < 100));';

async function cpiOf(cpks: readonly { name: string; manifest: CordappManifest; migrations: readonly CpkMigration[] }[], name = "contacts") {
  const { signer } = cluster;
  const packed = await Promise.all(
    cpks.map(async (cpk) => ({
      fileName: `${cpk.name}.jar`,
      bytes: await buildCpk({ ...cpk, version: "1.0.0", script: "var __cordapp = 1;" }, [signer]),
    })),
  );
  const cpb = { fileName: "contacts.cpb", bytes: await buildCpb({ name, version: "1.0.0", cpks: packed }, [signer]) };
  return buildCpi({ name, version: "1.0", groupPolicy: groupPolicy(), cpb }, [signer]);
}

let cluster: TestCluster;
let alice: ShortHash;
let bundle: SecureHash;
let persistence: PersistenceRole;
const bootKey = generateBootKey();

before(async () => {
  cluster = await startTestCluster();
  const { db } = cluster.calls.for("rest");
  await db.importCertificate({ usage: "code-signer", vnode: null, alias: "tests", pem: pemOf(cluster.signer.chain) });
  const migrations = [
    { fileName: "0001-create.sql", text: TABLE },
    { fileName: "0002-fill.sql", text: "INSERT INTO contact (id, rank) VALUES ('first', 1);" },
  ];
  const checksum = await uploadTestCpi(cluster, await cpiOf([{ name: "com.example.contacts", manifest: ENTITIES, migrations }]));
  const made = await createTestNode(cluster, checksum, ALICE);
  assert.equal(made.status, "SUCCEEDED", made.errorReason ?? "");
  alice = made.resourceId as ShortHash;
  bundle = ((await db.cpis(null))[0]?.cpks[0]?.fileChecksum ?? "") as SecureHash;
  const calls = cluster.calls.for("persistence");
  const options = {
    db: calls.db,
    bootKey,
    bus: createMemoryBus(systemClock),
    clock: systemClock,
    random: systemRandom,
    verdictKey: new Uint8Array(32),
    flowsHere: false,
  };
  persistence = createPersistenceRole({ ...options, log: quietLog });
});
after(async () => {
  await persistence.close();
  await cluster.stop();
});

const CALLER = { role: "flow" } as const;

async function startedFlow(): Promise<string> {
  const { row } = await persistence.service.startFlow(
    {
      vnode: alice,
      identity: { me: ALICE as X500Name, groupId: GROUP_ID },
      clientRequestId: randomBytes(6).toString("hex"),
      flowName: "com.example.Say",
      bundle,
      startedBy: "test",
      input: null,
    },
    CALLER,
  );
  return row.id;
}

const commitOf = (flowId: string, writes: readonly Data[], more: Partial<StepCommit> = {}): StepCommit => ({
  ...EMPTY_COMMIT,
  flowId,
  at: Date.now(),
  expectedVersion: 0,
  commitId: randomBytes(12).toString("hex"),
  vaultWrites: writes,
  ...more,
});

const write = (action: string, ...rows: readonly Data[]): Data => ({ kind: "entities", bundle, entity: Contact.name, action, rows });
const commit = (step: StepCommit) => persistence.service.commit({ vnode: alice, commit: step }, CALLER);
async function ids(): Promise<readonly unknown[]> {
  const call = { kind: "entity.query", entity: Contact.name, query: null, parameters: {} } as const;
  const { items } = (await persistence.service.readEntities({ vnode: alice, bundle, call }, CALLER)) as {
    items: readonly { id: string }[];
  };
  return items.map(({ id }) => id);
}

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (thrown: unknown) => (thrown instanceof BowlineError ? thrown.code : String(thrown)),
  );

test("rows are written with the step that wrote them, and a commit that is asked again writes nothing again", async () => {
  const step = commitOf(await startedFlow(), [write("persist", { id: "a", rank: 1 })]);
  assert.deepEqual(await commit(step), { kind: "committed" });
  // The answer was lost.
  assert.deepEqual(await commit(step), { kind: "committed" });
  assert.deepEqual(await ids(), ["a", "first"]);
  const fenced = commitOf(step.flowId, [write("persist", { id: "never", rank: 1 })], { expectedVersion: 7 });
  assert.deepEqual(await commit(fenced), { kind: "fenced" });
  assert.deepEqual(await ids(), ["a", "first"]);
});

test("a row that is refused takes its own step with it, and no other of the same group", async () => {
  const flows = await Promise.all([startedFlow(), startedFlow(), startedFlow(), startedFlow()]);
  const writes = [
    [write("persist", { id: "b", rank: 1 }), write("merge", { id: "b", rank: 2 })],
    [write("persist", { id: "c", rank: 1 }), write("persist", { id: "a", rank: 1 })],
    [write("persist", { id: "d", rank: 100 })],
    [write("remove", { id: "first" })],
  ];
  const outcomes = await Promise.all(flows.map((flowId, i) => commit(commitOf(flowId, writes[i] ?? []))));
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.kind === "refused" ? outcome.code : outcome.kind)),
    ["committed", "persistence.exists", "persistence.refused", "committed"],
  );
  assert.deepEqual(await ids(), ["a", "b"]);
});

test("a package has its own entities, and no others", async () => {
  const outcome = await commit(commitOf(await startedFlow(), [{ ...(write("merge") as object), entity: "com.example.Other" } as Data]));
  assert.equal(outcome.kind === "refused" && outcome.code, "persistence.entityUnknown");
  const call = { kind: "entity.find", entity: "utxo_transaction", keys: [] } as const;
  assert.equal(await codeOf(persistence.service.readEntities({ vnode: alice, bundle, call }, CALLER)), "persistence.entityUnknown");
});

test("states are joined to the package's own rows, by those who may not write", async () => {
  const call = { kind: "vault.query", query: Owed.name, parameters: { rank: 50 }, limit: 1 } as const;
  const ask = (asked: object = call) => persistence.service.queryVault({ vnode: alice, bundle, call: asked as typeof call }, CALLER);
  assert.deepEqual(await ask(), { states: [], joined: [], next: null });
  assert.equal(await codeOf(ask({ ...call, query: "com.example.Other" })), "vault.queryUnknown");
  assert.equal(await codeOf(ask({ ...call, parameters: {} })), "persistence.invalid");
  const platform = { vnode: alice, bundle: "SHA-256:00" as SecureHash, call };
  assert.notEqual(await codeOf(persistence.service.queryVault(platform, CALLER)), "done", "of no package");
  const explained = await persistence.service.explainQuery({ vnode: alice, bundle, query: Owed.name, large: true }, { role: "rest" });
  assert.equal(explained.index?.state, "ready", "made with the virtual node");
});

async function withUser<T>(details: ConnectionDetails, work: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase({ ...details, connectionsMax: 1 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

async function connectionOf(database: LogicalDatabase): Promise<ConnectionDetails> {
  const { sealed } = await cluster.calls.for("persistence").db.connection({ database, sealTo: bootKey.publicKey });
  return openConnection(bootKey, sealed);
}

test("who reads the rows can do nothing else; who makes the tables has no other schema", async () => {
  const schema = `vnode_entities_${alice.toLowerCase()}`;
  const vault = `vnode_vault_${alice.toLowerCase()}`;
  const read = await connectionOf({ kind: "entities", vnode: alice });
  const { user: writer } = await connectionOf({ kind: "vault", vnode: alice });
  await withUser(read, async ({ sql }) => {
    assert.ok((await sql.query("SELECT * FROM contact")).length > 0);
    assert.deepEqual(await sql.query("SELECT current_setting('statement_timeout') AS t, current_setting('transaction_read_only') AS r"), [
      { t: "10s", r: "on" },
    ]);
    // Even where it makes itself one that may write, it may not.
    await sql.query("SET default_transaction_read_only = off");
    const attempts = [
      "DELETE FROM contact",
      "INSERT INTO contact VALUES ('x', 1)",
      "CREATE TABLE mine (x int)",
      "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      `SELECT * FROM ${vault}.utxo_transaction`,
      `SELECT * FROM ${vault}.flow`,
      "SELECT * FROM config.db_connection",
      "SELECT * FROM schema_migration",
      `SET ROLE ${writer}`,
      `SET SESSION AUTHORIZATION ${writer}`,
      "SELECT pg_read_file('PG_VERSION')",
      "COPY contact TO PROGRAM 'true'",
    ];
    // PostgreSQL 14 has words of its own for a program.
    for (const attempt of attempts) await assert.rejects(sql.query(attempt), /permission denied|must be superuser/, attempt);
  });
  await withUser(cluster.administrator, async ({ sql }) => {
    const rights = await sql.query<{ name: string; reach: boolean; owns: boolean; plain: boolean }>(
      `SELECT rolname AS name, has_schema_privilege(rolname, $2, 'USAGE') AS reach,
         EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relname = 'contact') AS owns,
         NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls) AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) AS plain
       FROM pg_roles r WHERE rolname LIKE '%' || $1 || '%' AND rolname LIKE current_database() || '%' ORDER BY 1`,
      [schema, vault],
    );
    assert.deepEqual(
      rights.map(({ name, ...right }) => [name.slice(name.lastIndexOf("_") + 1), right]),
      [
        ["ddl", { reach: false, owns: true, plain: true }],
        ["read", { reach: false, owns: false, plain: true }],
      ],
    );
  });
});

test("an upload is refused for a table that two packages make", async () => {
  const twice = ["com.example.one", "com.example.two"].map((name) => ({
    name,
    manifest: { flows: [], states: [], contracts: [] },
    migrations: [{ fileName: "0001-create.sql", text: TABLE }],
  }));
  assert.equal(await codeOf(uploadTestCpi(cluster, await cpiOf(twice, "twice"))), "cpi.tableTwice");
});

test("an upload is refused for a query that two packages have", async () => {
  const manifest = { flows: [], states: [], contracts: [], queries: [{ ...Owed, where: [], join: [] }] };
  const twice = ["com.example.one", "com.example.two"].map((name) => ({ name, manifest, migrations: [] }));
  assert.equal(await codeOf(uploadTestCpi(cluster, await cpiOf(twice, "asked"))), "cpi.queryTwice");
});

test("a migration that the rows themselves refuse fails the virtual node, and says so", async () => {
  const migrations = [
    { fileName: "0001-create.sql", text: TABLE },
    { fileName: "0002-fill.sql", text: "INSERT INTO contact (id, rank) VALUES ('a', 100);" },
  ];
  const checksum = await uploadTestCpi(cluster, await cpiOf([{ name: "com.example.contacts", manifest: ENTITIES, migrations }], "broken"));
  const { status, errorReason } = await createTestNode(cluster, checksum, "O=Bob, L=Paris, C=FR");
  assert.equal(status, "FAILED");
  assert.match(errorReason ?? "", /com\.example\.contacts\/0002-fill .*contact_rank_check/);
});
