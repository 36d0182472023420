// The product with every role in this process, for tests that reach into it: two virtual nodes run the CorDapp of these tests.
// Calls between roles travel as bytes. All of it goes with the test.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { embedWorker } from "../bench/embedded.ts";
import { addParties, PARTIES } from "../bench/network.ts";
import { type Connection, connectTo, flowEnd } from "../packages/cli/src/connection.ts";
import type { FlowEnd } from "../packages/cli/src/import.ts";
import { temporaryHome } from "./product.ts";

const CORDAPP = fileURLToPath(new URL("cordapp", import.meta.url));
/** How soon it is seen that a flow is parked, on either side: that ends no wait for its result. */
const LOOK_MS = 2_000;

export interface EmbeddedProduct {
  readonly connection: Connection;
  /** The short hash of the virtual node that starts flows, and the name of its peer. */
  readonly vnode: string;
  readonly peer: string;
  /** Runs a flow of the virtual node to its end. Throws as soon as one of either party is parked, with the reason. */
  run(flowClassName: string, requestBody: object): Promise<FlowEnd>;
}

export async function startEmbedded(
  test: Parameters<typeof temporaryHome>[0],
  through: NonNullable<Parameters<typeof embedWorker>[1]>["through"] = {},
): Promise<EmbeddedProduct> {
  const stopping: (() => Promise<void>)[] = [];
  test.after(async () => {
    for (const stop of stopping.reverse()) await stop();
  });
  const home = await temporaryHome(test);
  const worker = await embedWorker(home, { environment: { ...process.env, BOWLINE_CALLS: "bytes" }, through });
  stopping.push(() => worker.stop());
  const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
  const connection = connectTo({ url: worker.url, user: worker.user, password, ca: await readFile(worker.caFile, "utf8") });
  stopping.push(() => connection.close());
  await addParties(connection, home, { project: CORDAPP });
  const nodes = await connection.virtualNodes();
  const hashes = PARTIES.map((name) => nodes.find(({ x500Name }) => x500Name === name)?.shortHash ?? assert.fail(`no ${name}`));
  const [vnode = "", peer = ""] = [hashes[0], PARTIES[1]];
  return {
    connection,
    vnode,
    peer,
    async run(flowClassName, requestBody) {
      const params = { holdingidentityshorthash: vnode };
      const clientRequestId = randomUUID();
      await connection.call("startFlow", { params, body: { clientRequestId, flowClassName, requestBody } });
      const result = { params: { ...params, clientrequestid: clientRequestId }, query: { waitMs: LOOK_MS } };
      for (;;) {
        const end = flowEnd(await connection.call("getFlowResult", result));
        await Promise.all(hashes.map((hash) => noneParked(connection, hash)));
        if (end !== undefined) return end;
      }
    },
  };
}

async function noneParked(connection: Connection, vnode: string): Promise<void> {
  const params = { holdingidentityshorthash: vnode };
  const { flowStatusResponses } = await connection.call("listFlows", { params, query: { status: "PARKED" } });
  const reasons = flowStatusResponses.map(({ flowId, flowError }) => `${flowId} is parked: ${flowError?.type} ${flowError?.message}`);
  assert.deepEqual(reasons, []);
}
