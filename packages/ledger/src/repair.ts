// When an unverified transaction is asked about. Each has a time of its own, in its row: it is moved on before anybody looks, so
// that one which cannot be decided takes no other's turn. (`vault.store.ts` says the same in SQL.)

import type { Instant } from "@bowline/base";
import { REPAIR_FIRST_MS, REPAIR_GRACE_MS, REPAIR_MAX_MS } from "./limits.ts";

/** Of one that is written now: its flow has until then to finish by itself. */
export const firstRepairAt = (now: Instant, until: Instant): Instant =>
  Math.min(now + REPAIR_FIRST_MS, Math.max(now, until) + REPAIR_GRACE_MS);

/** Later each time, but not beyond the moment at which the notary's answer becomes final. */
export function nextRepairAt(now: Instant, { until, attempts }: { readonly until: Instant; readonly attempts: number }): Instant {
  const later = now + Math.min(REPAIR_FIRST_MS * 2 ** attempts, REPAIR_MAX_MS);
  return until > now ? Math.min(later, until + REPAIR_GRACE_MS) : later;
}
