// What every store of entities keeps, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { BowlineError, type Data } from "@bowline/base";
import { type EntityDescription, entity } from "@bowline/sdk";
import { jsonTypes } from "@bowline/sdk/encoding";
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

const Entry = entity({
  name: "com.example.LedgerEntry",
  schema: Type.Object({
    id: jsonTypes.uuid(),
    hash: jsonTypes.bytes(),
    serial: jsonTypes.int64(),
    amount: jsonTypes.decimal(),
    bookedAt: jsonTypes.instant(),
    fee: Type.Optional(jsonTypes.decimal()),
    due: Type.Union([jsonTypes.instant(), Type.Null()]),
  }),
  key: ["id", "hash"],
  queries: {
    bySerial: { where: [], orderBy: ["serial"] },
    byAmount: { where: [{ property: "amount", operator: ">=", parameter: "atLeast" }], orderBy: ["amount"], descending: true },
    byTime: { where: [{ property: "bookedAt", operator: "<", parameter: "before" }], orderBy: ["bookedAt", "serial"] },
    byHash: { where: [{ property: "hash", operator: ">" }], orderBy: ["hash"] },
    these: {
      where: [
        { property: "id", operator: "in", parameter: "ids" },
        { property: "serial", operator: "in", parameter: "serials" },
        { property: "amount", operator: "in", parameter: "amounts" },
        { property: "bookedAt", operator: "in", parameter: "times" },
        { property: "hash", operator: "in", parameter: "hashes" },
      ],
    },
    notDue: { where: [{ property: "due", operator: "isNull" }] },
  },
}).description;

/** As a migration of the CorDapp would have made them. */
export const ENTITY_TABLES = `
  CREATE TABLE contact (id text COLLATE "C" PRIMARY KEY, rank int NOT NULL, country text, active boolean NOT NULL, address jsonb);
  CREATE TABLE order_line ("order" text COLLATE "C", line bigint, PRIMARY KEY ("order", line));
  CREATE TABLE ledger_entry (id uuid, hash bytea, serial bigint NOT NULL, amount numeric NOT NULL, booked_at timestamptz(3) NOT NULL,
    fee numeric, due timestamptz(3), PRIMARY KEY (id, hash));`;

type Row = { readonly [property: string]: Data };
type Page = { readonly items: readonly Row[]; readonly next: string | null };

const contact = (id: string, more: Row = {}): Row => ({ id, rank: 1, country: null, active: true, ...more });
const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
const entry = (n: number, more: Row = {}): Row => ({
  id: uuid(n),
  hash: Uint8Array.of(n),
  serial: n,
  amount: "1",
  bookedAt: 0,
  due: null,
  ...more,
});
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

  const entries = async (
    store: EntitiesUnderTest,
    queryName: string,
    parameters: Data = {},
    page: { limit?: number; after?: string } = {},
  ) => (await store.read({ kind: "query", entity: Entry, query: queryName, parameters, ...page })) as Page;

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

    test("64-bit integers, decimals, instants, UUIDs and bytes come back exactly, in one form", async (t) => {
      const store = await open(t);
      const rows = [
        entry(1, {
          serial: 2n ** 63n - 1n,
          amount: `${"9".repeat(30)}.${"1".repeat(30)}`,
          bookedAt: Date.parse("9999-12-31T23:59:59.999Z"),
        }),
        entry(2, { serial: -(2n ** 63n), amount: "-0.000001", bookedAt: Date.parse("0001-01-01T00:00:00.000Z"), fee: "0", due: 1 }),
        entry(3, { serial: Number.MAX_SAFE_INTEGER, amount: "100", bookedAt: -1, hash: new Uint8Array(0) }),
        entry(4, { serial: 2n ** 53n, amount: "12.50", bookedAt: 1_700_000_000_123, hash: Uint8Array.of(0, 255, 92, 44, 125) }),
      ];
      await store.apply([write("persist", rows, Entry)]);
      const keys = rows.map(({ id, hash }) => ({ id: id ?? null, hash: hash ?? null }));
      const found = (await store.read({ kind: "find", entity: Entry, keys })) as readonly Row[];
      assert.deepEqual(
        found.map((row) => ({ ...row })),
        [...rows.slice(0, 3), { ...rows[3], amount: "12.5" }],
      );
      await assert.rejects(store.apply([write("persist", [rows[3] as Data], Entry)]), code("persistence.exists"));
      await store.apply([write("merge", [{ ...rows[3], amount: "7" }], Entry), write("remove", [keys[0] as Data], Entry)]);
      const left = await entries(store, "bySerial");
      assert.deepEqual(
        left.items.map(({ id, amount }) => [id, amount]),
        [
          [uuid(2), "-0.000001"],
          [uuid(3), "100"],
          [uuid(4), "7"],
        ],
      );
    });

    test("they compare and page by what they are worth, and not by how they are written", async (t) => {
      const store = await open(t);
      const worth: readonly (readonly [Data, string, number, Uint8Array])[] = [
        [9n, "9", 9, Uint8Array.of(9)],
        [10n, "10", 10, Uint8Array.of(9, 0)],
        [-10n, "-10.5", -10, Uint8Array.of(8, 255)],
        [2n ** 62n, "9.00000000000000000001", 2 ** 47, Uint8Array.of(200)],
        [2n ** 62n + 1n, "9.000000000000000000010", 2 ** 47, Uint8Array.of()],
        [-(2n ** 62n), "-10.25", -62_135_596_800_000, Uint8Array.of(16)],
      ];
      const rows = worth.map(([serial, amount, bookedAt, hash], n) => entry(n, { serial, amount, bookedAt, hash }));
      await store.apply([write("merge", rows, Entry)]);
      const all = async (queryName: string, parameters: Data = {}) => {
        const seen: number[] = [];
        for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
          const page: Page = await entries(store, queryName, parameters, { limit: 1, ...(after === undefined ? {} : { after }) });
          seen.push(...page.items.map(({ id }) => Number(String(id).slice(-1))));
          after = page.next ?? undefined;
        }
        return seen.join("");
      };
      assert.equal(await all("bySerial"), "520134");
      assert.equal(await all("byAmount", { atLeast: "-10.50" }), "143052");
      assert.equal(await all("byAmount", { atLeast: "9.00" }), "1430");
      assert.equal(await all("byTime", { before: 2 ** 47 }), "5201");
      assert.equal(await all("byHash", { hash: Uint8Array.of(9) }), "153");
      const these = { ids: [0, 1, 3].map(uuid), serials: [9, 2n ** 62n], amounts: ["9.0", "9.00000000000000000001"] };
      const more = { times: [9, 2 ** 47], hashes: [Uint8Array.of(9), Uint8Array.of(200)] };
      assert.equal(await all("these", { ...these, ...more }), "03");
      assert.equal(await all("notDue"), "012345");
    });

    test("what such a column would not keep exactly goes no further", async (t) => {
      const store = await open(t);
      const wrong: readonly Row[] = [
        { serial: 2n ** 63n },
        { serial: -(2n ** 63n) - 1n },
        { serial: "1" },
        { amount: 1 },
        { amount: "1e3" },
        { amount: "NaN" },
        { amount: "" },
        { amount: `0.${"0".repeat(30)}1` },
        { amount: "1".repeat(61) },
        { bookedAt: "2026-01-01T00:00:00.000Z" },
        { bookedAt: Date.parse("9999-12-31T23:59:59.999Z") + 1 },
        { bookedAt: Date.parse("0001-01-01T00:00:00.000Z") - 1 },
        { bookedAt: null },
        { id: uuid(1).toUpperCase().replace("8", "A") },
        { id: "1" },
        { hash: "00" },
        { hash: [0] },
      ];
      for (const more of wrong)
        await assert.rejects(
          store.apply([write("merge", [entry(1, more)], Entry)]),
          code("persistence.invalid"),
          JSON.stringify(more, big),
        );
      await assert.rejects(entries(store, "byAmount", { atLeast: 5 }), code("persistence.invalid"));
      await assert.rejects(entries(store, "byHash", { hash: "09" }), code("persistence.invalid"));
      const { next } = await entries(store, "bySerial");
      assert.equal(next, null);
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
