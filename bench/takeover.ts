// How long a surviving process takes to end what another was running when it was killed.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { openWorkers, type WorkerProcess, type Workers } from "../e2e/workers.ts";
import { type Result, round } from "./result.ts";

/** Of both processes: each runs about half of them, and the counterparties of as many. */
const FLOWS = { full: 1_000, quick: 300 } as const;
/** All are to run when one process dies. */
const RUN_UP_MS = { full: 40_000, quick: 20_000 } as const;
/** How long before the kill those begin that compute. */
const COMPUTE_MS = 500;
const IN_FLIGHT = 64;
const WAIT_MS = 30_000;

/** From the kill until the last of them has ended; all of them ended once, or this throws. */
export async function benchTakeover({ quick, say }: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Result[]> {
  const size = quick ? "quick" : "full";
  const workers = await openWorkers({ durable: true });
  try {
    const survivor = await workers.start();
    await workers.prepare(survivor);
    const dying = await workers.start();
    const killAt = Date.now() + RUN_UP_MS[size];
    say(`Takeover: starting ${FLOWS[size]} flows at two processes …`);
    const asked = Array.from({ length: FLOWS[size] }, (_, index) => ({ id: randomUUID(), index }));
    await each(asked, async ({ id, index }) => {
      const { flow, input } = workOf(index, workers.peer, killAt - Date.now());
      const body = { clientRequestId: id, flowClassName: flow, requestBody: input };
      const worker = Math.floor(index / 2) % 2 === 0 ? survivor : dying;
      await worker.connection.call("startFlow", { params: { holdingidentityshorthash: workers.vnode() }, body });
    });
    if (Date.now() > killAt - COMPUTE_MS) throw new Error("the kill was due before all of them were started");
    await sleep(killAt - Date.now());
    const running = (await Promise.all(NAMES.map((name) => workers.count(name, "RUNNING")))).reduce((sum, count) => sum + count, 0);
    dying.signal("SIGKILL");
    const killed = performance.now();
    await each(asked, ({ id }) => ended(survivor, workers.vnode(), id));
    const seconds = (performance.now() - killed) / 1_000;
    await assertOnce(workers);
    say(`Takeover: ${running} flows ran when one of two processes was killed.`);
    return [{ metric: "flow.takeover_seconds", value: round(seconds), unit: "s" }];
  } finally {
    await workers.close();
  }
}

const NAMES = ["e2e.Talk", "e2e.Sleep", "e2e.Compute"] as const;

/**
 * When the kill comes, in `killInMs`, nine in twenty wait for a counterparty that answers within two seconds of it, as many
 * sleep that long, and one in ten computes.
 */
function workOf(index: number, peer: string, killInMs: number): { readonly flow: (typeof NAMES)[number]; readonly input: object } {
  const pauseMs = killInMs + (index % 20) * 100;
  if (index % 10 === 9) return { flow: "e2e.Compute", input: { steps: 20, afterMs: killInMs - COMPUTE_MS } };
  if (index % 2 === 0) return { flow: "e2e.Talk", input: { peer, rounds: 1, pauseMs } };
  return { flow: "e2e.Sleep", input: { milliseconds: pauseMs, times: 1 } };
}

async function ended({ connection }: WorkerProcess, vnode: string, id: string): Promise<void> {
  for (;;) {
    const params = { holdingidentityshorthash: vnode, clientrequestid: id };
    const { flowStatus, flowError } = await connection.call("getFlowResult", { params, query: { waitMs: WAIT_MS } });
    if (flowStatus === "COMPLETED") return;
    if (flowStatus === "FAILED" || flowStatus === "KILLED") throw new Error(`${id} ${flowStatus}: ${flowError?.message}`);
  }
}

async function assertOnce(workers: Workers): Promise<void> {
  const [talks, answers] = [await workers.count("e2e.Talk"), await workers.count("e2e.Answer")];
  if (talks !== answers) throw new Error(`${talks} conversations had ${answers} answerers`);
}

async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, one));
}
