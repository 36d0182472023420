// The warm isolates of one role, by bundle: for flows one that all flows of the bundle live in, for contracts one that keeps
// nothing between two transactions. Flows and contracts never share one.

import type { Log, SecureHash } from "@bowline/base";
import type { Fibers } from "@bowline/flow";
import { BundleFibers } from "./bundle-fibers.ts";
import { BundleIsolate, type BundleSource, type IsolateOptions } from "./isolate.ts";
import { CONTRACT_LIMITS, FLOW_LIMITS, ISOLATES_MAX, type IsolateLimits } from "./limits.ts";

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
  const create = (name: string, source: BundleSource, limits: IsolateLimits) =>
    BundleIsolate.create(source, { name, limits, log, onUnstoppable });
  const flows = new WarmPool<BundleFibers>(isolatesMax, async (name) => {
    const source = await bundle(name as SecureHash);
    const suspected = suspects.get(name) ?? new Set();
    suspects.set(name, suspected);
    return new BundleFibers({ name, suspected, log, isolate: () => create(name, source, FLOW_LIMITS) });
  });
  const contracts = new WarmPool<BundleIsolate>(isolatesMax, async (name) =>
    create(name, await bundle(name as SecureHash), CONTRACT_LIMITS),
  );
  return {
    fibers: (checksum) => flows.get(checksum),
    contracts: (checksum) => contracts.get(checksum),
    async close() {
      await Promise.all([flows.close(), contracts.close()]);
    },
  };
}

/** Something warm. */
export interface Warm {
  /** False when it can serve no more. */
  readonly isAlive: boolean;
  readonly isBusy: boolean;
  dispose(): void;
}

/** A bounded set of things that are dear to make: what was used longest ago goes first, what is in use never. */
class WarmPool<T extends Warm> {
  readonly #sizeMax: number;
  readonly #make: (key: string) => Promise<T>;
  /** In order of last use. */
  readonly #warm = new Map<string, T>();
  readonly #making = new Map<string, Promise<T>>();
  #closed = false;

  constructor(sizeMax: number, make: (key: string) => Promise<T>) {
    this.#sizeMax = sizeMax;
    this.#make = make;
  }

  /** The one of `key`: the same until it dies or makes room for another. Asked twice at once, it is made once. */
  async get(key: string): Promise<T> {
    const warm = this.#warm.get(key);
    if (warm?.isAlive) {
      // A map keeps insertion order: what is used moves to the end.
      this.#warm.delete(key);
      this.#warm.set(key, warm);
      return warm;
    }
    let making = this.#making.get(key);
    if (making === undefined) {
      making = this.#add(key).finally(() => this.#making.delete(key));
      this.#making.set(key, making);
    }
    return making;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#making.values());
    for (const warm of this.#warm.values()) warm.dispose();
    this.#warm.clear();
  }

  async #add(key: string): Promise<T> {
    const made = await this.#make(key);
    this.#warm.delete(key);
    this.#warm.set(key, made);
    if (this.#closed) made.dispose();
    this.#shrink(key);
    return made;
  }

  #shrink(kept: string): void {
    for (const [key, warm] of this.#warm) {
      if (this.#warm.size <= this.#sizeMax) return;
      if (key === kept || (warm.isAlive && warm.isBusy)) continue;
      this.#warm.delete(key);
      warm.dispose();
    }
  }
}
