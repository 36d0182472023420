// What the table of roles denies cannot be reached: not by calls, not in the database, not in memory, not in the home.

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { BowlineError, type Data, type Database, encode, type ShortHash } from "@bowline/base";
import { DEFAULT_SCHEME, generateBootKey, pemOf } from "@bowline/crypto";
import { notaryPreimage } from "@bowline/ledger/signing";
import { openDatabase } from "./adapters/postgres.ts";
import { testServer } from "./adapters/test-postgres.ts";
import { LocalCalls } from "./calls.ts";
import { compose, ROLES_HERE } from "./compose.ts";
import { GRANTS, type Grants } from "./grants.ts";
import type { RestRoleOptions } from "./rest/server.ts";
import type { createFlowRole } from "./roles/flow.ts";
import {
  ADMIN,
  ALICE,
  buildTestCpi,
  createTestNode,
  GROUP_ID,
  NOTARY,
  quietLog,
  SECRETS,
  startTestCluster,
  type TestCluster,
  uploadTestCpi,
} from "./roles/test-cluster.ts";
import type { createVerificationRole } from "./roles/verification.ts";
import { openConnection } from "./sealed-connection.ts";
import { openTlsKey } from "./sealed-tls-key.ts";
import type { Caller, ConnectionDetails, LogicalDatabase, RoleName, Services } from "./services.ts";

const ROLES = Object.keys(GRANTS) as RoleName[];
const VNODE_DATABASES = ["vault", "tokens", "entities", "vnode-crypto", "uniqueness"] as const;

const refusedAs = (code: string) => (error: unknown) => {
  assert.ok(error instanceof BowlineError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

let cluster: TestCluster;
let alice: ShortHash;
let notary: ShortHash;

before(async () => {
  cluster = await startTestCluster();
  const { db } = cluster.calls.for("rest");
  await db.importCertificate({ usage: "code-signer", vnode: null, alias: "tests", pem: pemOf(cluster.signer.chain) });
  const checksum = await uploadTestCpi(cluster, await buildTestCpi(cluster.signer));
  notary = (await createTestNode(cluster, checksum, NOTARY)).resourceId as ShortHash;
  alice = (await createTestNode(cluster, checksum, ALICE)).resourceId as ShortHash;
});
after(() => cluster.stop());

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

const asAdministrator = <T>(work: (database: Database) => Promise<T>) => withDatabase(cluster.administrator, work);

describe("calls", () => {
  /** Every method answers who called it, and with what. */
  function listening(): { readonly calls: LocalCalls; readonly heard: { method: string; caller: Caller }[] } {
    const calls = new LocalCalls("frozen");
    const heard: { method: string; caller: Caller }[] = [];
    for (const target of ["db", "crypto", "persistence", "verification", "uniqueness", "flow", "token-selection"] as const) {
      const methods = ALL_METHODS.filter(([service]) => service === target).map(([, method]) => [
        method,
        async (_: unknown, caller: Caller) => void heard.push({ method: `${target}.${method}`, caller }),
      ]);
      calls.answer(target, Object.fromEntries(methods));
    }
    return { calls, heard };
  }

  for (const role of ROLES)
    test(`${role} has the methods that it is granted, under its own name, and no others`, async () => {
      const { calls, heard } = listening();
      const held = calls.for(role) as Readonly<Record<string, Readonly<Record<string, (...given: unknown[]) => Promise<unknown>>>>>;
      const grants: Grants = GRANTS[role];
      assert.deepEqual(Object.keys(held), Object.keys(grants));
      for (const [target, method] of ALL_METHODS) {
        const granted = (grants[target] as readonly string[] | undefined)?.includes(method) === true;
        const stub = held[target]?.[method];
        assert.equal(typeof stub, granted ? "function" : "undefined", `${target}.${method}`);
        // A caller that claims to be another is heard as what it is.
        await stub?.({}, { role: "db" });
      }
      assert.ok(heard.every(({ caller }) => caller.role === role));
      assert.equal(heard.length, Object.values(grants).flat().length);
    });

  test("what a role holds cannot be changed or added to, and leads nowhere else", () => {
    for (const role of ROLES) {
      const held = new LocalCalls("frozen").for(role);
      for (const part of [held, ...Object.values<object>(held)]) {
        assert.ok(Object.isFrozen(part), role);
        assert.throws(() => Object.assign(part, { connection: () => undefined }), TypeError);
      }
      assert.deepEqual(reachable(held).secrets, [], role);
    }
  });
});

describe("what a role is started with", () => {
  // The types say that these are all the options there are; so nothing else can be handed over.
  const rest: Record<keyof RestRoleOptions, string> = {
    services: "its granted methods",
    bootKey: "a key pair of this boot",
    caFile: "where the authority is written",
    listen: "an address",
    uploads: "a folder",
    clock: "time",
    log: "the log",
  };
  const flow: Record<keyof Parameters<typeof createFlowRole>[0], string> = {
    calls: "its granted methods",
    bus: "the bus",
    clock: "time",
    random: "randomness",
    workerId: "a name",
    log: "the log",
    onUnstoppable: "the end of this process",
  };
  const verification: Record<keyof Parameters<typeof createVerificationRole>[0], string> = {
    db: "its granted methods",
    verdictKey: "the MAC key of its verdicts",
    log: "the log",
    onUnstoppable: "the end of this process",
  };

  test("rest, flow and verification are handed no key, no password and no connection", () => {
    for (const [role, options] of Object.entries({ rest, flow, verification }))
      for (const name of Object.keys(options))
        assert.doesNotMatch(name, /password|credential|secret|root|database|connection|administrator|keyRoot/i, `${role}: ${name}`);
  });

  test("a process that runs one role reads only that role's secrets, and writes none of another's", async (t) => {
    const url = await freshDatabaseUrl(t);
    const found: Record<string, readonly string[]> = {};
    for (const role of ROLES_HERE) {
      const home = await mkdtemp(join(tmpdir(), "bowline-role-"));
      t.after(() => rm(home, { recursive: true }));
      const starting = compose({
        roles: [role],
        home,
        listen: { host: "127.0.0.1" },
        environment: role === "db" ? { BOWLINE_DATABASE_URL: url } : {},
        log: quietLog,
        progress: () => undefined,
        onUnstoppable: () => undefined,
        onDatabaseLost: () => undefined,
      });
      // Without the crypto role there is no key to serve with; all others start alone, and wait to be called.
      if (role === "rest") await assert.rejects(starting, refusedAs("call.noSuchRole"));
      else await (await starting).stop();
      found[role] = (await readdir(join(home, "secrets"))).sort();
    }
    assert.deepEqual(found, {
      db: ["admin-password", "secrets-root.json"],
      crypto: ["key-root.json"],
      persistence: ["verdict-key"],
      verification: ["verdict-key"],
      uniqueness: [],
      "token-selection": [],
      flow: [],
      rest: [],
    });
  });
});

describe("connections to databases", () => {
  const databases = (): LogicalDatabase[] => [
    ...(["config", "rbac", "crypto", "bus"] as const).map((kind) => ({ kind })),
    ...VNODE_DATABASES.map((kind) => ({ kind, vnode: notary })),
  ];

  test("each role is given those of the table, as a user that may do no more, and refused all others", async () => {
    const given: Record<string, string[]> = {};
    for (const role of ROLES)
      for (const database of databases())
        await connectionOf(role, database).then(({ user }) => {
          given[role] = [...(given[role] ?? []), `${database.kind} ${user.slice(user.lastIndexOf("_") + 1)}`];
        }, refusedAs("database.notEntitled"));
    assert.deepEqual(given, {
      persistence: ["bus dml", "vault dml", "entities read"],
      uniqueness: ["uniqueness dml"],
      "token-selection": ["tokens tokens"],
      crypto: ["config read", "crypto dml", "vnode-crypto dml"],
    });
  });

  test("no name of a database that there is not opens one", async () => {
    const names = ["constructor", "toString", "__proto__", "config ", "CONFIG", "virtual-nodes", "", "vault; DROP TABLE x"];
    for (const role of ROLES)
      for (const kind of names)
        for (const more of [{}, { vnode: alice }])
          await assert.rejects(connectionOf(role, { kind, ...more } as never), refusedAs("database.notEntitled"), `${role} ${kind}`);
  });

  test("the crypto role reads config, and changes nothing there", async () => {
    const tables = await asAdministrator(({ sql }) =>
      sql.query<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'config'"),
    );
    assert.ok(tables.length > 5);
    await withDatabase(await connectionOf("crypto", { kind: "config" }), async ({ sql }) => {
      assert.ok((await sql.query("SELECT * FROM db_connection")).length > 0);
      // What the connection begins with is a courtesy; its rights are what holds.
      await sql.query("SET default_transaction_read_only = off");
      for (const { name } of tables)
        for (const change of [`DELETE FROM ${name}`, `TRUNCATE ${name}`, `INSERT INTO ${name} DEFAULT VALUES`, `DROP TABLE ${name}`])
          await assert.rejects(sql.query(change), /permission denied|must be owner/, change);
      await assert.rejects(sql.query("UPDATE db_connection SET version = 1"), /permission denied/);
      await assert.rejects(sql.query("CREATE TABLE mine (x int)"), /permission denied/);
      await assert.rejects(sql.query("SELECT * FROM rbac.rbac_user"), /permission denied/);
    });
  });
});

describe("users of the database", () => {
  test("each reaches its own schema and no other, and is nothing more than a login", async () => {
    await asAdministrator(async ({ sql }) => {
      const { database } = cluster.administrator;
      const schemas = (
        await sql.query<{ name: string }>("SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'")
      ).map(({ name }) => name);
      const users = await sql.query<{ name: string; plain: boolean; memberships: number }>(
        `SELECT rolname AS name, NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) AS plain,
                (SELECT count(*)::int FROM pg_auth_members WHERE member = r.oid) AS memberships
         FROM pg_roles r WHERE rolname ~ ('^' || $1 || '_.*_(ddl|dml|read|tokens)$')`,
        [database],
      );
      assert.equal(users.length, 4 * 2 + 1 + 5 * 2 + 2 * 2 + 2);
      for (const { name: user, plain, memberships } of users) {
        assert.deepEqual({ plain, memberships }, { plain: true, memberships: 0 }, user);
        const own = user.slice(database.length + 1).replace(/_(ddl|dml|read|tokens)$/, "");
        const rights = await sql.query<{ schema: string; use: boolean; make: boolean }>(
          "SELECT s AS schema, has_schema_privilege($1, s, 'USAGE') AS use, has_schema_privilege($1, s, 'CREATE') AS make FROM unnest($2::text[]) s",
          [user, schemas],
        );
        // Who writes a vault writes its CorDapps' rows too, in the same commit.
        const reached = user.endsWith("_dml") ? [own, own.replace(/^vnode_vault_/, "vnode_entities_")] : [own];
        for (const { schema, use, make } of rights)
          assert.deepEqual(
            { use, make },
            { use: reached.includes(schema), make: schema === own && user.endsWith("_ddl") },
            `${user} in ${schema}`,
          );
      }
    });
  });

  test("the one that selects tokens marks them as claimed, and changes and reads nothing else", async () => {
    await withDatabase(await connectionOf("token-selection", { kind: "tokens", vnode: alice }), async ({ sql }) => {
      await sql.query("SELECT * FROM utxo_token, utxo_token_claim, utxo_ended_flow");
      await sql.query("UPDATE utxo_token SET claim_id = NULL, claim_flow = NULL, claim_until = NULL");
      for (const attempt of [
        "UPDATE utxo_token SET amount = 1",
        "DELETE FROM utxo_token",
        "INSERT INTO utxo_token (transaction_id, leaf_idx) VALUES ('x', 0)",
        "TRUNCATE utxo_token_claim",
        "SELECT * FROM flow",
        "SELECT * FROM utxo_visible_transaction_output",
        "SELECT * FROM utxo_transaction",
        "UPDATE utxo_ended_flow SET id = 'x'",
        "CREATE TABLE mine (x int)",
        "CREATE TEMP TABLE mine (x int)",
        "DROP TABLE utxo_token",
        "SELECT * FROM schema_migration",
      ])
        await assert.rejects(sql.query(attempt), /permission denied|must be owner/, attempt);
    });
  });

  test("one that changes rows makes nothing, becomes nobody, and sees no secret of the server", async () => {
    const { user: other } = await connectionOf("persistence", { kind: "vault", vnode: notary });
    const attempts = [
      ...["public", "config", `vnode_vault_${notary.toLowerCase()}`, "pg_catalog"].map((schema) => `CREATE TABLE ${schema}.mine (x int)`),
      "CREATE TABLE mine (x int)",
      "CREATE TEMP TABLE mine (x int)",
      "CREATE VIEW mine AS SELECT 1",
      "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "CREATE TYPE mine AS (x int)",
      "CREATE SCHEMA mine",
      "CREATE DATABASE mine",
      "CREATE ROLE mine",
      "CREATE EXTENSION dblink",
      "CREATE SERVER mine FOREIGN DATA WRAPPER mine",
      `SET ROLE ${other}`,
      `SET SESSION AUTHORIZATION ${other}`,
      `ALTER ROLE ${other} PASSWORD 'mine'`,
      "ALTER SYSTEM SET fsync = off",
      `SELECT * FROM vnode_vault_${notary.toLowerCase()}.schema_migration`,
      "SELECT * FROM config.db_connection",
      "SELECT * FROM schema_migration",
      "SELECT * FROM pg_authid",
      "SELECT * FROM pg_shadow",
      "SELECT * FROM pg_hba_file_rules",
      "SELECT pg_read_file('PG_VERSION')",
      "SELECT pg_ls_dir('.')",
      "SELECT lo_import('/etc/hostname')",
      "COPY (SELECT 1) TO PROGRAM 'true'",
      "COPY (SELECT 1) TO '/tmp/mine'",
      "SELECT lo_create(0)",
    ];
    await withDatabase(await connectionOf("persistence", { kind: "vault", vnode: alice }), async ({ sql }) => {
      for (const attempt of attempts)
        await assert.rejects(sql.query(attempt), /permission denied|must be|foreign-data wrapper "mine" does not exist/, attempt);
      const seen = await sql.query<{ passwords: string }>("SELECT string_agg(DISTINCT rolpassword, ',') AS passwords FROM pg_roles");
      assert.deepEqual(seen, [{ passwords: "********" }]);
    });
    const details = await connectionOf("persistence", { kind: "vault", vnode: alice });
    for (const database of ["postgres", "template1"])
      await withDatabase({ ...details, database }, ({ sql }) => assert.rejects(sql.query("SELECT 1"), /permission denied/, database));
  });
});

describe("the crypto role", () => {
  test("signs each purpose for one role, with that purpose's own keys, and makes keys for the db role", async () => {
    const crypto = (role: RoleName) => cluster.cryptoService(role);
    const key = async (category: "LEDGER" | "NOTARY" | "SESSION_INIT") =>
      (await crypto("db").generateKey({ tenant: alice, alias: `privilege-${category}`, category, scheme: DEFAULT_SCHEME })).publicKey;
    const keys = { LEDGER: await key("LEDGER"), NOTARY: await key("NOTARY"), SESSION_INIT: await key("SESSION_INIT") };
    const metadata = { timestamp: 1, spec: "SHA256withECDSA", platformVersion: 1 } as const;
    const parts: Readonly<Record<string, Data>> = {
      transaction: { transactionId: `SHA-256:${"0".repeat(64)}`, timestamp: 1, platformVersion: 1 },
      notary: { preimage: notaryPreimage(new Uint8Array(32), metadata) },
      "group-parameters": { bytes: encode({ epoch: 1 }) },
    };
    const done: string[] = [];
    const refusals = new Set<string>();
    const attempt = (what: string, call: Promise<unknown>): Promise<void> =>
      call.then(
        () => void done.push(what),
        (error: unknown) => void refusals.add(error instanceof BowlineError ? error.code : String(error)),
      );
    const { publicKey: sealTo } = generateBootKey();
    for (const role of ROLES) {
      for (const purpose of ["transaction", "notary", "group-parameters"] as const)
        for (const [category, publicKey] of Object.entries(keys))
          await attempt(
            `${role} ${purpose} ${category}`,
            crypto(role).sign({ tenant: alice, publicKey, purpose, parts: parts[purpose] as Data }),
          );
      for (const tenant of ["rest", "p2p"] as const)
        await attempt(`${role} has the TLS key of ${tenant}`, crypto(role).releaseTls({ tenant, sealTo }));
      await attempt(
        `${role} makes keys`,
        crypto(role).generateKey({ tenant: alice, alias: "privilege-LEDGER", category: "LEDGER", scheme: DEFAULT_SCHEME }),
      );
    }
    assert.deepEqual(done.sort(), [
      "db group-parameters SESSION_INIT",
      "db makes keys",
      "flow transaction LEDGER",
      "membership makes keys",
      "p2p-gateway has the TLS key of p2p",
      "rest has the TLS key of rest",
      "uniqueness notary NOTARY",
    ]);
    assert.deepEqual([...refusals].sort(), ["crypto.callerRefused", "crypto.keyMisused"]);
  });
});

test("no private key, passphrase or password is in clear in any table, in any form", async () => {
  const boot = generateBootKey();
  const { sealed } = await cluster.calls.for("rest").crypto.releaseTls({ tenant: "rest", sealTo: boot.publicKey });
  const jwk = createPrivateKey(openTlsKey(boot, sealed)).export({ format: "jwk" });
  const passwords = await Promise.all(
    [
      connectionOf("persistence", { kind: "vault", vnode: alice }),
      connectionOf("crypto", { kind: "vnode-crypto", vnode: alice }),
      connectionOf("uniqueness", { kind: "uniqueness", vnode: notary }),
      connectionOf("crypto", { kind: "crypto" }),
      connectionOf("crypto", { kind: "config" }),
    ].map(async (details) => (await details).password),
  );
  const rows = await asAdministrator(async ({ sql }) => {
    const tables = await sql.query<{ name: string }>(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname !~ '^pg_|^information_schema$'",
    );
    const all = await Promise.all(tables.map(({ name }) => sql.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)));
    return all
      .flat()
      .map(({ row }) => row)
      .join("\n");
  });
  const holds = (secret: Uint8Array): boolean =>
    (["utf8", "hex", "base64", "base64url"] as const).some((form) => {
      // Where base64 begins and ends depends on what stands around it.
      const text = Buffer.from(secret).toString(form);
      return rows.toLowerCase().includes((form.startsWith("base64") ? text.slice(0, -4) : text).toLowerCase());
    });
  const parameters = await cluster.calls.for("rest").db.groupParameters({ groupId: GROUP_ID, hash: null });
  assert.ok(holds(Buffer.from(ALICE)) && holds(parameters?.bytes as Uint8Array), "what is no secret is found, as text and as bytes");
  const secrets = [...passwords, ADMIN.password, SECRETS.passphrase, "PRIVATE KEY"].map((text) => Buffer.from(text));
  for (const secret of [...secrets, Buffer.from(jwk.d as string, "base64url")])
    assert.ok(!holds(secret), `${secret.length} bytes that begin with ${secret[0]}`);
});

/** Every value that can be walked to, and those among them that could be a secret: text, bytes, keys. */
function reachable(from: unknown, path = "", seen = new Set<unknown>()): { readonly secrets: readonly string[] } {
  if (typeof from === "string" || ArrayBuffer.isView(from)) return { secrets: [path] };
  if ((typeof from !== "object" && typeof from !== "function") || from === null || seen.has(from)) return { secrets: [] };
  seen.add(from);
  const ignored = typeof from === "function" ? ["name", "length"] : [];
  const members = Reflect.ownKeys(from).filter((key) => !ignored.includes(String(key)));
  return { secrets: members.flatMap((key) => reachable(Reflect.get(from, key), `${path}.${String(key)}`, seen).secrets) };
}

async function freshDatabaseUrl(t: { after(work: () => Promise<void>): void }): Promise<string> {
  const server = await testServer();
  const database = `alone_${process.pid}`;
  const asRoot = (text: string) => withDatabase({ ...server, schema: "public" }, async ({ sql }) => void (await sql.query(text)));
  await asRoot(`CREATE DATABASE ${database}`);
  t.after(() => asRoot(`DROP DATABASE ${database} WITH (FORCE)`));
  const { user, password, host, port } = server;
  return `postgresql://${user}:${encodeURIComponent(password)}@/${database}?host=${encodeURIComponent(host)}&port=${port}`;
}

/** Of every service, those that nobody is granted too. */
const METHODS: { readonly [S in keyof Services]: Readonly<Record<keyof Services[S], true>> } = {
  db: {
    authenticate: true,
    authorise: true,
    admit: true,
    permissionSummary: true,
    explainAccess: true,
    createUser: true,
    user: true,
    deleteUser: true,
    enableUser: true,
    moveUser: true,
    changePassword: true,
    assignRole: true,
    withdrawRole: true,
    setProperties: true,
    removeProperty: true,
    properties: true,
    usersByProperty: true,
    createGroup: true,
    group: true,
    deleteGroup: true,
    moveGroup: true,
    assignGroupRole: true,
    withdrawGroupRole: true,
    roles: true,
    role: true,
    createRole: true,
    attachPermission: true,
    detachPermission: true,
    permissions: true,
    permission: true,
    createPermission: true,
    createPermissions: true,
    accessChanges: true,
    connection: true,
    uploadCpi: true,
    cpiStatus: true,
    cpis: true,
    bundle: true,
    createVirtualNode: true,
    upgradeVirtualNode: true,
    virtualNodeStatus: true,
    virtualNodes: true,
    members: true,
    groupParameters: true,
    importCertificate: true,
    certificates: true,
    certificate: true,
    config: true,
    changeConfig: true,
    externalRouteDefaults: true,
    notaryQuota: true,
  },
  crypto: { generateKey: true, filterMyKeys: true, sign: true, releaseTls: true },
  persistence: {
    startFlow: true,
    load: true,
    commit: true,
    acknowledge: true,
    due: true,
    dueBefore: true,
    read: true,
    readEntities: true,
    queryVault: true,
    explainQuery: true,
    vaultChanges: true,
    flowStatus: true,
    flowStatuses: true,
    flowInspect: true,
    flowKill: true,
    flowRetry: true,
  },
  flow: { tryCode: true },
  verification: { verify: true, signatures: true, dependencies: true },
  uniqueness: { admit: true, notarise: true, history: true, states: true, confirmHistory: true },
  "token-selection": { claim: true, balance: true, balances: true },
};
const ALL_METHODS = Object.entries(METHODS).flatMap(([service, methods]) =>
  Object.keys(methods).map((method) => [service as keyof Services, method] as const),
);
