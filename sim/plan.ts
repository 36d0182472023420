// One seed's day, as data: who asks for what and when, what goes wrong, who dies. It can be told, and made smaller.

import type { Data } from "@bowline/base";
import { type Chance, type Faults, integerBelow, type NotaryPlan, ONE_NOTARY, randomFaults, seeded } from "@bowline/testing/world";
import { type Deed, deedInput, drawDeed, drawIssue, FORGED, SYMBOLS } from "./deeds.ts";
import { drawProgram, type Program } from "./programs.ts";

export interface Plan {
  readonly seed: number;
  readonly members: readonly string[];
  readonly faults: Faults;
  /** Processes of each member that take themselves for the owner of all its flows. */
  readonly owners: number;
  readonly hotFlowsMax: number;
  /** How far each process's clock may be off. */
  readonly clocksOffMs: number;
  readonly notary: NotaryPlan;
  /** Virtual nodes of the notary's service, and processes that decide for each. */
  readonly notaryNodes: number;
  readonly notaryWorkers: number;
  /** Who is away, from the moment at which so many commits were made; nobody where it is null. */
  readonly absence: Absence | null;
  /** A member whose contracts find nothing wrong; nobody where it is null. */
  readonly hostile: string | null;
  readonly requests: readonly Request[];
}

export interface Absence {
  readonly member: string;
  readonly afterCommits: number;
  /** When it is there again, in milliseconds from the beginning of the day: every time window may be closed by then. */
  readonly until: number;
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
  | { readonly kind: "deed"; readonly deed: Deed }
  | { readonly kind: "issue"; readonly serial: string }
  | { readonly kind: "move"; readonly serial: string; readonly to: string };

/** Full names: programs carry them. */
export const MEMBERS = ["Alice", "Bob", "Carol"].map((name) => `O=${name}, L=London, C=GB`);

/** More than half of the days are the ledger's. */
export const isLedgerDay = (seed: number): boolean => seeded(seed ^ 0x1ed6e4)() < 0.63;

/** Each request is drawn from a number of its own, so that the others stay as they are when one is left out. */
export const planOf = (seed: number, flows: number): Plan => (isLedgerDay(seed) ? ledgerDay(seed) : day(seed, flows));

function day(seed: number, flows: number): Plan {
  const chance = seeded(seed);
  const coins = chance() < 0.2;
  const many = chance() < 0.3;
  return {
    seed,
    members: MEMBERS,
    faults: faultsOf(chance),
    owners: chance() < 0.4 ? 2 : 1,
    hotFlowsMax: pick(chance, [2, 5, 1_000]),
    clocksOffMs: 0,
    notary: ONE_NOTARY,
    notaryNodes: 1,
    notaryWorkers: 1,
    absence: null,
    hostile: null,
    requests: [
      ...Array.from({ length: flows }, (_, index) => walkOf(seed, index, many)),
      ...(coins ? coinsOf(seeded(seed ^ 0x00c01)) : []),
    ],
  };
}

/** Longer than any time window of a day's deeds. */
export const AWAY_MS = 45 * 60_000;

/** Two issues, and then deeds, many of them at the same moments; on some days all by one member, with the same notes. */
function ledgerDay(seed: number): Plan {
  const chance = seeded(seed);
  const verifies = chance() < 0.35;
  const notaryNodes = pick(chance, [1, 1, 1, 1, 1, 2, 3]);
  const hostile = chance() < 0.25 ? pick(chance, MEMBERS) : null;
  const crowd = chance() < 0.4 ? pick(chance, MEMBERS) : undefined;
  const symbols = crowd === undefined ? SYMBOLS : SYMBOLS.slice(0, 1);
  return {
    seed,
    members: MEMBERS,
    faults: faultsOf(chance),
    owners: chance() < 0.3 ? 2 : 1,
    hotFlowsMax: pick(chance, [2, 5, 1_000]),
    clocksOffMs: chance() < 0.3 ? 10_000 : 0,
    notary: { verifies, signaturesRequired: Math.floor(notaryNodes / 2) + 1 },
    notaryNodes,
    notaryWorkers: chance() < 0.5 ? 2 : 1,
    absence: chance() < 0.15 ? { member: pick(chance, MEMBERS), afterCommits: 5 + integerBelow(chance, 60), until: AWAY_MS } : null,
    hostile,
    requests: [
      ...SYMBOLS.map((symbol, index) => deedOf(seed, index, crowd, (lot) => drawIssue(lot, MEMBERS, symbol, crowd))),
      ...Array.from({ length: 2 + integerBelow(chance, 4) }, (_, index) =>
        deedOf(seed, 2 + index, crowd, (lot) => drawDeed(lot, MEMBERS, symbols)),
      ),
      ...(hostile === null ? [] : [forgeryOf(chance, hostile)]),
    ],
  };
}

const forgeryOf = (chance: Chance, member: string): Request => ({
  id: "forgery",
  member,
  at: [20_000],
  work: { kind: "deed", deed: { deed: "forge", symbol: FORGED, to: pick(chance, MEMBERS) } },
  begins: false,
});

function deedOf(seed: number, index: number, crowd: string | undefined, draw: (chance: Chance) => Deed): Request {
  const chance = seeded(Math.imul(seed, 0x9e3779b1) + index + 1);
  const deed = draw(chance);
  const at = deed.deed === "issue" ? 0 : 5_000 + 20_000 * integerBelow(chance, crowd === undefined ? 3 : 2);
  return {
    id: `deed ${index}`,
    member: crowd ?? pick(chance, MEMBERS),
    at: chance() < 0.2 ? [at, at + integerBelow(chance, 1_000)] : [at],
    work: { kind: "deed", deed },
    begins: chance() < 0.5,
    ...(chance() < 0.05 ? { killedAt: at + integerBelow(chance, 30_000) } : {}),
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
  if (work.kind === "deed") return deedInput(work.deed);
  return work.kind === "issue" ? { serial: work.serial } : { serial: work.serial, to: work.to };
}
