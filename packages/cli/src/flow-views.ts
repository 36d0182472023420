// How flows are shown, and how their end is waited for.

import { type Connection, type FlowStatusReply, flowEnd, type ReplyTo } from "./connection.ts";
import type { FlowEnd } from "./import.ts";
import { oneLine, renderTable } from "./table.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

type JournalReply = ReplyTo<"readJournal">;
type InspectionReply = ReplyTo<"inspectFlow">;
type Step = JournalReply["steps"][number];
type Payload = NonNullable<Step["asked"]>;

/** Until the flow has ended, or is parked and waits for an operator. `aloud`: every state is told on the way. */
export async function waitForEnd(
  connection: Connection,
  terminal: Terminal,
  { vnode, id, aloud }: { readonly vnode: string; readonly id: string; readonly aloud: boolean },
): Promise<{ readonly end: FlowEnd; readonly code: ExitCode | undefined }> {
  for await (const status of connection.follow(vnode, id)) {
    if (aloud) terminal.err(`${status.timestamp}  ${oneLine(describeStatus(status))}\n`);
    if (status.flowStatus === "RUNNING" && status.flowError !== null) break;
  }
  const params = { holdingidentityshorthash: vnode, clientrequestid: id };
  const end = flowEnd(await connection.call("getFlowResult", { params }));
  // It was let go on in this very moment.
  if (end === undefined) return waitForEnd(connection, terminal, { vnode, id, aloud });
  if (end.kind === "completed") return { end, code: undefined };
  terminal.err(`bowline: The flow failed: ${oneLine(end.message)} (${end.type})\n`);
  return { end, code: EXIT.refused };
}

export function describeStatus({ flowStatus, flowResult, flowError, flowId }: FlowStatusReply): string {
  const parked = flowStatus === "RUNNING" && flowError !== null;
  if (flowError != null) return `${parked ? "PARKED" : flowStatus}: ${flowError.message} (${flowError.type})`;
  return flowResult == null ? `${flowStatus} ${flowId ?? ""}`.trimEnd() : `${flowStatus}\n${flowResult}`;
}

const FLOW_COLUMNS = [
  { title: "request or flow id", cell: (flow: FlowStatusReply) => flow.clientRequestId ?? flow.flowId ?? "" },
  { title: "flow", cell: (flow: FlowStatusReply) => flow.flowClassName },
  {
    title: "status",
    cell: (flow: FlowStatusReply) => (flow.flowStatus === "RUNNING" && flow.flowError !== null ? "PARKED" : flow.flowStatus),
  },
  { title: "started", cell: (flow: FlowStatusReply) => flow.startTimestamp },
  { title: "result or error", cell: (flow: FlowStatusReply) => flow.flowError?.message ?? flow.flowResult ?? "" },
];

export const renderFlows = (flows: readonly FlowStatusReply[], width: number): string => renderTable(FLOW_COLUMNS, flows, width);

// --- Journals ---

const STEP_COLUMNS = [
  { title: "step", cell: ({ path }: Step) => path },
  { title: "asked", cell: ({ kind }: Step) => kind },
  { title: "at", cell: ({ askedAt, answeredAt }: Step) => askedAt ?? answeredAt },
  { title: "ms", align: "right" as const, cell: ({ durationMs }: Step) => String(durationMs ?? "") },
  { title: "with", cell: ({ sessions }: Step) => sessions.map(({ counterparty, id }) => counterparty ?? id).join("; ") },
  {
    title: "what → answer",
    cell: (step: Step) =>
      `${shown(step.asked)} → ${step.error === null ? shown(step.answer) : `✖ ${step.error.message} (${step.error.type})`}`,
  },
];

const shown = (payload: Payload | null): string => {
  if (payload === null) return "";
  return payload.beginning === undefined ? JSON.stringify(payload.json) : `${payload.beginning}… (${payload.bytes} bytes)`;
};

export function renderJournal({ status, input, startedBy, counterparty, steps, waiting, next }: JournalReply, width: number): string {
  const by = startedBy ?? (counterparty === null ? "" : `a session of ${counterparty}`);
  return [
    `${status.flowClassName}, started ${status.startTimestamp} by ${by}: ${oneLine(describeStatus(status))}`,
    ...(input === null ? [] : [`input ${shown(input)}`]),
    "",
    renderTable(STEP_COLUMNS, steps, width),
    ...waitingLines(waiting),
    ...(next === null ? [] : ["", `There are more: --after ${next}`]),
  ].join("\n");
}

const waitingLines = (waiting: InspectionReply["waiting"]): string[] =>
  waiting.map(({ path, kind, until }) => `waits for step ${path} (${kind})${until === null ? "" : ` until ${until}`}`);

const SESSION_COLUMNS = [
  { title: "session", cell: ({ id }: InspectionReply["sessions"][number]) => id },
  { title: "with", cell: ({ counterparty }: InspectionReply["sessions"][number]) => counterparty },
  { title: "protocol", cell: ({ protocol, version }: InspectionReply["sessions"][number]) => `${protocol} ${version ?? "?"}` },
  {
    title: "status",
    cell: ({ status, failure }: InspectionReply["sessions"][number]) => (failure === null ? status : `${status}: ${failure.message}`),
  },
  { title: "sent", align: "right" as const, cell: ({ sent }: InspectionReply["sessions"][number]) => String(sent) },
  { title: "received", align: "right" as const, cell: ({ consumed }: InspectionReply["sessions"][number]) => String(consumed) },
];

export function renderInspection(inspection: InspectionReply, width: number): string {
  const { status, x500Name, startedBy, counterparty, bundle, version, steps, waiting, sessions, inbox, outbox, lastError, attempts } =
    inspection;
  const stack = lastError?.stack ?? null;
  return [
    oneLine(describeStatus(status)),
    `flow      ${status.flowClassName}`,
    `flow id   ${status.flowId ?? ""}`,
    `of        ${x500Name}`,
    `started   ${status.startTimestamp} by ${startedBy ?? `a session of ${counterparty ?? "somebody"}`}`,
    `code      ${bundle}`,
    `journal   ${steps} steps, ${version} commits; ${inbox} messages to be read, ${outbox} not acknowledged`,
    ...(lastError === null
      ? []
      : [
          `error     ${oneLine(lastError.message)} (${lastError.type}), step ${lastError.step ?? "?"}, ${attempts} attempts since ${lastError.since}`,
        ]),
    ...(stack === null ? [] : [stack.replaceAll(/^/gm, "          ")]),
    ...(inspection.killRequested ? ["It is being killed."] : []),
    ...waitingLines(waiting),
    ...(sessions.length === 0 ? [] : ["", renderTable(SESSION_COLUMNS, sessions, width)]),
  ].join("\n");
}
