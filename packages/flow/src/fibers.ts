import type { CordappBundle } from "@bowline/sdk";
import type { Fibers } from "./ports.ts";

/**
 * Runs a bundle's fibers in this process, for code that the platform itself brings. `drain` resolves when no microtask
 * is left that the deliveries caused: `() => new Promise(setImmediate)`.
 */
export const inProcessFibers = (bundle: CordappBundle, drain: () => Promise<void>): Fibers => ({
  async activate({ starts, deliveries }) {
    for (const start of starts) bundle.start(start);
    bundle.deliver(deliveries);
    await drain();
    return bundle.collect();
  },
  drop: (fiber) => bundle.drop(fiber),
});
