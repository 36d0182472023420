// Flows that go on in other code, over HTTPS: with the real flow role, in isolates, on a virtual node that is upgraded meanwhile.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient, operations } from "@bowline/api";
import { BowlineError, type ShortHash } from "@bowline/base";
import { generateBootKey, pemOf } from "@bowline/crypto";
import { createMemoryBus } from "../adapters/memory-bus.ts";
import { systemClock, systemRandom } from "../adapters/system.ts";
import { createFlowRole } from "../roles/flow.ts";
import { createPersistenceRole } from "../roles/persistence.ts";
import {
  ADMIN,
  ALICE,
  buildTestCpi,
  createTestNode,
  quietLog,
  startTestCluster,
  type TestCluster,
  uploadTestCpi,
} from "../roles/test-cluster.ts";
import { sampleBundle } from "../sandbox/sample-bundle.ts";
import { createRestRole } from "./server.ts";
import { fetchThrough } from "./test-https.ts";

let cluster: TestCluster;
let client: Client;
let vnode: ShortHash;
const ending: (() => Promise<void> | void)[] = [];

before(async () => {
  cluster = await startTestCluster();
  ending.push(() => cluster.stop());
  const bus = createMemoryBus(systemClock);
  ending.push(() => bus.close());
  const shared = { bus, clock: systemClock, random: systemRandom, log: quietLog };
  const persistence = createPersistenceRole({
    ...shared,
    db: cluster.calls.for("persistence").db,
    bootKey: generateBootKey(),
    verdictKey: new Uint8Array(32),
    flowsHere: true,
  });
  ending.push(() => persistence.close());
  cluster.calls.answer("persistence", persistence.service);
  const flow = await createFlowRole({ ...shared, calls: cluster.calls.for("flow"), workerId: "one", onUnstoppable: () => {} });
  ending.push(() => flow.close());
  cluster.calls.answer("flow", flow.service);
  const { db } = cluster.calls.for("rest");
  await db.importCertificate({ usage: "code-signer", vnode: null, alias: "tests", pem: pemOf(cluster.signer.chain) });
  const made = await createTestNode(cluster, await upload(1), ALICE);
  assert.equal(made.status, "SUCCEEDED", made.errorReason ?? "");
  vnode = made.resourceId as ShortHash;
  const uploads = join(cluster.folder, "rest-uploads");
  await mkdir(uploads);
  const caFile = join(cluster.folder, "ca.pem");
  const rest = await createRestRole({
    services: cluster.calls.for("rest"),
    bootKey: generateBootKey(),
    caFile,
    listen: { host: "127.0.0.1", ports: [0] },
    uploads,
    clock: systemClock,
    log: quietLog,
  });
  ending.push(() => rest.close());
  const agent = new Agent({ ca: await readFile(caFile), keepAlive: true });
  ending.push(() => agent.destroy());
  const { login, password } = ADMIN;
  client = createClient({ baseUrl: `https://localhost:${rest.port}`, user: login, password, version: "v5_3", fetch: fetchThrough(agent) });
});
after(async () => {
  for (const end of ending.reverse()) await end();
});

async function upload(version: number): Promise<string> {
  const { script, manifest } = await sampleBundle("sample-versions.ts", version);
  const flows = manifest.flows.filter(({ name }) => version !== 4 || name !== "com.example.Work");
  return uploadTestCpi(cluster, await buildTestCpi(cluster.signer, { version: `${version}.0`, script, manifest: { ...manifest, flows } }));
}

async function upgrade(version: number): Promise<void> {
  const { db } = cluster.calls.for("rest");
  const { requestId } = await db.upgradeVirtualNode({ vnode, cpiFileChecksum: await upload(version) });
  for (;;) {
    const { status, errorReason } = await db.virtualNodeStatus({ requestId });
    assert.notEqual(status, "FAILED", errorReason ?? "");
    if (status === "SUCCEEDED") break;
    await sleep(20);
  }
  await sleep(1_100); // What the rest role knows of virtual nodes may be a second old.
}

const paramsOf = (clientrequestid: string) => ({ holdingidentityshorthash: vnode, clientrequestid });
const start = (clientRequestId: string, hours: number) =>
  client.call(operations.startFlow, {
    params: { holdingidentityshorthash: vnode },
    body: { clientRequestId, flowClassName: "com.example.Work", requestBody: { hours } },
  });
const inspect = async (id: string) => (await client.call(operations.inspectFlow, { params: paramsOf(id) })).body;
const retry = async (id: string, code: "own" | "current") =>
  (await client.call(operations.retryFlow, { params: paramsOf(id), query: { code } })).status;
const refused = async (id: string): Promise<BowlineError> => {
  const refusal = await retry(id, "current").then(
    () => assert.fail(`${id} goes on`),
    (thrown: unknown) => thrown,
  );
  assert.ok(refusal instanceof BowlineError, String(refusal));
  assert.equal(refusal.kind, "conflict", refusal.message);
  return refusal;
};

async function parked(id: string): Promise<void> {
  for (;;) {
    const { parked: is, lastError } = await inspect(id);
    if (is) return assert.equal(lastError?.type, "sandbox.timeLimit");
    await sleep(50);
  }
}

test("a flow goes on in fixed code, if that code does what its journal says", { timeout: 120_000 }, async () => {
  await start("stuck", 0);
  await start("asleep", 1);
  await parked("stuck");
  const began = (await inspect("stuck")).bundle;
  while ((await inspect("asleep")).steps === 0) await sleep(20);

  assert.equal(await retry("stuck", "current"), 202, "in its own code, where there is no other");
  await parked("stuck");
  await upgrade(3);
  const other = await refused("stuck");
  assert.deepEqual([other.code, other.details["step"]], ["flow.codeDiverges", "1"]);
  assert.match(other.message, /notes 3\.0 .*stuck.* step 1, clock\.sleep asks otherwise/);
  assert.equal((await refused("asleep")).code, "flow.codeDiverges");
  assert.deepEqual([(await inspect("stuck")).bundle, (await inspect("stuck")).parked], [began, true], "it stays where it is");

  await upgrade(4);
  assert.equal((await refused("stuck")).code, "flow.notInCpi");

  await upgrade(2);
  for (const id of ["stuck", "asleep"]) assert.equal(await retry(id, "current"), 202, id);
  const { body } = await client.call(operations.getFlowResult, { params: paramsOf("stuck"), query: { waitMs: 20_000 } });
  assert.deepEqual([body.flowStatus, body.json], ["COMPLETED", 2]);
  const asleep = await inspect("asleep");
  assert.deepEqual([asleep.status.flowStatus, asleep.parked], ["RUNNING", false]);
  assert.notEqual(asleep.bundle, began);
  assert.equal((await refused("stuck")).code, "flow.notParked", "it is over");
  assert.equal((await refused("asleep")).code, "flow.notParked", "it is in that code already");
});
