// The judgement of the ledger at the end of a day, when every transaction's time has come: what each vault holds is what the notary's
// word makes of it, no less and no more, and nothing has come from nowhere.

import type { SecureHash, X500Name } from "@bowline/base";
import { verifySync } from "@bowline/crypto";
import { decodeSigned, type ListedState, signedBytesOf } from "@bowline/ledger";
import { signatureState, type UnverifiedTransaction } from "@bowline/ledger/upkeep";
import type { Place, World } from "@bowline/testing/world";
import { type Deed, FORGED } from "./deeds.ts";
import type { LedgerWitness, Transaction } from "./ledger-witness.ts";
import { Note, type NoteData, sumsOf } from "./notes.ts";
import type { Plan } from "./plan.ts";
import { sourceOf } from "./showing.ts";
import { Disorder } from "./witness.ts";

export async function judgeLedger(world: World, plan: Plan, ledger: LedgerWitness): Promise<void> {
  const truth = truthOf(ledger);
  for (const place of world.places.values()) {
    if (place.party.isNotary) continue;
    await judgeRows(place, plan, ledger);
    if (place.party.name === plan.hostile) continue;
    await judgeUnspent(place, truth, ledger);
  }
}

/** 6, 7: what is verified has all signatures and the notary's; what the notary accepted is nowhere left open. */
async function judgeRows({ party: { name }, storage }: Place, plan: Plan, ledger: LedgerWitness): Promise<void> {
  const ids = [...ledger.rowsOf(name)];
  const rows = (await storage.readVault({ kind: "transactions", ids })) as unknown as readonly (Row | null)[];
  const open = (await storage.readVault({ kind: "unverified", limit: 1_000 })) as unknown as readonly UnverifiedTransaction[];
  const isOpen = new Set(open.map(({ id }) => id));
  for (const [index, row] of rows.entries()) {
    const id = ids[index] as SecureHash;
    if (row === null) throw new Disorder(`${name} has lost transaction ${id}.`);
    if (row.status === "V") judgeVerified(name, row, plan, ledger);
    // Of two that each have half of the notary's nodes none is ever decided.
    if (row.status === "U" && isOpen.has(id) && plan.notary.signaturesRequired === 1)
      throw new Disorder(`Transaction ${id} is past its time, and still open at ${name}.`);
  }
}

interface Row {
  readonly bytes: Uint8Array;
  readonly status: string;
}

function judgeVerified(member: X500Name, { bytes }: Row, plan: Plan, ledger: LedgerWitness): void {
  const { transaction, signatures } = decodeSigned(bytes);
  const { id } = transaction;
  const valid = signedBytesOf(transaction, signatures).map((item) => item !== undefined && verifySync(item));
  const { missing, invalid, notary } = signatureState(transaction, signatures, valid);
  if (notary?.kind !== "accepted") throw new Disorder(`${id} is verified at ${member}, and has no notary's word.`);
  if (missing.length + invalid.length > 0) throw new Disorder(`${id} is verified at ${member}, and not signed by all.`);
  if (!ledger.isAccepted(id)) throw new Disorder(`${id} is verified at ${member}, and its notary knows nothing of it.`);
  if (member !== plan.hostile) judgeBalance(member, transaction, ledger);
}

const notesOf = ({ outputs }: Pick<Transaction, "outputs">): readonly (NoteData | undefined)[] =>
  outputs.map(({ state }) => (state.type === Note.name ? (state.data as unknown as NoteData) : undefined));

/** Conservation: an issue brings what its issuer signs for, a redemption lowers, a move keeps. Said here once more, without the contract. */
function judgeBalance(member: X500Name, transaction: Transaction, { contents }: LedgerWitness): void {
  const created = notesOf(transaction).filter((note) => note !== undefined);
  if (created.length < transaction.outputs.length) return;
  if (transaction.inputs.length === 0) {
    if (created.some(({ symbol, issuer }) => symbol === FORGED || !transaction.signatories.includes(issuer)))
      throw new Disorder(`${member} believes ${transaction.id}, which makes money from nothing.`);
    return;
  }
  const consumed = transaction.inputs.map((ref) => {
    const source = contents.get(sourceOf(ref) as SecureHash);
    return source === undefined ? undefined : notesOf(source)[Number(ref.slice(ref.lastIndexOf(":") + 1))];
  });
  const known = consumed.filter((note) => note !== undefined);
  if (known.length < consumed.length) throw new Disorder(`${member} believes ${transaction.id}, which consumes what nobody has made.`);
  if (isSplit(transaction, contents)) throw new Disorder(`${member} believes ${transaction.id}, which unties what is tied together.`);
  const [before, after] = [sumsOf(known), sumsOf(created)];
  for (const [kind, sum] of after)
    if (Number(sum) > Number(before.get(kind) ?? 0)) throw new Disorder(`${member} believes ${transaction.id}, which makes ${kind} more.`);
}

/** Of notes that are tied together it consumes some. */
const isSplit = ({ inputs }: Transaction, contents: LedgerWitness["contents"]): boolean =>
  [...new Set(inputs.map(sourceOf))].some((id) => {
    const source = contents.get(id as SecureHash);
    const tied = source === undefined ? [] : notesOf(source).flatMap((note, index) => (note?.bound ? [`${id}:${index}`] : []));
    return tied.some((ref) => inputs.includes(ref)) && !tied.every((ref) => inputs.includes(ref));
  });

interface Truth {
  /** Outputs that the notary knows, and what consumed them: nothing, where they are unspent. */
  readonly unspent: ReadonlyMap<string, NoteData>;
}

function truthOf(ledger: LedgerWitness): Truth {
  const unspent = new Map<string, NoteData>();
  const accepted = [...ledger.contents.values()].filter(({ id }) => ledger.isAccepted(id));
  for (const transaction of accepted)
    notesOf(transaction).forEach((note, index) => {
      if (note !== undefined) unspent.set(`${transaction.id}:${index}`, note);
    });
  for (const { inputs } of accepted) for (const ref of inputs) unspent.delete(ref);
  return { unspent };
}

/** What is one member's alone lies unspent in its vault exactly where it is unspent; its tokens are worth so much, and all are free. */
async function judgeUnspent({ party, storage }: Place, { unspent }: Truth, ledger: LedgerWitness): Promise<void> {
  const { name, publicKey } = party;
  const { states } = (await storage.readVault({ kind: "list", state: Note.name, consumed: false, limit: 1_000 })) as unknown as {
    readonly states: readonly ListedState[];
  };
  const listed = new Map(states.map(({ ref, json }) => [ref as string, json as unknown as NoteData]));
  const isOwn = ({ owner, partner, symbol }: NoteData) => owner === publicKey && partner === "" && symbol !== FORGED;
  for (const [ref, note] of listed)
    if (isOwn(note) && !unspent.has(ref)) throw new Disorder(`${name} takes ${ref} for unspent, and it is not.`);
  for (const [ref, note] of unspent) if (isOwn(note) && !listed.has(ref)) throw new Disorder(`${name} owns ${ref}, and does not find it.`);
  const held = await ledger.claimsOf(name).heldByNobody(async (flowId) => (await storage.flows.byId(flowId)) !== undefined);
  const tokens = [...listed].filter(([, { partner, bound }]) => partner === "" && !bound);
  const notary = states[0]?.notary;
  if (notary === undefined) return;
  for (const symbol of new Set(tokens.map(([, note]) => note.symbol))) {
    const own = tokens.filter(([, note]) => note.symbol === symbol);
    const worth = sumOf(own);
    const free = worth - sumOf(own.filter(([ref]) => held.has(ref)));
    const { total, available } = await storage.tokens.balance({ tokenType: Note.name, issuer: "the mint", symbol, notary });
    if (Number(total) !== worth || Number(available) !== free)
      throw new Disorder(`${name} has ${worth} ${symbol}, ${free} free; its tokens are ${total}, of which ${available} are free.`);
  }
}

const sumOf = (notes: readonly (readonly [string, NoteData])[]): number => notes.reduce((sum, [, { amount }]) => sum + Number(amount), 0);

// --- What a deed may come to ---

/** Each note that a deed gave is one that it may come to, as it was asked for. */
export function judgeDeed(what: string, deed: Deed, notes: readonly string[], plan: Plan, member: X500Name): void {
  const may = mayBe(deed, plan, member);
  for (const note of notes) if (!may.test(note)) throw new Disorder(`${what}: ${JSON.stringify(deed)} came to ${note}.`);
}

function mayBe(deed: Deed, { absence, hostile, notary }: Plan, member: X500Name): RegExp {
  const ways = ["session\\..*"];
  const manner = "manner" in deed ? deed.manner : undefined;
  if (manner?.window !== "expired") ways.push("done");
  if (deed.deed !== "issue" && deed.deed !== "forge") ways.push("none", "notary\\.(input|reference)StateConflict");
  if (manner !== undefined && manner.refusedBy.length > 0) ways.push("sim.refused");
  if ((manner !== undefined && manner.window !== "wide") || absence !== null) ways.push("notary.timeWindowOutOfBounds");
  // What it has forged it hands on, and others do not take.
  if (member === hostile) ways.push("ledger.(transaction|backchain)Invalid");
  if (deed.deed === "draft") ways.push("ledger.transactionInvalid");
  if (deed.deed === "pay" && deed.by === "claim") ways.push("tokens.insufficient");
  // Two that each have half of the nodes; or states of which no node that must sign knows both.
  if (notary.signaturesRequired > 1) ways.push("ledger.notaryUnreachable", "notary.timeWindowOutOfBounds");
  if (deed.deed === "forge") return member === hostile ? /^(done|none|(ledger|notary|session)\..*)$/ : /^ledger\.transactionInvalid$/;
  return new RegExp(`^(${ways.join("|")})$`);
}
