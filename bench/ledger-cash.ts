// Cash between two virtual nodes, through a notary, with token selection: `examples/cash` on a network of its own, one process
// of all roles but REST's clients, on its own PostgreSQL with fsync on. A unit is an issue and a payment of what was issued,
// by two flows one after the other: two notarised transactions.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectTo } from "../packages/cli/src/connection.ts";
import { COMPANIES, devPackages, prepareNetwork } from "../packages/cli/src/dev-network.ts";
import { exampleFolder } from "../packages/cli/src/example-folder.ts";
import { measureCeilings } from "./ceilings.ts";
import { type Child, startChild } from "./child.ts";
import type { Measured } from "./measure.ts";
import { type Result, round } from "./result.ts";

/** Of step transactions and of the notary, as the protocol is drawn: 4 for an issue, 9 for a payment whose payee asks for its past. */
const COMMITS = { issue: 4, unit: 13 } as const;
/** An owner's and the notary's for each transaction; the notary's are shared by a batch. */
const SIGNATURES = 4;
/** The payer checks its own and the notary's, twice; the payee both of both transactions. */
const VERIFICATIONS = 8;
const IN_FLIGHT = 32;
const FULL_MS = 20_000;
const QUICK_MS = 5_000;

export async function benchCash({ quick, say }: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Result[]> {
  const durationMs = quick ? QUICK_MS : FULL_MS;
  say("Measuring what the machine can do …");
  const ceilings = await measureCeilings(durationMs / 4);
  const of = (perSecond: number, ceiling: number) => ({ ceiling: round(ceiling), share: round(perSecond / ceiling) });
  return onCashNetwork(say, async (child) => {
    const run = (work: string, inFlight: number): Promise<Measured> => {
      say(`Measuring ${work}, ${inFlight} in flight …`);
      return child.measure(work, inFlight, durationMs);
    };
    const issues = await run("issue", IN_FLIGHT);
    const alone = await run("issuePay", 1);
    const units = await run("issuePay", IN_FLIGHT);
    const { perSecond } = units;
    return [
      { metric: "tx.issue", ...rate(issues), ...of(issues.perSecond, ceilings.commitsPerSecond / COMMITS.issue) },
      { metric: "tx.issue_pay", ...rate(units), ...of(perSecond, ceilings.commitsPerSecond / COMMITS.unit) },
      { metric: "tx.issue_pay.transactions", value: round(perSecond * 2), unit: "1/s" },
      { metric: "tx.issue_pay.alone", ...rate(alone) },
      {
        metric: "tx.issue_pay.signatures",
        value: round(perSecond * SIGNATURES),
        unit: "1/s",
        ...of(perSecond * SIGNATURES, ceilings.signaturesPerSecond),
      },
      {
        metric: "tx.issue_pay.verifications",
        value: round(perSecond * VERIFICATIONS),
        unit: "1/s",
        ...of(perSecond * VERIFICATIONS, ceilings.verificationsPerSecond),
      },
    ];
  });
}

const rate = ({ perSecond, p50Ms, p99Ms }: Measured) => ({
  value: round(perSecond),
  unit: "1/s",
  p50_ms: round(p50Ms),
  p99_ms: round(p99Ms),
});

/** A notary and three companies with `examples/cash`, of which the first issues and pays to the second. */
async function onCashNetwork<T>(say: (text: string) => void, work: (child: Child) => Promise<T>): Promise<T> {
  say("Starting a network …");
  const home = await mkdtemp(join(tmpdir(), "bowline-bench-"));
  const [payer = "", payee = ""] = COMPANIES;
  const child = await startChild("ours.ts", [home, payer, payee]);
  try {
    const { url, user, caFile } = child.ready as { url: string; user: string; caFile: string };
    const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
    const connection = connectTo({ url, user, password, ca: await readFile(caFile, "utf8") });
    const silent = () => {};
    const progress = { step: silent, detail: silent, bar: silent, done: silent, failed: silent, note: silent, close: silent };
    await prepareNetwork(connection, await devPackages(home, exampleFolder("cash")), progress);
    await connection.close();
    return await work(child);
  } finally {
    await child.close();
    await rm(home, { recursive: true, force: true });
  }
}
