import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { type Client, createClient, operations } from "@bowline/api";
import { createEventReader } from "@bowline/api/events";
import { BowlineError, type Data, encode, type Log } from "@bowline/base";
import { hashPassword } from "@bowline/cluster";
import { generateBootKey, pemOf } from "@bowline/crypto";
import type { FlowRow } from "@bowline/flow";
import { NO_PROPERTIES } from "@bowline/sdk";
import { openDatabase } from "../adapters/postgres.ts";
import { systemClock } from "../adapters/system.ts";
import type { Answering } from "../calls.ts";
import { ADMIN, ALICE, buildTestCpi, NOTARY, SERVICE, startTestCluster, type TestCluster } from "../roles/test-cluster.ts";
import type { PersistenceService, StartFlowRequest } from "../services.ts";
import { createRestRole, type RestRole } from "./server.ts";
import { fetchThrough, rawHttp } from "./test-https.ts";

const logged: { message: string; facts: Readonly<Record<string, unknown>> }[] = [];
const note = (message: string, facts: Readonly<Record<string, unknown>> = {}) => void logged.push({ message, facts });
const log: Log = { error: note, warn: note, info: note, debug: note };

const FILE_PART = '--x\r\nContent-Disposition: form-data; name="upload"; filename="a.cpi"\r\n\r\n';

const CHANGED = { ref: "SHA-256:00:0", type: "com.example.Note", notary: SERVICE, json: {}, createdAt: 0, consumedAt: 0 } as const;
const VAULT_CHANGES = [
  { ...CHANGED, position: 3, kind: "produced" },
  { ...CHANGED, position: 5, kind: "consumed" },
] as const;
const VAULT_HEAD = 7;

describe("REST", () => {
  let cluster: TestCluster;
  let rest: RestRole;
  let agent: Agent;
  let client: Client;
  let uploads: string;
  let node: string;
  const flows = new Map<string, FlowRow>();

  before(async () => {
    cluster = await startTestCluster();
    cluster.calls.answer("persistence", flowsInMemory(flows));
    uploads = join(cluster.folder, "rest-uploads");
    await mkdir(uploads);
    const caFile = join(cluster.folder, "ca.pem");
    const services = cluster.calls.for("rest");
    rest = await createRestRole({
      services,
      bootKey: generateBootKey(),
      caFile,
      listen: { host: "127.0.0.1", ports: [0] },
      uploads,
      clock: systemClock,
      log,
    });
    agent = new Agent({ ca: await readFile(caFile), keepAlive: true });
    client = createClient({
      baseUrl: `https://localhost:${rest.port}`,
      user: ADMIN.login,
      password: ADMIN.password,
      version: "v5_3",
      fetch: fetchThrough(agent),
    });
  });
  after(async () => {
    agent.destroy();
    await rest.close();
    await cluster.stop();
  });

  const http: ReturnType<typeof rawHttp> = (...args) => rawHttp(agent, () => rest.port)(...args);
  const json = { "content-type": "application/json" };
  const refused = (kind: string, code: string) => (error: unknown) => {
    assert.ok(error instanceof BowlineError, String(error));
    assert.deepEqual([error.kind, error.code], [kind, code], error.message);
    return true;
  };

  test("greets whoever has credentials, and challenges whoever has none", async () => {
    assert.equal((await client.call(operations.hello, { query: { addressee: "world" } })).body, "Hello, world! (from admin)");
    const none = await http("POST", "/api/v5_2/hello?addressee=x", { anonymous: true });
    assert.deepEqual([none.status, none.json().title], [401, "User credentials are empty or cannot be resolved"]);
    assert.match(none.headers.get("www-authenticate") ?? "", /^Basic realm=/);
    const wrong = await http("POST", "/api/v5_2/hello?addressee=x", { headers: { authorization: `Basic ${btoa("admin:wrong")}` } });
    assert.deepEqual([wrong.status, wrong.json().title], [401, "Error during user authentication"]);
    assert.equal((await http("POST", "/api/v5_2/hello")).status, 400);
  });

  test("serves the protocol version, the OpenAPI document and its page to everybody", async () => {
    const open = { anonymous: true };
    assert.equal((await http("GET", "/api/v5_2/hello/getprotocolversion", open)).text, "50200");
    assert.equal((await http("GET", "/api/v5_3/hello/getprotocolversion", open)).status, 404);
    assert.equal((await http("GET", "/api/v5_2/swagger.json", open)).json().openapi, "3.0.1");
    const { asked, shown } = await signedIn((await http("GET", "/api/v5_1/swagger/start.js", open)).text);
    assert.deepEqual(asked, ["Basic w6RkbWluOnNlY3JldA==", undefined]);
    assert.deepEqual(shown, ["the document", "the document"]);
    for (const path of ["", "/start.js", "/swagger-ui.css", "/swagger-ui-bundle.js"])
      assert.equal((await http("GET", `/api/v5_1/swagger${path}`, open)).status, 200, path);
  });

  test("redirects capitals, ignores a trailing slash, names an unknown path", async () => {
    const redirect = await http("GET", "/api/v5_2/VirtualNode/0123456789AB?x=Y");
    assert.deepEqual([redirect.status, redirect.headers.get("location")], [301, "/api/v5_2/virtualnode/0123456789AB?x=Y"]);
    assert.equal((await http("GET", "/api/v5_2/cpi/")).status, 200);
    const unknown = await http("GET", "/api/v5_2/nothing");
    assert.deepEqual([unknown.status, unknown.json().details.url], [404, "/api/v5_2/nothing"]);
    assert.equal((await http("OPTIONS", "/api/v5_2/cpi", { anonymous: true })).status, 204);
  });

  test("stores certificates and packages, and says how far an upload is", async () => {
    const certificate = new FormData();
    certificate.set("alias", "tests");
    certificate.set("certificate", new Blob([pemOf(cluster.signer.chain)]), "tests.pem");
    assert.equal(
      (await client.call(operations.importClusterCertificate, { params: { usage: "code-signer" }, body: certificate })).status,
      204,
    );
    const pem = await client.call(operations.getClusterCertificate, { params: { usage: "code-signer", alias: "tests" } });
    assert.equal(pem.body, pemOf(cluster.signer.chain));
    assert.deepEqual((await client.call(operations.listClusterCertificates, { params: { usage: "code-signer" } })).body, ["tests"]);

    const bytes = await buildTestCpi(cluster.signer);
    const checksum = await upload(bytes);
    assert.match(checksum, /^[0-9A-F]{12}$/);
    const { cpis } = (await client.call(operations.listCpis, {})).body;
    assert.deepEqual([cpis.length, cpis[0]?.cpiFileChecksum, cpis[0]?.cpiFileFullChecksum.slice(0, 12)], [1, checksum, checksum]);
    await assert.rejects(upload(bytes), refused("conflict", "cpi.exists"));
    await assert.rejects(
      upload(bytes.slice(0, bytes.length - 100)),
      (error: unknown) => error instanceof BowlineError && error.kind === "badRequest",
    );
    assert.deepEqual(await readdir(uploads), []);

    async function upload(cpi: Uint8Array): Promise<string> {
      const form = new FormData();
      form.set("upload", new Blob([cpi.slice()]), "notes.cpi");
      const { id } = (await client.call(operations.uploadCpi, { body: form })).body;
      for (;;) {
        const { status, cpiFileChecksum } = (await client.call(operations.cpiStatus, { params: { id } })).body;
        if (status === "OK") return cpiFileChecksum;
        assert.equal(cpiFileChecksum, "");
        await sleep(20);
      }
    }
  });

  test("makes virtual nodes and shows them, their members and the group's parameters", async () => {
    const [cpi] = (await client.call(operations.listCpis, {})).body.cpis;
    const cpiFileChecksum = cpi?.cpiFileChecksum ?? "";
    for (const x500Name of [NOTARY, ALICE]) {
      const { status, body } = await client.call(operations.createVirtualNode, { body: { cpiFileChecksum, x500Name } });
      assert.equal(status, 202);
      for (;;) {
        const { body: progress } = await client.call(operations.virtualNodeStatus, { params: { requestid: body.requestId } });
        assert.notEqual(progress.status, "FAILED", progress.errorReason ?? "");
        if (progress.status === "SUCCEEDED") break;
        await sleep(20);
      }
      node = body.requestId;
    }
    const params = { holdingidentityshorthash: node };
    assert.equal((await client.call(operations.listVirtualNodes, {})).body.virtualNodes.length, 2);
    const shown = (await client.call(operations.getVirtualNode, { params: { holdingidentityshorthash: node.toLowerCase() } })).body;
    assert.deepEqual(
      [shown.holdingIdentity.x500Name, shown.holdingIdentity.fullHash.slice(0, 12), shown.flowStartOperationalStatus],
      [ALICE, node, "ACTIVE"],
    );
    const members = async (query: { o?: string; statuses?: ("ACTIVE" | "SUSPENDED")[] }) =>
      (await client.call(operations.listMembers, { params, query })).body.members.map(({ memberContext }) => memberContext["corda.name"]);
    assert.deepEqual(await members({}), [ALICE, NOTARY]);
    assert.deepEqual(await members({ o: "alice" }), [ALICE]);
    assert.deepEqual(await members({ statuses: ["SUSPENDED"] }), []);
    const { parameters } = (await client.call(operations.getGroupParameters, { params })).body;
    assert.deepEqual(
      [parameters["corda.epoch"], parameters["corda.notary.service.0.name"], parameters["ext.motto"]],
      ["2", SERVICE, "fair winds"],
    );
  });

  const startBody = (more: object = {}) => ({
    clientRequestId: "r-1",
    flowClassName: "com.example.Pay",
    requestBody: { amount: 5, to: "Bob" },
    ...more,
  });
  const start = (more: object = {}) =>
    client.call(operations.startFlow, { params: { holdingidentityshorthash: node }, body: startBody(more) });

  test("starts a flow once, however often it is asked, and answers its result when it has ended", async () => {
    const params = { holdingidentityshorthash: node, clientrequestid: "r-1" };
    const first = await start();
    assert.deepEqual([first.status, first.body.flowStatus, first.body.flowResult], [202, "START_REQUESTED", null]);
    assert.equal((await start()).body.flowId, first.body.flowId);
    await assert.rejects(start({ requestBody: { amount: 6, to: "Bob" } }), refused("conflict", "flow.requestConflict"));
    assert.equal((await client.call(operations.getFlowResult, { params })).status, 202);
    setOutcome("r-1", { ok: { paid: 5 } });
    const result = await client.call(operations.getFlowResult, { params, query: { waitMs: 1000 } });
    assert.deepEqual([result.status, result.body.flowStatus, result.body.json], [200, "COMPLETED", { paid: 5 }]);
    assert.equal((await client.call(operations.getFlow, { params })).body.flowResult, '{"paid":5}');
    assert.deepEqual(flows.get("r-1")?.origin, {
      kind: "client",
      clientRequestId: "r-1",
      startedBy: "admin",
      input: { amount: 5, to: "Bob" },
    });
  });

  test("takes a flow's input as JSON or as text that holds it, by the flow's schema", async () => {
    await start({ clientRequestId: "r-2", requestBody: '{"amount":7,"to":"Bob"}' });
    assert.deepEqual(inputOf("r-2"), { amount: 7, to: "Bob" });
    await start({ clientRequestId: "r-3", flowClassName: "com.example.Say", requestBody: "5" });
    assert.equal(inputOf("r-3"), "5");
    const wrapped = await http("POST", `/api/v5_2/flow/${node}`, {
      headers: json,
      body: JSON.stringify({ startFlow: startBody({ clientRequestId: "r-4" }) }),
    });
    assert.equal(wrapped.status, 202);
  });

  test("shows failures, and lists flows by status", async () => {
    setOutcome("r-2", { error: { type: "com.example.Refused", message: "No." } });
    const params = { holdingidentityshorthash: node };
    const failed = await client.call(operations.getFlowResult, { params: { ...params, clientrequestid: "r-2" } });
    assert.deepEqual(
      [failed.status, failed.body.flowError, failed.body.json],
      [200, { type: "com.example.Refused", message: "No." }, null],
    );
    const list = async (query: { status?: "FAILED" }) =>
      (await client.call(operations.listFlows, { params, query })).body.flowStatusResponses.map(({ clientRequestId }) => clientRequestId);
    assert.deepEqual(await list({ status: "FAILED" }), ["r-2"]);
    assert.equal((await list({})).length, 4);
    assert.deepEqual((await client.call(operations.listFlowClasses, { params })).body, {
      flowClassNames: ["com.example.Pay", "com.example.Say"],
    });
  });

  test("a stream of events shows life while nothing happens", async () => {
    const authorization = `Basic ${btoa(`${ADMIN.login}:${ADMIN.password}`)}`;
    const url = `https://localhost:${rest.port}/api/v5_3/flow/${node}/r-4/events`;
    const text = await new Promise<string>((resolve, reject) => {
      let read = "";
      const sent = request(url, { agent, headers: { authorization } }, (answer) =>
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          read += chunk;
          if (!read.includes("\n\n:\n\n")) return;
          resolve(read);
          sent.destroy();
        }),
      );
      sent.on("error", reject);
      sent.end();
    });
    assert.match(text, /^retry: \d+\n\nid: 1\nevent: status\ndata: \{[^\n]*\}\n\n:\n\n/);
  });

  test("refuses each bad input with a status, the field and the reason", async () => {
    const flow = `/api/v5_2/flow/${node}`;
    const post = (body: string, headers: Record<string, string> = json) => http("POST", flow, { headers, body });
    const text = (more: object) => JSON.stringify(startBody({ clientRequestId: "bad-1", ...more }));
    const form = new FormData();
    form.set("other", "x");
    const basic = (text: string) => ({ headers: { authorization: `Basic ${btoa(text)}` } });
    const upload = (body: string, type = "multipart/form-data; boundary=x") =>
      http("POST", "/api/v5_2/cpi", { headers: { "content-type": type }, body });
    const cases: [
      string,
      Promise<{ status: number; json(): { title: string; status: number; details: Record<string, string> } }>,
      number,
      RegExp,
    ][] = [
      ["a property twice", post('{"clientRequestId":"a","clientRequestId":"b"}'), 400, /clientRequestId.*stands twice/],
      ["an unknown property", post(text({ extra: 1 })), 400, /extra is not known/],
      ["a missing property", post('{"clientRequestId":"a"}'), 400, /flowClassName is missing/],
      ["no JSON", post("{"), 400, /not JSON/],
      ["no body", http("POST", flow, { headers: json }), 400, /body is missing/],
      ["a fraction", post(text({ requestBody: { amount: 1.5, to: "x" } })), 400, /write fractions/],
      ["input below the schema", post(text({ requestBody: { amount: 0, to: "x" } })), 400, /requestBody\/amount/],
      ["input without a field", post(text({ requestBody: { amount: 1 } })), 400, /requestBody\/to is missing/],
      ["input as text that is no JSON", post(text({ requestBody: "{oops" })), 400, /requestBody.*not JSON/],
      ["a bad client request id", post(text({ clientRequestId: "a b" })), 400, /clientRequestId/],
      ["an unknown flow", post(text({ flowClassName: "com.example.None" })), 400, /com\.example\.Pay/],
      ["a responder", post(text({ flowClassName: "com.example.Receive" })), 400, /no flow that clients may start/],
      ["a form as content type", post("a=b", { "content-type": "application/x-www-form-urlencoded" }), 415, /application\/json/],
      ["JSON to a multipart operation", http("POST", "/api/v5_2/cpi", { headers: json, body: "{}" }), 415, /multipart/],
      ["multipart without the file", http("POST", "/api/v5_2/cpi", { body: form }), 400, /upload/],
      ["a bad short hash", http("GET", "/api/v5_2/flow/xyz"), 400, /twelve hexadecimal/],
      ["an unknown virtual node", http("GET", "/api/v5_2/flow/0123456789AB"), 404, /no virtual node/],
      ["an unknown flow id", http("GET", `${flow}/never`), 404, /no flow/],
      ["a bad status", http("GET", `${flow}?status=RETRYING`), 400, /must be one of/],
      ["a bad wait", http("GET", `${flow}/r-1/result?waitMs=soon`), 400, /waitMs/],
      ["a bad member status", http("GET", `/api/v5_2/members/${node}?statuses=GONE`), 400, /must be one of/],
      ["an unknown usage", http("GET", "/api/v5_2/certificate/cluster/none"), 400, /usage/],
      ["an unknown alias", http("GET", "/api/v5_2/certificate/cluster/code-signer/none"), 404, /none/],
      [
        "connections of one's own",
        http("POST", "/api/v5_2/virtualnode", { headers: json, body: '{"cpiFileChecksum":"0","x500Name":"x","vaultDmlConnection":"{}"}' }),
        400,
        /vaultDmlConnection/,
      ],
      ["an unknown upload", http("GET", "/api/v5_2/cpi/status/none"), 400, /no upload/],
      ["a null character in a path", http("GET", "/api/v5_2/virtualnode/status/a%00b"), 400, /requestid holds a null character/],
      ["a null character in a query", http("GET", `/api/v5_3/vault/${node}/state?type=a%00b`), 400, /type holds a null character/],
      ["a null character in a login", http("GET", "/api/v5_2/cpi", basic("a\0b:c")), 401, /credentials/],
      ["a null character in a password", http("GET", "/api/v5_2/cpi", basic("a:b\0c")), 401, /credentials/],
      ["half a character in a path", http("GET", `${flow}/%zz`), 400, /no URL/],
      ["a path without end", http("GET", `${flow}/${"a".repeat(1000)}`), 400, /too long/],
      ["headers without end", http("GET", flow, { headers: { x: "a".repeat(20_000) } }), 431, /headers are too large/],
      ["a form without a boundary", upload("x", "multipart/form-data"), 400, /Boundary not found/],
      ["a form that is none", upload("garbage"), 400, /form cannot be read/],
      ["a form without an end", upload(`${FILE_PART}half of it`), 400, /form cannot be read/],
      ["a file with a name without end", upload(`${FILE_PART.replace("a.cpi", "a".repeat(300))}x\r\n--x--\r\n`), 400, /up to 255/],
      ["an unknown request", http("GET", "/api/v5_2/virtualnode/status/none"), 404, /no request/],
      [
        "a declared length beyond the limit",
        http("POST", flow, { headers: { ...json, "content-length": "999999999" }, anonymous: true, body: "" }),
        400,
        /larger than 200000000/,
      ],
    ];
    for (const [what, answering, status, title] of cases) {
      const answer = await answering;
      const body = answer.json();
      assert.equal(answer.status, status, `${what}: ${JSON.stringify(body)}`);
      assert.equal(body.status, status, what);
      assert.match(body.title, title, what);
      assert.ok(typeof body.details.code === "string", what);
    }
    assert.equal(flows.has("bad-1"), false);
  });

  test("a client request id that is used is a conflict, whatever else is wrong", async () => {
    await assert.rejects(start({ flowClassName: "com.example.None" }), refused("conflict", "flow.requestConflict"));
    await assert.rejects(start({ requestBody: { amount: 0 } }), refused("conflict", "flow.requestConflict"));
    await assert.rejects(start({ requestBody: "{oops" }), refused("conflict", "flow.requestConflict"));
  });

  test("allows a user what its roles allow, and no more", async () => {
    const database = openDatabase({ ...cluster.administrator, schema: "rbac", connectionsMax: 1 });
    const hashed = await hashPassword("reader's password", new Uint8Array(16));
    await database.transaction(async (sql) => {
      await sql.query(
        "INSERT INTO rbac_user (update_ts, version, full_name, login_name, enabled, hashed_password) VALUES (now(), 0, 'Reader', 'reader', true, $1)",
        [hashed],
      );
      await sql.query("INSERT INTO rbac_role (update_ts, version, name) VALUES (now(), 0, 'Readers')");
      await sql.query(
        `WITH p AS (INSERT INTO rbac_perm (update_ts, version, perm_type, perm_string)
                    VALUES (now(), 0, 'ALLOW', '(GET|POST):/api/v5_3/flow/.*'), (now(), 0, 'DENY', '.*result.*') RETURNING id)
         INSERT INTO rbac_role_perm_rel (role_id, perm_id, update_ts) SELECT r.id, p.id, now() FROM p, rbac_role r WHERE r.name = 'Readers'`,
      );
      await sql.query(
        "INSERT INTO rbac_role_user_rel (user_id, role_id, update_ts) SELECT u.id, r.id, now() FROM rbac_user u, rbac_role r WHERE u.login_name = 'reader' AND r.name = 'Readers'",
      );
    });
    await database.close();
    const reader = createClient({
      baseUrl: `https://localhost:${rest.port}`,
      user: "Reader",
      password: "reader's password",
      version: "v5_3",
      fetch: fetchThrough(agent),
    });
    const params = { holdingidentityshorthash: node, clientrequestid: "r-1" };
    assert.equal((await reader.call(operations.getFlow, { params })).status, 200);
    await assert.rejects(reader.call(operations.getFlowResult, { params }), refused("forbidden", "rest.forbidden"));
    await assert.rejects(reader.call(operations.listCpis, {}), refused("forbidden", "rest.forbidden"));
    const body = startBody({ clientRequestId: "r-9" });
    await assert.rejects(
      reader.call(operations.startFlow, { params: { holdingidentityshorthash: node }, body }),
      refused("forbidden", "flow.startForbidden"),
    );
    assert.equal(flows.has("r-9"), false);
  });

  test("tells what comes and goes in a vault, from now on or after the last event that a client has", async () => {
    const path = `/api/v5_3/vault/${node}/changes`;
    const told = async (query: string, headers: Record<string, string> = {}) => {
      const sent = request(`https://localhost:${rest.port}${path}${query}`, {
        agent: new Agent({ ca: agent.options.ca }),
        headers: { authorization: `Basic ${btoa(`${ADMIN.login}:${ADMIN.password}`)}`, ...headers },
      });
      const [answer] = (await once(sent.end(), "response")) as [IncomingMessage];
      const events: string[] = [];
      const read = createEventReader();
      for await (const chunk of answer) {
        events.push(...read(String(chunk)).map(({ id, type, data }) => `${id} ${type} ${JSON.parse(data).ref ?? ""}`));
        if (events.length > 0 && (events.length === VAULT_CHANGES.length || !query.endsWith("=0"))) break;
      }
      answer.destroy();
      return events;
    };
    assert.deepEqual(await told("?lastEventId=0"), ["3 produced SHA-256:00:0", "5 consumed SHA-256:00:0"]);
    assert.deepEqual(await told("", { "last-event-id": "3" }), ["5 consumed SHA-256:00:0"]);
    assert.deepEqual(await told("?type=com.example.Note"), ["7 position "], "an id to come back with, before there is a change");
    assert.equal((await http("GET", `${path}?lastEventId=8`)).status, 409);
    assert.equal((await http("GET", path, { headers: { "last-event-id": "soon" } })).status, 400);
    assert.equal((await http("GET", "/api/v5_3/vault/0123456789AB/changes")).status, 404);
    assert.equal((await http("GET", path, { anonymous: true })).status, 401);
  });

  test("lists what is not decided, and what is invalid; of a transaction that is not there there is no proof", async () => {
    const path = `/api/v5_3/vault/${node}/transaction`;
    const [open] = (await http("GET", path)).json().transactions;
    const { ageMs, ...rest } = open;
    assert.ok(ageMs > 0);
    const epoch = new Date(0).toISOString();
    const until = { until: new Date(9).toISOString(), attempts: 2, nextAttemptAt: new Date(10).toISOString(), reason: null };
    assert.deepEqual(rest, { id: "SHA-256:01", status: "UNVERIFIED", createdAt: epoch, ...until });
    const [invalid] = (await http("GET", `${path}?status=INVALID`)).json().transactions;
    assert.deepEqual([invalid.id, invalid.status, invalid.reason], ["SHA-256:00", "INVALID", "it is broken"]);
    assert.equal((await http("GET", `${path}?status=VERIFIED`)).status, 400);
    for (const end of ["", "/proof"]) {
      assert.equal((await http("GET", `${path}/nothing${end}`)).json().details.code, "vault.badQuery");
      assert.equal((await http("GET", `${path}/SHA-256:${"0".repeat(64)}${end}`)).json().details.code, "vault.transactionUnknown");
    }
  });

  test("explains the named queries of a CPI, of which this one has none", async () => {
    const none = await http("GET", `/api/v5_3/vault/${node}/query?large=true`);
    assert.deepEqual([none.status, none.json()], [200, { queries: [] }]);
    const unknown = await http("GET", `/api/v5_3/vault/${node}/query?name=com.example.Owed`);
    assert.equal(unknown.status, 404);
    assert.match(unknown.text, /There are: none.*vault\.queryUnknown/);
  });

  test("lists the states of a vault, of the only type where none is named", async () => {
    const { body } = await client.call(operations.listVaultStates, { params: { holdingidentityshorthash: node }, query: { limit: 10 } });
    assert.deepEqual(body, {
      states: [
        { ref: "SHA-256:00:0", type: "com.example.Note", contract: "com.example.NoteContract", notary: SERVICE, json: { amount: "1.50" } },
      ],
      next: "more",
    });
  });

  test("forgets a request whose client has gone, and what it had uploaded", async () => {
    logged.length = 0;
    const gone = request(`https://localhost:${rest.port}/api/v5_2/cpi`, {
      agent,
      method: "POST",
      headers: {
        authorization: `Basic ${btoa(`${ADMIN.login}:${ADMIN.password}`)}`,
        "content-type": "multipart/form-data; boundary=x",
        "content-length": "1000000",
      },
    });
    gone.on("error", () => undefined);
    gone.write(`${FILE_PART}half of it`);
    while ((await readdir(uploads)).length === 0) await sleep(5);
    gone.destroy();
    while ((await readdir(uploads)).length > 0) await sleep(5);
    while (!logged.some(({ facts }) => facts.aborted === true)) await sleep(5);
  });

  test("writes one line per request, without credentials", async () => {
    logged.length = 0;
    await http("GET", "/api/v5_2/cpi?x=secret");
    await sleep(20);
    const lines = logged.filter(({ message }) => message === "request");
    assert.equal(lines.length, 1);
    const { ms, ...facts } = lines[0]?.facts ?? {};
    assert.deepEqual(facts, { method: "GET", route: "/api/v5_2/cpi", status: 200, user: "admin" });
    assert.equal(typeof ms, "number");
  });

  function setOutcome(clientRequestId: string, outcome: NonNullable<FlowRow["outcome"]>): void {
    const row = flows.get(clientRequestId) as FlowRow;
    flows.set(clientRequestId, { ...row, status: "ok" in outcome ? "COMPLETED" : "FAILED", outcome });
  }
  const inputOf = (clientRequestId: string): Data | undefined => {
    const origin = flows.get(clientRequestId)?.origin;
    return origin?.kind === "client" ? origin.input : undefined;
  };
});

/** Flow rows without an engine. */
function flowsInMemory(rows: Map<string, FlowRow>): Answering<PersistenceService> {
  const rowOf = (asked: StartFlowRequest): FlowRow => ({
    id: randomBytes(8).toString("hex"),
    bundle: asked.bundle,
    flowName: asked.flowName,
    identity: { ...asked.identity, flowId: "", properties: asked.properties ?? NO_PROPERTIES },
    origin: { kind: "client", clientRequestId: asked.clientRequestId, startedBy: asked.startedBy, input: asked.input },
    seed: new Uint8Array(32),
    status: "START_REQUESTED",
    version: 1,
    commitId: "",
    kill: false,
    waiting: [],
    wakeAt: null,
    outcome: null,
    createdAt: 0,
    updatedAt: 0,
  });
  const unused = async (): Promise<never> => assert.fail("REST does not call this");
  return {
    async startFlow(asked) {
      const there = rows.get(asked.clientRequestId);
      if (there === undefined) {
        const row = rowOf(asked);
        rows.set(asked.clientRequestId, row);
        return { kind: "started", row };
      }
      const same =
        there.flowName === asked.flowName &&
        there.origin.kind === "client" &&
        Buffer.compare(encode(there.origin.input), encode(asked.input)) === 0;
      return { kind: same ? "known" : "conflict", row: there };
    },
    async flowStatus(name) {
      if ("clientRequestId" in name) return rows.get(name.clientRequestId) ?? null;
      return [...rows.values()].find(({ id }) => id === name.flowId) ?? null;
    },
    flowStatuses: async ({ status }) => ({ rows: [...rows.values()].filter((row) => status?.includes(row.status) !== false), next: null }),
    flowInspect: unused,
    flowKill: unused,
    flowRetry: unused,
    load: unused,
    commit: unused,
    acknowledge: unused,
    due: unused,
    dueBefore: unused,
    readEntities: unused,
    queryVault: unused,
    async vaultChanges({ after, types }) {
      assert.deepEqual(types ?? ["com.example.Note"], ["com.example.Note"]);
      if (after !== null && after > VAULT_HEAD) throw new BowlineError("conflict", "vault.positionUnknown", "It is not there yet.");
      const changes = VAULT_CHANGES.filter(({ position }) => position > (after ?? VAULT_HEAD));
      // Then nothing for a while: the stream is closed by whoever reads it.
      if (after === VAULT_HEAD) await new Promise((resolve) => setTimeout(resolve, 50));
      return { changes: changes as never, next: VAULT_HEAD };
    },
    explainQuery: async ({ query, large }) => ({ query, index: null, usesIndex: false, plan: [`large: ${large}`] }),
    async read({ read }) {
      if (read.kind === "transactions") return [null];
      if (read.kind === "invalid") return [{ id: "SHA-256:00", createdAt: 0, invalidAt: 5, reason: "it is broken" }];
      if (read.kind === "unverified") return [{ id: "SHA-256:01", createdAt: 0, until: 9, attempts: 2, nextAttemptAt: 10 }];
      assert.deepEqual(read, { kind: "list", state: "com.example.Note", limit: 10 });
      return {
        states: [
          { ref: "SHA-256:00:0", type: "com.example.Note", notary: SERVICE, json: { amount: "1.50" }, createdAt: 0, consumedAt: null },
        ],
        next: "more",
      };
    },
  };
}

/** The page's script with a user who signs in, and out again: with which credentials it asks for its document, and what it shows. */
async function signedIn(script: string): Promise<{ readonly asked: readonly unknown[]; readonly shown: readonly string[] }> {
  const asked: unknown[] = [];
  const shown: string[] = [];
  type Action = (given: unknown) => unknown;
  type Wrap = (original: Action, system: object) => Action;
  let actions: { readonly authorize: Wrap; readonly logout: Wrap } | undefined;
  const page = {
    ...{ TextEncoder, btoa },
    fetch: async (_url: string, { headers }: { readonly headers: { readonly authorization?: string } }) => {
      asked.push(headers.authorization);
      return { ok: true, text: async () => "the document" };
    },
    SwaggerUIBundle: ({ plugins }: { plugins: readonly (() => { statePlugins: { auth: { wrapActions: typeof actions } } })[] }) => {
      actions = plugins[0]?.().statePlugins.auth.wrapActions;
    },
  };
  runInNewContext(script, page);
  const system = { specActions: { updateSpec: (text: string) => shown.push(text) } };
  actions?.authorize(() => null, system)({ basicAuth: { value: { username: "ädmin", password: "secret" } } });
  actions?.logout(() => null, system)(["basicAuth"]);
  await new Promise((turned) => setImmediate(turned));
  return { asked, shown };
}
