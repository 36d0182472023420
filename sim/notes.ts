// What the days of the ledger are about: notes that are worth something, and the rules for them. A note has one owner, or two of
// whom each may spend it, so that two vaults hold the same state as their own.

import { contract, decimal, requireThat, type StateAndRef, state } from "@bowline/sdk";
import * as Type from "typebox";

const NoteData = Type.Object({
  issuer: Type.String(),
  symbol: Type.String(),
  owner: Type.String(),
  /** May spend it too; nobody where it is empty. */
  partner: Type.String(),
  /** Tied to others: it is no token. */
  bound: Type.Boolean(),
  amount: Type.String(),
});
export type NoteData = Type.Static<typeof NoteData>;

export const Note = state({
  name: "sim.Note",
  version: 1,
  contract: "sim.NoteContract",
  schema: NoteData,
  participants: ({ owner, partner }) => (partner === "" ? [owner] : [owner, partner]),
  token: ({ symbol, partner, bound, amount }) => (partner !== "" || bound ? null : { issuer: "the mint", symbol, amount }),
});

export const dataOf = ({ state: { data } }: StateAndRef): NoteData => data as NoteData;

/** By symbol, and by who stands for it. */
export function sumsOf(notes: readonly NoteData[]): ReadonlyMap<string, string> {
  const sums = new Map<string, string>();
  for (const { symbol, issuer, amount } of notes)
    sums.set(`${symbol} ${issuer}`, decimal.add(sums.get(`${symbol} ${issuer}`) ?? "0", amount));
  return sums;
}

const Terms = Type.Object({
  /** Members that do not want it: by name. */
  refusedBy: Type.Array(Type.String()),
});
export type Terms = Type.Static<typeof Terms>;

export const NoteContract = contract({
  name: "sim.NoteContract",
  commands: { Issue: Terms, Move: Terms, Redeem: Terms },
  verify({ inputs, outputs, commands, signatories }) {
    const [consumed, created] = [inputs.map(dataOf), outputs.map(dataOf)];
    const [before, after] = [sumsOf(consumed), sumsOf(created)];
    const signs = (...keys: readonly string[]) => keys.some((key) => signatories.includes(key));
    requireThat(
      created.every(({ amount }) => decimal.isPositive(amount)),
      "notes are worth something",
    );
    requireThat(
      consumed.every(({ owner, partner }) => signs(owner, partner)),
      "whoever may spend a note signs",
    );
    const type = commands[0]?.type;
    if (type === "Issue") {
      requireThat(consumed.length === 0, "an issue consumes nothing");
      requireThat(
        created.every(({ issuer }) => signs(issuer)),
        "the issuer signs",
      );
      return;
    }
    for (const kind of new Set([...before.keys(), ...after.keys()])) {
      const difference = decimal.compare(before.get(kind) ?? "0", after.get(kind) ?? "0");
      requireThat(type === "Redeem" ? difference > 0 : difference === 0, "a move keeps the sum, and a redemption lowers it");
    }
  },
});
