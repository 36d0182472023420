// An import of a file: read, planned, run, shown, reported.

import { writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "./connection.ts";
import { readText } from "./file.ts";
import { resolveIdentity } from "./identity.ts";
import { type ImportReport, type PlannedRow, planImport, type RowOutcome, runImport } from "./import.ts";
import { parseMap, parseSet } from "./mapping.ts";
import { createProgress, type Progress } from "./progress.ts";
import { formatOf, parseRows, type RowFormat } from "./rows.ts";
import { renderTable } from "./table.ts";
import { EXIT, type ExitCode, print, type Terminal, usage } from "./terminal.ts";

/** Refused rows that are shown; the report file has all. */
const SHOWN_MAX = 50;

export interface ImportFileOptions {
  readonly flow: string;
  readonly as?: string;
  readonly asColumn?: string;
  readonly format?: RowFormat;
  readonly map: readonly string[];
  readonly set: readonly string[];
  readonly concurrency: number;
  readonly patience: number;
  readonly prefix: string;
  readonly report?: string;
  readonly dryRun?: true;
}

export async function importFile(connection: Connection, terminal: Terminal, file: string, options: ImportFileOptions): Promise<ExitCode> {
  const rows = parseRows(readText(terminal, file), options.format ?? formatOf(file));
  const nodes = await connection.virtualNodes();
  if (options.as === undefined && options.asColumn === undefined)
    throw usage("identity", "Say who starts the flows: --as VNODE, or --as-column COLUMN.");
  const plan = planImport(rows, {
    flow: options.flow,
    ...(options.as === undefined ? {} : { as: resolveIdentity(options.as, nodes) }),
    ...(options.asColumn === undefined ? {} : { asColumn: options.asColumn }),
    nodes,
    mappings: options.map.map(parseMap),
    fixed: options.set.map(parseSet),
    prefix: options.prefix,
  });
  if (options.dryRun) return dryRun(terminal, plan);
  const progress = createProgress(terminal, () => performance.now());
  progress.step(`Importing ${basename(file)}`);
  const stop = new AbortController();
  const interrupted = () => stop.abort();
  process.once("SIGINT", interrupted);
  try {
    const report = await runImport(plan, options.flow, connection.flows, {
      ...options,
      patienceMs: options.patience * 1_000,
      now: () => performance.now(),
      sleep: (durationMs) => sleep(durationMs),
      signal: stop.signal,
      ...importProgress(progress, plan.length),
    });
    progress.done(`Imported ${basename(file)}`);
    if (options.report !== undefined) writeReport(terminal, options.report, { file, ...report });
    print(terminal, { file, ...report, outcomes: report.outcomes.filter(({ outcome }) => outcome.kind !== "completed") }, describeReport);
    if (stop.signal.aborted) return EXIT.interrupted;
    return report.unfinished > 0 ? EXIT.trouble : report.refused > 0 ? EXIT.refused : EXIT.done;
  } finally {
    process.off("SIGINT", interrupted);
    progress.close();
  }
}

/** Feeds a progress bar from an import. */
export function importProgress(progress: Progress, total: number) {
  let done = 0;
  let refused = 0;
  let trouble = "";
  return {
    onOutcome({ outcome }: RowOutcome): void {
      done += 1;
      if (outcome.kind !== "completed") refused += 1;
      trouble = "";
      progress.bar(done, total, refused === 0 ? "" : `${refused} refused`);
    },
    onTrouble(problem: string): void {
      if (trouble === problem) return; // Said once, not once per attempt and row.
      trouble = problem;
      progress.note(`Waiting for the network: ${problem}`);
    },
  };
}

function describeReport(report: ImportReport): string {
  const { rows, completed, refused, unfinished, resumed, seconds, outcomes } = report;
  const parts = [`${completed} of ${rows} rows done${resumed === 0 ? "" : ` (${resumed} by an earlier run)`}`, `${refused} refused`];
  if (unfinished > 0) parts.push(`${unfinished} unfinished: run the same command again to continue`);
  const summary = `${parts.join(", ")}, in ${seconds.toFixed(1)} s`;
  if (outcomes.length === 0) return summary;
  const more = outcomes.length > SHOWN_MAX ? `\n… and ${outcomes.length - SHOWN_MAX} more: --report FILE has them all` : "";
  return `${describeRefused(outcomes.slice(0, SHOWN_MAX))}${more}\n\n${summary}`;
}

/** Each row that was not done, and why. */
export function describeRefused(outcomes: readonly RowOutcome[]): string {
  return renderTable(
    [
      { title: "row", align: "right", cell: ({ row }) => String(row) },
      { title: "line", align: "right", cell: ({ line }) => String(line) },
      { title: "outcome", cell: ({ outcome }) => outcome.kind },
      { title: "why", cell: ({ outcome }) => ("reason" in outcome ? outcome.reason : "") },
    ],
    outcomes,
  );
}

function dryRun(terminal: Terminal, plan: readonly PlannedRow[]): ExitCode {
  const refused = plan.filter(({ plan: row }) => "reason" in row).length;
  print(terminal, { rows: plan.length, refused, plan }, () =>
    plan
      .map(({ row, plan: each }) =>
        "reason" in each ? `row ${row}: refused: ${each.reason}` : `row ${row}: ${each.node.x500Name} ${JSON.stringify(each.input)}`,
      )
      .join("\n"),
  );
  return refused > 0 ? EXIT.refused : EXIT.done;
}

function writeReport(terminal: Terminal, file: string, report: unknown): void {
  try {
    writeFileSync(resolve(terminal.cwd, file), `${JSON.stringify(report, null, 2)}\n`);
  } catch (thrown) {
    throw usage("report", `The report ${file} cannot be written: ${(thrown as Error).message}.`);
  }
}
