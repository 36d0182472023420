// All roles in a process of their own, REST among them, measured from inside as DBOS is and from outside as Restate is.

import { randomUUID } from "node:crypto";
import { embedWorker } from "./embedded.ts";
import { measure } from "./measure.ts";
import { serve } from "./serve.mjs";

const WAIT_MS = 30_000;
const [home = "", party = "", peer = ""] = process.argv.slice(2);

const worker = await embedWorker(home);

/** Starts a flow and waits for its end, asked of the roles as REST asks them. */
function flow(flowName: string, input: Readonly<Record<string, string>> = {}): () => Promise<void> {
  let found: ReturnType<typeof find> | undefined;
  return async () => {
    found ??= find(flowName);
    const { vnode, identity, bundle } = await found;
    const clientRequestId = randomUUID();
    await worker.services.persistence.startFlow({ vnode, identity, clientRequestId, flowName, bundle, startedBy: "bench", input });
    const row = await worker.services.persistence.flowStatus({ vnode, clientRequestId, waitMs: WAIT_MS });
    if (row?.status !== "COMPLETED") throw new Error(`${flowName} ${row?.status}`);
  };
}

/** The virtual node of `party`, and the package that has the flow. */
async function find(flowName: string) {
  const { db } = worker.services;
  const node = (await db.virtualNodes(null)).find(({ holdingIdentity }) => holdingIdentity.x500Name === party);
  const cpi = (await db.cpis(null)).find(({ cpiFileFullChecksum }) => cpiFileFullChecksum === node?.cpi.fileChecksum);
  const cpk = cpi?.cpks.find(({ manifest }) => manifest.flows.some(({ name }) => name === flowName));
  if (node === undefined || cpk === undefined) throw new Error("the benchmark's own CPI is not there");
  const { x500Name: me, groupId, shortHash: vnode } = node.holdingIdentity;
  return { vnode, identity: { me, groupId }, bundle: cpk.fileChecksum };
}

const COIN = { amount: "10", currency: "EUR" };
const issue = flow("com.example.cash.IssueCash", COIN);
const pay = flow("com.example.cash.PayCash", { ...COIN, issuer: party, to: peer });

const works = {
  empty: flow("bench.Empty"),
  steps5: flow("bench.Steps5"),
  pingpong: flow("bench.PingPong", { peer }),
  issue,
  issuePay: () => issue().then(pay),
};
serve(works, { measure, ready: { url: worker.url, caFile: worker.caFile, user: worker.user }, close: () => worker.stop() });
