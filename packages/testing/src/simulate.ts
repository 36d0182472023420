// One scenario on many bad days. A day that breaks it has a number, and is lived again with it.

import { BowlineError } from "@bowline/base";
import { seeded } from "./chance.ts";
import { type Faults, NO_FAULTS, randomFaults } from "./faults.ts";
import { createNetwork, type Network, type NetworkOptions } from "./network.ts";

export interface SimulationOptions extends Omit<NetworkOptions, "seed"> {
  /** How many days, from seed 1 on. */
  readonly seeds: number;
  /** On every day these; days of every sort where nothing is said. */
  readonly faults?: Partial<Faults>;
}

/** Names one seed: only its day is lived. */
const SEED_VARIABLE = "BOWLINE_SEED";

/**
 * Runs the scenario once per seed. Throws at the first day on which it fails, with the seed and the way to live it again.
 *
 * @example test("pings are counted, come what may", () => simulate({ seeds: 200, cordapps, members: ["Alice", "Bob"] }, async (network) => { … }))
 */
export async function simulate(options: SimulationOptions, scenario: (network: Network) => Promise<void>): Promise<void> {
  const { seeds, faults, ...rest } = options;
  for (const seed of seedsOf(seeds)) {
    const day: Faults = faults === undefined ? randomFaults(seeded(seed + 1)) : { ...NO_FAULTS, ...faults };
    try {
      await scenario(await createNetwork({ ...rest, seed, faults: day }));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const what = `Seed ${seed} fails: ${reason}\nRun it again with ${SEED_VARIABLE}=${seed}. Its faults: ${JSON.stringify(day)}`;
      throw new Error(what, { cause });
    }
  }
}

function seedsOf(count: number): readonly number[] {
  const named = process.env[SEED_VARIABLE];
  if (named === undefined) return Array.from({ length: count }, (_, index) => index + 1);
  const seed = Number(named);
  if (Number.isSafeInteger(seed) && seed >= 0) return [seed];
  throw new BowlineError("badRequest", "testing.seedInvalid", `${SEED_VARIABLE}=${named} is no seed: it is an integer from 0 on.`);
}
