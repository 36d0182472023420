// What an operator sees of flows: which there are, page by page, and what holds one of them up. Pure.

import { badRequest, type Instant } from "@bowline/base";
import { FLOWS_PAGE_MAX } from "./limits.ts";
import type { FlowFilter, FlowInspection, FlowPage, FlowRow } from "./ports.ts";

/** Where a page begins: after the flow that the page before ended with. Throws `flow.filterInvalid`. */
export function pageStart({ limit, after }: FlowFilter): { readonly createdAt: Instant; readonly id: string } | undefined {
  if (!Number.isInteger(limit) || limit < 1 || limit > FLOWS_PAGE_MAX) {
    throw badRequest("flow.filterInvalid", `A page has 1 to ${FLOWS_PAGE_MAX} flows.`, { field: "limit" });
  }
  if (after === undefined) return undefined;
  const [, createdAt, id] = /^(\d{1,15})-(.{1,256})$/.exec(after) ?? [];
  if (createdAt === undefined || id === undefined) {
    throw badRequest("flow.filterInvalid", "A page begins after what the page before called its next.", { field: "after" });
  }
  return { createdAt: Number(createdAt), id };
}

/** From one row more than the page has, where there are more. */
export function pageOf(found: readonly FlowRow[], limit: number): FlowPage {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return { rows, next: found.length > limit && last !== undefined ? `${last.createdAt}-${last.id}` : null };
}

/** Why a flow is parked or has failed, or what the step that is tried most often was last refused with. */
export function troubleOf(row: FlowRow, thrownAt: string | undefined): Pick<FlowInspection, "lastError" | "attempts"> {
  const { status, outcome, waiting, updatedAt } = row;
  if (status === "FAILED" && outcome !== null && "error" in outcome) {
    const { type, message } = outcome.error;
    const known = { type, message, step: null, since: updatedAt };
    return { lastError: thrownAt === undefined ? known : { ...known, stack: thrownAt }, attempts: 1 };
  }
  if (status === "PARKED" && outcome !== null && "error" in outcome) {
    const { type, message, details = {} } = outcome.error;
    const { step = null, since, attempts, stack } = details;
    const known = { type, message, step, since: since === undefined ? updatedAt : Number(since) };
    return { lastError: stack === undefined ? known : { ...known, stack }, attempts: attempts === undefined ? 1 : Number(attempts) };
  }
  const troubled = waiting.flatMap(({ path, trouble }) => (trouble === undefined ? [] : [{ ...trouble, step: path }]));
  const [worst] = troubled.sort((a, b) => b.attempts - a.attempts);
  if (isOver(status) || worst === undefined) return { lastError: null, attempts: 0 };
  const { attempts, ...lastError } = worst;
  return { lastError, attempts };
}

const isOver = (status: FlowRow["status"]): boolean => status === "COMPLETED" || status === "FAILED" || status === "KILLED";
