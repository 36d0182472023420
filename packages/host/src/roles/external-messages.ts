// External messages, as the persistence role carries them: checked against what the package declares, written by the step
// commit, handed to whoever reads their topic. What a bundle's own code says of its channels is not asked.

import type { Clock, Data, Database, Log, SecureHash, ShortHash, Sql } from "@bowline/base";
import { type RouteDefaults, topicOf } from "@bowline/cluster/external-routes";
import { addExternalSends, isExternalSend, relayExternal } from "@bowline/flow/external";
import type { CordappManifest } from "@bowline/sdk";
import type { DurableBus } from "../adapters/durable-bus.ts";
import type { DbService } from "../services.ts";
import { oneAfterAnother } from "./one-after-another.ts";

/** How old the operator's configuration may be here. */
const DEFAULTS_FRESH_MS = 1_000;

type Members = Parameters<typeof addExternalSends>[1];

export interface ExternalMessages {
  /** Before a commit joins its group: no transaction waits for another role. */
  prepare(writes: readonly Data[]): Promise<void>;
  /** Inside a step commit; of packages that were prepared. Answers the other writes. */
  apply(vnode: ShortHash, sql: Sql, members: Members): Promise<Members>;
  /** Hands to the bus what waits; what fails, and what nobody reads, stays for the next time. Never twice at once for one virtual node. */
  relay(vnode: ShortHash): Promise<void>;
}

export function createExternalMessages(options: {
  readonly db: Pick<DbService, "bundle" | "externalRouteDefaults">;
  readonly bus: Pick<DurableBus, "handOver">;
  readonly clock: Pick<Clock, "now">;
  readonly databaseOf: (vnode: ShortHash) => Promise<Database>;
  readonly log: Log;
}): ExternalMessages {
  const { db, bus, clock, log } = options;
  /** Packages never change. */
  const manifests = new Map<SecureHash, CordappManifest>();
  let defaults: { readonly value: RouteDefaults; readonly at: number } | undefined;
  const known = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("what a commit sends was prepared before it");
    return value;
  };
  return {
    async prepare(writes) {
      const sends = writes.filter(isExternalSend);
      if (sends.length === 0) return;
      for (const { bundle } of sends)
        if (!manifests.has(bundle)) manifests.set(bundle, (await db.bundle({ fileChecksum: bundle })).manifest);
      if (defaults === undefined || clock.now() - defaults.at >= DEFAULTS_FRESH_MS)
        defaults = { value: await db.externalRouteDefaults(null), at: clock.now() };
    },
    apply: (vnode, sql, members) =>
      addExternalSends(sql, members, ({ bundle, channel }) => topicOf(vnode, channel, known(manifests.get(bundle)), known(defaults).value)),
    relay: oneAfterAnother(async (vnode: ShortHash) => {
      try {
        const unread = await relayExternal(await options.databaseOf(vnode), (records) => bus.handOver(records));
        if (unread.length > 0) log.warn("external messages wait for a reader", { vnode, topics: unread });
      } catch (cause) {
        log.warn("external messages wait for the bus", { vnode, cause: String(cause) });
      }
    }),
  };
}
