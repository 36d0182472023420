// Unverified transactions whose time has come: for each a flow of the platform asks what became of it. The time is the
// transaction's own and moves on when it is taken, so whatever happens to that flow, another comes later.

import type { Database, Instant, Log, SecureHash, ShortHash } from "@bowline/base";
import type { VaultStore } from "@bowline/ledger";
import { type DueRepair, REPAIR_BATCH_MAX, REPAIR_FLOW, REPAIR_SWEEP_MS } from "@bowline/ledger/upkeep";

export interface Repair {
  readonly clientRequestId: string;
  readonly flowName: string;
  readonly bundle: "platform";
  readonly startedBy: string;
  readonly input: { readonly id: SecureHash };
}

/** Looks at a virtual node where it is time, beside whatever else is done; to be asked at every sweep. */
export function createLedgerRepair({
  states,
  start,
  log,
}: {
  readonly states: Pick<VaultStore, "dueRepairs">;
  readonly start: (vnode: ShortHash, repairs: readonly Repair[]) => Promise<void>;
  readonly log: Log;
}) {
  const nextAt = new Map<ShortHash, Instant>();
  return async (vnode: ShortHash, database: Database, now: Instant): Promise<void> => {
    if (now < (nextAt.get(vnode) ?? 0)) return;
    nextAt.set(vnode, now + REPAIR_SWEEP_MS);
    try {
      const due = await states.dueRepairs(database.sql, now, REPAIR_BATCH_MAX);
      if (due.length > 0) await start(vnode, due.map(repairOf));
      if (due.length === REPAIR_BATCH_MAX) nextAt.set(vnode, now);
    } catch (cause) {
      log.warn("unverified transactions were not looked after", { vnode, cause: String(cause) });
    }
  };
}

/** Twice the same attempt is one flow. */
const repairOf = ({ id, attempt }: DueRepair): Repair => ({
  clientRequestId: `${REPAIR_FLOW} ${id} ${attempt}`,
  flowName: REPAIR_FLOW,
  bundle: "platform",
  startedBy: "platform",
  input: { id },
});
