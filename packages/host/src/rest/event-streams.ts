// Streams of server-sent events that are open: how many, for how long, and to whom. What is told is others' to say.
//
// Guarantees: open streams are bounded, of this process and of one user; none outlives its credentials for long; a quiet one shows life
// often enough for proxies; a client that takes nothing is let go.

import { BowlineError, badRequest, type Clock } from "@bowline/base";
import type { FastifyReply, FastifyRequest } from "fastify";

/** Of this process; and of one user, so that one alone cannot take them all. */
const STREAMS_MAX = 400;
const STREAMS_OF_USER_MAX = 100;
/** Below the idle time of common load balancers. */
export const HEARTBEAT_MS = 15_000;
/** Then the client connects again, and its credentials are looked at again. */
export const STREAM_MS_MAX = 10 * 60_000;
/** A client that takes nothing for so long is gone. */
const STALLED_MS_MAX = 30_000;
export const RETRY_MS = 1_000;

export interface Stream {
  readonly isOpen: boolean;
  /** Resolves when the client can take more; ends the stream where it does not. */
  write(text: string, clock: Clock): Promise<void>;
  end(): void;
}

export interface Streams {
  /** Throws `rest.tooManyStreams`. */
  open(request: FastifyRequest, reply: FastifyReply): Stream;
  endAll(): void;
}

/** The header is what browsers send when they come back, and newer than the address they first asked for. Undefined where neither says. */
export function lastEventOf({ headers }: FastifyRequest, asked: number | undefined): number | undefined {
  const given = headers["last-event-id"];
  if (given === undefined || given === "") return asked;
  if (typeof given === "string" && /^[0-9]{1,15}$/.test(given)) return Number(given);
  throw badRequest("input.invalid", "The header Last-Event-ID is the id of no event of ours: they are whole numbers.", {
    field: "Last-Event-ID",
    reason: "is no whole number",
  });
}

export function openStreams(): Streams {
  const open = new Map<Stream, string>();
  return {
    open(request, reply) {
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
    endAll() {
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
