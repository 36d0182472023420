// Any thrown thing as an HTTP error. What we did wrong is told to the log, not to the client.

import { errorBody, STATUS_OF } from "@bowline/api";
import { BowlineError, badRequest, type Log } from "@bowline/base";
import type { FastifyReply } from "fastify";
import { tooLarge } from "./input.ts";

const RETRY_AFTER_SECONDS = 1;
const CHALLENGE = 'Basic realm="Bowline"';

export function sendFailure(thrown: unknown, reply: FastifyReply, log: Log): FastifyReply {
  const error = refusalOf(thrown, log);
  if (error.kind === "unauthenticated") reply.header("www-authenticate", CHALLENGE);
  if (error.kind === "tooMany" || error.kind === "unavailable") reply.header("retry-after", String(RETRY_AFTER_SECONDS));
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
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return badRequest("rest.malformed", message ?? "The request is malformed.");
  log.error("a request broke", { cause: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
  return new BowlineError("internal", "rest.broken", "Unexpected error occurred. The server's log says more.", {});
}

export const contentType = (wanted: string): BowlineError =>
  new BowlineError("unsupported", "rest.contentType", `The body's content type is not ${wanted}.`, { expected: wanted });
