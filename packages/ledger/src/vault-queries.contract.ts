// What every store of states answers named queries with, as tests. Run on memory in this package and on PostgreSQL by the host.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { type Data, type Instant, utf8 } from "@bowline/base";
import { verifySync } from "@bowline/crypto";
import { cordapp, entity } from "@bowline/sdk";
import { jsonTypes } from "@bowline/sdk/encoding";
import { type StateQueryDescription, stateQuery } from "@bowline/sdk/queries";
import * as Type from "typebox";
import type { EntityWrite } from "./entities.ts";
import type { VaultCommit } from "./ports.ts";
import { MAC_KEY, manifests, Note, NoteContract, type Sample, sample } from "./sample.memory.ts";
import { signedBytesOf } from "./signatures.ts";
import { encodeSigned, type SignedTransaction } from "./transaction.ts";
import { code, commit, issue, move, verified } from "./vault.contract.ts";
import { type QueryDescriptions, type StateQueryCall, type StateQueryPlan, stateQueryPlan } from "./vault-queries.ts";
import { concludeVerification, planVerification } from "./verification.ts";

/** One empty vault, whose verification role has the key of the sample, with the table of `OWNER_TABLE`. */
export interface StateQueriesUnderTest {
  apply(commits: readonly VaultCommit[]): Promise<void>;
  applyEntities(writes: readonly EntityWrite[]): Promise<void>;
  query(plan: StateQueryPlan): Promise<Data>;
  now(): Instant;
}

export const OWNER_TABLE = `CREATE TABLE owner (id text COLLATE "C" PRIMARY KEY, country text COLLATE "C", since timestamptz(3) NOT NULL)`;
const Owner = entity({
  name: "com.example.Owner",
  schema: Type.Object({ id: Type.String(), country: Type.Union([Type.String(), Type.Null()]), since: jsonTypes.instant() }),
  key: "id",
});

const fields = Type.Object({
  owner: Type.String(),
  "terms.rate": jsonTypes.decimal(),
  "terms.due": jsonTypes.instant(),
  amount: Type.Integer(),
  serial: jsonTypes.int64(),
  id: Type.Optional(jsonTypes.uuid()),
  open: Type.Boolean(),
  memo: Type.Optional(Type.String()),
  tags: Type.Optional(Type.Array(Type.String())),
});
const base = { of: Note, fields } as const;
const only = (property: keyof Type.Static<typeof fields>, operator: keyof typeof NAMES) =>
  stateQuery({
    ...base,
    name: `com.example.${property.replace(".", "_")}.${NAMES[operator]}`,
    where: [{ property, operator, parameter: "value" }],
    ...(property === "tags" ? {} : { index: [property] }),
  });
const NAMES = {
  "=": "is",
  "!=": "isNot",
  in: "among",
  "<": "below",
  ">=": "atLeast",
  like: "like",
  startsWith: "begins",
  contains: "has",
  isNull: "absent",
} as const;

const queries = [
  stateQuery({ ...base, name: "com.example.all", where: [] }),
  stateQuery({ ...base, name: "com.example.byRate", where: [], orderBy: ["terms.rate", "owner"], descending: true }),
  stateQuery({ ...base, name: "com.example.byOwner", where: [], orderBy: ["owner"], index: ["owner"] }),
  stateQuery({ ...base, name: "com.example.bySerial", where: [], orderBy: ["serial", "terms.due"] }),
  stateQuery({ ...base, name: "com.example.spent", where: [], standing: "consumed" }),
  stateQuery({ ...base, name: "com.example.ever", where: [], standing: "all" }),
  stateQuery({ ...base, name: "com.example.underContract", of: NoteContract, where: [] }),
  stateQuery({
    ...base,
    name: "com.example.either",
    where: [
      {
        any: [
          { property: "amount", operator: ">", parameter: "above" },
          { property: "memo", operator: "isNotNull" },
        ],
      },
      { property: "open", operator: "=" },
    ],
  }),
  stateQuery({
    ...base,
    name: "com.example.inCountry",
    join: { holder: { entity: Owner, on: { id: "owner" } } },
    where: [
      { property: "holder.country", operator: "=", parameter: "country" },
      { property: "holder.since", operator: "<", parameter: "before" },
    ],
    orderBy: ["amount"],
  }),
  stateQuery({
    ...base,
    name: "com.example.withHolder",
    join: { holder: { entity: Owner, on: { id: "owner" }, optional: true } },
    where: [],
  }),
  ...(["=", "!=", "in", "<", ">="] as const).flatMap((operator) =>
    (["owner", "amount", "terms.rate", "terms.due", "serial", "id"] as const).map((property) => only(property, operator)),
  ),
  ...(["like", "startsWith", "contains", "isNull"] as const).map((operator) => only("memo", operator)),
  only("open", "="),
  only("tags", "isNull"),
];
export const QUERIES: QueryDescriptions = cordapp({
  flows: [],
  states: [Note],
  contracts: [NoteContract],
  entities: [Owner],
  queries,
}).manifest;

type Page = {
  readonly states: readonly { readonly ref: string; readonly state: { readonly data: { readonly amount: number } } }[];
  readonly joined: readonly Data[];
  readonly next: string | null;
};

/** As if the contract's package had described its outputs so. */
export function recorded(
  network: Sample,
  forms: readonly Data[],
  salt = "forms",
): { readonly signed: SignedTransaction; readonly write: VaultCommit } {
  const { alice } = network.parties;
  const signed = issue(
    network,
    alice,
    forms.map((_, i) => i + 1),
    salt,
  );
  const plan = planVerification(signed, { inputs: [], references: [], groupParameters: network.parameters.bytes }, manifests);
  let described = 0;
  const results = plan.calls.map(({ outputs }) => ({
    violations: [],
    outputs: outputs.map(() => ({ participants: [alice.keys.publicKey], json: forms[described++] as Data })),
  }));
  const valid = signedBytesOf(signed.transaction, signed.signatures).map((item) => item !== undefined && verifySync(item));
  const { outputs, verdict, mac } = concludeVerification(plan, results, valid, MAC_KEY);
  const visible = outputs.map((each, index) => ({ index, ...each }));
  return { signed, write: commit({ kind: "verified", bytes: encodeSigned(signed), verdict, mac, visible }) };
}

const form = (given: Readonly<Record<string, Data>> = {}): Data => ({
  owner: "a",
  amount: 1,
  serial: 1,
  open: true,
  terms: { rate: "1", due: 1_000 },
  ...given,
});

export function testStateQueries(name: string, open: (test: TestContext, macKey: Uint8Array) => Promise<StateQueriesUnderTest>): void {
  describe(`named queries over states (${name})`, async () => {
    const network = await sample();
    const { alice, bob } = network.parties;
    const filled = async (t: TestContext, forms: readonly Data[]) => {
      const vault = await open(t, MAC_KEY);
      const { signed, write } = recorded(network, forms);
      await vault.apply([write]);
      return { vault, id: signed.transaction.id };
    };
    const ask = async (
      vault: StateQueriesUnderTest,
      query: string,
      parameters: Data = {},
      page: Partial<StateQueryCall> = {},
    ): Promise<Page> =>
      (await vault.query(stateQueryPlan({ query: `com.example.${query}`, parameters, ...page }, QUERIES))) as unknown as Page;
    /** Which of the forms, counted from 1. */
    const found = async (...asked: Parameters<typeof ask>) => (await ask(...asked)).states.map(({ state }) => state.data.amount);

    test("compare each kind of value with a parameter of its kind", async (t) => {
      const { vault } = await filled(t, [
        form({ owner: "a", amount: -5, serial: 2n ** 60n, id: "00000000-0000-4000-8000-000000000001", terms: { rate: "2.50", due: 5 } }),
        form({ owner: "b", amount: 10, serial: "9", id: "00000000-0000-4000-8000-000000000002", terms: { rate: "-10.1", due: 10 } }),
        form({ owner: "ä", amount: 9, serial: 10, id: "ffffffff-0000-4000-8000-000000000000", terms: { rate: 3, due: 9 } }),
      ]);
      const uuid = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
      const cases: readonly [property: string, ofTheSecond: Data, bound: Data, others: Data][] = [
        ["owner", "b", "b", ["a", "ä"]],
        ["amount", 10, 9, [-5, 9]],
        ["terms_rate", "-10.10", "2.5", ["2.5", "3.0"]],
        ["terms_due", 10, 9, [5, 9]],
        ["serial", 9, 10, [2n ** 60n, 10]],
        ["id", uuid(2), uuid(2), [uuid(1), "ffffffff-0000-4000-8000-000000000000"]],
      ];
      for (const [property, second, bound, others] of cases) {
        assert.deepEqual(await found(vault, `${property}.is`, { value: second }), [2], property);
        assert.deepEqual(await found(vault, `${property}.isNot`, { value: second }), [1, 3], property);
        assert.deepEqual(await found(vault, `${property}.among`, { value: others }), [1, 3], property);
        assert.deepEqual(await found(vault, `${property}.among`, { value: [] }), [], property);
        const below = await found(vault, `${property}.below`, { value: bound });
        const atLeast = await found(vault, `${property}.atLeast`, { value: bound });
        assert.deepEqual([...below, ...atLeast].sort(), [1, 2, 3], property);
        assert.deepEqual(below, property === "terms_rate" || property === "serial" ? [2] : [1], property);
      }
      assert.deepEqual(await found(vault, "open.is", { value: true }), [1, 2, 3]);
    });

    test("look into texts, and at what is not there", async (t) => {
      const memos = ["100%", "100 a", "x_y", "xzy", "a\\b", "a\nb"];
      const { vault } = await filled(t, [...memos.map((memo) => form({ memo })), form({ memo: null }), form()]);
      assert.deepEqual(await found(vault, "memo.like", { value: "100%" }), [1, 2]);
      assert.deepEqual(await found(vault, "memo.like", { value: "100\\%" }), [1]);
      assert.deepEqual(await found(vault, "memo.like", { value: "x_y" }), [3, 4]);
      assert.deepEqual(await found(vault, "memo.like", { value: "x\\_y" }), [3]);
      assert.deepEqual(await found(vault, "memo.like", { value: "a_b" }), [5, 6]);
      assert.deepEqual(await found(vault, "memo.like", { value: "a\\\\b" }), [5]);
      assert.deepEqual(await found(vault, "memo.begins", { value: "100" }), [1, 2]);
      assert.deepEqual(await found(vault, "memo.has", { value: "_" }), [3]);
      assert.deepEqual(await found(vault, "memo.absent"), [7, 8]);
      assert.deepEqual(await found(vault, "tags.absent"), [1, 2, 3, 4, 5, 6, 7, 8]);
      await assert.rejects(ask(vault, "memo.like", { value: "a\\" }), code("persistence.invalid"));
    });

    test("take what is of another kind for nothing, and what is required and not there for the empty value", async (t) => {
      const odd = [
        "text",
        5,
        [],
        null,
        {},
        { owner: 5, amount: "5", serial: "x", open: "true", terms: { rate: "1e5", due: "1970" }, id: "no uuid", memo: 5 },
        {
          owner: null,
          amount: null,
          serial: "9223372036854775808",
          open: null,
          terms: 5,
          id: "00000000-0000-4000-8000-00000000000A",
          memo: {},
        },
        {
          owner: {},
          amount: [1],
          serial: "99999999999999999999",
          open: 1,
          terms: { rate: `1${"0".repeat(30)}`, due: null },
          id: 5,
          memo: ["a"],
        },
      ];
      const { vault } = await filled(t, odd);
      const all = odd.map((_, i) => i + 1);
      for (const [property, empty] of [
        ["owner", ""],
        ["amount", 0],
        ["serial", 0],
        ["terms_rate", "0"],
        ["terms_due", 0],
        ["open", false],
      ] as const)
        assert.deepEqual(await found(vault, `${property}.is`, { value: empty }), all, property);
      assert.deepEqual(await found(vault, "memo.absent"), all);
      assert.deepEqual(
        await found(vault, "id.isNot", { value: "00000000-0000-4000-8000-000000000001" }),
        [],
        "nothing is neither this nor another",
      );
      assert.deepEqual(await found(vault, "byRate"), [...all].reverse());
    });

    test("combine conditions: all must hold, and of some one", async (t) => {
      const { vault } = await filled(t, [form({ amount: 9 }), form({ memo: "m" }), form(), form({ amount: 9, open: false })]);
      assert.deepEqual(await found(vault, "either", { above: 5, open: true }), [1, 2]);
      assert.deepEqual(await found(vault, "either", { above: 5, open: false }), [4]);
    });

    test("are of the types or the contract, and of what stands, stood, or both", async (t) => {
      const { vault, id } = await filled(t, [form(), form(), form()]);
      const moved = move(network, [`${id}:1`], alice, bob, 2);
      const source = recorded(network, [form(), form(), form()]).signed.transaction;
      await vault.apply([commit(verified(network, moved, [source], alice))]);
      assert.deepEqual(await found(vault, "all"), [1, 3]);
      assert.deepEqual(await found(vault, "underContract"), [1, 3]);
      assert.deepEqual(await found(vault, "spent"), [2]);
      assert.deepEqual(await found(vault, "ever"), [1, 2, 3]);
      const other: StateQueryDescription = { ...(QUERIES.queries?.[0] as StateQueryDescription), states: ["com.example.Other"] };
      const none = (await vault.query(stateQueryPlan({ query: other.name, parameters: {} }, { queries: [other] }))) as unknown as Page;
      assert.deepEqual(none.states, []);
    });

    test("are confined to references, and to what came before a moment", async (t) => {
      const { vault, id } = await filled(t, [form(), form(), form()]);
      assert.deepEqual(await found(vault, "all", {}, { refs: [`${id}:2`, `${id}:0`, `${id}:7`] }), [1, 3]);
      assert.deepEqual(await found(vault, "all", {}, { refs: [] }), []);
      await assert.rejects(ask(vault, "all", {}, { refs: ["nothing"] }), code("input.invalid"));
      await assert.rejects(ask(vault, "all", {}, { refs: Array(1_001).fill(`${id}:0`) }), code("persistence.tooMany"));
      assert.deepEqual(await found(vault, "all", {}, { createdUntil: vault.now() + 60_000 }), [1, 2, 3]);
      assert.deepEqual(await found(vault, "all", {}, { createdUntil: vault.now() - 60_000 }), []);
      await assert.rejects(ask(vault, "all", {}, { createdUntil: 1.5 }), code("vault.badQuery"));
    });

    for (const [query, ordered] of [
      ["all", [1, 2, 3, 4, 5, 6, 7, 8]],
      ["byRate", [2, 6, 7, 8, 5, 4, 3, 1]],
      // What differs only after the first 200 characters is in the order in which it came.
      ["byOwner", [1, 3, 4, 5, 8, 6, 7, 2]],
      ["bySerial", [4, 1, 2, 3, 5, 6, 8, 7]],
    ] as const)
      test(`go through all states page by page, each once, while others come and go: ${query}`, async (t) => {
        const long = "y".repeat(200);
        const { vault, id } = await filled(t, [
          form({ owner: "", terms: { rate: "1", due: 1 } }),
          form({ owner: "ü", terms: { rate: "10", due: 1 } }),
          form({ owner: "A", terms: { rate: "2", due: 1 } }),
          form({ owner: "a", serial: -1, terms: { rate: "2", due: 1 } }),
          form({ owner: "b", terms: { rate: "2", due: 2 } }),
          form({ owner: `${long}b`, terms: { rate: "10", due: 2 } }),
          form({ owner: `${long}a`, serial: 2n ** 62n, terms: { rate: "9", due: 2 } }),
          form({ owner: "x", serial: 2n ** 53n, terms: { rate: "9", due: 2 } }),
        ]);
        const seen: number[] = [];
        let after: string | undefined;
        for (let round = 0; ; round++) {
          const { states, next } = await ask(vault, query, {}, { limit: 3, ...(after === undefined ? {} : { after }) });
          seen.push(...states.filter(({ ref }) => ref.startsWith(id)).map(({ state }) => state.data.amount));
          if (next === null) break;
          after = next;
          // One more at each end of every order, between two pages.
          const early = recorded(network, [form({ owner: "", serial: -9, terms: { rate: "99", due: 0 } })], `early ${round}`);
          const late = recorded(network, [form({ owner: "ÿ", serial: 2n ** 62n + 1n, terms: { rate: "-9", due: 9 } })], `late ${round}`);
          if (round < 3) await vault.apply([early.write, late.write]);
        }
        assert.deepEqual(seen, ordered);
      });

    test("are joined to the CorDapp's own rows, by their key", async (t) => {
      const { vault } = await filled(t, [
        form({ owner: "b", amount: 7 }),
        form({ owner: "a", amount: 5 }),
        form({ owner: "nobody", amount: 6 }),
      ]);
      await vault.applyEntities([
        {
          entity: Owner.description,
          action: "persist",
          rows: [
            { id: "a", country: "FR", since: 5 },
            { id: "b", country: "FR", since: 6 },
            { id: "c", country: null, since: 7 },
          ],
        },
      ]);
      const { states, joined } = await ask(vault, "inCountry", { country: "FR", before: 100 });
      assert.deepEqual(
        states.map(({ state }) => state.data.amount),
        [2, 1],
      );
      assert.deepEqual(plain(joined), [[{ id: "a", country: "FR", since: 5 }], [{ id: "b", country: "FR", since: 6 }]]);
      assert.deepEqual(await found(vault, "inCountry", { country: "FR", before: 6 }), [2]);
      assert.deepEqual(await found(vault, "inCountry", { country: "GB", before: 100 }), []);
      const all = await ask(vault, "withHolder");
      assert.deepEqual(plain(all.joined), [[{ id: "b", country: "FR", since: 6 }], [{ id: "a", country: "FR", since: 5 }], [null]]);
    });

    test("take no parameter, page or name that is none", async (t) => {
      const { vault } = await filled(t, [form({ owner: "a" }), form({ owner: "b" })]);
      await assert.rejects(ask(vault, "nothing"), code("vault.queryUnknown"));
      for (const limit of [0, -1, 1.5, 1_001]) await assert.rejects(ask(vault, "all", {}, { limit }), code("vault.badQuery"));
      const { next } = await ask(vault, "byOwner", {}, { limit: 1 });
      assert.deepEqual(await found(vault, "byOwner", {}, { after: next ?? "" }), [2]);
      for (const after of ["", "zz", "00", `${next}00`])
        await assert.rejects(ask(vault, "byOwner", {}, { after }), code("persistence.badCursor"));
      await assert.rejects(ask(vault, "all", {}, { after: next ?? "" }), code("persistence.badCursor"));
      for (const value of [null, 5, "1", {}, utf8("a")])
        await assert.rejects(ask(vault, "amount.among", { value }), code("persistence.invalid"));
      for (const value of [null, "5", 2n ** 60n, 1n])
        await assert.rejects(ask(vault, "amount.is", { value: value as Data }), code("persistence.invalid"), String(value));
      await assert.rejects(ask(vault, "amount.is", {}), code("persistence.invalid"));
      await assert.rejects(ask(vault, "amount.is", { value: 1, other: 1 }), code("persistence.invalid"));
      await assert.rejects(ask(vault, "amount.is", ["value"]), code("persistence.invalid"));
      await assert.rejects(ask(vault, "amount.among", { value: Array(1_001).fill(1) }), code("persistence.tooMany"));
      assert.deepEqual(await found(vault, "owner.is", { value: "' OR true --" }), [], "a parameter is a value and nothing else");
    });
  });
}

/** Without prototypes, and without regard to how an entity was made. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
