// The upgrade of a virtual node while a flow sleeps: it wakes in the code in which it began, in a process that never saw
// that code, and completes; what starts afterwards runs in the new code.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PARTIES } from "../bench/network.ts";
import { parseName } from "../packages/base/src/index.ts";
import { type Connection, connectTo } from "../packages/cli/src/connection.ts";
import { cpiStored, uploadCpi } from "../packages/cli/src/cpi.ts";
import { trustSigner } from "../packages/cli/src/dev-network.ts";
import { staticGroupPolicy } from "../packages/cli/src/group-policy.ts";
import { developmentSigner, packCpi, packProject, stopBundler } from "../packages/cli/src/package-files.ts";
import { requestVirtualNode, virtualNodeReady } from "../packages/cli/src/vnode.ts";
import { startWorker } from "../packages/cli/src/worker.ts";
import { temporaryHome } from "./product.ts";

const TIMEOUT_MS = 240_000;
const WAIT_MS = 60_000;
const SLEEP_MS = 25_000;
const [ALICE = parseName("O=Ping, L=London, C=GB")] = PARTIES;
const NOTARY = { names: [parseName("O=Notary, L=Zurich, C=CH")], serviceName: parseName("O=Service, L=Zurich, C=CH") };
const POLICY = JSON.stringify(
  staticGroupPolicy({ groupId: randomUUID(), members: PARTIES, notary: NOTARY, endpoint: "https://localhost:1080" }),
);

const SOURCE = (version: number): string => `
import { cordapp, flow, entity } from "@bowline/sdk";
import * as Type from "typebox";
const Seen = entity({ name: "e2e.Seen", schema: Type.Object({ id: Type.String(), by: Type.Integer() }), key: "id" });
const Pinned = flow({
  name: "e2e.Pinned", startable: true, input: Type.Object({ milliseconds: Type.Integer() }), output: Type.Integer(),
  async call(context, { milliseconds }) {
    await context.sleep(milliseconds);
    await context.persistence.persist(Seen, { id: context.flowId, by: ${version} });
    return ${version};
  },
});
const bundle = cordapp({ flows: [Pinned], states: [], contracts: [], entities: [Seen], channels: [{ name: "version${version}", type: "SEND" }] });
export { bundle as cordapp };
`;

/** Uploads this version of the CorDapp; the checksum of its CPI. */
async function upload(connection: Connection, home: string, version: number): Promise<string> {
  const project = join(home, "..", "pinned", `${version}`);
  const files: Readonly<Record<string, string>> = {
    "package.json": JSON.stringify({
      name: "pinned",
      version: `${version}.0.0`,
      type: "module",
      bowline: {
        name: "pinned",
        version: `${version}.0.0`,
        cpks: [{ name: "pinned", version: `${version}.0.0`, type: "workflow", entry: "src/index.ts", migrations: "migrations" }],
      },
    }),
    "src/index.ts": SOURCE(version),
    "migrations/0001-seen.sql": 'CREATE TABLE seen (id text COLLATE "C" PRIMARY KEY, "by" bigint NOT NULL);',
    ...(version > 1 ? { "migrations/0002-index.sql": 'CREATE INDEX seen_by ON seen ("by");' } : {}),
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(project, name)), { recursive: true });
    await writeFile(join(project, name), text);
  }
  const signer = await developmentSigner(home);
  await trustSigner(connection, signer);
  const packed = await packProject(project, signer);
  const { fileName, bytes } = await packCpi({ name: "pinned", version: `${version}.0`, cpb: packed.cpb, groupPolicy: POLICY }, signer);
  await stopBundler();
  return cpiStored(connection, await uploadCpi(connection, fileName, bytes));
}

async function started(home: string) {
  const worker = startWorker({ home, environment: process.env, onProgress: () => {} });
  const { url, user, caFile } = await worker.ready;
  const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
  return { worker, connection: connectTo({ url, user, password, ca: await readFile(caFile, "utf8") }) };
}

test("a flow that slept through an upgrade wakes in its own code; what starts afterwards is new", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  let { worker, connection } = await started(home);
  const first = await upload(connection, home, 1);
  await virtualNodeReady(connection, await requestVirtualNode(connection, first, ALICE));
  const vnode = (await connection.virtualNodes())[0]?.shortHash ?? assert.fail("no virtual node");
  const params = { holdingidentityshorthash: vnode };
  const begin = async (milliseconds: number): Promise<string> => {
    const clientRequestId = randomUUID();
    const body = { clientRequestId, flowClassName: "e2e.Pinned", requestBody: { milliseconds } };
    await connection.call("startFlow", { params, body });
    return clientRequestId;
  };
  const end = async (clientrequestid: string) => {
    const { flowStatus, json } = await connection.call("getFlowResult", {
      params: { ...params, clientrequestid },
      query: { waitMs: WAIT_MS },
    });
    return [flowStatus, json];
  };
  const upgrade = async (targetcpifilechecksum: string) => {
    const { requestId } = await connection.call("upgradeVirtualNode", {
      params: { virtualnodeshortid: vnode, targetcpifilechecksum },
      query: {},
    });
    for (;;) {
      const { status, errorReason } = await connection.call("virtualNodeStatus", { params: { requestid: requestId } });
      assert.notEqual(status, "FAILED", errorReason ?? "");
      if (status === "SUCCEEDED") return;
      await sleep(50);
    }
  };

  const asleep = await begin(SLEEP_MS);
  const second = await upload(connection, home, 2);
  await upgrade(second);
  await assert.rejects(upgrade(second), { code: "vnode.cpiCurrent" });
  await assert.rejects(upgrade("000000000000"), { code: "cpi.unknown" });
  await connection.close();
  await worker.stop();
  ({ worker, connection } = await started(home)); // Nobody has the old code in memory any more.
  assert.deepEqual(await end(await begin(0)), ["COMPLETED", 2]);
  assert.deepEqual(await end(asleep), ["COMPLETED", 1]);
  const node = await connection.call("getVirtualNode", { params });
  const routes = node.externalMessagingRouteConfiguration;
  assert.equal(node.cpiIdentifier.cpiVersion, "2.0");
  assert.deepEqual(
    routes?.currentRoutes.routes.map(({ channelName }) => channelName),
    ["version2"],
  );
  assert.deepEqual(
    routes?.previousVersionRoutes.map(({ cpiIdentifier, routes: led }) => [cpiIdentifier.cpiVersion, led[0]?.externalReceiveTopicName]),
    [["1.0", `ext.${vnode}.version1.receive`]],
  );
  await connection.close();
  await worker.stop();
});
