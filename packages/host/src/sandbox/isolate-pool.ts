// The warm isolates of one role, by bundle: for flows one that all flows of the bundle live in, for contracts one that keeps
// nothing between two transactions. Flows and contracts never share one.

import type { Log, SecureHash } from "@bowline/base";
import type { Fibers } from "@bowline/flow";
import { BundleFibers } from "./bundle-fibers.ts";
import { BundleIsolate, type BundleSource, type IsolateOptions } from "./isolate.ts";
import { ISOLATES_MAX } from "./limits.ts";
import { WarmPool } from "./warm-pool.ts";

export interface IsolatePool {
  /** The same object until its fibers are gone: then the engine replays the flows in the next one. */
  fibers(checksum: SecureHash): Promise<Fibers>;
  contracts(checksum: SecureHash): Promise<BundleIsolate>;
  close(): Promise<void>;
}

export function createIsolatePool(options: {
  /** The bundle of a package, by the package's file checksum. */
  readonly bundle: (checksum: SecureHash) => Promise<BundleSource>;
  readonly log: Log;
  readonly onUnstoppable: IsolateOptions["onUnstoppable"];
  readonly isolatesMax?: number;
}): IsolatePool {
  const { bundle, log, onUnstoppable, isolatesMax = ISOLATES_MAX } = options;
  /** Flows that lived in a heap that broke its limit, by bundle. */
  const suspects = new Map<string, Set<string>>();
  const create = (name: string, source: BundleSource) => BundleIsolate.create(source, { name, log, onUnstoppable });
  const flows = new WarmPool<BundleFibers>(isolatesMax, async (name) => {
    const source = await bundle(name as SecureHash);
    const suspected = suspects.get(name) ?? new Set();
    suspects.set(name, suspected);
    return new BundleFibers({ name, suspected, log, isolate: () => create(name, source) });
  });
  const contracts = new WarmPool<BundleIsolate>(isolatesMax, async (name) => create(name, await bundle(name as SecureHash)));
  return {
    fibers: (checksum) => flows.get(checksum),
    contracts: (checksum) => contracts.get(checksum),
    async close() {
      await Promise.all([flows.close(), contracts.close()]);
    },
  };
}
