import Type from "typebox";
import { defineRoute, instant, named, noParams, nullable, strictObject } from "./route.ts";

/** What is not of the original is served in the newest version alone. */
export const EXTENSION = ["v5_3"] as const;
export const tag = "Flow Management";
const vnode = { holdingidentityshorthash: Type.String() };
export const oneFlow = { ...vnode, clientrequestid: Type.String() };
export const VNODE_ERRORS = { 400: "The short hash is not twelve hexadecimal digits.", 404: "There is no such virtual node." };
export const FLOW_ERRORS = { ...VNODE_ERRORS, 404: "There is no such virtual node, or no flow of this client request id." };

const clientRequestId = Type.String({ description: "Yours; the same id never starts two flows. Pattern [-._A-Za-z0-9]{1,242}." });

/** What a client may call its requests. */
export const CLIENT_REQUEST_ID = /^[-._A-Za-z0-9]{1,242}$/;

export const FLOW_STATUSES = ["START_REQUESTED", "RUNNING", "COMPLETED", "FAILED", "KILLED"] as const;
export type RestFlowStatus = (typeof FLOW_STATUSES)[number];
/** A flow in one of these never changes again. */
export const TERMINAL_STATUSES: readonly RestFlowStatus[] = ["COMPLETED", "FAILED", "KILLED"];

/** What lists can be asked for: a parked flow is shown as RUNNING, with its error. */
export const FLOW_FILTERS = [...FLOW_STATUSES, "PARKED"] as const;

/** The longest that a client may have the server wait for a flow. */
const WAIT_MS_MAX = 60_000;
const waitMs = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: WAIT_MS_MAX,
    description: "Not of the original: answer when the flow has ended, or when this time is over.",
  }),
);
/** How many flows one page lists. */
const FLOWS_LISTED_MAX = 1_000;

const common = {
  holdingIdentityShortHash: Type.String(),
  clientRequestId: nullable(Type.String()),
  flowId: nullable(Type.String()),
  flowStatus: Type.Enum([...FLOW_STATUSES]),
  flowError: nullable(named("FlowStateErrorResponse", Type.Object({ type: Type.String(), message: Type.String() }))),
  timestamp: instant,
  flowClassName: Type.String({ description: "Not of the original." }),
  startTimestamp: Type.String({ format: "date-time", description: "Not of the original: when the flow was asked for." }),
};
const jsonResult = Type.Unknown({ description: "What the flow returned, as JSON; null until it has." });

export const FlowStatusReply = named(
  "FlowStatusResponse",
  Type.Object({ ...common, flowResult: nullable(Type.String({ description: "What the flow returned, as text." })) }),
);

export const FlowResultReply = named("FlowResultResponse", Type.Object({ ...common, json: jsonResult }));

/** With `waitMs` the result is told as JSON too. */
const StartedReply = named("FlowStartedResponse", Type.Object({ ...FlowStatusReply.properties, json: Type.Optional(jsonResult) }));

const START_ERRORS = {
  400: "A bad short hash or client request id, a flow that clients may not start, or input that does not fit the flow's schema: every field is named with its reason.",
  404: "There is no such virtual node.",
  405: "The virtual node does not start flows now.",
  409: "The client request id has started another flow, or this one with another body.",
  413: "The body is too large.",
};

const StartFlow = named(
  "StartFlowParameters",
  strictObject({
    clientRequestId,
    flowClassName: Type.String(),
    requestBody: Type.Unknown({ description: "Any JSON, or a string that holds JSON. It must fit the flow's input schema." }),
  }),
);

export const startFlow = defineRoute({
  method: "POST",
  path: "/flow/{holdingidentityshorthash}",
  tag,
  summary: "Starts a flow. The same request again answers the flow that it started; with waitMs, one request is enough for its result.",
  params: Type.Object(vnode),
  query: Type.Object({ waitMs }),
  body: { kind: "json", schema: StartFlow, wrapper: "startFlow" },
  statuses: [202, 200],
  reply: StartedReply,
  errors: START_ERRORS,
});

/** Not of the original: so that each flow can have schemas of its own in the OpenAPI document. */
export const startFlowOfClass = defineRoute({
  method: "POST",
  path: "/flowclass/{holdingidentityshorthash}/{flowclassname}",
  tag: "Flow Info",
  summary: "Starts a flow: the body is its input, as it is. The same request again answers the flow that it started.",
  versions: EXTENSION,
  params: Type.Object({ ...vnode, flowclassname: Type.String() }),
  query: Type.Object({ clientRequestId, waitMs }),
  body: { kind: "json", schema: Type.Unknown() },
  statuses: [202, 200],
  reply: FlowResultReply,
  errors: START_ERRORS,
});

export const listFlows = defineRoute({
  method: "GET",
  path: "/flow/{holdingidentityshorthash}",
  tag,
  summary: "The flows of one virtual node, oldest first, page by page.",
  params: Type.Object(vnode),
  query: Type.Object({
    status: Type.Optional(
      Type.Enum([...FLOW_FILTERS], { description: "PARKED is not of the original: running flows that wait for an operator." }),
    ),
    flowClassName: Type.Optional(Type.String({ description: "Not of the original, like all that follows: only flows of this class." })),
    startedAfter: Type.Optional(Type.String({ format: "date-time", description: "Only flows that were started at this moment or later." })),
    startedBefore: Type.Optional(Type.String({ format: "date-time", description: "Only flows that were started before this moment." })),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: FLOWS_LISTED_MAX,
        description: `At most so many flows; ${FLOWS_LISTED_MAX} where nothing is said.`,
      }),
    ),
    after: Type.Optional(Type.String({ description: "Where the page before ended: its `next`." })),
  }),
  body: undefined,
  reply: named(
    "FlowStatusResponses",
    Type.Object({
      flowStatusResponses: Type.Array(FlowStatusReply),
      next: nullable(Type.String({ description: "Not of the original: null on the last page." })),
    }),
  ),
  errors: { ...VNODE_ERRORS, 400: "A bad short hash, no status of a flow, no moment in time, or a cursor that no page has given." },
});

export const getFlow = defineRoute({
  method: "GET",
  path: "/flow/{holdingidentityshorthash}/{clientrequestid}",
  tag,
  summary: "The status of one flow, by its client request id or, in all operations like this, by its flow id.",
  params: Type.Object(oneFlow),
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
  params: Type.Object(oneFlow),
  query: Type.Object({ waitMs }),
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
