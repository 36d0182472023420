import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError } from "@bowline/base";
import type { EntityDescription } from "@bowline/sdk";
import { type CpkMigration, checkMigrations, tableFor } from "./migrations.ts";

const CONTACT: EntityDescription = {
  name: "com.example.Contact",
  table: "contact",
  key: ["id"],
  properties: [
    { name: "id", column: "id", kind: "text", missing: "never" },
    { name: "age", column: "age", kind: "integer", missing: "null" },
    { name: "homeAddress", column: "home_address", kind: "json", missing: "omitted" },
  ],
  queries: {},
};

const files = (...texts: readonly string[]): CpkMigration[] =>
  texts.map((text, i) => ({ fileName: `${String(i + 1).padStart(4, "0")}-step.sql`, text }));

async function faults(migrations: readonly CpkMigration[], entities: readonly EntityDescription[] = []): Promise<string> {
  try {
    await checkMigrations("The CPK", migrations, entities);
    return "";
  } catch (thrown) {
    assert.ok(thrown instanceof BowlineError, String(thrown));
    assert.deepEqual([thrown.kind, thrown.code], ["badRequest", "package.migrationRefused"]);
    return thrown.details["faults"] ?? "";
  }
}

const TABLE = tableFor(CONTACT);

test("what an ordinary application needs passes", async () => {
  const tables = await checkMigrations(
    "The CPK",
    files(
      `${TABLE}
      CREATE UNIQUE INDEX contact_by_age ON contact (age DESC NULLS LAST, id COLLATE "C") WHERE age IS NOT NULL;
      COMMENT ON TABLE contact IS 'people; DROP TABLE is only a text here';
      COMMENT ON COLUMN contact.age IS $tag$in years$tag$;
      -- A comment; /* and another */
      CREATE TABLE letter (
        id bigint PRIMARY KEY,
        contact_id text REFERENCES contact (id) ON DELETE CASCADE,
        answer_to bigint REFERENCES letter,
        pages smallint NOT NULL DEFAULT 1 CHECK (pages > 0 AND pages BETWEEN 1 AND 100),
        meta jsonb DEFAULT '{}'::jsonb,
        UNIQUE (contact_id, pages)
      );`,
      `ALTER TABLE contact ADD COLUMN nick varchar(40) DEFAULT 'none', DROP CONSTRAINT contact_pkey, ADD PRIMARY KEY (id);
      ALTER TABLE letter ALTER COLUMN pages TYPE integer USING pages + 1, ALTER COLUMN pages SET DEFAULT 2;
      INSERT INTO contact (id, age) VALUES ('a', 1), ('b', NULL);
      UPDATE contact SET age = CASE WHEN age IS NULL THEN 0 ELSE COALESCE(age, 0) + 1 END, nick = id || '!' WHERE id IN ('a', 'b');
      DELETE FROM contact WHERE NOT (age < 5 OR nick LIKE 'x%');
      DROP INDEX contact_by_age;`,
      "ALTER TABLE contact DROP COLUMN nick; DROP TABLE letter;",
    ),
    [CONTACT],
  );
  assert.deepEqual(tables, ["contact"]);
});

test("all that could run code, or reach anything else, is refused", async () => {
  const hostile: readonly string[] = [
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
    "CREATE TRIGGER t BEFORE INSERT ON contact FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE RULE r AS ON INSERT TO contact DO ALSO DELETE FROM contact",
    "CREATE POLICY p ON contact USING (true)",
    "CREATE VIEW v AS SELECT * FROM contact",
    "CREATE DOMAIN d AS text CHECK (f(VALUE))",
    "CREATE TYPE contact_kind AS ENUM ('a')",
    "CREATE EXTENSION dblink",
    "CREATE SCHEMA other",
    "CREATE SEQUENCE s",
    "DO $$ BEGIN PERFORM 1; END $$",
    "SET ROLE postgres",
    "SET LOCAL ROLE vault",
    "SET search_path = vault",
    "RESET ROLE",
    "SELECT 1",
    "SELECT dblink('host=elsewhere', 'SELECT 1')",
    "COPY contact TO PROGRAM 'sh'",
    "COPY contact FROM '/etc/passwd'",
    "GRANT ALL ON contact TO PUBLIC",
    "ALTER TABLE contact OWNER TO postgres",
    "ALTER TABLE contact SET SCHEMA public",
    "ALTER TABLE contact ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE contact DISABLE TRIGGER ALL",
    "ALTER TABLE contact INHERIT contact",
    "ALTER TABLE contact RENAME TO other",
    "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
    "COMMIT",
    "BEGIN; COMMIT; DROP SCHEMA vault CASCADE; BEGIN",
    "TRUNCATE contact",
    "LISTEN x",
    "CALL f()",
    "EXPLAIN ANALYZE DELETE FROM contact",
    "PREPARE p AS SELECT 1",
    "CREATE TABLE x AS SELECT * FROM contact",
    "CREATE TABLE x (LIKE contact)",
    "CREATE TABLE x (id text) INHERITS (contact)",
    "CREATE TABLE x (id text) PARTITION BY LIST (id)",
    "CREATE TABLE x (id text) WITH (fillfactor = 10)",
    "CREATE TABLE x (id text) TABLESPACE other",
    "CREATE TEMP TABLE x (id text)",
    "CREATE UNLOGGED TABLE x (id text)",
    "CREATE TABLE IF NOT EXISTS x (id text)",
    "CREATE TABLE public.x (id text)",
    "CREATE TABLE pg_class (id text)",
    "CREATE TABLE schema_migration (id text)",
    'CREATE TABLE "X y" (id text)',
    "CREATE TABLE x (id serial)",
    "CREATE TABLE x (id text DEFAULT current_user)",
    "CREATE TABLE x (id text DEFAULT gen_random_uuid())",
    "CREATE TABLE x (id text, u text GENERATED ALWAYS AS (upper(id)) STORED)",
    "CREATE TABLE x (id bigint GENERATED ALWAYS AS IDENTITY)",
    "CREATE TABLE x (id text CHECK (length(id) > 1))",
    "CREATE TABLE x (id text CHECK (pg_sleep(1) IS NULL))",
    "CREATE TABLE x (id public.evil)",
    "CREATE TABLE x (id regclass)",
    "CREATE TABLE x (id text[])",
    "CREATE TABLE x (id text REFERENCES vault.utxo_transaction (id))",
    "CREATE TABLE x (id text REFERENCES utxo_transaction (id))",
    'CREATE TABLE x (id text COLLATE "pg_catalog"."default")',
    "CREATE TABLE x (id text, EXCLUDE USING gist (id WITH =))",
    "CREATE INDEX ON contact (lower(id))",
    "CREATE INDEX CONCURRENTLY i ON contact (id)",
    "CREATE INDEX ON contact USING hash (id)",
    "CREATE INDEX ON contact (id text_pattern_ops)",
    "CREATE INDEX ON utxo_transaction (id)",
    "INSERT INTO contact (id) SELECT id FROM contact",
    "INSERT INTO contact (id) VALUES ((SELECT rolpassword FROM pg_authid LIMIT 1))",
    "INSERT INTO contact (id) VALUES (lo_import('/etc/passwd'))",
    "INSERT INTO contact (id) VALUES ('a') ON CONFLICT DO NOTHING",
    "INSERT INTO contact (id) VALUES ('a') RETURNING id",
    "INSERT INTO vault.contact (id) VALUES ('a')",
    "WITH x AS (DELETE FROM contact RETURNING 1) INSERT INTO contact (id) VALUES ('a')",
    "UPDATE contact SET id = pg_read_file('/etc/passwd')",
    "UPDATE contact SET id = current_setting('x')",
    "UPDATE contact SET id = id::regclass::text",
    "UPDATE contact SET id = o.id FROM utxo_transaction o",
    "UPDATE pg_catalog.pg_class SET relname = 'x'",
    "UPDATE contact SET age = 1 WHERE id ~ 'x'",
    "UPDATE contact SET age = 1 WHERE id OPERATOR(public.=) 'x'",
    "UPDATE contact SET age = 1 WHERE EXISTS (SELECT 1)",
    "DELETE FROM contact USING utxo_transaction t",
    "DELETE FROM contact WHERE id = (SELECT 'x')",
    "DELETE FROM utxo_transaction",
    "DROP SCHEMA vault CASCADE",
    "DROP TABLE utxo_transaction",
    "DROP TABLE vault.contact",
    "DROP TABLE IF EXISTS contact",
    "DROP FUNCTION f",
    "DROP INDEX utxo_transaction_pkey",
    "COMMENT ON DATABASE x IS 'y'",
    "COMMENT ON TABLE utxo_transaction IS 'y'",
    "/* harmless */ COMMENT ON TABLE contact IS 'a'; /* ; */ SET ROLE postgres -- ok",
    "COMMENT ON TABLE contact IS $a$ $b$ ; $a$; DO $b$ BEGIN END $b$",
    "UPDATE contact SET id = E'\\'; DROP TABLE x; --' || version()",
    "this is no SQL",
    "CREATE TABLE x (id text",
    "",
    "\0",
  ];
  for (const text of hostile) assert.notEqual(await faults(files(TABLE, text), [CONTACT]), "", text);
});

test("a refusal names file, line and reason, and all of them at once", async () => {
  const text = "\n-- über\nALTER TABLE contact\n  ADD COLUMN u inet;\n\nUPDATE contact SET id = upper(id);\n/* a\n */ SET ROLE x;";
  assert.deepEqual((await faults(files(TABLE, text))).split("\n"), [
    "migration/0002-step.sql:4: the type inet is not allowed: use text, varchar, smallint, integer, bigint, numeric, timestamptz(3), uuid, bytea, boolean or jsonb",
    "migration/0002-step.sql:6: FuncCall is not allowed in an expression: only constants, columns and plain operators are, and no functions",
    "migration/0002-step.sql:8: VariableSetStmt is not among the statements of a migration, which are CREATE TABLE, CREATE INDEX, ALTER TABLE, COMMENT, DROP TABLE, DROP INDEX, INSERT, UPDATE and DELETE",
  ]);
  assert.match(await faults(files("\nCREATE TABEL x ();")), /^migration\/0001-step\.sql:2: PostgreSQL does not understand it/);
  assert.match(await faults([{ fileName: "first.sql", text: TABLE }]), /call it like 0001-create-contacts\.sql/);
  assert.match(await faults([...files(TABLE), { fileName: "0001-again.sql", text: TABLE }]), /has the same number/);
});

test("an entity fits the tables that the migrations make in the end, and one without a table is told which would do", async () => {
  assert.equal(await faults(files(TABLE), [CONTACT]), "");
  const suggested = await faults([], [CONTACT]);
  assert.ok(suggested.includes(TABLE), suggested);
  const wrong = `CREATE TABLE contact (id text, age text NOT NULL, extra bigint NOT NULL, spare bigint NOT NULL DEFAULT 0)`;
  assert.deepEqual((await faults(files(wrong), [CONTACT])).split("\n"), [
    "entity com.example.Contact: id is always there, and its column id may be empty: add NOT NULL",
    "entity com.example.Contact: age is a integer, and its column age holds a text",
    "entity com.example.Contact: age may be missing, and its column age may not be empty",
    "entity com.example.Contact: its table has no column home_address for homeAddress",
    "entity com.example.Contact: column extra of contact must be filled, and no property fills it",
    "entity com.example.Contact: its key lies in id, and the primary key of contact is ()",
  ]);
});

test("columns keep 64 bits, exact decimals, milliseconds, UUIDs and bytes, and nothing that rounds", async () => {
  const kinds = ["bigint", "decimal", "instant", "uuid", "bytes"] as const;
  const entry: EntityDescription = {
    ...CONTACT,
    table: "entry",
    properties: [
      { name: "id", column: "id", kind: "text", missing: "never" },
      ...kinds.map((kind) => ({ name: kind, column: `a_${kind}`, kind, missing: "null" }) as const),
    ],
  };
  assert.equal(await faults(files(tableFor(entry)), [entry]), "");
  const narrow = `CREATE TABLE entry (id text PRIMARY KEY, a_bigint int, a_decimal bigint, a_instant bigint, a_uuid text, a_bytes text);`;
  assert.deepEqual((await faults(files(narrow), [entry])).split("\n"), [
    "entity com.example.Contact: bigint is a bigint, and its column a_bigint holds a integer",
    "entity com.example.Contact: decimal is a decimal, and its column a_decimal holds a bigint",
    "entity com.example.Contact: instant is a instant, and its column a_instant holds a bigint",
    "entity com.example.Contact: uuid is a uuid, and its column a_uuid holds a text",
    "entity com.example.Contact: bytes is a bytes, and its column a_bytes holds a text",
  ]);
  for (const rounding of ["numeric(10, 2)", "decimal(5)", "timestamptz", "timestamptz(0)", "timestamptz(6)"])
    assert.match(await faults(files(`CREATE TABLE x (a ${rounding})`)), /0001-step.sql:1: .*(rounds|milliseconds)/, rounding);
  for (const other of ["timestamp(3)", "date", "money", "real", "double precision", "uuid[]", "bytea[]"])
    assert.match(await faults(files(`CREATE TABLE x (a ${other})`)), /is not allowed|clause/, other);
  const constants = `CREATE TABLE x (a numeric DEFAULT 1.5, b timestamptz(3) DEFAULT '2026-01-01T00:00:00Z'::timestamptz, c uuid, d bytea, e text);
    ALTER TABLE x ALTER COLUMN e TYPE numeric USING e::numeric(10, 2);
    UPDATE x SET d = '\\x00'::bytea WHERE a > 0.5::numeric;`;
  assert.equal(await faults(files(constants)), "");
  assert.match(await faults(files("CREATE TABLE x (a text); ALTER TABLE x ALTER COLUMN a TYPE numeric(3, 1)")), /rounds/);
});
