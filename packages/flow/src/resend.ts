import type { Instant } from "@bowline/base";
import { RESEND_FIRST_MS, RESEND_MAX_MS } from "./limits.ts";

/** When a message that was sent `attempts` times is sent again. */
export const resendAt = (sentAt: Instant, attempts: number): Instant =>
  sentAt + Math.min(RESEND_FIRST_MS * 2 ** (attempts - 1), RESEND_MAX_MS);
