// The status of one flow as server-sent events. The id of an event is the version of the flow's row and its data is the whole
// status, so nothing is kept here for a client: whoever comes back with the last id it has, to this process or another,
// hears what is newer. Two changes in quick succession may be one event; the newest state is always told, and so is the end.
//
// Guarantees: no state is lost between two connections; a stream ends after the terminal status; a quiet stream shows
// life often enough for proxies; open streams are bounded, and none outlives its credentials for long.

import { followFlow } from "@bowline/api";
import { HEARTBEAT, writeEvent, writeRetry } from "@bowline/api/events";
import { BowlineError, badRequest, type Clock } from "@bowline/base";
import type { FlowRow } from "@bowline/flow";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { VirtualNodeInfo } from "../services.ts";
import type { RestShell } from "./answers.ts";
import { isOver, requireFlow, statusBody } from "./flow-answers.ts";
import { inputReader, requireVirtualNode } from "./input.ts";

/** Of this process; and of one user, so that one alone cannot take them all. */
const STREAMS_MAX = 400;
const STREAMS_OF_USER_MAX = 100;
/** Below the idle time of common load balancers. */
const HEARTBEAT_MS = 15_000;
/** Then the client connects again, and its credentials are looked at again. */
const STREAM_MS_MAX = 10 * 60_000;
/** A client that takes nothing for so long is gone. */
const STALLED_MS_MAX = 30_000;
const RETRY_MS = 1_000;
/** Below the version of any row. */
const NOTHING_TOLD = -1;

export interface FlowEventsOptions {
  readonly shell: RestShell;
  readonly clock: Clock;
  readonly admit: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
}

export function serveFlowEvents(app: FastifyInstance, { shell, clock, admit }: FlowEventsOptions): void {
  const streams = openStreams();
  const read = inputReader(followFlow, "");
  app.addHook("preClose", async () => streams.endAll());
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
        const last = lastEventOf(request, query.lastEventId);
        // An EventSource that is answered so does not come back.
        if (isOver(row) && last === row.version) return reply.code(204).send();
        const stream = streams.open(request, reply);
        void follow(stream, { shell, clock, node, row, last }).finally(() => stream.end());
        return reply;
      },
    });
}

/** The header is what browsers send when they come back, and newer than the address they first asked for. */
function lastEventOf({ headers }: FastifyRequest, asked: number | undefined): number {
  const given = headers["last-event-id"];
  if (given === undefined || given === "") return asked ?? NOTHING_TOLD;
  if (typeof given === "string" && /^[0-9]{1,15}$/.test(given)) return Number(given);
  throw badRequest("input.invalid", "The header Last-Event-ID is the id of no event of a flow: they are whole numbers.", {
    field: "Last-Event-ID",
    reason: "is no whole number",
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

interface Stream {
  readonly isOpen: boolean;
  /** Resolves when the client can take more; ends the stream where it does not. */
  write(text: string, clock: Clock): Promise<void>;
  end(): void;
}

function openStreams() {
  const open = new Map<Stream, string>();
  return {
    open(request: FastifyRequest, reply: FastifyReply): Stream {
      const ofUser = [...open.values()].filter((login) => login === request.login).length;
      if (open.size >= STREAMS_MAX || ofUser >= STREAMS_OF_USER_MAX)
        throw new BowlineError("tooMany", "rest.tooManyStreams", "Too many streams of events are open. Close some, or try again later.", {
          allowed: String(open.size >= STREAMS_MAX ? STREAMS_MAX : STREAMS_OF_USER_MAX),
        });
      reply.headers({
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
      });
      const stream = streamOver(reply);
      open.set(stream, request.login);
      reply.raw.once("close", () => open.delete(stream));
      return stream;
    },
    endAll(): void {
      for (const stream of open.keys()) stream.end();
    },
  };
}

function streamOver(reply: FastifyReply): Stream {
  const { raw } = reply;
  reply.hijack();
  raw.writeHead(200, reply.getHeaders() as Record<string, string>);
  return {
    get isOpen() {
      return !raw.writableEnded && !raw.destroyed;
    },
    async write(text, clock) {
      if (!this.isOpen || raw.write(text)) return;
      await new Promise<void>((resolve) => {
        const cancel = clock.after(STALLED_MS_MAX, () => raw.destroy());
        const go = (): void => {
          cancel();
          raw.off("drain", go);
          raw.off("close", go);
          resolve();
        };
        raw.on("drain", go);
        raw.on("close", go);
      });
    },
    end() {
      if (this.isOpen) raw.end();
    },
  };
}
