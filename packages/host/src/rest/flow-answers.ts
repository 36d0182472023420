// Flows as a client sees them: started, listed, and what became of them. A flow starts after the original's checks, in the
// original's order.

import { CLIENT_REQUEST_ID, type FLOW_FILTERS, type RestFlowStatus, TERMINAL_STATUSES } from "@bowline/api";
import { BowlineError, badRequest, type Data, readJson, type SecureHash, schemaRefusal, writeJson } from "@bowline/base";
import type { FlowRow, FlowStatus } from "@bowline/flow";
import type { CordappManifest } from "@bowline/sdk";
import { Check, Errors, type XSchema } from "typebox/schema";
import type { CpiInfo, VirtualNodeInfo } from "../services.ts";
import type { Answers, RestShell } from "./answers.ts";
import { requireVirtualNode } from "./input.ts";

/** How many flows a page lists where nothing is said. */
const FLOWS_LISTED = 1_000;

type FlowOperations = "startFlow" | "startFlowOfClass" | "listFlows" | "getFlow" | "getFlowResult" | "listFlowClasses";

export function flowAnswers(shell: RestShell): Pick<Answers, FlowOperations> {
  const { persistence } = shell.services;
  return {
    async startFlow({ params, query, body, login, version }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const row = await start(shell, node, body, login, version);
      if (query.waitMs === undefined) return { status: 202, body: statusBody(row, node) };
      const ended = await waited(shell, node, row, query.waitMs);
      return { status: statusOf(ended), body: { ...statusBody(ended, node), json: resultOf(ended) } };
    },
    async startFlowOfClass({ params, query, body, login, version }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const { clientRequestId, waitMs } = query;
      const started = { clientRequestId, flowClassName: params.flowclassname, requestBody: body };
      const row = await start(shell, node, started, login, version);
      const ended = waitMs === undefined ? row : await waited(shell, node, row, waitMs);
      return { status: waitMs === undefined ? 202 : statusOf(ended), body: resultBody(ended, node) };
    },
    async listFlows({ params, query }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const { status, flowClassName, startedAfter, startedBefore, limit = FLOWS_LISTED, after } = query;
      const { rows, next } = await persistence.flowStatuses({
        vnode: node.holdingIdentity.shortHash,
        ...(status === undefined ? {} : { status: rowStatuses(status) }),
        ...(flowClassName === undefined ? {} : { flowName: flowClassName }),
        ...(startedAfter === undefined ? {} : { startedAfter: momentOf(startedAfter, "startedAfter") }),
        ...(startedBefore === undefined ? {} : { startedBefore: momentOf(startedBefore, "startedBefore") }),
        ...(after === undefined ? {} : { after }),
        limit,
      });
      return { body: { flowStatusResponses: rows.map((row) => statusBody(row, node)), next } };
    },
    async getFlow({ params }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      return { body: statusBody(await requireFlow(shell, node, params.clientrequestid), node) };
    },
    async getFlowResult({ params, query }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const row = await requireFlow(shell, node, params.clientrequestid, query.waitMs);
      return { status: statusOf(row), body: resultBody(row, node) };
    },
    async listFlowClasses({ params }) {
      const cpi = await cpiOf(shell, await requireVirtualNode(shell, params.holdingidentityshorthash));
      return { body: { flowClassNames: startableFlows(cpi) } };
    },
  };
}

export const isOver = ({ status }: FlowRow): boolean => TERMINAL_STATUSES.includes(restStatus(status));
const statusOf = (row: FlowRow): number => (isOver(row) ? 200 : 202);

/** What is over already is not asked for again. */
async function waited(shell: RestShell, node: VirtualNodeInfo, row: FlowRow, waitMs: number): Promise<FlowRow> {
  if (isOver(row) || row.origin.kind !== "client") return row;
  return requireFlow(shell, node, row.origin.clientRequestId, waitMs);
}

/** ISO 8601, as the schema has checked its form; the 31st of June has that form too. */
function momentOf(text: string, field: string): number {
  const moment = Date.parse(text);
  if (Number.isFinite(moment)) return moment;
  throw badRequest("input.invalid", `query/${field} is no moment in time.`, { field: `query/${field}`, reason: "is no moment in time" });
}

interface StartBody {
  readonly clientRequestId: string;
  readonly flowClassName: string;
  readonly requestBody: unknown;
}

async function start(shell: RestShell, node: VirtualNodeInfo, body: StartBody, login: string, version: string): Promise<FlowRow> {
  const { clientRequestId, flowClassName } = body;
  const vnode = node.holdingIdentity.shortHash;
  if (node.statuses.flowStart !== "ACTIVE")
    throw new BowlineError("notAllowed", "flow.startInactive", `The virtual node ${vnode} does not start flows now.`, { id: vnode });
  if (!CLIENT_REQUEST_ID.test(clientRequestId))
    throw badRequest("flow.clientRequestId", "clientRequestId has 1 to 242 characters of -._ A-Z a-z 0-9.", { field: "clientRequestId" });
  const cpi = await cpiOf(shell, node);
  const found = findStartable(cpi, flowClassName);
  // A used id comes before the refusals that follow; asking costs a call, so it is asked only where one of them is due.
  if (found === undefined) throw await insteadOf(shell, node, clientRequestId, notStartable(cpi, node, flowClassName));
  const permission = `StartFlow:${flowClassName}`;
  if (!(await shell.services.db.authorise({ login, permission })))
    throw await insteadOf(
      shell,
      node,
      clientRequestId,
      new BowlineError("forbidden", "flow.startForbidden", `User ${login} may not start ${flowClassName}: ${permission} is not allowed.`, {
        permission,
        version,
      }),
    );
  const input = flowInput(found.flow.input, body.requestBody as Data);
  if (input instanceof BowlineError) throw await insteadOf(shell, node, clientRequestId, input);
  const { kind, row } = await shell.services.persistence.startFlow({
    vnode,
    identity: { me: node.holdingIdentity.x500Name, groupId: node.holdingIdentity.groupId },
    properties: { platform: { "corda.account": login }, user: {} },
    clientRequestId,
    flowName: flowClassName,
    bundle: found.bundle,
    startedBy: login,
    input,
  });
  if (kind === "conflict") throw used(clientRequestId);
  return row;
}

async function insteadOf(shell: RestShell, node: VirtualNodeInfo, clientRequestId: string, refusal: BowlineError): Promise<BowlineError> {
  const row = await shell.services.persistence.flowStatus({ vnode: node.holdingIdentity.shortHash, clientRequestId });
  return row === null ? refusal : used(clientRequestId);
}

const used = (clientRequestId: string): BowlineError =>
  new BowlineError(
    "conflict",
    "flow.requestConflict",
    `The client request id ${clientRequestId} has started another flow, or this one with another body.`,
    {
      clientRequestId,
    },
  );

type ManifestFlow = CordappManifest["flows"][number];

function findStartable(cpi: CpiInfo, name: string): { readonly flow: ManifestFlow; readonly bundle: SecureHash } | undefined {
  for (const { manifest, fileChecksum } of cpi.cpks) {
    const flow = manifest.flows.find((each) => each.startable && each.name === name);
    if (flow !== undefined) return { flow, bundle: fileChecksum };
  }
  return undefined;
}

const startableFlows = (cpi: CpiInfo): string[] =>
  cpi.cpks.flatMap(({ manifest }) => manifest.flows.filter(({ startable }) => startable).map(({ name }) => name));

function notStartable(cpi: CpiInfo, node: VirtualNodeInfo, name: string): BowlineError {
  const startable = startableFlows(cpi);
  return badRequest("flow.notStartable", `${name} is no flow that clients may start here. There are: ${startable.join(", ") || "none"}.`, {
    "CPI-name": cpi.id.cpiName,
    "CPI-version": cpi.id.cpiVersion,
    "CPI-signer-summary-hash": cpi.id.signerSummaryHash,
    "virtual-node": node.holdingIdentity.x500Name,
    "group-id": node.holdingIdentity.groupId,
    startableFlows: startable.join(","),
  });
}

/**
 * What the flow gets. A text is taken as it is where the flow's schema wants a text, else as the JSON it holds.
 * The schema comes from a package: it is interpreted, never compiled to code.
 */
function flowInput(schema: unknown, given: Data): Data | BowlineError {
  const held = typeof given === "string" ? heldJson(given) : undefined;
  if (held instanceof BowlineError) return held;
  if (!isSchema(schema)) return held ?? given;
  if (Check(schema, given)) return given;
  const value = held ?? given;
  const [fits, complaints] = Errors(schema, value);
  if (fits) return value;
  return schemaRefusal(complaints, "requestBody");
}

const isSchema = (value: unknown): value is XSchema => typeof value === "object" && value !== null;

function heldJson(text: string): Data | BowlineError | undefined {
  try {
    return readJson(text, "requestBody");
  } catch (error) {
    // Text that begins as JSON does is meant as JSON: its mistake is what the client wants to hear of.
    return error instanceof BowlineError && /^\s*[[{]/.test(text) ? error : undefined;
  }
}

/** By client request id; by flow id where no request has that name. */
export async function requireFlow({ services }: RestShell, node: VirtualNodeInfo, id: string, waitMs?: number): Promise<FlowRow> {
  const vnode = node.holdingIdentity.shortHash;
  const wait = waitMs === undefined ? {} : { waitMs };
  const row =
    (await services.persistence.flowStatus({ vnode, clientRequestId: id, ...wait })) ??
    (await services.persistence.flowStatus({ vnode, flowId: id, ...wait }));
  if (row !== null) return row;
  throw new BowlineError("notFound", "flow.unknown", `There is no flow with client request id or flow id ${id}.`, { clientRequestId: id });
}

export async function cpiOf({ directory }: RestShell, node: VirtualNodeInfo): Promise<CpiInfo> {
  const cpi = await directory.cpi(node.cpi.fileChecksum);
  if (cpi !== undefined) return cpi;
  throw new BowlineError("notFound", "cpi.unknown", `The CPI of virtual node ${node.holdingIdentity.shortHash} is not there.`, {});
}

/** A parked flow is, to its client, one that still runs. */
const restStatus = (status: FlowStatus): RestFlowStatus => (status === "PARKED" ? "RUNNING" : status);
const rowStatuses = (status: (typeof FLOW_FILTERS)[number]): readonly FlowStatus[] =>
  status === "RUNNING" ? ["RUNNING", "PARKED"] : [status];

export function statusBody(row: FlowRow, node: VirtualNodeInfo) {
  const { outcome, origin } = row;
  const flowStatus = restStatus(row.status);
  return {
    holdingIdentityShortHash: node.holdingIdentity.shortHash,
    clientRequestId: origin.kind === "client" ? origin.clientRequestId : null,
    flowId: row.id,
    flowStatus,
    flowResult: outcome !== null && "ok" in outcome ? resultText(outcome.ok) : null,
    flowError:
      // Of a parked flow it says why it is parked.
      (row.status === "FAILED" || row.status === "PARKED") && outcome !== null && "error" in outcome
        ? { type: outcome.error.type, message: outcome.error.message }
        : null,
    timestamp: new Date(row.updatedAt).toISOString(),
    flowClassName: row.flowName,
    startTimestamp: new Date(row.createdAt).toISOString(),
  };
}

function resultBody(row: FlowRow, node: VirtualNodeInfo) {
  const { flowResult: _, ...common } = statusBody(row, node);
  return { ...common, json: resultOf(row) };
}

const resultOf = ({ outcome }: FlowRow): unknown => (outcome !== null && "ok" in outcome ? resultJson(outcome.ok) : null);

const resultText = (value: Data): string => (typeof value === "string" ? value : writeJson(value));

/** Text that holds a JSON object or array is given as that; other text stays text. */
function resultJson(value: Data): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return jsonOf(value);
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Bytes and great integers as JSON can say them. */
export const jsonOf = (value: Data): unknown => JSON.parse(writeJson(value));
