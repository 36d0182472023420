// `npm run bench [-- NAME] [--quick] [--json]`. `main`: what the product does per second on this machine, and beside it, from the
// same run, what the machine could do at best. `flows`: durable flows beside two other systems that run them; `--only steps5@16`
// is one of its comparisons. `ledger`: what the ledger does, part by part; `--only notary` is one.

import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { benchAsleep } from "./asleep.ts";
import { type Ceilings, measureCeilings } from "./ceilings.ts";
import { benchFlows } from "./flows.ts";
import { benchKeys } from "./keys.ts";
import { benchLedger } from "./ledger.ts";
import { type Measured, measure } from "./measure.ts";
import { type BenchNetwork, type Embedded, startBenchNetwork } from "./network.ts";
import { line, type Result, round } from "./result.ts";
import { benchTakeover } from "./takeover.ts";

/** Commits of step transactions that one operation needs, as the protocol is drawn; what `share` is measured in. */
const COMMITS = { empty: 2, pingpong: 4, obligation: 9 } as const;
/** What one obligation costs in signatures: its two parties', and one of the notary's, which a batch shares. */
const SIGNATURES = 3;
/** Both parties verify both signatures, and the notary's word. */
const VERIFICATIONS = 6;
const FULL_MS = 10_000;
const QUICK_MS = 3_000;
const WAIT_MS = 30_000;
const IN_FLIGHT = 32;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean", default: false }, quick: { type: "boolean", default: false }, only: { type: "string" } },
  });
  const [name = "main"] = positionals;
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const how = { quick: values.quick, say };
  const benches: Readonly<Record<string, () => Promise<Result[]>>> = {
    main: () => benchMain(values.quick ? QUICK_MS : FULL_MS, say),
    flows: async () => {
      const compared = await benchFlows({ ...how, only: values.only });
      return values.only === undefined ? [...compared, ...(await benchTakeover(how)), ...(await benchAsleep(how))] : compared;
    },
    ledger: () => benchLedger({ ...how, only: values.only }),
    keys: () => benchKeys(how),
  };
  const bench = benches[name];
  if (bench === undefined) throw new Error(`There is no benchmark "${name}". There are: ${Object.keys(benches).join(", ")}.`);
  const results = await bench();
  if (values.json) process.stdout.write(`${JSON.stringify({ name, node: process.version, cores: availableParallelism(), results })}\n`);
  else for (const result of results) process.stdout.write(`${line(result)}\n`);
}

async function benchMain(durationMs: number, say: (text: string) => void): Promise<Result[]> {
  say("Measuring what the machine can do …");
  const ceilings = await measureCeilings(durationMs / 3);
  say("Starting a network …");
  const network = await startBenchNetwork();
  try {
    return await measureNetwork(network, ceilings, durationMs, say);
  } finally {
    await network.close();
  }
}

async function measureNetwork(
  network: BenchNetwork,
  ceilings: Ceilings,
  durationMs: number,
  say: (text: string) => void,
): Promise<Result[]> {
  const [ping, peer] = [network.parties[0]?.shortHash ?? "", network.parties[1]?.x500Name];
  const commits = ceilings.commitsPerSecond;
  const results: Result[] = [
    { metric: "ceiling.commits", value: round(commits), unit: "1/s" },
    { metric: "ceiling.signatures", value: round(ceilings.signaturesPerSecond), unit: "1/s" },
    { metric: "ceiling.verifications", value: round(ceilings.verificationsPerSecond), unit: "1/s" },
    { metric: "start.warm_seconds", value: round(network.warmStartSeconds), unit: "s" },
  ];
  let peakMb = network.pssMb();
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, network.pssMb());
  }, 1_000);
  const run = (what: string, inFlight: number, operation: (index: number) => Promise<void>): Promise<Measured> => {
    say(`Measuring ${what}, ${inFlight} in flight …`);
    return measure({ durationMs, inFlight }, operation);
  };
  const empty = () => runFlow(network, ping, "bench.Empty", {});
  const alone = await run("flow.empty", 1, empty);
  const many = await run("flow.empty", IN_FLIGHT, empty);
  // How many with many in flight, and how long one takes alone.
  results.push(rate("flow.empty", { ...alone, perSecond: many.perSecond }, commits / COMMITS.empty));
  const pingPong = await run("flow.pingpong", IN_FLIGHT, () => runFlow(network, ping, "bench.PingPong", { peer }));
  results.push(rate("flow.pingpong", pingPong, commits / COMMITS.pingpong));
  const obligations = await run("tx.obligation", IN_FLIGHT, (index) => issue(network, index));
  results.push(rate("tx.obligation", obligations, commits / COMMITS.obligation));
  results.push(used("tx.obligation.signatures", obligations.perSecond * SIGNATURES, ceilings.signaturesPerSecond));
  results.push(used("tx.obligation.verifications", obligations.perSecond * VERIFICATIONS, ceilings.verificationsPerSecond));
  clearInterval(watch);
  results.push({ metric: "network.pss_mb", value: round(Math.max(peakMb, network.pssMb())), unit: "MB" });
  const embedded = await network.embed();
  try {
    const local = await run("flow.empty.local", 1, await emptyFlowOf(embedded, ping));
    results.push(rate("flow.empty.local", local, commits / COMMITS.empty));
  } finally {
    await embedded.stop();
  }
  return results;
}

/** The same flow without HTTP: asked of the roles as REST asks them. */
async function emptyFlowOf({ services }: Embedded, shortHash: string): Promise<() => Promise<void>> {
  const node = (await services.db.virtualNodes(null)).find(({ holdingIdentity }) => holdingIdentity.shortHash === shortHash);
  const cpi = (await services.db.cpis(null)).find(({ cpiFileFullChecksum }) => cpiFileFullChecksum === node?.cpi.fileChecksum);
  const cpk = cpi?.cpks.find(({ manifest }) => manifest.flows.some(({ name }) => name === "bench.Empty"));
  if (node === undefined || cpk === undefined) throw new Error("the benchmark's own CPI is not there");
  const { x500Name: me, groupId, shortHash: vnode } = node.holdingIdentity;
  return async () => {
    const clientRequestId = randomUUID();
    const start = { vnode, identity: { me, groupId }, clientRequestId, flowName: "bench.Empty", bundle: cpk.fileChecksum };
    await services.persistence.startFlow({ ...start, startedBy: "bench", input: {} });
    const row = await services.persistence.flowStatus({ vnode, clientRequestId, waitMs: WAIT_MS });
    if (row?.status !== "COMPLETED") throw new Error(`bench.Empty ${row?.status}`);
  };
}

function issue(network: BenchNetwork, index: number): Promise<void> {
  const { companies } = network;
  const debtor = companies[index % companies.length];
  const creditor = companies[(index + 1) % companies.length];
  const input = { id: randomUUID(), creditor: creditor?.x500Name, amount: "100.00", currency: "EUR", dueDate: "2099-12-31" };
  return runFlow(network, debtor?.shortHash ?? "", "com.example.obligation.IssueObligation", input);
}

async function runFlow({ connection }: BenchNetwork, vnode: string, flow: string, input: unknown): Promise<void> {
  const clientRequestId = randomUUID();
  const params = { holdingidentityshorthash: vnode };
  await connection.call("startFlow", { params, body: { clientRequestId, flowClassName: flow, requestBody: input } });
  for (;;) {
    const of = { ...params, clientrequestid: clientRequestId };
    const { flowStatus, flowError } = await connection.call("getFlowResult", { params: of, query: { waitMs: WAIT_MS } });
    if (flowStatus === "COMPLETED") return;
    if (flowStatus === "FAILED" || flowStatus === "KILLED") throw new Error(`${flow} ${flowStatus}: ${flowError?.message}`);
  }
}

const rate = (metric: string, { perSecond, p50Ms, p99Ms }: Measured, ceiling: number): Result => ({
  metric,
  value: round(perSecond),
  unit: "1/s",
  p50_ms: round(p50Ms),
  p99_ms: round(p99Ms),
  ceiling: round(ceiling),
  share: round(perSecond / ceiling),
});

const used = (metric: string, perSecond: number, ceiling: number): Result => ({
  metric,
  value: round(perSecond),
  unit: "1/s",
  ceiling: round(ceiling),
  share: round(perSecond / ceiling),
});

await main();
