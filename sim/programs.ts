// What the simulator's flows do: small programs, drawn by lot, and what each must come to whatever happens meanwhile.

import type { Data } from "@bowline/base";
import { type Chance, integerBelow } from "@bowline/testing/world";

/** One thing that an initiator does in a session, in order. */
export type Act =
  /** Sends so many numbers, each the one after the last. */
  | { readonly act: "tell"; readonly count: number }
  /** Asks for the sum of all that was told. */
  | { readonly act: "ask" }
  /** Has the sum sent so many times, and hears none of them until the next act. */
  | { readonly act: "flood"; readonly count: number }
  /** Sends more than one row or message holds; the other side says how much it was. */
  | { readonly act: "parcel"; readonly bytes: number }
  /** Asks who answers, and in which version. */
  | { readonly act: "who" }
  /** The other side sleeps. */
  | { readonly act: "rest"; readonly ms: number }
  /** The other side runs a program, and tells what it came to. */
  | { readonly act: "visit"; readonly program: Program };

export type Op =
  | { readonly op: "now" | "uuid" | "random" | "checkpoint" | "lookup" | "sign" | "patched" | "properties" | "nobody" | "noProtocol" }
  | { readonly op: "sleep"; readonly ms: number }
  | { readonly op: "talk"; readonly peer: string; readonly acts: readonly Act[]; readonly ending: Ending }
  | { readonly op: "all"; readonly peers: readonly string[]; readonly rounds: number }
  | { readonly op: "expire"; readonly peer: string }
  | { readonly op: "sub"; readonly program: Program; readonly initiating: boolean; readonly fails: boolean }
  | { readonly op: "together"; readonly branches: readonly Program[] };

/** It says goodbye, closes, leaves it to its flow's end, or has the other side fail. */
export type Ending = "end" | "close" | "leave" | "fail";

export type Program = readonly Op[];

export function drawProgram(chance: Chance, peers: readonly string[], depth = 0): Program {
  return Array.from({ length: 1 + integerBelow(chance, depth === 0 ? 5 : 2) }, () => drawOp(chance, peers, depth));
}

const pick = <T>(chance: Chance, choices: readonly T[]): T => choices[integerBelow(chance, choices.length)] as T;

function drawOp(chance: Chance, peers: readonly string[], depth: number): Op {
  const nests = depth < 2;
  const kind = pick(chance, nests ? [...PLAIN, ...TALKS, ...TALKS, ...NESTS] : [...PLAIN, ...TALKS]);
  const inside = (): Program => drawProgram(chance, peers, depth + 1);
  switch (kind) {
    case "sleep":
      return { op: "sleep", ms: pick(chance, [1, 40, 2_000, 45_000]) };
    case "talk":
      return {
        op: "talk",
        peer: pick(chance, peers),
        acts: drawActs(chance, inside, nests),
        ending: pick(chance, ["end", "close", "leave", "fail"]),
      };
    case "all":
      return { op: "all", peers: peers.filter(() => chance() < 0.7), rounds: 1 + integerBelow(chance, 2) };
    case "expire":
      return { op: "expire", peer: pick(chance, peers) };
    case "sub":
      return { op: "sub", program: inside(), initiating: chance() < 0.5, fails: chance() < 0.3 };
    case "together":
      return { op: "together", branches: Array.from({ length: 2 + integerBelow(chance, 2) }, inside) };
    default:
      return { op: kind };
  }
}

const PLAIN = [
  "now",
  "uuid",
  "random",
  "checkpoint",
  "lookup",
  "sign",
  "patched",
  "properties",
  "nobody",
  "noProtocol",
  "sleep",
  "sleep",
] as const;
const TALKS = ["talk", "talk", "talk", "all", "all", "expire"] as const;
const NESTS = ["sub", "sub", "together", "together"] as const;

function drawActs(chance: Chance, inside: () => Program, nests: boolean): readonly Act[] {
  return Array.from({ length: 1 + integerBelow(chance, 4) }, (): Act => {
    switch (pick(chance, ["tell", "tell", "ask", "ask", "flood", "rest", "parcel", "who", nests ? "visit" : "ask"] as const)) {
      case "tell":
        return { act: "tell", count: 1 + integerBelow(chance, 4) };
      case "flood":
        return { act: "flood", count: 1 + integerBelow(chance, 4) };
      case "parcel":
        return { act: "parcel", bytes: pick(chance, [1, 70_000, 200_000]) };
      case "who":
        return { act: "who" };
      case "rest":
        return { act: "rest", ms: pick(chance, [1, 500, 20_000]) };
      case "visit":
        return { act: "visit", program: inside() };
      default:
        return { act: "ask" };
    }
  });
}

/** What a program's flow notes, whatever happens meanwhile. */
export const expectedNotes = (program: Program): Data => program.map(expectedOf);

function expectedOf(op: Op): Data {
  switch (op.op) {
    case "talk":
      return [...heardIn(op.acts), op.ending];
    case "all":
      return Array.from({ length: op.rounds }, (_, round) => op.peers.map(() => triangle(round + 1)));
    case "sub":
      return op.fails ? "failed" : expectedNotes(op.program);
    case "together":
      return op.branches.map(expectedNotes);
    default:
      return op.op;
  }
}

function heardIn(acts: readonly Act[]): Data[] {
  let told = 0;
  return acts.flatMap((act): Data[] => {
    if (act.act === "tell") told += act.count;
    if (act.act === "ask") return [triangle(told)];
    if (act.act === "flood") return Array.from({ length: act.count }, () => triangle(told));
    if (act.act === "parcel") return [act.bytes];
    if (act.act === "who") return ["sim.talk 2"];
    return act.act === "visit" ? [expectedNotes(act.program)] : [];
  });
}

/** 0 + 1 + … of so many numbers. */
const triangle = (count: number): number => (count * (count - 1)) / 2;
