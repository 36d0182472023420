import assert from "node:assert/strict";
import { test } from "node:test";
import type { ShortHash } from "@bowline/base";
import { changedConfig, knownSection, withDefaults } from "./config.ts";
import { EXTERNAL_MESSAGING, NOTARY } from "./config-sections.ts";
import { externalRoutes, topicOf } from "./external-routes.ts";

const SECTION = EXTERNAL_MESSAGING.name;
const routeDefaultsOf = (source: string) => EXTERNAL_MESSAGING.read(source).routeDefaults;
const VNODE = "0123456789AB" as ShortHash;
const SCHEMA = { major: 1, minor: 0 };
const change = (source: string, version: number, more: object = {}) => ({
  section: SECTION,
  source,
  version,
  schemaVersion: SCHEMA,
  ...more,
});
const configOf = (routeDefaults: object): string => JSON.stringify({ routeDefaults });

test("a section is changed by who saw its version, and by nobody else", () => {
  const first = changedConfig(undefined, change("{}", -1));
  assert.equal(first.version, 1);
  assert.equal(changedConfig(undefined, change("{}", 0)).version, 1);
  const second = changedConfig(first, change(configOf({ active: false }), 1));
  assert.deepEqual([second.version, routeDefaultsOf(second.source).active], [2, false]);
  for (const version of [-1, 0, 2]) assert.throws(() => changedConfig(first, change("{}", version)), { code: "config.versionConflict" });
  assert.throws(() => changedConfig(undefined, change("{}", 0, { schemaVersion: { major: 1, minor: 1 } })), {
    code: "config.schemaVersion",
  });
  assert.throws(() => changedConfig(undefined, change("{}", 0, { section: "corda.flow" })), {
    code: "config.sectionUnknown",
    kind: "badRequest",
  });
  assert.throws(() => knownSection("corda.flow", "notFound"), { code: "config.sectionUnknown", kind: "notFound" });
});

test("what breaks the section's schema is refused, and what is left out has its default", () => {
  assert.deepEqual(routeDefaultsOf(""), {
    receiveTopicPattern: "ext.$HOLDING_ID.$CHANNEL_NAME.receive",
    active: true,
    inactiveResponseType: "ERROR",
  });
  assert.throws(() => routeDefaultsOf("{"), { code: "config.invalid" });
  for (const bad of [
    { active: 1 },
    { more: true },
    { inactiveResponseType: "MAYBE" },
    { receiveTopicPattern: "flow.wake" },
    { receiveTopicPattern: "ext.$WHO" },
  ])
    assert.throws(() => routeDefaultsOf(configOf(bad)), { code: "input.invalid" }, JSON.stringify(bad));
  assert.deepEqual(JSON.parse(withDefaults({ section: SECTION, source: '{"other":1}' })), { other: 1, routeDefaults: routeDefaultsOf("") });
});

test("a notary's quota is of whole units, and never of none", () => {
  const quotaOf = (source: string) => NOTARY.read(source).quota;
  assert.deepEqual(quotaOf(""), { unitsPerSecond: 2_000, unitsAtOnce: 10_000 });
  assert.deepEqual(quotaOf('{"quota":{"unitsPerSecond":5}}'), { unitsPerSecond: 5, unitsAtOnce: 10_000 });
  for (const bad of ['{"quota":{"unitsPerSecond":0}}', '{"quota":{"unitsAtOnce":1.5}}', '{"quota":{"units":1}}'])
    assert.throws(() => quotaOf(bad), { code: "input.invalid" }, bad);
});

test("each declared channel has a route by the defaults", () => {
  const manifests = [{ channels: [{ name: "prices" }] }, {}, { channels: [{ name: "prices" }, { name: "$HOLDING_ID" }] }];
  const defaults = routeDefaultsOf(configOf({ receiveTopicPattern: "my-ext.$CHANNEL_NAME.$HOLDING_ID", inactiveResponseType: "IGNORE" }));
  const routes = externalRoutes(VNODE, manifests, defaults);
  assert.deepEqual(routes[0], {
    channelName: "prices",
    externalReceiveTopicName: `my-ext.prices.${VNODE}`,
    active: true,
    inactiveResponseType: "IGNORE",
  });
  assert.equal(routes.length, 2);
  assert.equal(topicOf(VNODE, "prices", manifests[0] ?? {}, defaults), `my-ext.prices.${VNODE}`);
  assert.equal(topicOf(VNODE, "prices", manifests[0] ?? {}, { ...defaults, active: false }), null);
});
