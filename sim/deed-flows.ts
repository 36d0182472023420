// The flows of a day of the ledger. Each tells what it came to, by notes: `done`, `none` where there was nothing to do it with, or the
// type of what it failed with. Whether it may have failed so is judged afterwards (ledger-judge.ts).

import {
  decimal,
  type FlowContext,
  FlowError,
  failureOf,
  flow,
  responder,
  type SignedTransaction,
  type StateAndRef,
  type TransactionBuilder,
  transaction,
} from "@bowline/sdk";
import * as Type from "typebox";
import type { Deed, Manner, Window } from "./deeds.ts";
import { dataOf, Note, NoteContract, type NoteData, type Terms } from "./notes.ts";
import { HandOver, Look, showPart, sourceOf } from "./showing.ts";

const DEAL = { name: "sim.deal", versions: [1] };
const MINUTE = 60_000;
/** Of milliseconds from now: how long a transaction may take, and what the clocks of a day may be off by, lies in between. */
const WINDOWS: Readonly<Record<Window, { readonly from?: number; readonly until: number }>> = {
  wide: { until: 30 * MINUTE },
  short: { until: 15_000 },
  early: { from: 30_000, until: 30 * MINUTE },
  expired: { until: -MINUTE },
};
const PLAIN: Manner = { window: "wide", observers: [], cosigned: false, refusedBy: [], refers: false };

/** What a deed is done with. */
interface Ground {
  readonly context: FlowContext;
  readonly notary: string;
  readonly key: string;
  readonly notes: readonly StateAndRef[];
}

export const Do = flow({
  name: "sim.Do",
  startable: true,
  initiates: DEAL,
  input: Type.Object({ deed: Type.Unsafe<Deed>(Type.Unknown()) }),
  async call(context, { deed }) {
    const [[notary], { ledgerKeys }, { states: notes }] = await Promise.all([
      context.notaries.all(),
      context.members.mine(),
      context.vault.find(Note, { limit: 1_000 }),
    ]);
    return carryOut({ context, notary: notary?.name as string, key: ledgerKeys[0] as string, notes }, deed);
  },
});

async function carryOut(ground: Ground, deed: Deed): Promise<string[]> {
  switch (deed.deed) {
    case "issue":
      return [await noted(() => issue(ground, deed))];
    case "pay":
      return [await noted(() => (deed.by === "claim" ? payWithTokens(ground, deed) : payFromVault(ground, deed)))];
    case "merge":
      return [
        await noted(() => move(ground, { inputs: ofSymbol(ground, deed.symbol), paid: "0", to: ground.context.me, manner: deed.manner })),
      ];
    case "redeem":
      return [await noted(() => redeem(ground, deed))];
    case "twice":
      return twice(ground, deed);
    case "again":
      return again(ground, deed);
    case "hold":
      return [await noted(() => hold(ground, deed))];
    case "draft":
      return [await noted(() => draft(ground, deed))];
    case "show":
      return [await noted(() => showPart(ground.context, ground.notes, deed))];
    case "hand":
      return [await noted(() => hand(ground, deed))];
    case "forge":
      return forge(ground, deed);
  }
}

/** Disorder is the flow's own failure; anything else is a way for a deed to end. */
async function noted(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof FlowError && thrown.type !== "sim.disorder") return thrown.type;
    throw thrown;
  }
}

// --- Transactions ---

async function begun({ context, notary, key }: Ground, window: Window): Promise<TransactionBuilder> {
  const now = await context.now();
  const { from, until } = WINDOWS[window];
  const open = from === undefined ? transaction() : transaction().from(now + from);
  return open
    .notary(notary)
    .until(now + until)
    .signedBy(key);
}

const keyOf = async ({ context }: Ground, name: string): Promise<string> => (await context.members.lookup(name))?.ledgerKeys[0] as string;

const terms = ({ refusedBy }: Manner): Terms => ({ refusedBy: [...refusedBy] });

/** Signs and makes final, with all who are to know of it. */
async function settle({ context }: Ground, builder: TransactionBuilder, parties: readonly string[]): Promise<string> {
  const signed = await context.ledger.sign(builder.build());
  await context.ledger.finalize(signed, await sessions(context, parties));
  return "done";
}

const sessions = (context: FlowContext, parties: readonly string[]) =>
  Promise.all([...new Set(parties)].filter((party) => party !== context.me).map((party) => context.initiate(party)));

async function issue(ground: Ground, { symbol, amounts, to, partner, bound, manner }: Extract<Deed, { deed: "issue" }>): Promise<string> {
  const [owner, second] = await Promise.all([keyOf(ground, to), partner === null ? "" : keyOf(ground, partner)]);
  let builder = (await begun(ground, manner.window)).command(NoteContract, "Issue", terms(manner));
  for (const amount of amounts) {
    const note: NoteData = { issuer: ground.key, symbol, owner, partner: second, bound, amount: String(amount) };
    builder = builder.output(Note, note, bound ? { encumbrance: "tied" } : {});
  }
  if (manner.cosigned) builder = builder.signedBy(owner);
  return settle(ground, builder, [to, ...(partner === null ? [] : [partner]), ...manner.observers]);
}

const ofSymbol = ({ notes }: Ground, symbol: string) => notes.filter((note) => dataOf(note).symbol === symbol);

/** Enough notes, in the order in which everybody finds them. Of those that are tied together all. */
function enough(ground: Ground, symbol: string, amount: number): readonly StateAndRef[] {
  const all = ofSymbol(ground, symbol);
  const found: StateAndRef[] = [];
  for (const note of all) {
    if (decimal.compare(worth(found), String(amount)) >= 0) break;
    if (!found.includes(note)) found.push(...tiedTo(note, all));
  }
  return decimal.compare(worth(found), String(amount)) >= 0 ? found : [];
}

const tiedTo = (note: StateAndRef, all: readonly StateAndRef[]): readonly StateAndRef[] =>
  note.encumbrance === undefined ? [note] : all.filter(({ ref }) => sourceOf(ref) === sourceOf(note.ref));

/** The first that is found, with what is tied to it. */
const first = (ground: Ground, symbol: string): readonly StateAndRef[] => enough(ground, symbol, 1);

const worth = (notes: readonly StateAndRef[]): string => decimal.sum(notes.map((note) => dataOf(note).amount));

interface Move {
  readonly inputs: readonly StateAndRef[];
  readonly paid: string;
  readonly to: string;
  readonly manner: Manner;
}

/** Of each issuer's notes a note: up to `paid` to somebody else, and the rest to ourselves. */
async function moved(ground: Ground, { inputs, paid, to, manner }: Move): Promise<TransactionBuilder> {
  const payee = await keyOf(ground, to);
  let builder = (await begun(ground, manner.window)).input(...inputs).command(NoteContract, "Move", terms(manner));
  let left = paid;
  for (const [issuer, notes] of byIssuer(inputs)) {
    const { symbol } = dataOf(notes[0] as StateAndRef);
    const sum = worth(notes);
    const given = decimal.compare(sum, left) < 0 ? sum : left;
    left = decimal.subtract(left, given);
    for (const [owner, amount] of [
      [payee, given],
      [ground.key, decimal.subtract(sum, given)],
    ] as const)
      if (decimal.isPositive(amount)) builder = builder.output(Note, { issuer, symbol, owner, partner: "", bound: false, amount });
  }
  const other = ground.notes.findLast(({ ref }) => inputs.every((input) => input.ref !== ref));
  if (manner.refers && other !== undefined) builder = builder.reference(other);
  return manner.cosigned ? builder.signedBy(payee) : builder;
}

const byIssuer = (notes: readonly StateAndRef[]) => Map.groupBy(notes, (note) => dataOf(note).issuer);

async function move(ground: Ground, what: Move): Promise<string> {
  if (what.inputs.length === 0) return "none";
  return settle(ground, await moved(ground, what), [what.to, ...what.manner.observers]);
}

const payFromVault = (ground: Ground, { symbol, amount, to, manner }: Extract<Deed, { deed: "pay" }>): Promise<string> =>
  move(ground, { inputs: enough(ground, symbol, amount), paid: String(amount), to, manner });

const pool = ({ notary }: Ground, symbol: string) => ({ tokenType: Note.name, issuer: "the mint", symbol, notary });

function payWithTokens(ground: Ground, { symbol, amount, to, manner }: Extract<Deed, { deed: "pay" }>): Promise<string> {
  const { context } = ground;
  return context.tokens.spend(
    { ...pool(ground, symbol), amount: String(amount) },
    async ({ refs }) => move(ground, { inputs: await context.vault.resolve(refs), paid: String(amount), to, manner }),
    { attemptsMax: 3 },
  );
}

async function redeem(ground: Ground, { symbol, amount, manner }: Extract<Deed, { deed: "redeem" }>): Promise<string> {
  const inputs = enough(ground, symbol, amount);
  const [issuer, ...others] = byIssuer(inputs).keys();
  if (issuer === undefined || others.length > 0) return "none";
  let builder = (await begun(ground, manner.window)).input(...inputs).command(NoteContract, "Redeem", terms(manner));
  const rest = decimal.subtract(worth(inputs), String(amount));
  if (decimal.isPositive(rest))
    builder = builder.output(Note, { issuer, symbol, owner: ground.key, partner: "", bound: false, amount: rest });
  return settle(ground, builder, manner.observers);
}

async function twice(ground: Ground, { symbol, to }: Extract<Deed, { deed: "twice" }>): Promise<string[]> {
  const inputs = first(ground, symbol);
  const spend = (payee: string) => noted(() => move(ground, { inputs, paid: worth(inputs), to: payee, manner: PLAIN }));
  const notes = await Promise.all(to.map(spend));
  const spent = notes.filter((note) => note === "done").length;
  if (spent === 2) throw new FlowError("sim.disorder", "Two transactions with one note were accepted.");
  if (spent === 0) return notes;
  const shown = await noted(() => referTo(ground, inputs, symbol));
  if (shown === "done") throw new FlowError("sim.disorder", "A transaction that refers to a note that was spent was accepted.");
  return [...notes, shown];
}

async function referTo(ground: Ground, notes: readonly StateAndRef[], symbol: string): Promise<string> {
  const note: NoteData = { issuer: ground.key, symbol, owner: ground.key, partner: "", bound: false, amount: "1" };
  const builder = (await begun(ground, "wide"))
    .reference(...notes)
    .output(Note, note)
    .command(NoteContract, "Issue", terms(PLAIN));
  return settle(ground, builder, []);
}

/** Both say the same of it, or one of them cannot. */
async function again(ground: Ground, { symbol, to }: Extract<Deed, { deed: "again" }>): Promise<string[]> {
  const inputs = first(ground, symbol);
  if (inputs.length === 0) return ["none"];
  const { context } = ground;
  const signed = await context.ledger.sign((await moved(ground, { inputs, paid: worth(inputs), to, manner: PLAIN })).build());
  const finalized = async () => {
    await context.ledger.finalize(signed, await sessions(context, [to]));
    return "done";
  };
  return Promise.all([noted(finalized), noted(finalized)]);
}

async function hold(ground: Ground, { symbol, amount, holdMs, restMs }: Extract<Deed, { deed: "hold" }>): Promise<string> {
  const claim = await ground.context.tokens.tryClaim({ ...pool(ground, symbol), amount: String(amount), holdMs });
  if (claim === null) return "none";
  await ground.context.sleep(restMs);
  await claim.useAndRelease(claim.refs.slice(0, 1));
  return "done";
}

/** With one note: where it is tied to others, no such transaction can be. */
async function draft(ground: Ground, { symbol, to, restMs }: Extract<Deed, { deed: "draft" }>): Promise<string> {
  const inputs = ofSymbol(ground, symbol).slice(0, 1);
  if (inputs.length === 0) return "none";
  const { context } = ground;
  const { id } = await context.ledger.keepDraft((await moved(ground, { inputs, paid: worth(inputs), to, manner: PLAIN })).build());
  await context.sleep(restMs);
  await context.ledger.finalize(await context.ledger.takeUpDraft(id), await sessions(context, [to]));
  return "done";
}

async function hand({ context, notes }: Ground, { to }: Extract<Deed, { deed: "hand" }>): Promise<string> {
  const [note] = notes;
  if (note === undefined || to === context.me) return "none";
  const id = sourceOf(note.ref);
  await context.ledger.sendTransaction({ id }, [await context.initiate(to, { protocol: HandOver.answers })]);
  return "done";
}

/** What it comes to with the one who looks at it, without, and when what is forged is to be spent. */
async function forge(ground: Ground, { symbol, to }: Extract<Deed, { deed: "forge" }>): Promise<string[]> {
  const { context, key } = ground;
  const note: NoteData = { issuer: key, symbol, owner: key, partner: "", bound: false, amount: "1000" };
  const builder = (await begun(ground, "wide")).output(Note, note).command(NoteContract, "Move", terms(PLAIN));
  let signed: SignedTransaction;
  try {
    signed = await context.ledger.sign(builder.build());
  } catch (thrown) {
    // Where this member's own contracts run.
    return [failureOf(thrown).type];
  }
  const finalized = async (parties: readonly string[]) => {
    await context.ledger.finalize(signed, await sessions(context, parties));
    return "done";
  };
  const shown = await noted(() => finalized([to]));
  const alone = await noted(() => finalized([]));
  const { states } = await context.vault.find(Note, { where: { symbol } });
  const spent = await noted(() => move(ground, { inputs: states, paid: "1", to, manner: PLAIN }));
  return [shown, alone, spent];
}

const Agree = responder({
  name: "sim.Agree",
  answers: DEAL,
  async call(context, session) {
    await context.ledger.receiveFinality(session, ({ commands }) => {
      const refusedBy = commands.flatMap(({ data }) => (data as unknown as Terms).refusedBy);
      if (refusedBy.includes(context.me)) throw new FlowError("sim.refused", "It does not want that.");
    });
  },
});

export const deedFlows = [Do, Agree, Look, HandOver];
