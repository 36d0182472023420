// How much of the house one empty flow walks through: the files of `packages/` in which any function runs between the POST
// and the result, as V8 counts them in a real worker. The number may only fall.
//
// Measured a few times, because now and then a sweep or a copy that is refreshed falls into the same moment: the fewest
// files are the flow's own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type BenchNetwork, startBenchNetwork } from "../bench/network.ts";

const FILES_MAX = 30;
const MEASUREMENTS = 5;
const TIMEOUT_MS = 180_000;
const WAIT_MS = 30_000;

test(`an empty flow executes code in at most ${FILES_MAX} of our files`, { timeout: TIMEOUT_MS }, async () => {
  const network = await startBenchNetwork({ ...process.env, NODE_OPTIONS: "--inspect=127.0.0.1:0" });
  try {
    const profiler = await attach(network);
    await profiler.call("Profiler.enable", {});
    await profiler.call("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    await runEmptyFlow(network); // Loads what is loaded once.
    await profiler.executedFiles();
    const measured: (readonly string[])[] = [];
    for (let time = 0; time < MEASUREMENTS; time++) {
      await runEmptyFlow(network);
      measured.push(await profiler.executedFiles());
    }
    profiler.close();
    const [files = []] = measured.sort((a, b) => a.length - b.length);
    const list = `An empty flow executes ${files.length} files:\n${files.map((file) => `  ${file}\n`).join("")}`;
    process.stdout.write(list);
    assert.ok(files.length > 0 && files.length <= FILES_MAX, list);
  } finally {
    await network.close();
  }
});

async function runEmptyFlow({ connection, parties }: BenchNetwork): Promise<void> {
  const params = { holdingidentityshorthash: parties[0]?.shortHash ?? "" };
  const clientRequestId = randomUUID();
  await connection.call("startFlow", { params, body: { clientRequestId, flowClassName: "bench.Empty", requestBody: {} } });
  const { flowStatus } = await connection.call("getFlowResult", {
    params: { ...params, clientrequestid: clientRequestId },
    query: { waitMs: WAIT_MS },
  });
  assert.equal(flowStatus, "COMPLETED");
}

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

/** The worker's inspector, which says in the log where it listens. */
async function attach({ home }: BenchNetwork) {
  const log = await readFile(join(home, "logs", "worker.log"), "utf8");
  const address = [...log.matchAll(/Debugger listening on (ws:\S+)/g)].at(-1)?.[1];
  assert.ok(address, "the worker's inspector listens");
  const socket = new WebSocket(address);
  await new Promise((opened, failed) => {
    socket.addEventListener("open", opened);
    socket.addEventListener("error", failed);
  });
  let id = 0;
  const call = (method: string, params: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const mine = ++id;
      const take = ({ data }: MessageEvent) => {
        const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: { message: string } };
        if (answer.id !== mine) return;
        socket.removeEventListener("message", take);
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(answer.error.message));
      };
      socket.addEventListener("message", take);
      socket.send(JSON.stringify({ id: mine, method, params }));
    });
  /** Since it was asked before. */
  const executedFiles = async (): Promise<readonly string[]> => {
    const { result } = (await call("Profiler.takePreciseCoverage", {})) as Coverage;
    const executed = result.filter(({ functions }) => functions.some(({ ranges }) => ranges.some(({ count }) => count > 0)));
    return executed.flatMap(({ url }) => /\/packages\/(.+)$/.exec(url)?.[1] ?? []).sort();
  };
  return { call, executedFiles, close: () => socket.close() };
}
