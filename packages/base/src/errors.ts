// The one family of errors that a user can meet. `docs/errors.md` lists every code.

/** What kind of wrong it is; REST maps each to one status, and nothing else does. */
export type ErrorKind =
  | "badRequest" // 400
  | "unauthenticated" // 401
  | "forbidden" // 403
  | "notFound" // 404
  | "notAllowed" // 405: the thing exists but may not do this now
  | "conflict" // 409
  | "tooLarge" // 413
  | "unsupported" // 415: the content type
  | "tooMany" // 429: a bound is reached; retry later
  | "internal" // 500: we are wrong
  | "unavailable"; // 503: the world is down; retry later

/**
 * A refusal with a stable code. The message says what was wrong, where, and what to do;
 * `details` are its facts by name. Neither may hold a key, a password or a payload.
 *
 * @example throw new BowlineError("notFound", "vnode.unknown", `There is no virtual node ${id}.`, { id })
 */
export class BowlineError extends Error {
  override readonly name = "BowlineError";
  readonly kind: ErrorKind;
  readonly code: string;
  readonly details: Readonly<Record<string, string>>;

  constructor(kind: ErrorKind, code: string, message: string, details: Readonly<Record<string, string>> = {}) {
    super(message);
    this.kind = kind;
    this.code = code;
    this.details = details;
  }
}

/** The world is down: thrown by adapters, retried by the loop within a limit. */
export const unavailable = (code: string, message: string): BowlineError => new BowlineError("unavailable", code, message);

export const badRequest = (code: string, message: string, details?: Record<string, string>): BowlineError =>
  new BowlineError("badRequest", code, message, details);
