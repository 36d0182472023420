// What the persistence role asks of a bus beyond what every subscriber and publisher does.

import type { Bus, BusRecord } from "@bowline/base";

/** A bus that answers for what it has taken. */
export interface DurableBus extends Bus {
  /**
   * As `publish`, for who keeps the only other copy: resolves when subscribers have taken the records, or they lie on the bus's own disk until
   * one does. Throws `bus.unread`, unavailable, where a topic has no subscriber now, and then takes none of it. After any failure some may have been
   * taken.
   */
  handOver(records: readonly BusRecord[]): Promise<void>;
}
