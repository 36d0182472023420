// What an operator does with one flow, and how its steps are read. None of it is of the original.

import Type from "typebox";
import { EXTENSION, FLOW_ERRORS, FlowStatusReply, oneFlow, tag } from "./flows.ts";
import { defineRoute, instant, named, noParams, nullable } from "./route.ts";

const path = "/flow/{holdingidentityshorthash}/{clientrequestid}";
const shared = { tag, versions: EXTENSION, params: Type.Object(oneFlow), body: undefined, errors: FLOW_ERRORS } as const;

/** Steps that one page of a journal shows, and characters of JSON of each payload. */
const STEPS_SHOWN_MAX = 1_000;
const STEPS_SHOWN = 100;
const PAYLOAD_SHOWN_MAX = 65_536;
const PAYLOAD_SHOWN = 2_048;

/** Server-sent events: the id of each is the version of the flow's row, its data the whole status. */
export const followFlow = defineRoute({
  ...shared,
  method: "GET",
  path: `${path}/events`,
  summary:
    "The status of one flow as server-sent events: at once, at every change, and last when it has ended (204 where that was told already). To resume without a gap send the last event's id, as Last-Event-ID or lastEventId.",
  query: Type.Object({
    lastEventId: Type.Optional(Type.Integer({ minimum: 0, description: "The last event that you have: only what is newer is told." })),
  }),
  statuses: [200, 204],
  reply: FlowStatusReply,
  media: "text/event-stream",
  errors: { ...FLOW_ERRORS, 429: "Too many streams are open; try again later." },
});

export const killFlow = defineRoute({
  ...shared,
  method: "POST",
  path: `${path}/kill`,
  summary: "Ends a flow. Its counterparties hear of it; what it has committed stays. A flow that is killed already is answered as it is.",
  query: noParams,
  statuses: [202, 200],
  reply: FlowStatusReply,
  errors: { ...FLOW_ERRORS, 409: "The flow has ended otherwise." },
});

export const retryFlow = defineRoute({
  ...shared,
  method: "POST",
  path: `${path}/retry`,
  summary:
    "Lets a parked flow go on from its last commit; with code=current, a parked or running one in the code of the virtual node's present CPI, if its journal replays there.",
  query: Type.Object({
    code: Type.Optional(
      Type.Enum(["own", "current"], {
        description: "own: the code in which the flow began. current: that of the CPI which the virtual node has now.",
        default: "own",
      }),
    ),
  }),
  statuses: [202],
  reply: FlowStatusReply,
  errors: {
    ...FLOW_ERRORS,
    409: "The flow is not parked, or has ended; or the present CPI has no such flow, or its code does not do what the journal says.",
  },
});

const session = named(
  "FlowSession",
  Type.Object({
    id: Type.String(),
    side: Type.Enum(["initiator", "responder"]),
    counterparty: Type.String(),
    protocol: Type.String(),
    version: nullable(Type.Integer({ description: "Null until the responder has chosen." })),
    status: Type.String(),
    sent: Type.Integer({ description: "Messages sent." }),
    consumed: Type.Integer({ description: "Messages received." }),
    expiresAt: instant,
    failure: nullable(Type.Object({ type: Type.String(), message: Type.String() })),
  }),
);

const waiting = Type.Array(
  Type.Object({
    path: Type.String(),
    kind: Type.String(),
    until: nullable(instant),
  }),
  { description: "Steps that it has asked and waits for." },
);

export const inspectFlow = defineRoute({
  ...shared,
  method: "GET",
  path: `${path}/inspect`,
  summary: "All that is known of one flow but its payloads: where it stands, what it waits for, its sessions, and why it is parked.",
  query: noParams,
  reply: named(
    "FlowInspection",
    Type.Object({
      status: FlowStatusReply,
      parked: Type.Boolean({ description: "It runs no further until an operator retries or kills it." }),
      killRequested: Type.Boolean(),
      bundle: Type.String({ description: "The checksum of the package whose code it is pinned to, or platform." }),
      x500Name: Type.String(),
      startedBy: nullable(Type.String({ description: "The user who started it; null where a counterparty did." })),
      counterparty: nullable(Type.String({ description: "Whose message started it, where it answers a session." })),
      version: Type.Integer({ description: "Of its row: every commit raises it by one." }),
      wakeAt: nullable(instant),
      steps: Type.Integer({ description: "Steps in its journal." }),
      waiting,
      sessions: Type.Array(session),
      inbox: Type.Integer({ description: "Messages that arrived and are not consumed." }),
      outbox: Type.Integer({ description: "Messages that their receivers have not acknowledged." }),
      attempts: Type.Integer({ description: "How often in a row it has failed for want of the world, or of an operator." }),
      lastError: nullable(
        Type.Object({
          type: Type.String(),
          message: Type.String(),
          stack: nullable(Type.String()),
          step: nullable(Type.String({ description: "The step that fails, where it is one." })),
          since: instant,
        }),
      ),
    }),
  ),
});

/** A value as JSON, or the beginning of its text where it is longer than was asked for. */
const payload = named(
  "FlowPayload",
  Type.Object({
    bytes: Type.Integer({ description: "Of its canonical form." }),
    json: Type.Optional(Type.Unknown({ description: "The value; bytes as base64, great integers as text." })),
    beginning: Type.Optional(Type.String({ description: "Of its JSON text, where all of it is more than payloadLimit." })),
  }),
);

export const FlowStepReply = named(
  "FlowStep",
  Type.Object({
    path: Type.String({ description: "3.1 is the first step of the child that step 3 runs." }),
    kind: Type.String(),
    asked: nullable(payload),
    answer: nullable(payload),
    error: nullable(Type.Object({ type: Type.String(), message: Type.String() })),
    askedAt: nullable(instant),
    answeredAt: instant,
    durationMs: nullable(Type.Integer()),
    sessions: Type.Array(Type.Object({ id: Type.String(), counterparty: nullable(Type.String()), protocol: nullable(Type.String()) })),
  }),
);

/** A place in a journal; later ones there cannot be. */
const JOURNAL_PLACE_MAX = 2 ** 51 - 1;

export const readJournal = defineRoute({
  ...shared,
  method: "GET",
  path: `${path}/journal`,
  summary:
    "Every step of a flow, past or running: what it asked, what it got, when, how long, over which session and with whom. It shows payloads, and so needs the permission ReadJournal:<flow class> too.",
  query: Type.Object({
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: STEPS_SHOWN_MAX, default: STEPS_SHOWN, description: "At most so many steps." }),
    ),
    after: Type.Optional(Type.Integer({ minimum: 0, maximum: JOURNAL_PLACE_MAX, description: "Where the page before ended: its `next`." })),
    payloadLimit: Type.Optional(
      Type.Integer({ minimum: 0, maximum: PAYLOAD_SHOWN_MAX, default: PAYLOAD_SHOWN, description: "Characters of JSON of each payload." }),
    ),
  }),
  reply: named(
    "FlowJournal",
    Type.Object({
      status: FlowStatusReply,
      input: nullable(payload),
      startedBy: nullable(Type.String()),
      counterparty: nullable(Type.String({ description: "Whose message started it, where it answers a session." })),
      steps: Type.Array(FlowStepReply),
      waiting,
      next: nullable(Type.Integer({ description: "Null on the last page." })),
    }),
  ),
});

export const recordFlow = defineRoute({
  ...shared,
  method: "GET",
  path: `${path}/recording`,
  summary:
    "A flow and its whole journal, as bowline flow replay takes it. It holds payloads, and so needs the permission ReadJournal:<flow class> too.",
  query: noParams,
  reply: named(
    "FlowRecording",
    Type.Object({
      recording: Type.Integer({ description: "The version of this format." }),
      flow: Type.Unknown(),
      steps: Type.Array(Type.Unknown()),
    }),
  ),
});

export const JOURNAL_DEFAULTS = { steps: STEPS_SHOWN, payload: PAYLOAD_SHOWN } as const;
