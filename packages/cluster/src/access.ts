// Who may do what. A permission allows or denies the actions that its regular expression matches as a whole, in either
// case; any matching denial refuses, else any matching allowance permits, else it is refused.
//
// A decision takes bounded time, whatever the permissions and the action: see STEPS_MAX.

import { patternOf } from "./access-patterns.ts";

export interface Permission {
  readonly type: "ALLOW" | "DENY";
  /** A regular expression over actions such as `POST:/api/v5_2/flow/…` and `StartFlow:…`. */
  readonly pattern: string;
}

export interface Verdict<P extends Permission> {
  readonly allowed: boolean;
  readonly because: "denied" | "allowed" | "unmatched" | "actionTooLong" | "tooMuchWork";
  /** The first that decided. */
  readonly by: P | null;
}

export type AccessDecision = (action: string) => boolean;

/** Actions are text of the caller's making: what is longer than any real one is refused unseen. */
const ACTION_LENGTH_MAX = 4_096;
/** States times characters, over all patterns that the action may match: about a tenth of a second. */
const STEPS_MAX = 10_000_000;
const DECISIONS_KEPT_MAX = 512;

export function judge<P extends Permission>(permissions: readonly P[], action: string): Verdict<P> {
  if (action.length > ACTION_LENGTH_MAX) return { allowed: false, because: "actionTooLong", by: null };
  const lower = isAscii(action) ? action.toLowerCase() : undefined;
  let steps = 0;
  const find = (type: Permission["type"], unread: boolean): P | undefined =>
    permissions.find((permission) => {
      if (permission.type !== type || steps > STEPS_MAX) return false;
      const pattern = patternOf(permission.pattern);
      // A pattern that cannot be read errs on the safe side: as a denial it matches everything, as an allowance nothing.
      if (pattern === undefined) return unread;
      if (lower !== undefined && !(lower.startsWith(pattern.prefix) && lower.includes(pattern.inner))) return false;
      steps += pattern.states * action.length;
      return steps <= STEPS_MAX && pattern.matches(action);
    });
  const denies = find("DENY", true);
  if (denies !== undefined) return { allowed: false, because: "denied", by: denies };
  const allows = find("ALLOW", false);
  if (steps > STEPS_MAX) return { allowed: false, because: "tooMuchWork", by: null };
  if (allows !== undefined) return { allowed: true, because: "allowed", by: allows };
  return { allowed: false, because: "unmatched", by: null };
}

/** For many decisions on the same permissions: what was asked lately is not judged again. */
export function accessDecision(permissions: readonly Permission[]): AccessDecision {
  const known = new Map<string, boolean>();
  return (action) => {
    const decided = known.get(action) ?? judge(permissions, action).allowed;
    // The oldest stand first: what is asked again goes to the end.
    known.delete(action);
    const [oldest] = known.keys();
    if (known.size >= DECISIONS_KEPT_MAX && oldest !== undefined) known.delete(oldest);
    if (action.length <= ACTION_LENGTH_MAX) known.set(action, decided);
    return decided;
  };
}

/**
 * Whether a holder of `held` may give `given` to somebody: nobody gives more than he holds. What regular expressions match
 * cannot be compared in bounded time, so that their texts are: each allowance that is given must stand among the holder's
 * own, or he holds `.*`; and each denial that binds him must bind whoever gets it.
 */
export function covers(held: readonly Permission[], given: readonly Permission[]): boolean {
  const allowances = given.filter(({ type }) => type === "ALLOW");
  if (allowances.length === 0) return true;
  const own = textsOf(held, "ALLOW");
  const binding = textsOf(given, "DENY");
  return (
    (own.has(EVERYTHING) || allowances.every(({ pattern }) => own.has(pattern))) &&
    [...textsOf(held, "DENY")].every((pattern) => binding.has(pattern))
  );
}

/** Whoever holds everything, and is denied nothing. */
export const unlimited = (held: readonly Permission[]): boolean => covers(held, [{ type: "ALLOW", pattern: EVERYTHING }]);

export const EVERYTHING = ".*";

const textsOf = (permissions: readonly Permission[], wanted: Permission["type"]): ReadonlySet<string> =>
  new Set(permissions.filter(({ type }) => type === wanted).map(({ pattern }) => pattern));

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is what ASCII is.
const isAscii = (text: string): boolean => /^[\u0000-\u007f]*$/.test(text);
