// `npm run bench -- flows`: durable flows beside DBOS and Restate, doing the same work on the same disk in the same run.
//
// Like is compared with like. DBOS runs in the caller's process, and so it is set against ours driven in process; Restate is
// called over HTTP, and so it is set against ours over REST. `ratio` is ours by that of the peer that is the faster of the two.
// A durable step computes a number and has it on disk before the next begins: `DBOS.runStep`, `ctx.run`, `context.checkpoint`.
// All take turns within each round, so that noise of the machine falls on all; what is printed is the median of the rounds.

import { type FlowsNetwork, startFlowsNetwork } from "./flows-network.ts";
import { type Measured, measure } from "./measure.ts";
import { installPeers } from "./peers.ts";
import { type Result, round } from "./result.ts";

const IN_FLIGHT = [1, 16, 64] as const;
const PING_PONG_IN_FLIGHT = 32;
const FULL = { rounds: 3, durationMs: 2_500 } as const;
const QUICK = { rounds: 1, durationMs: 1_500 } as const;
const SUBJECTS = ["ours", "ours.rest", "dbos", "restate"] as const;

type Subject = (typeof SUBJECTS)[number];
type Work = "empty" | "steps5";

const FLOWS: Readonly<Record<Work | "pingpong", string>> = { empty: "bench.Empty", steps5: "bench.Steps5", pingpong: "bench.PingPong" };

interface FlowsBench {
  readonly quick: boolean;
  /** `steps5@16`: that comparison alone. */
  readonly only: string | undefined;
  readonly say: (text: string) => void;
}

export async function benchFlows({ quick, only, say }: FlowsBench): Promise<Result[]> {
  await installPeers();
  say("Starting our network, DBOS and Restate …");
  const network = await startFlowsNetwork();
  const { rounds, durationMs } = quick ? QUICK : FULL;
  try {
    say(`PostgreSQL, for us and DBOS: ${network.settings.join(", ")}.`);
    say(`Restate, on its own log: ${network.restate.settings.join(", ")}.`);
    const runs = subjects(network);
    const results: Result[] = [];
    const peaks = new Map<Subject, number>();
    for (const work of ["empty", "steps5"] as const) {
      for (const inFlight of IN_FLIGHT) {
        if (only !== undefined && only !== `${work}@${inFlight}`) continue;
        const measured: Record<Subject, Measured[]> = { ours: [], "ours.rest": [], dbos: [], restate: [] };
        for (let turn = 0; turn < rounds; turn++) {
          for (const subject of SUBJECTS) {
            say(`flow.${work}@${inFlight}: ${subject}, ${turn + 1} of ${rounds} …`);
            measured[subject].push(await runs[subject](work, inFlight, durationMs));
          }
          for (const [subject, pssMb] of Object.entries(pssOf(network)) as [Subject, number][])
            peaks.set(subject, Math.max(peaks.get(subject) ?? 0, pssMb));
        }
        results.push(...compared(`flow.${work}@${inFlight}`, measured));
      }
      if (only === undefined) results.push(...(await commitsOf(network, work, durationMs)));
    }
    if (only !== undefined) return results;
    const pingPongs: Measured[] = [];
    for (let turn = 0; turn < rounds; turn++) pingPongs.push(await network.ours.measure("pingpong", PING_PONG_IN_FLIGHT, durationMs));
    results.push(rate("flow.pingpong", median(pingPongs)));
    for (const [subject, pssMb] of peaks) results.push({ metric: `flow.pss_mb.${subject}`, value: round(pssMb), unit: "MB" });
    return results;
  } finally {
    await network.close();
  }
}

type Run = (work: Work, inFlight: number, durationMs: number) => Promise<Measured>;

function subjects(network: FlowsNetwork): Readonly<Record<Subject, Run>> {
  const { ours, dbos, restate, runOverRest } = network;
  return {
    ours: ours.measure,
    "ours.rest": (work, inFlight, durationMs) => measure({ durationMs, inFlight }, () => runOverRest(FLOWS[work])),
    dbos: dbos.measure,
    restate: restate.measure,
  };
}

/** Of the processes alone: the PostgreSQL that two of them share counts for neither. */
const pssOf = ({ ours, dbos, restate }: FlowsNetwork) => ({ ours: ours.pssMb(), dbos: dbos.pssMb(), restate: restate.pssMb() });

function compared(metric: string, measured: Readonly<Record<Subject, readonly Measured[]>>): Result[] {
  const medians = Object.fromEntries(SUBJECTS.map((subject) => [subject, median(measured[subject])])) as Record<Subject, Measured>;
  const peer = medians.restate.perSecond > medians.dbos.perSecond ? "restate" : "dbos";
  const ours = medians[peer === "dbos" ? "ours" : "ours.rest"];
  return [
    { ...rate(metric, ours), peer, ratio: round(ours.perSecond / medians[peer].perSecond) },
    ...SUBJECTS.map((subject) => rate(`  ${metric}.${subject}`, medians[subject])),
  ];
}

/** What one flow costs in transactions, one at a time, so that no two share one. */
async function commitsOf(network: FlowsNetwork, work: Work, durationMs: number): Promise<Result[]> {
  const results: Result[] = [];
  for (const subject of ["ours", "dbos"] as const) {
    const before = await network.commits(subject);
    let flows = 0;
    const { perSecond } = await network[subject].measure(work, 1, durationMs);
    // The measurement warms up for a tenth of its time, and the server counts with a second's delay.
    flows = (perSecond * durationMs * 1.1) / 1_000;
    await new Promise((resume) => setTimeout(resume, STATISTICS_DELAY_MS));
    const commits = (await network.commits(subject)) - before;
    results.push({ metric: `flow.${work}.commits.${subject}`, value: round(commits / flows), unit: "transactions a flow" });
  }
  const steps = await network.stepCommitsOf(FLOWS[work]);
  results.push({ metric: `flow.${work}.step_commits.ours`, value: round(steps), unit: "a flow, by its own row" });
  return results;
}

const STATISTICS_DELAY_MS = 1_500;

function median(measured: readonly Measured[]): Measured {
  const middle = (pick: (one: Measured) => number): number => measured.map(pick).sort((a, b) => a - b)[measured.length >> 1] ?? Number.NaN;
  return { perSecond: middle((one) => one.perSecond), p50Ms: middle((one) => one.p50Ms), p99Ms: middle((one) => one.p99Ms) };
}

const rate = (metric: string, { perSecond, p50Ms, p99Ms }: Measured): Result => ({
  metric,
  value: round(perSecond),
  unit: "1/s",
  p50_ms: round(p50Ms),
  p99_ms: round(p99Ms),
});
