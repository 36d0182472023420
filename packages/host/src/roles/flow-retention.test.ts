import assert from "node:assert/strict";
import { test } from "node:test";
import type { Log, ShortHash } from "@bowline/base";
import { createFlowRetention, FLOW_RETENTION_MS } from "./flow-retention.ts";

const VNODE = "A11CE0000000" as ShortHash;
const MINUTE = 60_000;

test("flows that are over go batch after batch, then nobody asks for a while, whatever fails", async () => {
  const asked: number[] = [];
  const warned: string[] = [];
  const note = (message: string) => void warned.push(message);
  const log: Log = { error: note, warn: note, info: note, debug: note };
  const retain = createFlowRetention({ retentionMs: FLOW_RETENTION_MS, log });
  const answers: (number | Error)[] = [500, 500, 3, new Error("away"), 0];
  const flows = {
    purge: async ({ overBefore }: { readonly overBefore: number }) => {
      asked.push(overBefore);
      const answer = answers.shift() ?? 0;
      if (typeof answer === "number") return answer;
      throw answer;
    },
  };
  for (let minute = 0; minute <= 25; minute++) await retain(VNODE, flows, FLOW_RETENTION_MS + minute * MINUTE);
  assert.deepEqual(
    asked.map((moment) => moment / MINUTE),
    [0, 1, 2, 12, 22],
  );
  assert.equal(warned.length, 1);
});
