import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data } from "@bowline/base";
import * as Type from "typebox";
import type { StateQueryDescription } from "./activation.ts";
import { contract, state } from "./definition.ts";
import { jsonTypes } from "./encoding.ts";
import { entity } from "./entity.ts";
import { FlowError } from "./failure.ts";
import { cordapp } from "./runtime.ts";
import { queryAll, queryPage } from "./state-query.flow.ts";
import { type AnyStateQuery, stateQuery, stateQueryFault } from "./state-query.ts";
import type { Syscall } from "./syscalls.ts";

const Bond = state({
  name: "com.example.Bond",
  version: 1,
  contract: "com.example.BondContract",
  schema: Type.Object({ owner: Type.String(), amount: Type.Integer() }),
  participants: ({ owner }) => [owner],
});
const BondContract = contract({ name: "com.example.BondContract", commands: {}, verify: () => {} });
const Owner = entity({
  name: "com.example.Owner",
  schema: Type.Object({ country: Type.String(), id: Type.Integer(), rating: Type.Integer() }),
  key: ["country", "id"],
});
const fields = Type.Object({ owner: Type.String(), number: Type.Integer(), open: Type.Boolean(), note: Type.Optional(Type.String()) });
const base = { name: "com.example.Q", of: Bond, fields, where: [] } as const;
const app = (...queries: AnyStateQuery[]) =>
  cordapp({ flows: [], states: [Bond], contracts: [BondContract], entities: [Owner], queries }).manifest;

test("a query is described with the states that it is of, those under a contract too", () => {
  const one = stateQuery({ ...base, orderBy: ["number"], index: ["owner", "number"] });
  const all = stateQuery({ ...base, name: "com.example.All", of: BondContract });
  const described = app(one, all).queries as readonly StateQueryDescription[];
  assert.deepEqual(
    described.map(({ states }) => states),
    [["com.example.Bond"], ["com.example.Bond"]],
  );
  assert.equal(JSON.stringify(described), JSON.stringify(JSON.parse(JSON.stringify(described))), "a description is plain data");
});

test("a query that contradicts itself is refused when its CorDapp is made, and says how", () => {
  const on = { country: "owner", id: "number" } as const;
  const faults: readonly [Partial<Parameters<typeof stateQuery>[0]>, RegExp][] = [
    [{ where: [{ property: "nothing", operator: "=" }] }, /there is no property nothing/],
    [{ where: [{ property: "open", operator: "<" }] }, /< does not compare a boolean/],
    [{ where: [{ property: "number", operator: "like" }] }, /like does not compare a integer/],
    [
      {
        where: [
          { property: "number", operator: "=", parameter: "p" },
          { property: "owner", operator: "=", parameter: "p" },
        ],
      },
      /parameter p would be a integer and a text/,
    ],
    [{ orderBy: ["note"] }, /ordered by note, which must be a required field/],
    [{ orderBy: ["open"] }, /ordered by open/],
    [{ orderBy: ["number", "number"] }, /ordered by number, .*named once/],
    [{ orderBy: ["nothing"] }, /ordered by nothing/],
    [{ index: [] }, /1 to 8 fields/],
    [{ index: ["owner", "owner"] }, /each once/],
    [{ index: ["nothing"] }, /index has nothing/],
    [{ fields: Type.Object({ "a'b": Type.String() }) }, /"a'b" is no path/],
    [{ fields: Type.Object({ "a..b": Type.String() }) }, /is no path/],
    [{ fields: Type.Object({ raw: jsonTypes.bytes() }) }, /raw cannot be bytes/],
    [{ of: contract({ name: "com.example.Other", commands: {}, verify: () => {} }) }, /of no state of this CorDapp/],
    [{ join: { who: { entity: Owner, on: { country: "owner" } } } }, /joined by country, and the key .* is country, id/],
    [{ join: { who: { entity: Owner, on: { ...on, id: "owner" } } } }, /who.id is a integer, and owner a text/],
    [{ join: { who: { entity: Owner, on: { ...on, id: "nothing" } } } }, /nothing no field/],
    [{ join: { "a.b": { entity: Owner, on } } }, /"a.b" is no name/],
    [
      {
        join: { who: { entity: Owner, on } },
        fields: Type.Object({ owner: Type.String(), number: Type.Integer(), "who.id": Type.String() }),
      },
      /who.id is a field too/,
    ],
    [
      { join: { who: { entity: entity({ name: "com.example.Stranger", schema: Type.Object({ id: Type.Integer() }), key: "id" }), on } } },
      /has no entity com.example.Stranger/,
    ],
  ];
  for (const [change, message] of faults)
    assert.throws(
      () => app(stateQuery({ ...base, ...change } as never)),
      (thrown: unknown) => thrown instanceof FlowError && thrown.type === "query.invalid" && message.test(thrown.message),
      String(message),
    );
  assert.throws(() => app(stateQuery(base), stateQuery(base)), { type: "cordapp.repeated" });
  assert.equal(
    stateQueryFault(app(stateQuery({ ...base, join: { who: { entity: Owner, on } } })).queries?.[0] as never, []),
    "the CorDapp has no entity com.example.Owner",
  );
});

const found = (amount: number) => ({
  ref: `ref:${amount}`,
  notary: "O=Notary, L=London, C=GB",
  state: { type: Bond.name, version: 1, contract: Bond.contract, data: { owner: "a", amount } },
});

/** Answers with the amounts from `after` on, as many as are asked for. */
function vaultOf(last: number) {
  const asked: Extract<Syscall, { kind: "vault.query" }>[] = [];
  const ask = async (call: Syscall): Promise<Data> => {
    if (call.kind !== "vault.query") throw new Error(call.kind);
    asked.push(call);
    const from = Number(call.after ?? 0);
    const amounts = Array.from({ length: Math.min(call.limit ?? 0, last - from) }, (_, i) => from + i + 1);
    const end = from + amounts.length;
    return { states: amounts.map(found), joined: amounts.map(() => []), next: end < last ? String(end) : null } as unknown as Data;
  };
  return { ask, asked };
}

test("what the query's own code leaves out is filled up from the next pages, as many times as is told", async () => {
  const tens = stateQuery({ ...base, filter: ({ state }) => state.data.amount % 10 === 0, map: ({ state }) => state.data.amount });
  const { ask, asked } = vaultOf(1_000);
  assert.deepEqual(await queryPage(ask, tens, {}, { limit: 10 }), { items: [10, 20, 30, 40], next: "49" });
  assert.deepEqual(
    asked.map(({ limit }) => limit),
    [10, 9, 9, 8, 7, 6],
  );
  const { ask: few } = vaultOf(25);
  assert.deepEqual(await queryPage(few, tens, {}, { limit: 100 }), { items: [10, 20], next: undefined });
  const nulls = stateQuery({ ...base, map: ({ state }) => (state.data.amount > 2 ? null : state.data.amount) });
  assert.deepEqual((await queryPage(vaultOf(4).ask, nulls, {}, {})).items, [1, 2]);
});

test("a query without code of its own takes a short page as it comes", async () => {
  const { ask, asked } = vaultOf(5);
  const page = await queryPage(ask, stateQuery(base), {}, { limit: 3, createdUntil: 7, refs: ["a"] });
  assert.deepEqual([page.items.length, page.next], [3, "3"]);
  assert.deepEqual(asked, [{ kind: "vault.query", query: base.name, parameters: {}, limit: 3, createdUntil: 7, refs: ["a"] }]);
});

test("all pages are folded into one value, by queries that say how", async () => {
  const sum = stateQuery({ ...base, map: ({ state }) => state.data.amount, collect: { first: 0, add: (total, amount) => total + amount } });
  const { ask, asked } = vaultOf(2_500);
  assert.equal(await queryAll(ask, sum, {}, {}), (2_500 * 2_501) / 2);
  assert.equal(asked.length, 3);
  await assert.rejects(queryAll(ask, stateQuery(base), {}, {}), { type: "query.notCollected" });
});
