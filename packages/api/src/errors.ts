// The one table from kinds of error to HTTP statuses, and the body that carries an error.

import { BowlineError, type ErrorKind } from "@bowline/base";
import Type, { type Static } from "typebox";

export const STATUS_OF: Readonly<Record<ErrorKind, number>> = {
  badRequest: 400,
  unauthenticated: 401,
  forbidden: 403,
  notFound: 404,
  notAllowed: 405,
  conflict: 409,
  tooLarge: 413,
  unsupported: 415,
  tooMany: 429,
  internal: 500,
  unavailable: 503,
};

/** `title` is the whole explanation; `details` are its facts by name, `code` among them: the stable one to test for. */
export const ErrorBody = Type.Object(
  { title: Type.String(), status: Type.Integer(), details: Type.Record(Type.String(), Type.String()) },
  { title: "ErrorResponse" },
);
export type ErrorBody = Static<typeof ErrorBody>;

/** Where a detail must not be told, the caller passes an error that does not hold it. */
export function errorBody(error: BowlineError): ErrorBody {
  return { title: error.message, status: STATUS_OF[error.kind], details: { ...error.details, code: error.code } };
}

/** The other direction, in a client. An answer that is no error body (from a proxy, say) becomes `rest.answer`. */
export function errorOf(status: number, body: unknown): BowlineError {
  const kind =
    (Object.keys(STATUS_OF) as ErrorKind[]).find((each) => STATUS_OF[each] === status) ?? (status >= 500 ? "internal" : "badRequest");
  if (!isErrorBody(body))
    return new BowlineError(kind, "rest.answer", `The server answered ${status} without an explanation.`, { status: String(status) });
  const { code, ...details } = body.details;
  return new BowlineError(kind, code ?? "rest.answer", body.title, details);
}

function isErrorBody(value: unknown): value is ErrorBody {
  if (typeof value !== "object" || value === null) return false;
  const { title, details } = value as { title?: unknown; details?: unknown };
  return typeof title === "string" && typeof details === "object" && details !== null;
}
