// Messages to systems outside, in the product: from a packaged CorDapp in its isolate to who reads the bus, and what an
// operator says of their routes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fromUtf8 } from "../packages/base/src/index.ts";
import type { DurableBus } from "../packages/host/src/adapters/durable-bus.ts";
import { startEmbedded } from "./embedded.ts";

const TIMEOUT_MS = 180_000;
const WAIT_MS = 60_000;
const SECTION = "corda.externalMessaging";

test("what a packaged CorDapp sends reaches who reads its topic, once somebody does", { timeout: TIMEOUT_MS }, async (t) => {
  let bus: DurableBus | undefined;
  const { connection, vnode, run } = await startEmbedded(t, { bus: (made) => (bus = made) });
  const announce = async (channel: string, text: string) => {
    const end = await run("e2e.Announce", { channel, text });
    return end.kind === "failed" ? `FAILED ${end.type}` : "COMPLETED";
  };
  const routes = async () => {
    const node = await connection.call("getVirtualNode", { params: { holdingidentityshorthash: vnode } });
    return node.externalMessagingRouteConfiguration?.currentRoutes.routes;
  };
  const topic = `ext.${vnode}.prices.receive`;
  const route = { channelName: "prices", externalReceiveTopicName: topic, active: true, inactiveResponseType: "ERROR" };
  assert.deepEqual(await routes(), [route]);

  assert.equal(await announce("prices", "early"), "COMPLETED");
  const heard: string[] = [];
  await bus?.subscribe([topic], "a system outside", {
    records: async (batch) => void heard.push(...batch.map(({ value }) => fromUtf8(value))),
  });
  assert.equal(await announce("prices", "late"), "COMPLETED");
  for (const until = Date.now() + WAIT_MS; heard.length < 2 && Date.now() < until; ) await sleep(20);
  assert.deepEqual(heard, ["early", "late"]);

  // The code asks the host without the sdk's own check.
  assert.equal(await announce("secrets", "x"), "FAILED external.channelUnknown");

  const { version } = await connection.call("getConfig", { params: { section: SECTION } });
  const change = { section: SECTION, schemaVersion: { major: 1, minor: 0 }, config: { routeDefaults: { active: false } } };
  const changed = await connection.call("changeConfig", { body: { ...change, version } });
  assert.equal(changed.version, version + 1);
  await assert.rejects(connection.call("changeConfig", { body: { ...change, version } }), { code: "config.versionConflict" });
  await sleep(1_100); // Roles may know the configuration of a second ago.
  assert.deepEqual(await routes(), [{ ...route, active: false }]);
  assert.equal(await announce("prices", "shut"), "FAILED external.routeInactive");
  assert.deepEqual(heard, ["early", "late"]);
});
