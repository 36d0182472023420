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
  for (const seed of numbersOf(SEED_VARIABLE, seeds)) {
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

/** Names one moment: only the crash at it is tried. */
const CRASH_VARIABLE = "BOWLINE_CRASH";

/**
 * Runs the scenario once without a crash, and then once for every moment at which a process could have died, with a crash at
 * that moment. Throws at the first that fails, with the moment and the way to live it again.
 */
export async function crashEverywhere(options: NetworkOptions, scenario: (network: Network) => Promise<void>): Promise<void> {
  const undisturbed = await createNetwork(options);
  await scenario(undisturbed);
  for (const moment of numbersOf(CRASH_VARIABLE, undisturbed.moments)) {
    const network = await createNetwork(options);
    network.crashAt(moment);
    try {
      await scenario(network);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`A crash at moment ${moment} is too much: ${reason}\nRun it again with ${CRASH_VARIABLE}=${moment}.`, { cause });
    }
  }
}

/** From 1 to `count`, or the one that the environment names. */
function numbersOf(variable: string, count: number): readonly number[] {
  const named = process.env[variable];
  if (named === undefined) return Array.from({ length: count }, (_, index) => index + 1);
  const number = Number(named);
  if (Number.isSafeInteger(number) && number >= 0) return [number];
  throw new BowlineError("badRequest", "testing.seedInvalid", `${variable}=${named} is none: it is an integer from 0 on.`);
}
