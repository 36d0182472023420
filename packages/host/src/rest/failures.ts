// Any thrown thing as an HTTP error. What we did wrong is told to the log, not to the client.

import type { Duplex } from "node:stream";
import { type ErrorBody, errorBody, STATUS_OF } from "@bowline/api";
import { BowlineError, badRequest, type Log } from "@bowline/base";
import type { FastifyReply } from "fastify";
import { tooLarge } from "./input.ts";

const RETRY_AFTER_SECONDS = 1;
const CHALLENGE = 'Basic realm="Bowline"';

export function sendFailure(thrown: unknown, reply: FastifyReply, log: Log): FastifyReply {
  const error = refusalOf(thrown, log);
  if (error.kind === "unauthenticated") reply.header("www-authenticate", CHALLENGE);
  if (error.kind === "tooMany" || error.kind === "unavailable")
    reply.header("retry-after", error.details["retryAfterSeconds"] ?? String(RETRY_AFTER_SECONDS));
  return reply
    .code(STATUS_OF[error.kind])
    .type("application/json")
    .send(JSON.stringify(errorBody(error)));
}

function refusalOf(thrown: unknown, log: Log): BowlineError {
  if (thrown instanceof BowlineError) {
    if (thrown.kind === "internal") log.error("a request failed", { code: thrown.code, cause: thrown.stack ?? thrown.message });
    return thrown;
  }
  const { code, statusCode, message } = thrown as { readonly code?: string; readonly statusCode?: number; readonly message?: string };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return new BowlineError("tooLarge", "rest.jsonTooLarge", "The JSON body is too large.", {});
  if (code === "FST_REQ_FILE_TOO_LARGE") return tooLarge();
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE" || code === "FST_INVALID_MULTIPART_CONTENT_TYPE")
    return contentType("one that this operation takes");
  if (code === "FST_ERR_BAD_URL")
    return badRequest("rest.malformed", "The path is no URL: it holds a percent sign that begins no character.");
  if (code === "FST_ERR_MAX_PARAM_LENGTH") return badRequest("rest.malformed", "A part of the path is too long.");
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return badRequest("rest.malformed", message ?? "The request is malformed.");
  log.error("a request broke", { cause: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
  return new BowlineError("internal", "rest.broken", "Unexpected error occurred. The server's log says more.", {});
}

/** What is no HTTP has no request to answer: the bytes of a refusal, and the end of the connection. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const [status, phrase, title] = WIRE_REFUSALS[error.code ?? ""] ?? [400, "Bad Request", "This is no HTTP request."];
  const body = JSON.stringify({ title, status, details: { code: "rest.malformed" } } satisfies ErrorBody);
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const WIRE_REFUSALS: Readonly<Record<string, readonly [status: number, phrase: string, title: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "The path and the headers are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "The request took too long to arrive."],
};

export const contentType = (wanted: string): BowlineError =>
  new BowlineError("unsupported", "rest.contentType", `The body's content type is not ${wanted}.`, { expected: wanted });
