// The status of one flow as server-sent events. The id of an event is the version of the flow's row and its data is the whole
// status, so nothing is kept here for a client: whoever comes back with the last id it has, to this process or another,
// hears what is newer. Two changes in quick succession may be one event; the newest state is always told, and so is the end.
//
// Guarantees: no state is lost between two connections; a stream ends after the terminal status.

import { followFlow } from "@bowline/api";
import { HEARTBEAT, writeEvent, writeRetry } from "@bowline/api/events";
import type { Clock } from "@bowline/base";
import type { FlowRow } from "@bowline/flow";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { VirtualNodeInfo } from "../services.ts";
import type { RestShell } from "./answers.ts";
import { HEARTBEAT_MS, lastEventOf, RETRY_MS, STREAM_MS_MAX, type Stream, type Streams } from "./event-streams.ts";
import { isOver, requireFlow, statusBody } from "./flow-answers.ts";
import { inputReader, requireVirtualNode } from "./input.ts";

/** Below the version of any row. */
const NOTHING_TOLD = -1;

export interface FlowEventsOptions {
  readonly shell: RestShell;
  readonly clock: Clock;
  readonly admit: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
  readonly streams: Streams;
}

export function serveFlowEvents(app: FastifyInstance, { shell, clock, admit, streams }: FlowEventsOptions): void {
  const read = inputReader(followFlow, "");
  for (const version of followFlow.versions)
    app.route({
      method: "GET",
      url: `/api/${version}${followFlow.path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
      onRequest: admit,
      async handler(request, reply) {
        const { params, query } = (await read(request)) as {
          readonly params: { readonly holdingidentityshorthash: string; readonly clientrequestid: string };
          readonly query: { readonly lastEventId?: number };
        };
        const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
        const row = await requireFlow(shell, node, params.clientrequestid);
        const last = lastEventOf(request, query.lastEventId) ?? NOTHING_TOLD;
        // An EventSource that is answered so does not come back.
        if (isOver(row) && last === row.version) return reply.code(204).send();
        const stream = streams.open(request, reply);
        void follow(stream, { shell, clock, node, row, last }).finally(() => stream.end());
        return reply;
      },
    });
}

interface Following {
  readonly shell: RestShell;
  readonly clock: Clock;
  readonly node: VirtualNodeInfo;
  readonly row: FlowRow;
  readonly last: number;
}

async function follow(stream: Stream, { shell, clock, node, row, last }: Following): Promise<void> {
  const endAt = clock.now() + STREAM_MS_MAX;
  const vnode = node.holdingIdentity.shortHash;
  await stream.write(writeRetry(RETRY_MS), clock);
  // An id that is newer than the flow is of a past that a restored database has forgotten.
  let told = last > row.version ? NOTHING_TOLD : last;
  for (let now: FlowRow | null = row; now !== null && stream.isOpen; ) {
    if (now.version > told) {
      told = now.version;
      await stream.write(writeEvent({ id: String(told), type: "status", data: JSON.stringify(statusBody(now, node)) }), clock);
    } else await stream.write(HEARTBEAT, clock);
    if (isOver(now) || clock.now() >= endAt) return;
    // The world may be down for a moment: the client comes back, and hears what it has missed.
    now = await shell.services.persistence
      .flowStatus({ vnode, flowId: row.id, waitMs: HEARTBEAT_MS, afterVersion: told })
      .catch(() => null);
  }
}
