// What an operator asks of the engine's tables in PostgreSQL. Nothing here is on the path of a flow that runs.

import type { Database } from "@bowline/base";
import { pageOf, pageStart, troubleOf } from "./inspection.ts";
import type { FlowFilter, FlowInspection, FlowPage, JournalPage } from "./ports.ts";
import { type FlowColumns, flowOf, type SessionColumns, SQL, type StepColumns, sessionOf, stepOf } from "./statements.ts";

export async function listFlows(database: Database, filter: FlowFilter): Promise<FlowPage> {
  const start = pageStart(filter);
  const { status, flowName, startedAfter, startedBefore, limit } = filter;
  const rows = await database.sql.query<FlowColumns>(SQL.list, [
    status ?? null,
    flowName ?? null,
    startedAfter ?? null,
    startedBefore ?? null,
    start?.createdAt ?? null,
    start?.id ?? null,
    limit + 1,
  ]);
  return pageOf(rows.map(flowOf), limit);
}

export async function inspectFlow(database: Database, flowId: string, page?: JournalPage): Promise<FlowInspection | undefined> {
  const [flows, steps, sessions, counts, stacks] = await database.transaction((sql) =>
    Promise.all([
      sql.query<FlowColumns>(SQL.loadFlows, [[flowId]]),
      sql.query<StepColumns & { readonly request: Uint8Array | null }>(SQL.readSteps, [
        flowId,
        page?.from.activation ?? 0,
        page?.from.ordinal ?? 0,
        page?.limit ?? null,
      ]),
      sql.query<SessionColumns>(SQL.loadSessions, [[flowId]]),
      sql.query<{ readonly inbox: number; readonly outbox: number }>(SQL.countMessages, [flowId]),
      sql.query<{ readonly stack: string }>(SQL.readStack, [flowId]),
    ]),
  );
  const [flow] = flows;
  if (flow === undefined) return undefined;
  const row = flowOf(flow);
  return {
    row,
    journal: steps.map((step) => ({ ...stepOf(step), request: step.request })),
    sessions: sessions.map(sessionOf),
    inbox: counts[0]?.inbox ?? 0,
    outbox: counts[0]?.outbox ?? 0,
    ...troubleOf(row, stacks[0]?.stack),
  };
}
