// The rows with which flows begin. Pure.

import type { Data, Instant } from "@bowline/base";
import type { FlowIdentity } from "@bowline/sdk";
import type { Bundle } from "./flow-state.ts";
import { LEASE_MS } from "./limits.ts";
import type { FlowOrigin, FlowRow, FlowStart, Responder, SessionMessage, SessionRow } from "./ports.ts";
import { openedSession } from "./sessions.ts";

/** A flow that a client starts. If whoever wakes it dies, its lease runs out and another finds it. */
export const clientStart = (flow: {
  readonly id: string;
  /** 32 unpredictable bytes. */
  readonly seed: Uint8Array;
  readonly bundle: Bundle;
  readonly flowName: string;
  readonly identity: Omit<FlowIdentity, "flowId">;
  readonly clientRequestId: string;
  readonly startedBy: string;
  readonly input: Data;
  readonly now: Instant;
}): FlowStart => ({
  row: {
    id: flow.id,
    bundle: flow.bundle,
    flowName: flow.flowName,
    identity: { ...flow.identity, flowId: flow.id },
    origin: { kind: "client", clientRequestId: flow.clientRequestId, startedBy: flow.startedBy, input: flow.input },
    seed: flow.seed,
    wakeAt: flow.now + LEASE_MS,
    createdAt: flow.now,
  },
});

/** A flow that a counterparty's first message starts, with its side of the session. Its first commit inserts both. */
export function responderStart(start: {
  readonly opening: SessionMessage;
  readonly responder: Responder;
  readonly version: number;
  readonly flowId: string;
  readonly seed: Uint8Array;
  readonly now: Instant;
}): { readonly row: FlowRow; readonly session: SessionRow } {
  const { opening, responder, version, flowId, seed, now } = start;
  const { session: id, source: counterparty, destination: me, groupId, init } = opening;
  const origin: FlowOrigin = { kind: "session", session: id, counterparty, version };
  const timeoutMs = Math.max(1, init?.timeoutMs ?? opening.expiresAt - now);
  const begun: FlowStart["row"] = {
    id: flowId,
    bundle: responder.bundle,
    flowName: responder.flowName,
    identity: { flowId, me, groupId },
    origin,
    seed,
    wakeAt: null,
    createdAt: now,
  };
  return {
    row: startedRow({ row: begun }),
    session: openedSession({
      id,
      flowId,
      side: "responder",
      counterparty,
      protocol: init?.protocol ?? responder.protocol,
      version,
      timeoutMs,
      now,
    }),
  };
}

/** The row as it is when nothing has happened yet. */
export const startedRow = ({ row }: FlowStart): FlowRow => ({
  ...row,
  status: "START_REQUESTED",
  version: 0,
  commitId: "",
  kill: false,
  waiting: [],
  outcome: null,
  updatedAt: row.createdAt,
});
