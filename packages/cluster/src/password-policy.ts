// How long passwords hold and how long they may be.

import { badRequest, type Instant } from "@bowline/base";

/** Days, but for the limit, which is characters. */
export interface PasswordPolicy {
  readonly userPasswordChangeExpiry: number;
  readonly adminPasswordChangeExpiry: number;
  readonly passwordExpiryWarningWindow: number;
  readonly lengthLimit: number;
}

/** Where the configuration says nothing else. */
export const PASSWORD_POLICY: PasswordPolicy = {
  userPasswordChangeExpiry: 90,
  adminPasswordChangeExpiry: 7,
  passwordExpiryWarningWindow: 30,
  lengthLimit: 255,
};
const DAY_MS = 86_400_000;
const INITIAL_LENGTH_MIN = 5;

/** Who changes his own password has longer until the next change than he whose password another knows. */
export function expiryAfterChange(policy: PasswordPolicy, self: boolean, now: Instant): Instant {
  return now + (self ? policy.userPasswordChangeExpiry : policy.adminPasswordChangeExpiry) * DAY_MS;
}

/** From when a password is over, and from when its owner is warned of it. */
export function expiryOf(expiry: Instant | null, policy: PasswordPolicy): { readonly from: Instant; readonly warnedFrom: Instant } {
  const from = expiry ?? Number.POSITIVE_INFINITY;
  return { from, warnedFrom: from - policy.passwordExpiryWarningWindow * DAY_MS };
}

/** Throws `access.passwordInvalid`. Of the first password of a user more is asked. */
export function checkNewPassword(password: string, { lengthLimit }: PasswordPolicy, which: "first" | "next"): void {
  const reason =
    password.trim() === ""
      ? "is blank"
      : password.length > lengthLimit
        ? `has more than ${lengthLimit} characters`
        : which === "first" && password.length < INITIAL_LENGTH_MIN
          ? `has less than ${INITIAL_LENGTH_MIN} characters`
          : undefined;
  if (reason !== undefined) throw badRequest("access.passwordInvalid", `The password ${reason}.`, { reason });
}
