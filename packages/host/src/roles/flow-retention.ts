// How long flows that are over are kept: then row, journal, sessions and messages go, and their client request id is free.
//
// Guarantees: nothing goes of a flow that runs or is parked, and nothing while a message of one of its sessions may still
// arrive: a row that is there is what refuses such a message. Rows go in bounded batches, so that no flow waits for them.

import type { Instant, Log, ShortHash } from "@bowline/base";
import type { FlowStore } from "@bowline/flow";

export const FLOW_RETENTION_MS = 7 * 24 * 3_600_000;
/** By how much clocks may differ between hosts. */
const CLOCK_SKEW_MS = 5 * 60_000;
/** How often a virtual node is looked at where nothing is left to go, and how many flows go at once. */
const PURGE_EVERY_MS = 10 * 60_000;
const PURGE_MAX = 500;

/** Purges a virtual node's flows where it is time, beside whatever else is done; to be asked at every sweep. */
export function createFlowRetention({ retentionMs, log }: { readonly retentionMs: number; readonly log: Log }) {
  const nextAt = new Map<ShortHash, Instant>();
  return async (vnode: ShortHash, flows: Pick<FlowStore, "purge">, now: Instant): Promise<void> => {
    if (now < (nextAt.get(vnode) ?? 0)) return;
    nextAt.set(vnode, Number.POSITIVE_INFINITY);
    try {
      const purged = await flows.purge({ overBefore: now - retentionMs, expiredBefore: now - CLOCK_SKEW_MS, limit: PURGE_MAX });
      nextAt.set(vnode, purged < PURGE_MAX ? now + PURGE_EVERY_MS : now);
    } catch (cause) {
      log.warn("flows that are over were not purged", { vnode, cause: String(cause) });
      nextAt.set(vnode, now + PURGE_EVERY_MS);
    }
  };
}
