import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError } from "@bowline/base";
import { allRoutes, createClient, errorBody, errorOf, openApi, operations } from "./index.ts";

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
  for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g))
    assert.ok(name !== undefined && name in v52.components.schemas, name);
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
  assert.equal(seen[0]?.headers.authorization, `Basic ${Buffer.from("admin:pässword").toString("base64")}`);
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
