// Payloads far larger than a message, in the product: out of one isolate, through a session on PostgreSQL, into another, and back.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { addParties, PARTIES } from "../bench/network.ts";
import { connectTo } from "../packages/cli/src/connection.ts";
import { createLog } from "../packages/host/src/adapters/system.ts";
import { compose, ROLES_HERE } from "../packages/host/src/compose.ts";
import { temporaryHome } from "./product.ts";

const CORDAPP = fileURLToPath(new URL("cordapp", import.meta.url));
const TIMEOUT_MS = 300_000;
const WAIT_MS = 60_000;

test("a flow sends 20 MiB at once and has them back, and one that sends more than may leave at once is told so", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const home = await temporaryHome(t);
  const worker = await compose({
    roles: ROLES_HERE,
    home,
    listen: { host: "127.0.0.1" },
    environment: { ...process.env, BOWLINE_CALLS: "bytes" },
    log: createLog({ level: "error" }),
    progress: () => {},
    onUnstoppable: () => assert.fail("an isolate cannot be stopped"),
    onDatabaseLost: () => {},
  });
  const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
  const connection = connectTo({ url: worker.url, user: worker.user, password, ca: await readFile(worker.caFile, "utf8") });
  await addParties(connection, home, CORDAPP);
  const vnode = (await connection.virtualNodes()).find(({ x500Name }) => x500Name === PARTIES[0])?.shortHash ?? assert.fail();
  const exchange = async (what: { readonly megabytes: number; readonly asText?: true }) => {
    const params = { holdingidentityshorthash: vnode };
    const clientRequestId = randomUUID();
    const requestBody = { peer: PARTIES[1] ?? "", ...what };
    await connection.call("startFlow", { params, body: { clientRequestId, flowClassName: "e2e.Bulk", requestBody } });
    const result = { params: { ...params, clientrequestid: clientRequestId }, query: { waitMs: WAIT_MS } };
    for (;;) {
      const { flowStatus, flowError, json } = await connection.call("getFlowResult", result);
      if (flowStatus !== "RUNNING" && flowStatus !== "START_REQUESTED") return flowError ?? json;
    }
  };
  assert.equal(await exchange({ megabytes: 20 }), 20 * 2 ** 20);
  assert.equal(await exchange({ megabytes: 5, asText: true }), "sandbox.stepTooLarge");
  await connection.close();
  await worker.stop();
});
