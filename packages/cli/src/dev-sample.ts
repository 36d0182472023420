// The example's sample files through the whole network: every row a flow, and in the end the ledger against the files.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { decoder } from "@bowline/base";
import Type from "typebox";
import type { Connection } from "./connection.ts";
import { differences, expectedFrom, type Position, sortPositions } from "./dev-expected.ts";
import { EXAMPLE } from "./dev-network.ts";
import { type NamedNode, shortName } from "./identity.ts";
import { type ImportReport, planImport, runImport } from "./import.ts";
import { describeRefused, importProgress } from "./import-file.ts";
import type { Progress } from "./progress.ts";
import { parseRows } from "./rows.ts";
import { type Column, renderTable } from "./table.ts";
import { usage } from "./terminal.ts";
import { pollUntil } from "./wait.ts";

const FLOWS = {
  issue: "com.example.obligation.IssueObligation",
  settle: "com.example.obligation.SettleObligation",
  positions: "com.example.obligation.ListPositions",
} as const;
/** Begins every request id of ours, so that what others started can be told apart. */
const PREFIX = "dev";
const CONCURRENCY = 32;
const PATIENCE_MS = 120_000;

export interface SampleResult {
  /** Notarised transactions of the sample, those of earlier runs included. */
  readonly transactions: number;
  readonly refused: number;
  /** Of the transactions: those that an earlier run had made. */
  readonly resumed: number;
  readonly positions: readonly Position[];
  /** Undefined where other flows have changed the ledger, so that the files cannot say. */
  readonly agrees: boolean | undefined;
  readonly seconds: number;
}

/** Ends early, as an import that is interrupted, when `signal` says so. */
export async function runSample(
  connection: Connection,
  companies: readonly NamedNode[],
  progress: Progress,
  signal: AbortSignal,
): Promise<SampleResult> {
  const files = { obligations: sampleFile("obligations.csv"), settlements: sampleFile("settlements.csv") };
  const expected = expectedFrom(
    files,
    companies.map(({ x500Name }) => x500Name),
    new Date().toISOString().slice(0, 10),
  );
  const importAll = (what: string, flow: string, text: string) =>
    importSample({ connection, nodes: companies, progress, signal }, what, flow, text);
  const issued = await importAll("Issuing", FLOWS.issue, files.obligations);
  const settled = await importAll("Settling", FLOWS.settle, files.settlements);
  progress.step("Adding up what each company owes and is owed");
  const positions = await ledgerPositions(connection, companies);
  const foreign = await foreignFlows(connection, companies);
  progress.done(`Added up what ${companies.length} companies owe and are owed`);
  const problems = [
    ...differences(positions, expected.positions),
    ...wrongRows("obligations.csv", issued, expected.refusedObligations),
    ...wrongRows("settlements.csv", settled, expected.refusedSettlements),
  ];
  if (foreign === 0) for (const problem of problems) progress.note(`Not as the file says: ${problem}`);
  else progress.note(`${foreign} flows besides the sample have run, so the ledger may well differ from the file.`);
  return {
    transactions: issued.completed + settled.completed,
    refused: issued.refused + settled.refused,
    resumed: issued.resumed + settled.resumed,
    positions,
    agrees: foreign === 0 ? problems.length === 0 : undefined,
    seconds: issued.seconds + settled.seconds,
  };
}

const sampleFile = (name: string): string => readFileSync(join(EXAMPLE, "sample", name), "utf8");

interface SampleImport {
  readonly connection: Connection;
  readonly nodes: readonly NamedNode[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

async function importSample(
  { connection, nodes, progress, signal }: SampleImport,
  what: string,
  flow: string,
  text: string,
): Promise<ImportReport> {
  const plan = planImport(parseRows(text, "csv"), { flow, asColumn: "debtor", nodes, mappings: [], fixed: [], prefix: PREFIX });
  progress.step(`${what} obligations, from ${nodes.map(({ x500Name }) => shortName(x500Name)).join(", ")} at once`);
  const report = await runImport(plan, flow, connection.flows, {
    signal,
    concurrency: CONCURRENCY,
    patienceMs: PATIENCE_MS,
    now: () => performance.now(),
    sleep: (durationMs) => sleep(durationMs),
    ...importProgress(progress, plan.length),
  });
  const { completed, refused, unfinished, outcomes } = report;
  progress.done(`${what} obligations: ${completed} done, ${refused} refused`);
  if (refused > 0) progress.note(indent(describeRefused(outcomes.filter(({ outcome }) => outcome.kind === "refused"))));
  if (unfinished > 0) {
    const reason = outcomes.map(({ outcome }) => (outcome.kind === "unfinished" ? outcome.reason : "")).find((text) => text !== "");
    throw usage("unfinished", `${unfinished} rows of the sample could not be finished: ${reason} Start again to continue.`);
  }
  return report;
}

/** Rows that ended otherwise than the file says they must. */
function wrongRows(file: string, { outcomes }: ImportReport, refused: ReadonlySet<number>): readonly string[] {
  return outcomes.flatMap(({ row, outcome }) => {
    if ((outcome.kind === "refused") === refused.has(row)) return [];
    return [`row ${row} of ${file} ${outcome.kind === "refused" ? `was refused (${outcome.reason})` : "was accepted, and is bad"}`];
  });
}

const decodePositions = decoder(
  Type.Object({ positions: Type.Array(Type.Object({ currency: Type.String(), owes: Type.String(), owed: Type.String() })) }),
  "the result of ListPositions",
);

async function ledgerPositions({ flows }: Connection, companies: readonly NamedNode[]): Promise<readonly Position[]> {
  const all = await Promise.all(
    companies.map(async ({ shortHash, x500Name: company }) => {
      const clientRequestId = `${PREFIX}.positions.${randomUUID()}`;
      await flows.start(shortHash, { clientRequestId, flow: FLOWS.positions, input: {} });
      const end = await pollUntil(`the positions of ${company}`, () => flows.result(shortHash, clientRequestId));
      if (end.kind === "failed") throw usage("positions", `The positions of ${company} cannot be had: ${end.message}`);
      return decodePositions(end.result).positions.map(({ currency, owes, owed }) => ({ company, currency, owes, owed }));
    }),
  );
  return sortPositions(all.flat());
}

/** How many flows were started here by others than this file. */
async function foreignFlows(connection: Connection, companies: readonly NamedNode[]): Promise<number> {
  const counts = await Promise.all(
    companies.map(async ({ shortHash }) => {
      let count = 0;
      for await (const page of connection.flowPages(shortHash, { status: "COMPLETED" }))
        for (const { clientRequestId } of page) if (clientRequestId !== null && !clientRequestId.startsWith(`${PREFIX}.`)) count++;
      return count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** One line per company and currency; the file's word beside the ledger's where they differ. */
export function renderPositions(positions: readonly Position[]): string {
  const columns: Column<Position>[] = [
    { title: "company", cell: ({ company }) => shortName(company) },
    { title: "currency", cell: ({ currency }) => currency },
    { title: "owes", align: "right", cell: ({ owes }) => grouped(owes) },
    { title: "is owed", align: "right", cell: ({ owed }) => grouped(owed) },
  ];
  return renderTable(columns, positions);
}

const grouped = (amount: string): string => amount.replace(/^\d+/, (whole) => whole.replaceAll(/\B(?=(\d{3})+$)/g, ","));
const indent = (text: string): string => text.replaceAll(/^/gm, "  ");
