// Who may do what. A permission allows or denies the actions that its regular expression matches as a whole, in either
// case; any matching denial refuses, else any matching allowance permits, else it is refused.

export interface Permission {
  readonly type: "ALLOW" | "DENY";
  /** A regular expression over actions such as `POST:/api/v5_2/flow/…` and `StartFlow:…`. */
  readonly pattern: string;
}

export type AccessDecision = (action: string) => boolean;

/** Actions are text of the caller's making: what is longer than any real one is refused unseen. */
const ACTION_LENGTH_MAX = 8_192;

/** Reads the permissions once, for many decisions. */
export function accessDecision(permissions: readonly Permission[]): AccessDecision {
  const denials = permissions.filter(({ type }) => type === "DENY").map(({ pattern }) => matcher(pattern) ?? EVERYTHING);
  const allowances = permissions.filter(({ type }) => type === "ALLOW").map(({ pattern }) => matcher(pattern) ?? NOTHING);
  return (action) =>
    action.length <= ACTION_LENGTH_MAX &&
    !denials.some((denies) => denies.test(action)) &&
    allowances.some((allows) => allows.test(action));
}

// A pattern that cannot be read errs on the safe side: as a denial it matches everything, as an allowance nothing.
const EVERYTHING = /^/;
const NOTHING = /(?!)/;

function matcher(pattern: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${pattern})$`, "is");
  } catch {
    return undefined;
  }
}
