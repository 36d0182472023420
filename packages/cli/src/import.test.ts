// The import against a real HTTPS server, which keeps flows as the platform does: one per client request id.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseName } from "@bowline/base";
import { createSelfSigned, generateKeyPair, issueCertificate } from "@bowline/crypto";
import { type Connection, connectTo } from "./connection.ts";
import { type ImportWorld, planImport, runImport } from "./import.ts";
import { parseRows } from "./rows.ts";

const FLOW = "com.example.Issue";
const NODES = [
  { shortHash: "AAAAAAAAAAAA", x500Name: "O=Alice, L=London, C=GB", groupId: "g" },
  { shortHash: "BBBBBBBBBBBB", x500Name: "O=Bob, L=Paris, C=FR", groupId: "g" },
];
const CSV = `id,who,amount
1,Alice,10
2,Bob,20
3,Alice
4,Dora,40
5,Bob,-5
6,Alice,99
7,Bob,70
`;

/** What the platform does, in a few lines: starts are idempotent, bad input is a 400, some flows fail. */
class Platform {
  readonly flows = new Map<string, { readonly input: Record<string, string>; polls: number }>();
  /** Requests whose connection is cut after the work is done: the answer is lost. */
  losesAnswers = 0;
  unavailable = 0;
  inFlight = 0;
  inFlightMax = 0;
  #server: Server | undefined;
  #port = 0;

  async listen(tls: { key: string; cert: string }): Promise<string> {
    this.#server = createServer(tls, (request, response) => void this.#answer(request, response));
    await new Promise<void>((listening) => this.#server?.listen(this.#port, "localhost", listening));
    this.#port = (this.#server.address() as AddressInfo).port;
    return `https://localhost:${this.#port}`;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((closed) => this.#server?.close(() => closed()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const [, vnode, id] = /^\/api\/v5_3\/flow\/(\w+)(?:\/([-._\w]+)\/result)?$/.exec(request.url ?? "") ?? [];
    const { status, value } = this.#decide(request, vnode ?? "", id, body);
    if (this.losesAnswers > 0) {
      this.losesAnswers -= 1;
      request.socket.destroy();
      return;
    }
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  }

  #decide(request: IncomingMessage, vnode: string, id: string | undefined, body: string): { status: number; value: unknown } {
    if (request.headers.authorization !== `Basic ${Buffer.from("admin:secret").toString("base64")}`)
      return { status: 401, value: { title: "User authentication failed.", status: 401, details: { code: "rest.unauthenticated" } } };
    if (this.unavailable > 0) {
      this.unavailable -= 1;
      return { status: 503, value: { title: "The database is down.", status: 503, details: { code: "database.down" } } };
    }
    return id === undefined ? this.#start(vnode, JSON.parse(body)) : this.#result(vnode, id);
  }

  #start(vnode: string, { clientRequestId, requestBody }: { clientRequestId: string; requestBody: Record<string, string> }) {
    if (requestBody.amount?.startsWith("-"))
      return {
        status: 400,
        value: { title: "amount must be positive.", status: 400, details: { code: "input.invalid", field: "amount" } },
      };
    const key = `${vnode}/${clientRequestId}`;
    if (!this.flows.has(key)) {
      this.flows.set(key, { input: requestBody, polls: 0 });
      this.inFlight += 1;
      this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    }
    return { status: 202, value: this.#status(vnode, clientRequestId) };
  }

  #result(vnode: string, id: string) {
    const flow = this.flows.get(`${vnode}/${id}`);
    if (flow === undefined)
      return { status: 404, value: { title: "There is no such flow.", status: 404, details: { code: "flow.unknown" } } };
    flow.polls += 1;
    if (flow.polls === 2) this.inFlight -= 1;
    const status = this.#status(vnode, id);
    return { status: status.flowStatus === "RUNNING" ? 202 : 200, value: status };
  }

  #status(vnode: string, id: string) {
    const flow = this.flows.get(`${vnode}/${id}`);
    const flowStatus = flow === undefined || flow.polls < 2 ? "RUNNING" : flow.input.amount === "99" ? "FAILED" : "COMPLETED";
    return {
      holdingIdentityShortHash: vnode,
      clientRequestId: id,
      flowId: createHash("sha256").update(id).digest("hex"),
      flowStatus,
      flowResult: null,
      json: flowStatus === "COMPLETED" ? { id: flow?.input.id } : null,
      flowError: flowStatus === "FAILED" ? { type: "obligation.partyUnknown", message: "Nobody is called so." } : null,
      timestamp: "2026-01-01T00:00:00Z",
    };
  }
}

let tls: { key: string; cert: string; ca: string };
let platform: Platform;
let url: string;

before(async () => {
  const env = { now: Date.now(), random: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };
  const name = parseName("O=Test, L=London, C=GB");
  const authority = await createSelfSigned({ subject: name, use: "authority", days: 1 }, env);
  const { publicKey, privateKey } = await generateKeyPair("CORDA.ECDSA.SECP256R1");
  const validity = { validFrom: env.now - 1_000, validUntil: env.now + 86_400_000 };
  const request = { subject: name, publicKey, use: "tls-server" as const, hosts: ["localhost"], ...validity };
  const certificate = issueCertificate({ name, privateKey: authority.privateKey }, request, env.random);
  tls = {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: certificate.toString(),
    ca: authority.chain.map(String).join(""),
  };
});

const open = (password = "secret"): Connection => connectTo({ url, user: "admin", password, ca: tls.ca });

const plan = (text = CSV) =>
  planImport(parseRows(text, "csv"), { flow: FLOW, asColumn: "who", nodes: NODES, mappings: [], fixed: [], prefix: "t" });

async function importAll(connection: Connection, change: Partial<ImportWorld> = {}) {
  const troubles: string[] = [];
  const report = await runImport(plan(), FLOW, connection.flows, {
    concurrency: 3,
    patienceMs: 5_000,
    now: () => performance.now(),
    sleep: (durationMs) => sleep(Math.min(durationMs, 5)),
    onOutcome: () => {},
    onTrouble: (problem) => troubles.push(problem),
    ...change,
  });
  await connection.close();
  return { report, troubles };
}

async function running(work: () => Promise<void>): Promise<void> {
  platform = new Platform();
  url = await platform.listen(tls);
  try {
    await work();
  } finally {
    await platform.close();
  }
}

test("every row ends once: done, or refused with its reason", () =>
  running(async () => {
    const { report } = await importAll(open());
    const { completed, refused, unfinished, resumed } = report;
    assert.deepEqual({ completed, refused, unfinished, resumed }, { completed: 3, refused: 4, unfinished: 0, resumed: 0 });
    assert.deepEqual(
      report.outcomes.flatMap(({ row, outcome }) => ("reason" in outcome ? [[row, outcome.code, outcome.reason.split(". ")[0]]] : [])),
      [
        [3, "import.malformedRow", "it has 2 columns where the header names 3"],
        [4, "cli.identityUnknown", 'no virtual node is called "Dora"'],
        [5, "input.invalid", "amount must be positive."],
        [6, "obligation.partyUnknown", "Nobody is called so."],
      ],
    );
    assert.deepEqual(report.outcomes[0]?.outcome, { kind: "completed", result: { id: "1" }, resumed: false });
    assert.ok(platform.inFlightMax <= 3, `at most three in flight, and not ${platform.inFlightMax}`);
  }));

test("a second run starts nothing anew, and comes to the same", () =>
  running(async () => {
    const first = await importAll(open());
    const started = platform.flows.size;
    const second = await importAll(open());
    assert.equal(platform.flows.size, started);
    assert.equal(second.report.resumed, 3);
    assert.deepEqual([second.report.completed, second.report.refused], [first.report.completed, first.report.refused]);
  }));

test("lost answers and a database that is away for a moment cost no row and start none twice", () =>
  running(async () => {
    platform.losesAnswers = 4;
    platform.unavailable = 6;
    const { report, troubles } = await importAll(open());
    assert.deepEqual([report.completed, report.refused, report.unfinished], [3, 4, 0]);
    assert.equal(platform.flows.size, 4, "three that completed and one that failed");
    assert.ok(troubles.some((text) => text.includes("The database is down")));
  }));

test("an import survives a restart of the network in its middle", () =>
  running(async () => {
    let restarted: Promise<void> | undefined;
    const restart = async () => {
      await platform.close();
      await sleep(150);
      await platform.listen(tls);
    };
    const { report } = await importAll(open(), {
      onOutcome: () => {
        restarted ??= restart();
      },
      sleep: (durationMs) => sleep(Math.min(durationMs, 50)),
    });
    await restarted;
    assert.deepEqual([report.completed, report.refused, report.unfinished], [3, 4, 0]);
  }));

test("when nobody answers for longer than the patience, rows end unfinished and a later run does them", () =>
  running(async () => {
    await platform.close();
    const gone = await importAll(open(), { patienceMs: 50 });
    assert.equal(gone.report.unfinished, 5);
    assert.equal(gone.report.refused, 2, "what is wrong with a row itself is known without the network");
    url = await platform.listen(tls);
    const later = await importAll(open());
    assert.deepEqual([later.report.completed, later.report.unfinished], [3, 0]);
  }));

test("a wrong password ends the import, and blames no row", () =>
  running(async () => {
    const { report } = await importAll(open("wrong"));
    assert.equal(report.unfinished, 5);
    assert.equal(platform.flows.size, 0);
  }));

test("the id of a row is the same in every run, and another for another row, number or flow", () => {
  const ids = plan().map(({ clientRequestId }) => clientRequestId);
  assert.deepEqual(
    plan().map(({ clientRequestId }) => clientRequestId),
    ids,
  );
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[-._A-Za-z0-9]{1,242}$/);
  const changed = plan(CSV.replace("2,Bob,20", "2,Bob,21")).map(({ clientRequestId }) => clientRequestId);
  assert.deepEqual(
    changed.map((id, at) => id === ids[at]),
    [true, false, true, true, true, true, true],
  );
  const twice = plan("id,who,amount\n1,Alice,10\n1,Alice,10\n").map(({ clientRequestId }) => clientRequestId);
  assert.notEqual(twice[0], twice[1], "two equal rows are two flows");
});

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString("utf8");
}
