// One seed's day, as data: who asks for what and when, what goes wrong, who dies. It can be told, and made smaller.

import type { Data } from "@bowline/base";
import { type Chance, type Faults, integerBelow, randomFaults, seeded } from "@bowline/testing/world";
import { drawProgram, type Program } from "./programs.ts";

export interface Plan {
  readonly seed: number;
  readonly members: readonly string[];
  readonly faults: Faults;
  /** Processes of each member that take themselves for the owner of all its flows. */
  readonly owners: number;
  readonly hotFlowsMax: number;
  readonly requests: readonly Request[];
}

export interface Request {
  readonly id: string;
  readonly member: string;
  /** When the client asks: more than once where it heard no answer. Milliseconds from the beginning of the day. */
  readonly at: readonly number[];
  readonly work: Work;
  /** Its first commit inserts it, and nothing before. */
  readonly begins: boolean;
  /** When an operator kills it; never where nothing is said. */
  readonly killedAt?: number;
}

export type Work =
  | { readonly kind: "walk"; readonly program: Program; readonly fails: boolean }
  | { readonly kind: "issue"; readonly serial: string }
  | { readonly kind: "move"; readonly serial: string; readonly to: string };

/** Full names: programs carry them. */
export const MEMBERS = ["Alice", "Bob", "Carol"].map((name) => `O=${name}, L=London, C=GB`);

/** Each request is drawn from a number of its own, so that the others stay as they are when one is left out. */
export function planOf(seed: number, flows: number): Plan {
  const chance = seeded(seed);
  const ledger = chance() < 0.2;
  const many = chance() < 0.3;
  return {
    seed,
    members: MEMBERS,
    faults: faultsOf(chance),
    owners: chance() < 0.4 ? 2 : 1,
    hotFlowsMax: pick(chance, [2, 5, 1_000]),
    requests: [
      ...Array.from({ length: flows }, (_, index) => walkOf(seed, index, many)),
      ...(ledger ? coinsOf(seeded(seed ^ 0x00c01)) : []),
    ],
  };
}

function faultsOf(chance: Chance): Faults {
  const faults = randomFaults(chance);
  // On some days processes die all the time.
  return chance() < 0.2 ? { ...faults, crashes: 0.04 } : faults;
}

const pick = <T>(chance: Chance, choices: readonly T[]): T => choices[integerBelow(chance, choices.length)] as T;

function walkOf(seed: number, index: number, atOnce: boolean): Request {
  const chance = seeded(Math.imul(seed, 0x9e3779b1) + index + 1);
  const first = atOnce ? 0 : integerBelow(chance, 20_000);
  const again = Array.from({ length: chance() < 0.3 ? 1 + integerBelow(chance, 2) : 0 }, () => first + integerBelow(chance, 60_000));
  const work: Work = { kind: "walk", program: drawProgram(chance, MEMBERS), fails: chance() < 0.15 };
  const killed = chance() < 0.1 ? { killedAt: first + integerBelow(chance, 30_000) } : {};
  return { id: `walk ${index}`, member: pick(chance, MEMBERS), at: [first, ...again], work, begins: chance() < 0.5, ...killed };
}

/** A few coins, and more who want to hand them on than have them. */
function coinsOf(chance: Chance): readonly Request[] {
  const serials = ["one", "two"].slice(0, 1 + integerBelow(chance, 2));
  const issues = serials.map(
    (serial): Request => ({
      id: `issue ${serial}`,
      member: pick(chance, MEMBERS),
      at: [0, 40],
      work: { kind: "issue", serial },
      begins: false,
    }),
  );
  const moves = Array.from({ length: 2 + integerBelow(chance, 3) }, (_, index): Request => {
    const work: Work = { kind: "move", serial: pick(chance, serials), to: pick(chance, MEMBERS) };
    const at = 1_000 + integerBelow(chance, 3) * 60_000;
    return { id: `move ${index}`, member: pick(chance, MEMBERS), at: chance() < 0.3 ? [at, at + 5] : [at], work, begins: chance() < 0.5 };
  });
  return [...issues, ...moves];
}

/** As a flow is given it. */
export function inputOf(work: Work): Data {
  if (work.kind === "walk") return { program: work.program as unknown as Data, fails: work.fails };
  return work.kind === "issue" ? { serial: work.serial } : { serial: work.serial, to: work.to };
}
