// What every store of entities keeps, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { BowlineError, type Data } from "@bowline/base";
import { type EntityDescription, entity } from "@bowline/sdk";
import * as Type from "typebox";
import type { EntityRead, EntityWrite } from "./entities.ts";

/** One empty store with the tables of `ENTITY_TABLES`. Each `apply` is one transaction. */
export interface EntitiesUnderTest {
  apply(writes: readonly EntityWrite[]): Promise<void>;
  read(read: EntityRead): Promise<Data>;
}

const Contact = entity({
  name: "com.example.Contact",
  schema: Type.Object({
    id: Type.String(),
    rank: Type.Integer(),
    country: Type.Union([Type.String(), Type.Null()]),
    active: Type.Boolean(),
    address: Type.Optional(Type.Object({ street: Type.String(), tags: Type.Array(Type.String()) })),
  }),
  key: "id",
  queries: {
    inCountry: { where: [{ property: "country", operator: "=" }], orderBy: ["rank"] },
    elsewhere: { where: [{ property: "country", operator: "!=" }] },
    ranked: {
      where: [
        { property: "rank", operator: ">=", parameter: "from" },
        { property: "rank", operator: "<", parameter: "until" },
      ],
      orderBy: ["rank"],
      descending: true,
    },
    named: {
      where: [
        {
          any: [
            { property: "id", operator: "startsWith", parameter: "beginning" },
            { property: "id", operator: "contains", parameter: "part" },
          ],
        },
        { property: "active", operator: "=" },
      ],
    },
    among: { where: [{ property: "country", operator: "in", parameter: "countries" }] },
    nowhere: {
      where: [
        { property: "country", operator: "isNull" },
        { property: "address", operator: "isNotNull" },
      ],
    },
  },
}).description;

const Line = entity({
  name: "com.example.OrderLine",
  table: "order_line",
  schema: Type.Object({ order: Type.String(), line: Type.Integer() }),
  key: ["order", "line"],
}).description;

/** As a migration of the CorDapp would have made them. */
export const ENTITY_TABLES = `
  CREATE TABLE contact (id text COLLATE "C" PRIMARY KEY, rank int NOT NULL, country text, active boolean NOT NULL, address jsonb);
  CREATE TABLE order_line ("order" text COLLATE "C", line bigint, PRIMARY KEY ("order", line));`;

type Row = { readonly [property: string]: Data };
type Page = { readonly items: readonly Row[]; readonly next: string | null };

const contact = (id: string, more: Row = {}): Row => ({ id, rank: 1, country: null, active: true, ...more });
const write = (action: EntityWrite["action"], rows: readonly Data[], of: EntityDescription = Contact): EntityWrite => ({
  entity: of,
  action,
  rows,
});
const code = (expected: string) => (thrown: unknown) => thrown instanceof BowlineError && thrown.code === expected;

export function testEntities(name: string, open: (test: TestContext) => Promise<EntitiesUnderTest>): void {
  const find = async (store: EntitiesUnderTest, ...ids: readonly string[]) =>
    (await store.read({ kind: "find", entity: Contact, keys: ids.map((id) => ({ id })) })) as readonly Row[];
  const query = async (
    store: EntitiesUnderTest,
    queryName: string | null,
    parameters: Data = {},
    page: { limit?: number; after?: string } = {},
  ) => (await store.read({ kind: "query", entity: Contact, query: queryName, parameters, ...page })) as Page;
  const ids = async (store: EntitiesUnderTest, queryName: string | null, parameters: Data = {}) =>
    (await query(store, queryName, parameters)).items.map((row) => row["id"]);

  describe(`entities (${name})`, () => {
    test("what was persisted is found as it was, whatever its values", async (t) => {
      const store = await open(t);
      const rows = [
        contact("plain"),
        contact("full", { rank: -5, country: "FR", active: false, address: { street: "Rue 'x'; DROP", tags: ["ü", "𝄞", '"'] } }),
        contact("{a,\"b\\',NULL}", { country: "NULL" }),
        contact("", { country: "" }),
      ];
      await store.apply([write("persist", rows)]);
      assert.deepEqual(
        plain(await find(store, "full", "plain", "{a,\"b\\',NULL}", "", "missing")),
        plain([rows[1], rows[0], rows[2], rows[3]]),
      );
    });

    test("persist refuses a key that is there, and then nothing of the commit is written", async (t) => {
      const store = await open(t);
      await store.apply([write("persist", [contact("a")])]);
      const attempt = store.apply([
        write("persist", [contact("b")]),
        write("merge", [contact("a", { rank: 9 })]),
        write("persist", [contact("c"), contact("a")]),
      ]);
      await assert.rejects(attempt, (thrown) => code("persistence.exists")(thrown) && /key a /.test((thrown as Error).message));
      assert.deepEqual(plain(await find(store, "a", "b", "c")), plain([contact("a")]));
      await assert.rejects(store.apply([write("persist", [contact("d"), contact("d")])]), code("persistence.exists"));
    });

    test("writes of one commit follow one another: merge puts and replaces, remove takes away what is there", async (t) => {
      const store = await open(t);
      await store.apply([
        write("merge", [contact("a"), contact("b", { country: "FR" })]),
        write("merge", [contact("a", { rank: 2 }), contact("b"), contact("a", { rank: 3 })]),
        write("remove", [{ id: "b" }, { id: "nobody" }]),
        write("persist", [contact("b", { rank: 7 })]),
      ]);
      assert.deepEqual(plain(await find(store, "a", "b")), plain([contact("a", { rank: 3 }), contact("b", { rank: 7 })]));
    });

    test("a key may be several properties, and all of the entity", async (t) => {
      const store = await open(t);
      const lines = [
        { order: "o1", line: 1 },
        { order: "o1", line: 10 },
        { order: "o0", line: 2 },
      ];
      await store.apply([write("persist", lines, Line), write("merge", lines, Line)]);
      await store.apply([write("remove", [{ order: "o1", line: 1 }], Line)]);
      const all = (await store.read({ kind: "query", entity: Line, query: null, parameters: {} })) as Page;
      assert.deepEqual(plain(all.items), [lines[2], lines[1]]);
      assert.deepEqual(plain(await store.read({ kind: "find", entity: Line, keys: lines })), [lines[1], lines[2]]);
    });

    test("queries compare as they say, and nothing holds of what is missing", async (t) => {
      const store = await open(t);
      await store.apply([
        write("persist", [
          contact("ann", { rank: 3, country: "FR" }),
          contact("bob", { rank: 1, country: "FR" }),
          contact("cid", { rank: 2, country: "DE", active: false }),
          contact("dan", { rank: 3, address: { street: "x", tags: [] } }),
          contact("100%", { rank: 9, country: "F_" }),
        ]),
      ]);
      assert.deepEqual(await ids(store, "inCountry", { country: "FR" }), ["bob", "ann"]);
      assert.deepEqual(await ids(store, "elsewhere", { country: "FR" }), ["100%", "cid"]);
      assert.deepEqual(await ids(store, "ranked", { from: 2, until: 9 }), ["dan", "ann", "cid"]);
      assert.deepEqual(await ids(store, "named", { beginning: "1", part: "an", active: true }), ["100%", "ann", "dan"]);
      assert.deepEqual(
        await ids(store, "named", { beginning: "%", part: "0%", active: true }),
        ["100%"],
        "no sign has a meaning of its own",
      );
      assert.deepEqual(await ids(store, "among", { countries: ["DE", "F_", "XX"] }), ["100%", "cid"]);
      assert.deepEqual(await ids(store, "among", { countries: [] }), []);
      assert.deepEqual(await ids(store, "nowhere"), ["dan"]);
    });

    test("pages go through every row once, whatever comes and goes in between", async (t) => {
      const store = await open(t);
      const all = Array.from({ length: 23 }, (_, i) => contact(`k${String(i).padStart(2, "0")}`, { rank: i % 3, country: "FR" }));
      await store.apply([write("persist", all)]);
      const expected = [...all].sort((a, b) => Number(a["rank"]) - Number(b["rank"])).map((row) => row["id"]);
      const seen: Data[] = [];
      for (let after: string | undefined, round = 0; round === 0 || after !== undefined; round++) {
        const page: Page = await query(store, "inCountry", { country: "FR" }, { limit: 4, ...(after === undefined ? {} : { after }) });
        seen.push(...page.items.map((row) => row["id"] ?? null));
        after = page.next ?? undefined;
        // Before and after the place where the page ended; and what the page has shown goes.
        await store.apply([
          write("merge", [contact(`a${round}`, { rank: -1, country: "FR" }), contact(`z${round}`, { rank: 0, country: "GB" })]),
          write(
            "remove",
            page.items.slice(0, 2).map((row) => ({ id: row["id"] ?? null })),
          ),
        ]);
      }
      assert.deepEqual(seen, expected);
    });

    test("a page says how it ends, and takes no limit or place that is none", async (t) => {
      const store = await open(t);
      await store.apply([write("persist", [contact("a"), contact("b")])]);
      assert.equal((await query(store, null, {}, { limit: 2 })).next, null);
      const { next } = await query(store, null, {}, { limit: 1 });
      assert.deepEqual(
        (await query(store, null, {}, { after: next ?? "" })).items.map((row) => row["id"]),
        ["b"],
      );
      for (const limit of [0, -1, 1.5, 1_001]) await assert.rejects(query(store, null, {}, { limit }), code("persistence.badLimit"));
      for (const after of ["", "zz", "00", `${next}00`])
        await assert.rejects(query(store, null, {}, { after }), code("persistence.badCursor"));
      await assert.rejects(query(store, "inCountry", { country: "FR" }, { after: next ?? "" }), code("persistence.badCursor"));
    });

    test("a page of large rows ends early, and the next goes on", async (t) => {
      const store = await open(t);
      const street = "x".repeat(900_000);
      const rows = Array.from({ length: 6 }, (_, i) => contact(`k${i}`, { address: { street, tags: [] } }));
      for (const row of rows) await store.apply([write("persist", [row])]);
      const first = await query(store, null);
      assert.ok(first.items.length > 0 && first.items.length < 6 && first.next !== null, String(first.items.length));
      const rest = await query(store, null, {}, { after: first.next ?? "" });
      assert.deepEqual(
        [...first.items, ...rest.items].map((row) => row["id"]),
        rows.map((row) => row["id"]),
      );
      await assert.rejects(
        store.apply([write("persist", [contact("large", { country: "x".repeat(1024 * 1024) })])]),
        code("persistence.tooLarge"),
      );
    });

    test("what does not fit the entity goes no further", async (t) => {
      const store = await open(t);
      const wrong: readonly Data[] = [
        null,
        "a",
        ["a"],
        {},
        { ...contact("a"), extra: 1 },
        contact("a", { rank: "1" }),
        contact("a", { rank: 2n ** 60n }),
        contact("a", { active: 1 }),
        contact("a", { country: 5 }),
        contact("a", { country: "a\0b" }),
        contact("a", { address: { street: new Uint8Array(1), tags: [] } }),
        contact("a", { address: { street: "\0", tags: [] } }),
        { ...contact("a"), rank: null },
      ];
      for (const row of wrong)
        await assert.rejects(store.apply([write("merge", [row])]), code("persistence.invalid"), JSON.stringify(row, big));
      await assert.rejects(store.apply([write("remove", [{}])]), code("persistence.invalid"));
      await assert.rejects(store.read({ kind: "find", entity: Contact, keys: [{ id: 1 }] }), code("persistence.invalid"));
      await assert.rejects(query(store, "inCountry", {}), code("persistence.invalid"));
      await assert.rejects(query(store, "inCountry", { country: "FR", other: 1 }), code("persistence.invalid"));
      await assert.rejects(query(store, "among", { countries: "FR" }), code("persistence.invalid"));
      for (const unknown of ["nothing", "constructor"]) await assert.rejects(query(store, unknown), code("persistence.queryUnknown"));
      const many = Array.from({ length: 1_001 }, (_, i) => contact(`k${i}`));
      await assert.rejects(store.apply([write("persist", many)]), code("persistence.tooMany"));
      assert.deepEqual((await query(store, null)).items, []);
    });
  });
}

const big = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
/** Without prototypes, and without regard to how an entity was made. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
