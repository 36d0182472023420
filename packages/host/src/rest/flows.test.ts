// The operations on flows over HTTPS, on the vault of a virtual node. The test is the flow worker: it commits steps itself.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { Agent, type RequestOptions, request } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Client, createClient, operations } from "@bowline/api";
import { createEventReader, type ServerEvent } from "@bowline/api/events";
import { BowlineError, type Data, encode, parseName, type ShortHash } from "@bowline/base";
import { hashPassword } from "@bowline/cluster";
import { generateBootKey, pemOf, sha256 } from "@bowline/crypto";
import type { FlowRow, StepCommit } from "@bowline/flow";
import { EMPTY_COMMIT } from "@bowline/flow/contract";
import { readRecording } from "@bowline/flow/recording";
import { Validator } from "@seriousme/openapi-schema-validator";
import { createMemoryBus } from "../adapters/memory-bus.ts";
import { openDatabase } from "../adapters/postgres.ts";
import { systemClock, systemRandom } from "../adapters/system.ts";
import { createPersistenceRole, type PersistenceRole } from "../roles/persistence.ts";
import {
  ADMIN,
  ALICE,
  buildTestCpi,
  createTestNode,
  NOTARY,
  quietLog,
  startTestCluster,
  type TestCluster,
  uploadTestCpi,
} from "../roles/test-cluster.ts";
import { createRestRole, type RestRole } from "./server.ts";
import { fetchThrough, rawHttp } from "./test-https.ts";

const FLOW_ROLE = { role: "flow" } as const;
const CLERK = { login: "clerk", password: "clerk's password" };
const BOB = parseName("O=Bob, L=Paris, C=FR");

describe("flows over REST", () => {
  let cluster: TestCluster;
  let persistence: PersistenceRole;
  let rest: RestRole;
  let agent: Agent;
  let client: Client;
  let vnode: ShortHash;
  const bus = createMemoryBus(systemClock);

  before(async () => {
    cluster = await startTestCluster();
    persistence = createPersistenceRole({
      db: cluster.calls.for("persistence").db,
      bootKey: generateBootKey(),
      bus,
      clock: systemClock,
      random: systemRandom,
      verdictKey: new Uint8Array(32),
      flowsHere: false,
      log: quietLog,
    });
    cluster.calls.answer("persistence", persistence.service);
    const { db } = cluster.calls.for("rest");
    await db.importCertificate({ usage: "code-signer", vnode: null, alias: "tests", pem: pemOf(cluster.signer.chain) });
    const checksum = await uploadTestCpi(cluster, await buildTestCpi(cluster.signer));
    await createTestNode(cluster, checksum, NOTARY);
    await createTestNode(cluster, checksum, ALICE);
    const alice = (await db.virtualNodes(null)).find(({ holdingIdentity }) => holdingIdentity.x500Name === ALICE);
    vnode = alice?.holdingIdentity.shortHash as ShortHash;
    const uploads = join(cluster.folder, "rest-uploads");
    await mkdir(uploads);
    const caFile = join(cluster.folder, "ca.pem");
    const services = cluster.calls.for("rest");
    const listen = { host: "127.0.0.1", ports: [0] };
    rest = await createRestRole({ services, bootKey: generateBootKey(), caFile, listen, uploads, clock: systemClock, log: quietLog });
    agent = new Agent({ ca: await readFile(caFile), keepAlive: true });
    client = clientOf(ADMIN);
  });
  after(async () => {
    agent.destroy();
    await rest.close();
    await persistence.close();
    await bus.close();
    await cluster.stop();
  });

  const clientOf = ({ login, password }: typeof ADMIN): Client =>
    createClient({ baseUrl: `https://localhost:${rest.port}`, user: login, password, version: "v5_3", fetch: fetchThrough(agent) });
  const http: ReturnType<typeof rawHttp> = (...args) => rawHttp(agent, () => rest.port)(...args);
  const json = { "content-type": "application/json" };
  const paramsOf = (clientrequestid: string) => ({ holdingidentityshorthash: vnode, clientrequestid });
  const refused = (code: string, status: string) => (error: unknown) => {
    assert.ok(error instanceof BowlineError, String(error));
    assert.deepEqual([error.code, error.kind], [code, status], error.message);
    return true;
  };

  const start = async (clientRequestId: string, amount = 5) =>
    (
      await client.call(operations.startFlow, {
        params: { holdingidentityshorthash: vnode },
        body: { clientRequestId, flowClassName: "com.example.Pay", requestBody: { amount, to: "Bob" } },
      })
    ).body;

  /** What a flow worker would do next. */
  async function commit(id: string, change: Partial<StepCommit>): Promise<FlowRow> {
    const row = await rowOf(id);
    const outcome = await persistence.service.commit(
      {
        vnode,
        commit: {
          ...EMPTY_COMMIT,
          flowId: row.id,
          at: Date.now(),
          expectedVersion: row.version,
          commitId: randomUUID(),
          ...change,
        },
      },
      FLOW_ROLE,
    );
    assert.equal(outcome.kind, "committed");
    return rowOf(id);
  }
  async function rowOf(clientRequestId: string): Promise<FlowRow> {
    const row = await persistence.service.flowStatus({ vnode, clientRequestId }, FLOW_ROLE);
    return row ?? assert.fail(`no flow ${clientRequestId}`);
  }

  const stepOf = (
    path: string,
    call: { readonly kind: string; readonly [name: string]: Data },
    outcome: object,
  ): StepCommit["journal"][number] =>
    ({
      path,
      kind: call.kind,
      request: encode(call),
      requestHash: sha256(encode(call)),
      outcome,
      activation: Number(path),
      ordinal: 0,
      askedAt: 1_000,
      at: 1_250,
    }) as never;

  test("one POST returns the result of a flow, by its class name too", async () => {
    const params = { holdingidentityshorthash: vnode };
    const body = { clientRequestId: "w-1", flowClassName: "com.example.Pay", requestBody: { amount: 5, to: "Bob" } };
    const asked = client.call(operations.startFlow, { params, query: { waitMs: 20_000 }, body });
    await until(() => rowOf("w-1").catch(() => undefined));
    await commit("w-1", { status: "COMPLETED", outcome: { ok: { paid: 5 } } });
    const answer = await asked;
    assert.deepEqual([answer.status, answer.body.flowStatus, answer.body.json], [200, "COMPLETED", { paid: 5 }]);

    const typed = (amount: number, waitMs?: number) =>
      client.call(operations.startFlowOfClass, {
        params: { ...params, flowclassname: "com.example.Pay" },
        query: { clientRequestId: "w-2", ...(waitMs === undefined ? {} : { waitMs }) },
        body: { amount, to: "Bob" },
      });
    assert.deepEqual([(await typed(7)).status, (await typed(7, 0)).status], [202, 202]);
    await commit("w-2", { status: "FAILED", outcome: { error: { type: "com.example.Poor", message: "No money." } } });
    const failed = await typed(7, 1_000);
    assert.deepEqual([failed.status, failed.body.flowError], [200, { type: "com.example.Poor", message: "No money." }]);
    await assert.rejects(typed(8), refused("flow.requestConflict", "conflict"));
    await assert.rejects(typed(0), refused("flow.requestConflict", "conflict"));
  });

  test("input that does not fit is refused field by field, a body that is too large with 413", async () => {
    const path = `/api/v5_3/flowclass/${vnode}/com.example.Pay?clientRequestId=bad-1`;
    const wrong = await http("POST", path, { headers: json, body: '{"amount":0,"more":true}' });
    assert.equal(wrong.status, 400);
    for (const sentence of ["requestBody/to is missing", "requestBody/more is not known here", "requestBody/amount must be >= 1"])
      assert.ok(wrong.json().title.includes(sentence), wrong.json().title);
    const large = await http("POST", path, { headers: json, body: JSON.stringify({ amount: 1, to: "x".repeat(9_000_000) }) });
    assert.deepEqual([large.status, large.json().details.code], [413, "rest.jsonTooLarge"]);
    const cases: [string, string, string, number][] = [
      ["no id", `/api/v5_3/flowclass/${vnode}/com.example.Pay`, '{"amount":1,"to":"x"}', 400],
      ["a bad id", `/api/v5_3/flowclass/${vnode}/com.example.Pay?clientRequestId=a%20b`, '{"amount":1,"to":"x"}', 400],
      ["a bad wait", `${path}&waitMs=60001`, '{"amount":1,"to":"x"}', 400],
      ["an unknown flow", `/api/v5_3/flowclass/${vnode}/com.example.None?clientRequestId=bad-1`, "{}", 400],
      ["an unknown virtual node", "/api/v5_3/flowclass/0123456789AB/com.example.Pay?clientRequestId=bad-1", "{}", 404],
      ["an older version", `/api/v5_2/flowclass/${vnode}/com.example.Pay?clientRequestId=bad-1`, "{}", 404],
    ];
    for (const [what, url, body, status] of cases) assert.equal((await http("POST", url, { headers: json, body })).status, status, what);
    await assert.rejects(rowOf("bad-1"));
  });

  test("flows are listed by status, class and time, page by page", async () => {
    for (let at = 1; at <= 5; at++) await start(`l-${at}`);
    await commit("l-2", { status: "COMPLETED", outcome: { ok: null } });
    await commit("l-3", { status: "PARKED", outcome: { error: { type: "flow.nonDeterminism", message: "It differs." } } });
    const params = { holdingidentityshorthash: vnode };
    type Query = NonNullable<Parameters<typeof client.call<typeof operations.listFlows>>[1]["query"]>;
    const list = async (query: Query) => {
      const { body } = await client.call(operations.listFlows, { params, query });
      const ids = body.flowStatusResponses.map(({ clientRequestId }) => clientRequestId ?? "").filter((id) => id.startsWith("l-"));
      return { ids, next: body.next, first: body.flowStatusResponses[0] };
    };
    assert.deepEqual((await list({})).ids, ["l-1", "l-2", "l-3", "l-4", "l-5"]);
    assert.deepEqual((await list({ status: "PARKED" })).ids, ["l-3"]);
    const { first: parked } = await list({ status: "PARKED" });
    assert.deepEqual([parked?.flowStatus, parked?.flowError?.type], ["RUNNING", "flow.nonDeterminism"]);
    assert.deepEqual((await list({ status: "RUNNING" })).ids, ["l-3"]);
    assert.deepEqual((await list({ status: "COMPLETED" })).ids, ["l-2"]);
    assert.deepEqual((await list({ flowClassName: "com.example.Say" })).ids, []);
    const from = parked?.startTimestamp ?? "";
    assert.deepEqual((await list({ startedAfter: from })).ids, ["l-3", "l-4", "l-5"]);
    assert.deepEqual((await list({ startedBefore: from, flowClassName: "com.example.Pay" })).ids, ["l-1", "l-2", "l-3"]);
    const seen: string[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const page: Awaited<ReturnType<typeof list>> = await list({ limit: 2, ...(after === undefined ? {} : { after }) });
      seen.push(...page.ids);
      after = page.next;
    }
    assert.deepEqual(seen, ["l-1", "l-2", "l-3", "l-4", "l-5"]);
    for (const query of ["limit=0", "limit=1001", "after=nowhere", "startedAfter=yesterday", "status=RETRYING"])
      assert.equal((await http("GET", `/api/v5_3/flow/${vnode}?${query}`)).status, 400, query);
  });

  test("a flow is found by its flow id as by its client request id", async () => {
    const { flowId } = await start("i-1");
    const { body } = await client.call(operations.getFlow, { params: paramsOf(flowId ?? "") });
    assert.equal(body.clientRequestId, "i-1");
    for (const operation of [operations.inspectFlow, operations.readJournal, operations.getFlow, operations.getFlowResult])
      await assert.rejects(client.call(operation, { params: paramsOf("never") }), refused("flow.unknown", "notFound"));
  });

  test("a parked flow is inspected, retried and killed; one that is over is left alone", async () => {
    const { flowId } = await start("p-1");
    await assert.rejects(client.call(operations.retryFlow, { params: paramsOf("p-1") }), refused("flow.notParked", "conflict"));
    await commit("p-1", {
      status: "PARKED",
      outcome: { error: { type: "flow.nonDeterminism", message: "It differs." } },
      waiting: [{ path: "2", kind: "clock.sleep", until: 5_000 }],
      sessions: [session(flowId ?? "")],
    });
    const inspected = (await client.call(operations.inspectFlow, { params: paramsOf("p-1") })).body;
    assert.deepEqual([inspected.parked, inspected.startedBy, inspected.lastError?.type], [true, "admin", "flow.nonDeterminism"]);
    assert.deepEqual(inspected.waiting, [{ path: "2", kind: "clock.sleep", until: "1970-01-01T00:00:05.000Z" }]);
    assert.deepEqual([inspected.sessions[0]?.counterparty, inspected.sessions[0]?.protocol], [BOB, "com.example.pay"]);
    const retried = await client.call(operations.retryFlow, { params: paramsOf("p-1") });
    assert.deepEqual([retried.status, retried.body.flowStatus, retried.body.flowError], [202, "RUNNING", null]);

    assert.equal((await client.call(operations.killFlow, { params: paramsOf("p-1") })).status, 202);
    assert.equal((await client.call(operations.inspectFlow, { params: paramsOf("p-1") })).body.killRequested, true);
    await commit("p-1", { status: "KILLED", outcome: { error: { type: "flow.killed", message: "An operator ended this flow." } } });
    const again = await client.call(operations.killFlow, { params: paramsOf("p-1") });
    assert.deepEqual([again.status, again.body.flowStatus, again.body.flowError], [200, "KILLED", null]);
    await start("p-2");
    await commit("p-2", { status: "COMPLETED", outcome: { ok: null } });
    await assert.rejects(client.call(operations.killFlow, { params: paramsOf("p-2") }), refused("flow.over", "conflict"));
    await assert.rejects(client.call(operations.retryFlow, { params: paramsOf("p-2") }), refused("flow.notParked", "conflict"));
    for (const operation of ["kill", "retry"])
      assert.equal((await http("POST", `/api/v5_3/flow/${vnode}/never/${operation}`)).status, 404, operation);
  });

  const session = (flowId: string): StepCommit["sessions"][number] => ({
    id: `${flowId}:1`,
    flowId,
    side: "initiator",
    counterparty: BOB,
    protocol: { name: "com.example.pay", versions: [1] },
    version: null,
    properties: null,
    status: "open",
    failure: null,
    sent: 1,
    consumed: 0,
    openedAt: 1_000,
    timeoutMs: 1_000,
    expiresAt: 10_000,
  });

  test("a journal shows what each step asked and got, when, how long and with whom, payloads up to a length", async () => {
    const { flowId } = await start("j-1");
    const id = `${flowId}:1`;
    await commit("j-1", {
      journal: [
        stepOf("1", { kind: "session.open", counterparty: BOB, protocol: { name: "com.example.pay", versions: [1] } }, { ok: id }),
        stepOf(
          "2",
          {
            kind: "session.exchange",
            sends: [{ session: id, payload: { note: "x".repeat(500), key: Uint8Array.of(1, 2) } }],
            receives: [],
          },
          { ok: [] },
        ),
        stepOf("3", { kind: "clock.now" }, { error: { type: "clock.broken", message: "No time." } }),
      ],
      sessions: [session(flowId ?? "")],
      waiting: [{ path: "4", kind: "session.exchange", until: null }],
    });
    const { body } = await client.call(operations.readJournal, { params: paramsOf("j-1"), query: { payloadLimit: 100 } });
    assert.deepEqual([body.startedBy, body.input?.json, body.next], ["admin", { amount: 5, to: "Bob" }, null]);
    const [open, exchange, clock] = body.steps;
    const times = { askedAt: "1970-01-01T00:00:01.000Z", answeredAt: "1970-01-01T00:00:01.250Z", durationMs: 250 };
    assert.deepEqual({ askedAt: open?.askedAt, answeredAt: open?.answeredAt, durationMs: open?.durationMs }, times);
    assert.deepEqual(open?.answer?.json, id);
    assert.deepEqual(open?.sessions, [{ id, counterparty: BOB, protocol: "com.example.pay" }]);
    assert.deepEqual(exchange?.sessions, open?.sessions);
    assert.equal(exchange?.asked?.json, undefined);
    assert.equal(exchange?.asked?.beginning?.length, 100);
    assert.ok((exchange?.asked?.bytes ?? 0) > 500);
    assert.deepEqual([clock?.error, clock?.answer], [{ type: "clock.broken", message: "No time." }, null]);
    assert.deepEqual(body.waiting, [{ path: "4", kind: "session.exchange", until: null }]);

    const page = (await client.call(operations.readJournal, { params: paramsOf("j-1"), query: { limit: 2 } })).body;
    assert.deepEqual([page.steps.length, page.waiting], [2, []]);
    const after = page.next ?? assert.fail("there is a third step");
    assert.match(JSON.stringify(page.steps[1]?.asked?.json), /"key":"AQI="/);
    const rest = (await client.call(operations.readJournal, { params: paramsOf("j-1"), query: { limit: 2, after } })).body;
    assert.deepEqual([rest.steps.map(({ path }) => path), rest.next], [["3"], null]);
    const recorded = readRecording((await client.call(operations.recordFlow, { params: paramsOf("j-1") })).body);
    assert.deepEqual([recorded.row.id, recorded.journal.map(({ path }) => path)], [flowId, ["1", "2", "3"]]);
    for (const query of ["limit=0", "after=-1", "after=9007199254740991", "payloadLimit=65537"])
      assert.equal((await http("GET", `/api/v5_3/flow/${vnode}/j-1/journal?${query}`)).status, 400, query);
  });

  test("whoever may do all with a flow but read its journal does not see a payload, nor flows that it may not start", async () => {
    await addUser(cluster, CLERK, ["(GET|POST):/api/v5_3/flow/.*", "StartFlow:com\\.example\\.Say"]);
    const clerk = clientOf(CLERK);
    await start("s-1");
    assert.equal((await clerk.call(operations.inspectFlow, { params: paramsOf("s-1") })).body.steps, 0);
    for (const operation of [operations.readJournal, operations.recordFlow])
      await assert.rejects(clerk.call(operation, { params: paramsOf("s-1") }), refused("flow.journalForbidden", "forbidden"));
    const authorization = `Basic ${btoa(`${CLERK.login}:${CLERK.password}`)}`;
    const paths = Object.keys((await http("GET", "/api/v5_3/swagger.json", { headers: { authorization }, anonymous: true })).json().paths);
    assert.ok(paths.includes("/flowclass/{holdingidentityshorthash}/com.example.Say"));
    assert.ok(!paths.includes("/flowclass/{holdingidentityshorthash}/com.example.Pay"));
  });

  test("the OpenAPI document has each flow with its schemas for those who may know, and is valid", async () => {
    const served = (await http("GET", "/api/v5_3/swagger.json")).json();
    const { valid, errors } = await new Validator().validate(structuredClone(served));
    assert.ok(valid, JSON.stringify(errors));
    assert.deepEqual(served.components.schemas["com.example.Pay.Input"].properties.amount, { type: "integer", minimum: 1 });
    const open = await http("GET", "/api/v5_3/swagger.json", { anonymous: true });
    assert.ok(!open.text.includes("com.example.Pay"), "flows are not told to everybody");
    const wrong = { headers: { authorization: `Basic ${btoa("admin:wrong")}` }, anonymous: true };
    assert.equal((await http("GET", "/api/v5_3/swagger.json", wrong)).status, 401);
  });

  describe("events", () => {
    test("tell each change with its version, and end after the terminal status", async () => {
      await start("e-1");
      const stream = await follow("e-1");
      assert.deepEqual([stream.status, stream.type], [200, "text/event-stream; charset=utf-8"]);
      const first = await stream.next();
      assert.deepEqual([first?.type, JSON.parse(first?.data ?? "").flowStatus], ["status", "START_REQUESTED"]);
      const { version } = await commit("e-1", {});
      const second = await stream.next();
      assert.deepEqual([second?.id, JSON.parse(second?.data ?? "").flowStatus], [String(version), "RUNNING"]);
      await commit("e-1", { status: "COMPLETED", outcome: { ok: { paid: 5 } } });
      const last = JSON.parse((await stream.next())?.data ?? "");
      assert.deepEqual(last, (await client.call(operations.getFlow, { params: paramsOf("e-1") })).body);
      assert.equal(await stream.next(), undefined, "the stream has ended");
    });

    test("resume after the last event that the client has, by header or query, and say 204 when there is no more", async () => {
      await start("e-2");
      const known = await rowOf("e-2");
      await commit("e-2", {});
      for (const resume of [{ headers: { "last-event-id": String(known.version) } }, { query: `?lastEventId=${known.version}` }]) {
        const stream = await follow("e-2", resume);
        assert.equal((await stream.next())?.id, String(known.version + 1));
        stream.close();
      }
      const quiet = await follow("e-2", { query: `?lastEventId=${known.version + 1}` });
      const { version } = await commit("e-2", { status: "COMPLETED", outcome: { ok: null } });
      assert.equal((await quiet.next())?.id, String(version), "only what is newer");
      assert.equal((await follow("e-2", { headers: { "last-event-id": String(version) } })).status, 204);
      // An id of a future that a restored database has forgotten.
      assert.equal((await (await follow("e-2", { query: "?lastEventId=999" })).next())?.id, String(version));
    });

    test("refuse a bad id, an unknown flow, and more streams than one user may have", async () => {
      await start("e-3");
      assert.equal((await follow("e-3", { headers: { "last-event-id": "soon" } })).status, 400);
      assert.equal((await follow("e-3", { query: "?lastEventId=-1" })).status, 400);
      assert.equal((await follow("never")).status, 404);
      const streams = await Promise.all(Array.from({ length: 100 }, () => follow("e-3")));
      const refusal = await follow("e-3");
      assert.deepEqual([refusal.status, refusal.retryAfter], [429, "1"]);
      streams[0]?.close();
      const fresh = await until(async () => {
        const stream = await follow("e-3");
        return stream.status === 200 ? stream : undefined;
      });
      for (const stream of [...streams, fresh]) stream.close();
    });

    test("end when the server does, at once", async () => {
      await start("e-4");
      const stream = await follow("e-4");
      await stream.next();
      const uploads = join(cluster.folder, "second-uploads");
      await mkdir(uploads);
      const caFile = join(cluster.folder, "second-ca.pem");
      const listen = { host: "127.0.0.1", ports: [0] };
      const services = cluster.calls.for("rest");
      const second = await createRestRole({
        services,
        bootKey: generateBootKey(),
        caFile,
        listen,
        uploads,
        clock: systemClock,
        log: quietLog,
      });
      const there = await follow("e-4", { port: second.port });
      assert.equal((await there.next())?.id, String((await rowOf("e-4")).version), "another process serves it too");
      const closing = second.close();
      assert.equal(await there.next(), undefined, "an end in good order, and no cut");
      await closing;
      stream.close();
    });
  });

  /** A stream of events as it arrives. */
  function follow(
    id: string,
    { headers = {}, query = "", port = rest.port }: { headers?: Record<string, string>; query?: string; port?: number } = {},
  ) {
    const authorization = `Basic ${btoa(`${ADMIN.login}:${ADMIN.password}`)}`;
    const options: RequestOptions = { agent: new Agent({ rejectUnauthorized: false }), headers: { authorization, ...headers } };
    return new Promise<{
      readonly status: number;
      readonly type: string | undefined;
      readonly retryAfter: string | undefined;
      next(): Promise<ServerEvent | undefined>;
      close(): void;
    }>((resolve, reject) => {
      const sent = request(`https://localhost:${port}/api/v5_3/flow/${vnode}/${id}/events${query}`, options, (answer) => {
        const read = createEventReader();
        const events: ServerEvent[] = [];
        const chunks = answer.setEncoding("utf8")[Symbol.asyncIterator]();
        resolve({
          status: answer.statusCode ?? 0,
          type: answer.headers["content-type"],
          retryAfter: answer.headers["retry-after"],
          async next() {
            while (events.length === 0) {
              const { done, value } = await chunks.next();
              if (done === true) return undefined;
              events.push(...read(String(value)));
            }
            return events.shift();
          },
          close: () => void sent.destroy(),
        });
      });
      sent.on("error", reject);
      sent.end();
    });
  }
});

async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await ask();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A user with one role of these permissions. */
async function addUser(cluster: TestCluster, { login, password }: typeof ADMIN, allowed: readonly string[]): Promise<void> {
  const database = openDatabase({ ...cluster.administrator, schema: "rbac", connectionsMax: 1 });
  const hashed = await hashPassword(password, new Uint8Array(16));
  await database.sql.query(
    `WITH u AS (INSERT INTO rbac_user (update_ts, version, full_name, login_name, enabled, hashed_password) VALUES (now(), 0, $1, $1, true, $2) RETURNING id),
          r AS (INSERT INTO rbac_role (update_ts, version, name) VALUES (now(), 0, $1) RETURNING id),
          p AS (INSERT INTO rbac_perm (update_ts, version, perm_type, perm_string) SELECT now(), 0, 'ALLOW', unnest($3::text[]) RETURNING id),
          rp AS (INSERT INTO rbac_role_perm_rel (role_id, perm_id, update_ts) SELECT r.id, p.id, now() FROM r, p)
     INSERT INTO rbac_role_user_rel (user_id, role_id, update_ts) SELECT u.id, r.id, now() FROM u, r`,
    [login, hashed, allowed],
  );
  await database.close();
}
