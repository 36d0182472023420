import assert from "node:assert/strict";
import { test } from "node:test";
import { checkUpgrade } from "./upgrade-rules.ts";

const current = { name: "notes", version: "1.0", signerSummaryHash: "SHA-256:AA", fileChecksum: "SHA-256:01", groupId: "g" };
const next = { ...current, version: "2.0", fileChecksum: "SHA-256:02" };

test("a virtual node goes to another version of its own CPI, forth and back, one at a time", () => {
  checkUpgrade(null, current, next);
  checkUpgrade(null, next, current);
  assert.throws(() => checkUpgrade("an upgrade", current, next), { code: "vnode.inProgress", kind: "conflict" });
  assert.throws(() => checkUpgrade(null, current, current), { code: "vnode.cpiCurrent", kind: "conflict" });
  for (const other of [{ name: "other" }, { signerSummaryHash: "SHA-256:BB" }, { groupId: "h" }])
    assert.throws(
      () => checkUpgrade(null, current, { ...next, ...other }),
      { code: "vnode.cpiOther", kind: "badRequest" },
      JSON.stringify(other),
    );
});
