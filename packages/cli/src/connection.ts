// A network as commands see it: the typed client of `@bowline/api` over kept-alive HTTPS, and the few questions that
// several commands ask.

import {
  type CallInput,
  type Client,
  createClient,
  type Fetch,
  type OperationName,
  type Operations,
  operations,
  type QueryOf,
  type ReplyOf,
  TERMINAL_STATUSES,
} from "@bowline/api";
import { BowlineError } from "@bowline/base";
import { Agent, request } from "undici";
import { followStatus } from "./follow.ts";
import { type NamedNode, resolveIdentity } from "./identity.ts";
import type { FlowEnd, FlowPort } from "./import.ts";
import type { Target } from "./network.ts";

/** Requests that may be on their way at once. */
const CONNECTIONS_MAX = 64;
const HEADERS_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 30_000;

export type ReplyTo<Name extends OperationName> = ReplyOf<Operations[Name]>;
export type FlowStatusReply = ReplyOf<Operations["getFlow"]>;
export type VirtualNodeReply = ReplyOf<Operations["getVirtualNode"]>;
export type CpiReply = ReplyOf<Operations["listCpis"]>["cpis"][number];

export interface Connection {
  readonly url: string;
  /** Throws the platform's refusal as a `BowlineError`. */
  call<Name extends OperationName>(name: Name, input: CallInput<Operations[Name]>): Promise<ReplyOf<Operations[Name]>>;
  virtualNodes(): Promise<readonly (VirtualNodeReply & NamedNode)[]>;
  /** The virtual node that `text` means: a name, a part of one, or a short hash. */
  virtualNode(text: string): Promise<NamedNode>;
  readonly flows: FlowPort;
  /** A flow's states as they come, the terminal one last. */
  follow(vnode: string, id: string): AsyncIterable<FlowStatusReply>;
  /** All flows that fit, page by page. */
  flowPages(vnode: string, query: QueryOf<Operations["listFlows"]>): AsyncIterable<readonly FlowStatusReply[]>;
  close(): Promise<void>;
}

/** Opens nothing yet: the first call does. */
export function connectTo({ url, user, password, ca }: Target): Connection {
  const agent = new Agent({
    connections: CONNECTIONS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    bodyTimeout: HEADERS_TIMEOUT_MS,
    ...(ca === undefined ? {} : { connect: { ca } }),
  });
  const client = createClient({ baseUrl: url, user, password, version: "v5_3", fetch: fetchThrough(agent) });
  const connection: Connection = {
    url,
    call: async (name, input) => (await client.call(operations[name], input)).body,
    async virtualNodes() {
      const { virtualNodes } = await connection.call("listVirtualNodes", {});
      return virtualNodes.map((node) => ({ ...node, ...node.holdingIdentity }));
    },
    virtualNode: async (text) => resolveIdentity(text, await connection.virtualNodes()),
    flows: flowPort(client),
    follow: (vnode, id) => followStatus({ url, user, password, dispatcher: agent }, vnode, id),
    async *flowPages(vnode, query) {
      const params = { holdingidentityshorthash: vnode };
      for (let after = query.after; ; ) {
        const page = await connection.call("listFlows", { params, query: { ...query, ...(after == null ? {} : { after }) } });
        yield page.flowStatusResponses;
        if (page.next === null) return;
        after = page.next;
      }
    },
    close: () => agent.close(),
  };
  return connection;
}

/** undici's `request` costs a third of a `fetch`, and an import is thousands of them. */
function fetchThrough(agent: Agent): Fetch {
  return async (url, { method, headers, body }) => {
    // The platform knows how to write a form: its boundary, its parts, its content type.
    const form = body instanceof FormData ? new Response(body) : undefined;
    const sent = form === undefined ? body : new Uint8Array(await form.arrayBuffer());
    const contentType = form?.headers.get("content-type");
    const answer = await request(url, {
      dispatcher: agent,
      method: method as "GET",
      headers: contentType == null ? headers : { ...headers, "content-type": contentType },
      ...(typeof sent === "string" || sent instanceof Uint8Array ? { body: sent } : {}),
    });
    const answered = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) answered.set(name, String(value));
    return { status: answer.statusCode, headers: answered, text: () => answer.body.text() };
  };
}

function flowPort(client: Client): FlowPort {
  return {
    async start(vnode, { clientRequestId, flow, input }) {
      const params = { holdingidentityshorthash: vnode };
      try {
        const { body } = await client.call(operations.startFlow, {
          params,
          body: { clientRequestId, flowClassName: flow, requestBody: input },
        });
        return !TERMINAL_STATUSES.includes(body.flowStatus);
      } catch (thrown) {
        // Corda answers so to a repeated start; it is the same flow, for the id derives from what it is asked.
        if (thrown instanceof BowlineError && thrown.kind === "conflict") return false;
        throw thrown;
      }
    },
    async result(vnode, clientRequestId) {
      const params = { holdingidentityshorthash: vnode, clientrequestid: clientRequestId };
      const { body } = await client.call(operations.getFlowResult, { params });
      return flowEnd(body);
    },
  };
}

export function flowEnd({ flowStatus, flowError, json }: ReplyOf<Operations["getFlowResult"]>): FlowEnd | undefined {
  if (flowStatus === "COMPLETED") return { kind: "completed", result: json };
  if (flowStatus === "FAILED")
    return { kind: "failed", type: flowError?.type ?? "flow.failed", message: flowError?.message ?? "The flow failed." };
  if (flowStatus === "KILLED") return { kind: "failed", type: "flow.killed", message: "An operator killed the flow." };
  if (flowError !== null)
    return { kind: "failed", type: flowError.type, message: `The flow is parked, and waits for an operator: ${flowError.message}` };
  return undefined;
}
