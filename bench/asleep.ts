// What flows that sleep cost the process that started them.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { openWorkers, type WorkerProcess } from "../e2e/workers.ts";
import { type Result, round } from "./result.ts";

const FLOWS = { full: 10_000, quick: 1_000 } as const;
const IN_FLIGHT = 32;
const NIGHT_MS = 8 * 3_600_000;
const WARM_UP = 500;
/** What is garbage by then is collected, or stays. */
const SETTLE_MS = 10_000;

/** Megabytes of the process above what it had before, when it had run some flows and was idle. */
export async function benchAsleep({ quick, say }: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Result[]> {
  const flows = FLOWS[quick ? "quick" : "full"];
  const workers = await openWorkers({ durable: true });
  try {
    const worker = await workers.start();
    await workers.prepare(worker);
    await sleepers(worker, workers.vnode(), WARM_UP, 1);
    await sleep(SETTLE_MS);
    const idleMb = worker.pssMb();
    say(`Asleep: starting ${flows} flows at a process of ${Math.round(idleMb)} MB …`);
    await sleepers(worker, workers.vnode(), flows, NIGHT_MS);
    while ((await workers.count("e2e.Sleep", "RUNNING")) < flows) await sleep(500);
    await sleep(SETTLE_MS);
    return [{ metric: "flow.asleep_pss_mb", value: round(worker.pssMb() - idleMb), unit: "MB" }];
  } finally {
    await workers.close();
  }
}

async function sleepers({ connection }: WorkerProcess, vnode: string, count: number, milliseconds: number): Promise<void> {
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0)
      await connection.call("startFlow", {
        params: { holdingidentityshorthash: vnode },
        body: { clientRequestId: randomUUID(), flowClassName: "e2e.Sleep", requestBody: { milliseconds, times: 1 } },
      });
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, one));
}
