import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError } from "@bowline/base";
import fc from "fast-check";
import { allRoutes, createClient, embedded, errorBody, errorOf, openApi, operations, readJson, writeJson } from "./index.ts";

const refusal = (text: string): string => {
  try {
    readJson(text, "request body");
  } catch (error) {
    assert.ok(error instanceof BowlineError);
    assert.equal(error.code, "json.invalid");
    return `${error.details["field"]}: ${error.details["reason"]}`;
  }
  return assert.fail("it was accepted");
};

test("JSON is read as JSON.parse reads it, for everything that survives", () => {
  const leaf = fc.oneof(fc.boolean(), fc.constant(null), fc.maxSafeInteger(), fc.string({ unit: "grapheme" }));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("tree")), fc.dictionary(fc.string(), tie("tree"))),
  }));
  fc.assert(
    fc.property(tree, fc.constantFrom(undefined, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      assert.equal(writeJson(readJson(text, "x")), JSON.stringify(JSON.parse(text)));
    }),
  );
});

test("What JSON.parse would lose silently is refused with the place and the reason", () => {
  assert.equal(refusal('{"a":{"b":1,"b":2}}'), "request body/a/b: the property stands twice");
  assert.match(refusal('{"amount":1.5}'), /request body\/amount: 1\.5 is not a plain integer: write fractions/);
  assert.match(refusal("[9007199254740993]"), /request body\/0: 9007199254740993 is beyond 2\^53/);
  assert.match(refusal("[1e3]"), /exponents/);
  assert.match(refusal("[".repeat(40) + "]".repeat(40)), /deeper than 32/);
  assert.match(refusal('"\\ud800"'), /surrogate/);
  assert.match(refusal('"a\u0001"'), /control character/);
  assert.match(refusal('{"a":1} x'), /something follows/);
  for (const text of ["", "{", "[1", '{"a"', '{"a":}', "{a:1}", '"a', "01", "tru", "[1,]"]) refusal(text);
});

test("__proto__ is a property like any other, never the prototype", () => {
  const value = readJson('{"__proto__":{"polluted":true}}', "x") as Record<string, unknown>;
  assert.equal((value as { polluted?: unknown }).polluted, undefined);
  assert.deepEqual(Object.keys(value), ["__proto__"]);
});

test("Text that holds a JSON object is embedded; other text stays text", () => {
  assert.deepEqual(embedded('{"a":1}'), { a: 1 });
  assert.equal(embedded("123"), "123");
  assert.equal(embedded("[oops"), "[oops");
});

test("An error crosses HTTP with its kind, code and details", () => {
  const error = new BowlineError("notFound", "vnode.unknown", "There is no virtual node X.", { id: "X" });
  const back = errorOf(404, JSON.parse(JSON.stringify(errorBody(error))));
  assert.deepEqual([back.kind, back.code, back.message, back.details], [error.kind, error.code, error.message, error.details]);
  assert.equal(errorOf(502, "<html>").code, "rest.answer");
});

test("Operation ids are unique and made as the original's", () => {
  const ids = allRoutes.map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(operations.startFlow.operationId, "post_flow__holdingidentityshorthash_");
  assert.equal(operations.getFlowResult.operationId, "get_flow__holdingidentityshorthash___clientrequestid__result");
});

test("The OpenAPI document lists exactly what a version serves, without unresolved references", () => {
  const v52 = openApi(allRoutes, "v5_2") as { paths: Record<string, unknown>; components: { schemas: Record<string, unknown> } };
  assert.ok("/hello/getprotocolversion" in v52.paths);
  assert.ok(!("/hello/getprotocolversion" in (openApi(allRoutes, "v5_3") as typeof v52).paths));
  const text = JSON.stringify(v52);
  for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) assert.ok(name !== undefined && name in v52.components.schemas, name);
  assert.doesNotMatch(text, /"type":"null"|"const":|patternProperties/);
});

test("The client fills the path, repeats list queries and sends credentials and body", async () => {
  const seen: { url: string; method: string; headers: Record<string, string>; body?: unknown }[] = [];
  const client = createClient({
    baseUrl: "https://localhost:1/",
    user: "admin",
    password: "pässword",
    fetch: async (url, init) => {
      seen.push({ url, ...init });
      return new Response('{"members":[]}', { status: 200 });
    },
  });
  const { body } = await client.call(operations.listMembers, {
    params: { holdingidentityshorthash: "A/B" },
    query: { statuses: ["ACTIVE", "SUSPENDED"], o: "A & B" },
  });
  assert.deepEqual(body, { members: [] });
  assert.equal(seen[0]?.url, "https://localhost:1/api/v5_2/members/A%2FB?statuses=ACTIVE&statuses=SUSPENDED&o=A+%26+B");
  assert.equal(seen[0]?.headers["authorization"], `Basic ${Buffer.from("admin:pässword").toString("base64")}`);
});

test("A server that is away is one sentence with its address", async () => {
  const fetch = async (): Promise<Response> => {
    throw new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:1") });
  };
  const client = createClient({ baseUrl: "https://127.0.0.1:1", user: "a", password: "b", fetch });
  await assert.rejects(client.call(operations.listCpis, {}), (error: unknown) => {
    assert.ok(error instanceof BowlineError);
    assert.equal(error.code, "rest.unreachable");
    assert.match(error.message, /https:\/\/127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED/);
    return true;
  });
});
