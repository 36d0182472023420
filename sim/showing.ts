// Shows a counterparty parts of a transaction, and checks that it was shown those and no others: what it believes is part of the
// transaction, it knows how much of each group that is, and what was doctored on the way it does not believe.

import { type Data, decode, encode } from "@bowline/base";
import { type FlowContext, FlowError, responder, type StateAndRef, type TransactionView } from "@bowline/sdk";
import type { ShownGroup, ShownTransaction, WhatToShow } from "@bowline/sdk/filtered";
import { type Chance, integerBelow, seeded } from "@bowline/testing/world";
import * as Type from "typebox";
import type { Deed } from "./deeds.ts";

const LOOK = { name: "sim.look", versions: [1] };
const HAND = { name: "sim.hand", versions: [1] };
const GROUPS = ["signatories", "inputs", "references", "outputs", "commands"] as const;
type Group = (typeof GROUPS)[number];

type Seen = { readonly shown: ShownTransaction } | { readonly refused: string };
const Verdicts = Type.Unsafe<{ readonly whole: Seen; readonly required: Seen; readonly doctored: Seen }>(Type.Unknown());
const Shown = Type.Object({ bytes: Type.Unsafe<Uint8Array>(Type.Unknown()), lot: Type.Integer() });

/** The transaction that a state comes from. */
export const sourceOf = (ref: string): string => ref.slice(0, ref.lastIndexOf(":"));

export async function showPart(
  context: FlowContext,
  notes: readonly StateAndRef[],
  { to, lot }: Extract<Deed, { deed: "show" }>,
): Promise<string> {
  const [note] = notes;
  if (note === undefined) return "none";
  const id = sourceOf(note.ref);
  const [view, show] = [await context.ledger.findTransaction(id), drawShow(seeded(lot))];
  if (view === undefined) throw new FlowError("sim.disorder", `A note's transaction ${id} is not there.`);
  const { bytes } = await context.ledger.filter(id, show);
  const session = await context.initiate(to, { protocol: LOOK });
  const { whole, required, doctored } = await session.sendAndReceive({ bytes, lot }, Verdicts);
  if ("refused" in whole) throw disorder(`what was shown of ${id} was refused: ${whole.refused}`);
  check(view, whole.shown);
  if (whole.shown.id !== id) throw disorder(`${id} was shown, and ${whole.shown.id} seen`);
  for (const group of GROUPS) checkExtent(view, whole.shown, group, show[group]);
  const isComplete = whole.shown.inputs?.complete === true;
  if (isComplete !== "shown" in required) throw disorder(`of ${id} all inputs were asked for, and ${isComplete ? "refused" : "believed"}`);
  // Another transaction's parts may have been made of it; of this one only what is true.
  if ("shown" in doctored && doctored.shown.id === id) check(view, doctored.shown);
  return "done";
}

const disorder = (what: string) => new FlowError("sim.disorder", what);

function drawShow(chance: Chance): WhatToShow {
  const show: Record<string, unknown> = {};
  if (chance() < 0.5) show.notary = true;
  if (chance() < 0.5) show.timeWindow = true;
  for (const group of GROUPS) {
    const lot = chance();
    if (lot < 0.25) show[group] = "all";
    else if (lot < 0.5) show[group] = "count";
    else if (lot < 0.75) show[group] = (_: unknown, index: number) => index % 2 === 0;
  }
  return show as WhatToShow;
}

/** All that is shown is of the transaction, and what is said of how much it is holds. */
function check(view: TransactionView, shown: ShownTransaction): void {
  if (shown.notary !== undefined && shown.notary !== view.notary) throw disorder(`notary ${shown.notary} was seen`);
  if (shown.timeWindow !== undefined && shown.timeWindow.until !== view.timeWindow.until) throw disorder("another time window was seen");
  for (const name of GROUPS) {
    const group = shown[name] as ShownGroup<unknown> | undefined;
    if (group === undefined) continue;
    const all: readonly unknown[] = view[name];
    if (group.count !== all.length) throw disorder(`${group.count} ${name} were counted, and there are ${all.length}`);
    if (group.complete !== (new Set(group.items.map(({ index }) => index)).size === all.length))
      throw disorder(`${group.items.length} of ${all.length} ${name} were seen, and complete is ${group.complete}`);
    for (const { index, value } of group.items)
      if (textOf(value) !== textOf(name === "inputs" || name === "references" ? (all[index] as StateAndRef).ref : all[index]))
        throw disorder(`${name} ${index} was seen as ${textOf(value)}`);
  }
}

const textOf = (value: unknown): string => Buffer.from(encode(value as Data)).toString("hex");

function checkExtent(view: TransactionView, shown: ShownTransaction, name: Group, show: WhatToShow[Group]): void {
  const count = view[name].length;
  const expected = show === undefined ? undefined : show === "all" ? count : show === "count" ? 0 : Math.ceil(count / 2);
  const group = shown[name];
  if (group?.items.length !== expected) throw disorder(`${group?.items.length} ${name} were seen, and ${expected} of ${count} shown`);
}

export const Look = responder({
  name: "sim.Look",
  answers: LOOK,
  async call(context, session) {
    const { bytes, lot } = await session.receive(Shown);
    const whole = await seen(context, bytes);
    const required = await seen(context, bytes, ["inputs"]);
    const doctored = await seen(context, doctor(bytes, seeded(lot ^ 0xd0c)));
    await session.send({ whole, required, doctored } as unknown as Data);
  },
});

async function seen(context: FlowContext, bytes: Uint8Array, complete: readonly Group[] = []): Promise<Seen> {
  try {
    return { shown: await context.ledger.verifyFiltered(bytes, { complete }) };
  } catch (thrown) {
    if (thrown instanceof FlowError) return { refused: thrown.type };
    throw thrown;
  }
}

interface Parts {
  readonly groups: Part[];
}
type Part =
  | { kind: "hidden"; top: Uint8Array }
  | { kind: "shown"; count: number; leaves: { index: number; nonce: Uint8Array; data: Uint8Array }[]; hashes: Uint8Array[] };

/** One thing about it is another. */
function doctor(bytes: Uint8Array, chance: Chance): Uint8Array {
  const { filtered, signatures } = decode(bytes) as { readonly filtered: Uint8Array; readonly signatures: Data };
  const parts = decode(filtered) as unknown as Parts;
  const number = integerBelow(chance, parts.groups.length);
  const part = parts.groups[number] as Part;
  parts.groups[number] = part.kind === "hidden" ? { kind: "hidden", top: flipped(part.top, chance) } : doctored(part, chance);
  return encode({ filtered: encode(parts as unknown as Data), signatures });
}

function doctored(part: Extract<Part, { kind: "shown" }>, chance: Chance): Part {
  const at = integerBelow(chance, Math.max(1, part.leaves.length));
  const leaf = part.leaves[at];
  switch (integerBelow(chance, 7)) {
    case 0:
      return { ...part, count: part.count + 1 };
    case 1:
      return { ...part, count: Math.max(0, part.count - 1) };
    case 2:
      // What is hidden of a group must not look like nothing.
      return { ...part, leaves: part.leaves.toSpliced(at, 1) };
    case 3:
      return { ...part, leaves: part.leaves.toSpliced(at, 1), count: Math.max(0, part.count - 1) };
    case 4:
      return leaf === undefined ? part : { ...part, leaves: part.leaves.with(at, { ...leaf, data: flipped(leaf.data, chance) }) };
    case 5:
      return leaf === undefined ? part : { ...part, leaves: part.leaves.with(at, { ...leaf, index: leaf.index ^ 1 }) };
    default:
      return leaf === undefined ? part : { ...part, leaves: [...part.leaves, leaf] };
  }
}

function flipped(bytes: Uint8Array, chance: Chance): Uint8Array {
  const at = integerBelow(chance, bytes.length);
  return bytes.map((byte, index) => (index === at ? byte ^ (1 << integerBelow(chance, 8)) : byte));
}

/** Takes final transactions that it has no part in. */
export const HandOver = responder({
  name: "sim.HandOver",
  answers: HAND,
  async call(context, session) {
    await context.ledger.receiveTransaction(session);
  },
});
