import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { BowlineError, type Database, parseName, type ShortHash } from "@bowline/base";
import { generateBootKey, holdingIdentity, pemOf, verifySync } from "@bowline/crypto";
import { decodeParameters } from "@bowline/membership";
import { openDatabase } from "../adapters/postgres.ts";
import { systemClock } from "../adapters/system.ts";
import { openConnection } from "../sealed-connection.ts";
import type { ConnectionDetails, LogicalDatabase, RoleName } from "../services.ts";
import { createDbRole } from "./db.ts";
import { groupParametersPreimage } from "./signing.ts";
import {
  ADMIN,
  ALICE,
  buildTestCpi,
  createTestNode,
  GROUP_ID,
  groupPolicy,
  NOTARY,
  newSigner,
  quietLog,
  SERVICE,
  startTestCluster,
  type TestCluster,
  uploadTestCpi,
} from "./test-cluster.ts";

const refused = (code: string) => (error: unknown) => {
  assert.ok(error instanceof BowlineError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

describe("the db role", () => {
  let cluster: TestCluster;
  let checksum: string;
  const rest = () => cluster.calls.for("rest").db;

  before(async () => {
    cluster = await startTestCluster();
    await rest().importCertificate({ usage: "code-signer", vnode: null, alias: "tests", pem: pemOf(cluster.signer.chain) });
    checksum = await uploadTestCpi(cluster, await buildTestCpi(cluster.signer));
  });
  after(() => cluster.stop());

  /** As a role gets it: sealed to its boot key. */
  async function connectionOf(role: RoleName, database: LogicalDatabase): Promise<ConnectionDetails> {
    const bootKey = generateBootKey();
    const { sealed } = await cluster.db.service.connection({ database, sealTo: bootKey.publicKey }, { role });
    return openConnection(bootKey, sealed);
  }

  async function withDatabase<T>(details: ConnectionDetails, work: (database: Database) => Promise<T>): Promise<T> {
    const database = openDatabase({ ...details, connectionsMax: 1 });
    try {
      return await work(database);
    } finally {
      await database.close();
    }
  }

  test("lets the first administrator in, and nobody else", async () => {
    const from = { source: "here" };
    const known = await rest().authenticate({ login: "ADMIN", password: ADMIN.password, ...from });
    assert.ok(known.kind === "known" && known.login === "admin");
    assert.deepEqual(await rest().authenticate({ login: "admin", password: "wrong", ...from }), { kind: "unknown" });
    assert.deepEqual(await rest().authenticate({ login: "nobody", password: ADMIN.password, ...from }), { kind: "unknown" });
    assert.equal(await rest().authorise({ login: "admin", permission: "POST:/api/v5_2/cpi" }), true);
    assert.equal(await rest().authorise({ login: "nobody", permission: "POST:/api/v5_2/cpi" }), false);
  });

  test("stores what a CPI holds, and removes the uploaded file", async () => {
    const [cpi] = await rest().cpis(null);
    assert.equal(cpi?.id.cpiName, "notes");
    assert.equal(cpi?.groupId, GROUP_ID);
    assert.match(cpi?.groupPolicy ?? "", /"corda.mgm.static":"true"/);
    assert.deepEqual(
      cpi?.cpks[0]?.manifest.flows.map(({ name }) => name),
      ["com.example.Pay", "com.example.Say", "com.example.Receive"],
    );
    const bundle = await cluster.db.service.bundle({ fileChecksum: cpi?.cpks[0]?.fileChecksum as never }, { role: "verification" });
    assert.equal(bundle.script, "var __cordapp = 1;");
    assert.deepEqual(
      (await readdir(cluster.folder)).filter((name) => name.endsWith(".upload")),
      [],
    );
  });

  test("refuses a CPI twice, one of a stranger, one that was changed and one with a bad group policy", async () => {
    const bytes = await buildTestCpi(cluster.signer, { version: "2.0" });
    await uploadTestCpi(cluster, bytes);
    await assert.rejects(uploadTestCpi(cluster, bytes), refused("cpi.exists"));
    const changed = bytes.slice();
    changed[Math.floor(changed.length / 2)] = (changed[Math.floor(changed.length / 2)] as number) ^ 1;
    await assert.rejects(uploadTestCpi(cluster, changed), BowlineError);
    await assert.rejects(uploadTestCpi(cluster, await buildTestCpi(await newSigner("stranger"), { version: "3.0" })), BowlineError);
    const policy = groupPolicy([{ name: "O=Alice" }]);
    await assert.rejects(
      uploadTestCpi(cluster, await buildTestCpi(cluster.signer, { version: "4.0", policy })),
      refused("groupPolicy.invalid"),
    );
    assert.deepEqual(
      (await rest().cpis(null)).map(({ id }) => id.cpiVersion),
      ["1.0", "2.0"],
    );
    await assert.rejects(rest().cpiStatus({ id: "unknown" }), refused("cpi.uploadUnknown"));
  });

  test("makes a notary and a member, who find each other in members and group parameters", async () => {
    const notary = await createTestNode(cluster, checksum, NOTARY);
    assert.deepEqual([notary.status, notary.errorReason], ["SUCCEEDED", null]);
    assert.equal(notary.resourceId, notary.requestId);
    assert.equal((await createTestNode(cluster, checksum.toLowerCase(), ALICE)).status, "SUCCEEDED");

    const nodes = await rest().virtualNodes(null);
    assert.deepEqual(
      nodes.map(({ holdingIdentity, connections }) => [holdingIdentity.x500Name, connections.uniquenessDml !== null]),
      [
        [NOTARY, true],
        [ALICE, false],
      ],
    );
    const members = await rest().members({ groupId: GROUP_ID });
    const alice = members.find(({ info }) => info.name === ALICE);
    assert.equal(alice?.info.ledgerKeys.length, 1);
    assert.equal(alice?.memberContext["corda.ledger.keys.0.hash"], alice?.memberContext["corda.session.keys.0.hash"]);
    assert.equal(members.find(({ info }) => info.name === NOTARY)?.info.notaryService, SERVICE);

    const signed = await rest().groupParameters({ groupId: GROUP_ID, hash: null });
    assert.ok(signed !== null);
    const parameters = decodeParameters(signed.bytes);
    assert.equal(parameters.epoch, 2);
    assert.equal(parameters.minimumPlatformVersion, 50100);
    assert.deepEqual(
      parameters.notaries.map(({ name, members: run }) => [name, run]),
      [[SERVICE, [NOTARY]]],
    );
    const bytes = groupParametersPreimage(signed.bytes);
    assert.ok(verifySync({ publicKey: signed.signedBy, bytes, signature: signed.signature }));
  });

  test("refuses a virtual node twice, of no member, of no CPI and with a bad name", async () => {
    const create = (cpiFileChecksum: string, x500Name: string) => rest().createVirtualNode({ cpiFileChecksum, x500Name });
    await assert.rejects(create(checksum, ALICE), refused("vnode.exists"));
    await assert.rejects(create(checksum, "O=Mallory, L=London, C=GB"), refused("vnode.nameNotListed"));
    await assert.rejects(create("0123456789AB", ALICE), refused("cpi.unknown"));
    await assert.rejects(create("xyz", ALICE), refused("cpi.checksum"));
    await assert.rejects(create(checksum, "Alice"), refused("name.invalid"));
    await assert.rejects(rest().virtualNodeStatus({ requestId: "0123456789AB" }), refused("vnode.requestUnknown"));
  });

  test("gives connections to entitled roles only", async () => {
    const vnode = (await rest().virtualNodes(null))[0]?.holdingIdentity.shortHash as ShortHash;
    const databases: LogicalDatabase[] = [
      ...(["config", "rbac", "crypto", "bus"] as const).map((kind) => ({ kind })),
      ...(["vault", "vnode-crypto", "uniqueness"] as const).map((kind) => ({ kind, vnode })),
    ];
    const entitled: Record<string, string[]> = {};
    for (const role of ["rest", "flow", "persistence", "verification", "uniqueness", "token-selection", "crypto", "membership"] as const)
      for (const database of databases)
        await connectionOf(role, database).then(() => {
          entitled[role] = [...(entitled[role] ?? []), database.kind];
        }, refused("database.notEntitled"));
    assert.deepEqual(entitled, { persistence: ["bus", "vault"], uniqueness: ["uniqueness"], crypto: ["config", "crypto", "vnode-crypto"] });
  });

  test("confines each user to its own schema, and the crypto role to reading config", async () => {
    const [, node] = await rest().virtualNodes(null);
    const alice = node?.holdingIdentity.shortHash as ShortHash;
    const memory = `vnode_uniq_${holdingIdentity(parseName(SERVICE), GROUP_ID).shortHash.toLowerCase()}`;
    const schemas = await withDatabase(cluster.administrator, async ({ sql }) =>
      (await sql.query<{ nspname: string }>("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'")).map(
        (row) => row.nspname,
      ),
    );
    assert.equal(schemas.length, 1 + 4 + 5 + 2);
    const mine = `vnode_vault_${alice.toLowerCase()}`;
    await withDatabase(await connectionOf("persistence", { kind: "vault", vnode: alice }), async ({ sql }) => {
      assert.deepEqual(await sql.query("SELECT current_schema() AS s"), [{ s: mine }]);
      await assert.rejects(sql.query("CREATE TABLE mine (x int)"), /permission denied/);
      await assert.rejects(sql.query("CREATE TEMP TABLE mine (x int)"), /permission denied/);
      await assert.rejects(sql.query("DELETE FROM schema_migration"), /permission denied/);
      for (const schema of schemas.filter((name) => name !== mine)) {
        await assert.rejects(sql.query(`CREATE TABLE ${schema}.mine (x int)`), /permission denied/, schema);
        const usage = await sql.query("SELECT has_schema_privilege($1, 'USAGE') AS may", [schema]);
        // Its CorDapps' rows are written in the same commits.
        assert.deepEqual(usage, [{ may: schema === `vnode_entities_${alice.toLowerCase()}` }], schema);
      }
      await assert.rejects(sql.query(`SELECT * FROM ${memory}.schema_migration`), /permission denied/);
    });
    await withDatabase(await connectionOf("crypto", { kind: "config" }), async ({ sql }) => {
      assert.ok((await sql.query("SELECT * FROM db_connection")).length > 0);
      await assert.rejects(sql.query("UPDATE db_connection SET version = 1"), /read-only transaction/);
      await sql.query("SET default_transaction_read_only = off");
      await assert.rejects(sql.query("UPDATE db_connection SET version = 1"), /permission denied/);
    });
  });

  test("keeps no password and no passphrase in clear in any table", async () => {
    const password = (
      await connectionOf("persistence", {
        kind: "vault",
        vnode: (await rest().virtualNodes(null))[1]?.holdingIdentity.shortHash as ShortHash,
      })
    ).password;
    const text = await withDatabase(cluster.administrator, async ({ sql }) => {
      const tables = await sql.query<{ name: string }>(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname !~ '^pg_|^information_schema$'",
      );
      const rows = await Promise.all(tables.map(({ name }) => sql.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)));
      return rows
        .flat()
        .map(({ row }) => row)
        .join("\n");
    });
    for (const secret of [password, ADMIN.password, "a passphrase of tests", "PRIVATE KEY"]) assert.ok(!text.includes(secret), secret);
  });

  test("finds everything again after a restart, and takes up what was interrupted", async () => {
    const database = openDatabase({ ...cluster.administrator, schema: "config", connectionsMax: 1 });
    const { requestId } = await rest().createVirtualNode({ cpiFileChecksum: checksum, x500Name: "O=Bob, L=Paris, C=FR" });
    // The process dies: what it did not finish is in these rows.
    cluster = await cluster.restart();
    await database.sql.query("INSERT INTO cpi_upload (file_name, status, insert_ts) VALUES ('lost.cpi', 'Verifying CPI', now())");
    const [upload] = await database.sql.query<{ request_id: string }>("SELECT request_id FROM cpi_upload WHERE file_name = 'lost.cpi'");
    cluster = await cluster.restart();
    await database.close();
    await assert.rejects(rest().cpiStatus({ id: upload?.request_id ?? "" }), refused("cpi.uploadInterrupted"));
    for (;;) {
      const { status, errorReason } = await rest().virtualNodeStatus({ requestId });
      assert.notEqual(status, "FAILED", errorReason ?? "");
      if (status === "SUCCEEDED") break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal((await rest().virtualNodes(null)).length, 3);
    assert.equal(decodeParameters((await rest().groupParameters({ groupId: GROUP_ID, hash: null }))?.bytes as Uint8Array).epoch, 2);
    assert.ok(existsSync(cluster.folder));
  });

  test("does again what a crash has half done, and comes out at the same virtual node", async () => {
    const aliceOf = async () => (await rest().members({ groupId: GROUP_ID })).find(({ info }) => info.name === ALICE);
    const keys = (await aliceOf())?.info.ledgerKeys;
    await withDatabase({ ...cluster.administrator, schema: "config" }, async ({ sql }) => {
      const [alice] = await sql.query<{ id: string }>("SELECT holding_identity_id AS id FROM holding_identity WHERE x500_name = $1", [
        ALICE,
      ]);
      // All is there but the transaction that completes it; and another node's schemas are of an older program.
      await sql.query("DELETE FROM virtual_node WHERE holding_identity_id = $1", [alice?.id]);
      await sql.query("UPDATE virtual_node_operation SET state = 'IN_PROGRESS' WHERE request_id = $1", [alice?.id]);
      await sql.query("UPDATE virtual_node SET schema_level = 'older'");
      cluster = await cluster.restart();
      while ((await rest().virtualNodeStatus({ requestId: alice?.id ?? "" })).status !== "SUCCEEDED")
        await new Promise((again) => setTimeout(again, 20));
      const levels = await sql.query<{ level: string }>(
        "SELECT schema_level AS level FROM virtual_node WHERE uniqueness_dml_connection_id IS NULL",
      );
      assert.equal(new Set(levels.map(({ level }) => level)).size, 1);
      assert.notEqual(levels[0]?.level, "older");
    });
    assert.deepEqual((await aliceOf())?.info.ledgerKeys, keys);
    assert.equal((await rest().virtualNodes(null)).length, 3);
  });

  test("says so when the secrets root is another one", async () => {
    const { administrator } = cluster;
    const env = { now: Date.now, random: (length: number) => new Uint8Array(length).fill(1) };
    const secretsRoot = { passphrase: "another passphrase", salt: "another salt of tests" };
    const crypto = cluster.calls.for("db").crypto;
    await assert.rejects(
      createDbRole({ administrator, secretsRoot, crypto, firstAdmin: ADMIN, env, clock: systemClock, alone: true, log: quietLog }),
      refused("secrets.rootChanged"),
    );
  });

  test("stores certificate chains by usage and alias, and refuses what is none", async () => {
    const pem = pemOf(cluster.signer.chain);
    const store = (usage: string, alias: string, text: string) => rest().importCertificate({ usage, vnode: null, alias, pem: text });
    await store("P2P-TLS", "gateway", pem);
    assert.deepEqual(await rest().certificates({ usage: "p2p-tls", vnode: null }), ["gateway"]);
    assert.equal(await rest().certificate({ usage: "p2p-tls", vnode: null, alias: "gateway" }), pem);
    assert.equal(await rest().certificate({ usage: "p2p-tls", vnode: null, alias: "other" }), null);
    await assert.rejects(store("nonsense", "a", pem), refused("certificate.usage"));
    await assert.rejects(store("p2p-tls", " ", pem), refused("certificate.alias"));
    await assert.rejects(store("p2p-session", "a", pem), refused("certificate.scope"));
    await assert.rejects(store("p2p-tls", "a", `${pem}${pem}`), refused("certificate.chainBroken"));
    await assert.rejects(store("p2p-tls", "a", "hello"), BowlineError);
  });
});
