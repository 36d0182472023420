import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { BowlineError, type Database } from "@bowline/base";
import { openDatabase } from "../adapters/postgres.ts";
import { testServer } from "../adapters/test-postgres.ts";
import type { ConnectionDetails } from "../services.ts";
import { checkAdministrator, closeToPublic, provisionCreator, provisionSchema } from "./provision.ts";

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const open = (details: ConnectionDetails): Database => openDatabase({ ...details, connectionsMax: 1 });
const tag = randomBytes(5).toString("hex");
const database = `provision_${tag}`;
const USERS = ["administrator", "creator", "ddl", "dml"] as const;
const userOf = (kind: (typeof USERS)[number]): string => `${kind}_${tag}`;

let superuser: Database;
let detailsOf: (kind: (typeof USERS)[number], schema: string) => ConnectionDetails;

before(async () => {
  const server = await testServer();
  superuser = open({ ...server, schema: "public" });
  detailsOf = (kind, schema) => ({ ...server, database, schema, user: userOf(kind), password: `password of ${kind}` });
  await superuser.sql.query(`CREATE ROLE ${userOf("administrator")} LOGIN PASSWORD 'password of administrator'`);
  await superuser.sql.query(`CREATE DATABASE ${database}`);
});
after(async () => {
  await superuser.sql.query(`DROP DATABASE ${database} WITH (FORCE)`);
  for (const kind of USERS) await superuser.sql.query(`DROP ROLE IF EXISTS ${userOf(kind)}`);
  await superuser.close();
});

test("an administrator need not be a superuser; what it lacks is said as the statements that give it", async () => {
  const administrator = open(detailsOf("administrator", "public"));
  try {
    await assert.rejects(checkAdministrator(administrator), (error: unknown) => {
      assert.ok(error instanceof BowlineError);
      assert.equal(error.code, "database.administratorRights");
      const [, statements] = /run: (.*)\.$/.exec(error.message) ?? [];
      assert.equal(
        statements,
        `ALTER ROLE "${userOf("administrator")}" CREATEROLE; ALTER DATABASE "${database}" OWNER TO "${userOf("administrator")}"`,
      );
      return true;
    });
    await superuser.sql.query(`ALTER ROLE ${userOf("administrator")} CREATEROLE`);
    await assert.rejects(checkAdministrator(administrator), { message: /may not make schemas .* run: ALTER DATABASE/ });
    await superuser.sql.query(`ALTER DATABASE ${database} OWNER TO ${userOf("administrator")}`);
    await checkAdministrator(administrator);
    await closeToPublic(administrator, database);
    await provisionCreator(administrator, detailsOf("creator", "virtual_nodes"), random);
  } finally {
    await administrator.close();
  }
});

test("nor need the creator of virtual nodes: it makes a schema and its users, as often as it likes", async () => {
  const creator = open(detailsOf("creator", "virtual_nodes"));
  const users = { schema: "vault", ddl: detailsOf("ddl", "vault"), dml: detailsOf("dml", "vault") };
  try {
    for (let time = 1; time <= 2; time++) await provisionSchema({ creator, users, migrations: [], open, random });
  } finally {
    await creator.close();
  }
  const dml = open(users.dml);
  try {
    await dml.sql.query("SELECT 1");
    await assert.rejects(dml.sql.query("CREATE TABLE t ()"), /permission denied/);
  } finally {
    await dml.close();
  }
});
