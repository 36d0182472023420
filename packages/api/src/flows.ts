import Type from "typebox";
import { defineRoute, instant, named, noParams, nullable, strictObject } from "./route.ts";

const tag = "Flow Management";
const vnode = { holdingidentityshorthash: Type.String() };
const flow = { ...vnode, clientrequestid: Type.String() };
const VNODE_ERRORS = { 400: "The short hash is not twelve hexadecimal digits.", 404: "There is no such virtual node." };
const FLOW_ERRORS = { ...VNODE_ERRORS, 404: "There is no such virtual node, or no flow of this client request id." };

/** What a client may call its requests. */
export const CLIENT_REQUEST_ID = /^[-._A-Za-z0-9]{1,242}$/;

export const FLOW_STATUSES = ["START_REQUESTED", "RUNNING", "COMPLETED", "FAILED", "KILLED"] as const;
export type RestFlowStatus = (typeof FLOW_STATUSES)[number];
/** A flow in one of these never changes again. */
export const TERMINAL_STATUSES: readonly RestFlowStatus[] = ["COMPLETED", "FAILED", "KILLED"];

/** The longest that a client may have the server wait for a flow. */
const WAIT_MS_MAX = 60_000;

const common = {
  holdingIdentityShortHash: Type.String(),
  clientRequestId: nullable(Type.String()),
  flowId: nullable(Type.String()),
  flowStatus: Type.Enum([...FLOW_STATUSES]),
  flowError: nullable(named("FlowStateErrorResponse", Type.Object({ type: Type.String(), message: Type.String() }))),
  timestamp: instant,
};

export const FlowStatusReply = named(
  "FlowStatusResponse",
  Type.Object({ ...common, flowResult: nullable(Type.String({ description: "What the flow returned, as text." })) }),
);

export const FlowResultReply = named(
  "FlowResultResponse",
  Type.Object({ ...common, json: Type.Unknown({ description: "What the flow returned, as JSON; null until it has." }) }),
);

const StartFlow = named(
  "StartFlowParameters",
  strictObject({
    clientRequestId: Type.String({ description: "Yours; the same id never starts two flows. Pattern [-._A-Za-z0-9]{1,242}." }),
    flowClassName: Type.String(),
    requestBody: Type.Unknown({ description: "Any JSON, or a string that holds JSON. It must fit the flow's input schema." }),
  }),
);

export const startFlow = defineRoute({
  method: "POST",
  path: "/flow/{holdingidentityshorthash}",
  tag,
  summary: "Starts a flow. The same request again answers the flow that it started.",
  params: Type.Object(vnode),
  query: noParams,
  body: { kind: "json", schema: StartFlow, wrapper: "startFlow" },
  statuses: [202],
  reply: FlowStatusReply,
  errors: {
    400: "A bad short hash or client request id, a flow that clients may not start, or a request body that does not fit the flow's schema.",
    404: "There is no such virtual node.",
    405: "The virtual node does not start flows now.",
    409: "The client request id has started another flow, or this one with another body.",
  },
});

export const listFlows = defineRoute({
  method: "GET",
  path: "/flow/{holdingidentityshorthash}",
  tag,
  summary: "The flows of one virtual node.",
  params: Type.Object(vnode),
  query: Type.Object({ status: Type.Optional(Type.Enum([...FLOW_STATUSES])) }),
  body: undefined,
  reply: named("FlowStatusResponses", Type.Object({ flowStatusResponses: Type.Array(FlowStatusReply) })),
  errors: { ...VNODE_ERRORS, 400: "A bad short hash, or no status of a flow." },
});

export const getFlow = defineRoute({
  method: "GET",
  path: "/flow/{holdingidentityshorthash}/{clientrequestid}",
  tag,
  summary: "The status of one flow.",
  params: Type.Object(flow),
  query: noParams,
  body: undefined,
  reply: FlowStatusReply,
  errors: FLOW_ERRORS,
});

export const getFlowResult = defineRoute({
  method: "GET",
  path: "/flow/{holdingidentityshorthash}/{clientrequestid}/result",
  tag,
  summary: "The result of one flow: 202 while it runs, 200 when it has completed, failed or was killed.",
  params: Type.Object(flow),
  query: Type.Object({
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: WAIT_MS_MAX,
        description: "Not of the original: answer when the flow has ended, or when this time is over.",
      }),
    ),
  }),
  body: undefined,
  statuses: [200, 202],
  reply: FlowResultReply,
  errors: FLOW_ERRORS,
});

export const listFlowClasses = defineRoute({
  method: "GET",
  path: "/flowclass/{holdingidentityshorthash}",
  tag: "Flow Info",
  summary: "The flows that clients may start on one virtual node.",
  params: Type.Object(vnode),
  query: noParams,
  body: undefined,
  reply: named("StartableFlowsResponse", Type.Object({ flowClassNames: Type.Array(Type.String()) })),
  errors: VNODE_ERRORS,
});
