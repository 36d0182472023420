// Lives one day, and judges it: everything that was asked for has ended as it had to, and nothing is left over.

import { type Data, encode, equalBytes, parseName, type X500Name } from "@bowline/base";
import { keyIdOf } from "@bowline/crypto";
import type { FlowInspection, FlowRow, FlowStore } from "@bowline/flow";
import { decodeSigned, type ListedState } from "@bowline/ledger";
import { memoryUniqueness } from "@bowline/ledger/notary";
import { REPAIR_FLOW } from "@bowline/ledger/upkeep";
import { allFlows, isOver, NO_FAULTS, type Party, type Storage, World } from "@bowline/testing/world";
import { COIN_NOTES } from "./coins.ts";
import { simulated } from "./flows.ts";
import { inputOf, type Plan, type Request } from "./plan.ts";
import { expectedNotes } from "./programs.ts";
import { Disorder, Witness } from "./witness.ts";

const STARTS_AT = Date.UTC(2030, 0, 1);
const NOTARY = parseName("O=Notary, L=London, C=GB");
/** Nothing is repeated later than that after what failed. */
const QUIET_MS = 70_000;

const FLOW_OF = { walk: "sim.Walk", issue: "sim.IssueCoin", move: "sim.MoveCoin" } as const;

export interface DayOptions {
  /** In memory where nothing is said. */
  readonly storage?: (party: Party, now: () => number) => Promise<Storage>;
}

export interface DayReport {
  readonly commits: number;
  readonly flows: number;
  readonly crashes: number;
}

/** Throws what went wrong. */
export async function live(plan: Plan, options: DayOptions = {}): Promise<DayReport> {
  const witness = new Witness();
  const { storage } = options;
  const world = await World.create({
    seed: plan.seed,
    startsAt: STARTS_AT,
    members: [
      ...plan.members.map((name) => ({ name: parseName(name), cordapps: [simulated], isNotary: false })),
      { name: NOTARY, cordapps: [], isNotary: true },
    ],
    faults: plan.faults,
    owners: plan.owners,
    hotFlowsMax: plan.hotFlowsMax,
    uniqueness: (now) => witness.watch(memoryUniqueness(now)),
    ...(storage === undefined ? {} : { storage }),
  });
  world.onCommit = (member, commit) => witness.committed(member, commit);
  try {
    const ids = await ask(world, plan, witness);
    await end(world, ids, witness);
    await heal(world);
    const flows = await judge(world, plan, witness);
    if (witness.disorder !== undefined) throw witness.disorder;
    return { commits: witness.commits, flows, crashes: world.crashes };
  } finally {
    await world.close();
  }
}

/** What clients and operators do, in order of time. */
async function ask(world: World, plan: Plan, witness: Witness): Promise<ReadonlySet<string>> {
  const ids = new Map<string, string>();
  const deeds = plan.requests.flatMap((request) => [
    ...request.at.map((at) => ({ at, deed: () => start(world, request, witness, ids) })),
    ...(request.killedAt === undefined ? [] : [{ at: request.killedAt, deed: () => kill(world, request, witness, ids) }]),
  ]);
  const doing: Promise<void>[] = [];
  for (const { at, deed } of deeds.sort((a, b) => a.at - b.at)) {
    await world.time.wait(() => false, STARTS_AT + at);
    const done = deed();
    // One that fails before the last has begun is heard of below.
    done.catch(() => undefined);
    doing.push(done);
  }
  await Promise.all(doing);
  return new Set(ids.values());
}

async function start(world: World, { id, member, work, begins }: Request, witness: Witness, ids: Map<string, string>): Promise<void> {
  const name = parseName(member);
  const bundle = world.places.get(name)?.party.packages[0]?.fileChecksum;
  if (bundle === undefined) throw new Disorder(`${member} has no CorDapp.`);
  const outcome = await world.start(name, { flowName: FLOW_OF[work.kind], bundle, input: inputOf(work), requestId: id, begins });
  if (outcome.kind === "conflict") witness.say(`Client request ${id} was asked again, and called another one.`);
  witness.started(member, id, outcome.row.id);
  ids.set(id, outcome.row.id);
}

async function kill(world: World, { id, member }: Request, witness: Witness, ids: ReadonlyMap<string, string>): Promise<void> {
  const name = parseName(member);
  const flowId = ids.get(id);
  if (flowId === undefined || !(await world.kill(name, flowId))) return;
  const row = await world.time.track(world.place(name).storage.flows.byId(flowId));
  if (row !== undefined) witness.killed(flowId, row.version);
}

async function end(world: World, ids: ReadonlySet<string>, witness: Witness): Promise<void> {
  const done = () => witness.disorder !== undefined || [...ids].every((id) => world.isAtRest(id));
  if (await world.time.wait(done)) return;
  const open = [...ids].filter((id) => !world.isAtRest(id));
  throw new Disorder(`Flows that never end: ${open.join(", ")}.`);
}

/** Nothing goes wrong any more: what was lost is sent again, every responder ends too, and then nobody says anything. */
async function heal(world: World): Promise<void> {
  world.faults = NO_FAULTS;
  for (const name of world.places.keys()) await world.restart(name);
  const settled = async (): Promise<boolean> => {
    for (const { storage } of world.places.values())
      if ((await allFlows(storage.flows)).some((row) => !isOver(row) && row.status !== "PARKED")) return false;
    return true;
  };
  for (let day = 0; day < HEALING_DAYS; day++) {
    const until = world.time.now + DAY_MS;
    const isQuiet = await world.time.wait(() => world.time.quietMs >= QUIET_MS, world.time.now + LOUD_MS);
    if (!isQuiet && (await settled())) throw new Disorder(`All flows are over, and still there is no end of ${await unsent(world)}.`);
    if (isQuiet && (await settled())) return;
    await world.time.wait(() => false, until);
  }
}

/** A message that somebody sends again and again. */
async function unsent({ places, time }: World): Promise<string> {
  for (const { storage } of places.values()) {
    const [message] = await storage.flows.unacknowledged(time.now + 120_000, 1);
    if (message !== undefined) return describe(message);
  }
  return "what is no message";
}

const DAY_MS = 24 * 3_600_000;
/** Responders whose initiators have died wait for their sessions to expire. */
const HEALING_DAYS = 3;
/** What is not quiet after so long without faults never will be. */
const LOUD_MS = 900_000;

// --- The judgement ---

async function judge(world: World, plan: Plan, witness: Witness): Promise<number> {
  const requests = new Map(plan.requests.map((request) => [`${parseName(request.member)} ${request.id}`, request]));
  let count = 0;
  for (const [member, { storage }] of world.places) {
    const rows = await allFlows(storage.flows);
    const seen = new Set<string>();
    for (const row of rows) {
      count++;
      judgeFlow(row, requests.get(`${member} ${requestOf(row)}`));
      if (seen.has(requestOf(row))) throw new Disorder(`Client request ${requestOf(row)} of ${member} has two flows.`);
      if (row.origin.kind === "client") seen.add(requestOf(row));
      await judgeRows(storage.flows, row, witness, member);
    }
    const unsent = await storage.flows.unacknowledged(world.time.now + 120_000, 100);
    if (unsent.length > 0) throw new Disorder(`${member} still sends ${describe(unsent[0])}.`);
    await judgeVault(storage, world);
  }
  const [error] = world.logs.filter(({ level }) => level === "error");
  if (error !== undefined) throw new Disorder(`The engine says: ${error.message} ${describe(error.facts)}`);
  await judgeCoins(world, plan);
  return count;
}

const requestOf = ({ origin }: FlowRow): string => (origin.kind === "client" ? origin.clientRequestId : `session ${origin.session}`);

/** What a responder may come to beside its end: it was asked to fail, or the other side has failed, closed or been silent. */
const RESPONDER_ENDS = /^(sim\.peerFailed|session\.|notary\.|ledger\.)/;

function judgeFlow(row: FlowRow, request: Request | undefined): void {
  const { flowName, id, status, outcome } = row;
  const is = `${flowName} ${id} is ${status}: ${describe(outcome)}`;
  if (!isOver(row)) throw new Disorder(`${is}; it should be over.`);
  if (request === undefined) {
    // The vault asks for it, after a crash in the middle of a finality.
    if (flowName === REPAIR_FLOW && status === "COMPLETED") return;
    if (row.origin.kind !== "session") throw new Disorder(`${is}, and nobody asked for it.`);
    if (status === "COMPLETED" || (outcome !== null && "error" in outcome && RESPONDER_ENDS.test(outcome.error.type))) return;
    throw new Disorder(`${is}, which no responder comes to.`);
  }
  if (status === "KILLED" && request.killedAt !== undefined) return;
  const { work } = request;
  if (work.kind === "walk" && work.fails && outcome !== null && "error" in outcome && outcome.error.type === "sim.onPurpose") return;
  if (outcome !== null && "ok" in outcome && !(work.kind === "walk" && work.fails)) {
    if (work.kind !== "walk" && COIN_NOTES.some((note) => note === outcome.ok)) return;
    if (work.kind === "walk" && equalBytes(encode(outcome.ok), encode(expectedNotes(work.program)))) return;
    throw new Disorder(`${is}, not ${describe(work.kind === "walk" ? expectedNotes(work.program) : COIN_NOTES)}.`);
  }
  if (work.kind === "move" && outcome !== null && "error" in outcome && /^(session|ledger)\./.test(outcome.error.type)) return;
  throw new Disorder(`${is}, which it had no reason to.`);
}

async function judgeRows(flows: FlowStore, row: FlowRow, witness: Witness, member: X500Name): Promise<void> {
  const inspection = await flows.inspect(row.id);
  if (inspection === undefined) throw new Disorder(`Flow ${row.id} is listed, and is not there.`);
  witness.loaded(member, row.id, inspection.journal);
  const { inbox, outbox }: Pick<FlowInspection, "inbox" | "outbox"> = inspection;
  if (inbox > 0) throw new Disorder(`Flow ${row.id} is over, and ${inbox} messages lie in its inbox that nobody will read.`);
  if (outbox > 0) throw new Disorder(`Flow ${row.id} is over, and ${outbox} of its messages nobody acknowledged.`);
}

/** What a vault lists is of verified transactions, whose notary's word is stored with them. */
async function judgeVault({ readVault }: Storage, { membership }: World): Promise<void> {
  const { states } = (await readVault({ kind: "list" })) as unknown as { readonly states: readonly ListedState[] };
  const ids = [...new Set(states.map(({ ref }) => ref.slice(0, ref.lastIndexOf(":"))))];
  if (ids.length === 0) return;
  const held = (await readVault({ kind: "transactions", ids })) as unknown as readonly ({ bytes: Uint8Array; status: string } | null)[];
  held.forEach((transaction, index) => {
    if (transaction?.status !== "V") throw new Disorder(`A state of ${ids[index]} can be found, which is ${transaction?.status}.`);
    const { signatures } = decodeSigned(transaction.bytes);
    const by = keyIdOf(membership.notary?.key ?? "");
    if (!signatures.some((signature) => signature.by === by)) throw new Disorder(`${ids[index]} is verified, and has no notary's word.`);
  });
}

/** Each coin that was issued has one owner; its unspent state is in one vault. */
async function judgeCoins(world: World, plan: Plan): Promise<void> {
  const held = new Map<string, X500Name[]>();
  for (const [member, { storage, party }] of world.places) {
    const { states } = (await storage.readVault({ kind: "list", consumed: false })) as unknown as {
      readonly states: readonly ListedState[];
    };
    for (const { json } of states) {
      const { serial, owner } = json as { readonly serial: string; readonly owner: string };
      if (owner === party.publicKey) held.set(serial, [...(held.get(serial) ?? []), member]);
    }
  }
  for (const { work } of plan.requests) {
    if (work.kind !== "issue") continue;
    const owners = held.get(work.serial) ?? [];
    if (owners.length !== 1) throw new Disorder(`Coin ${work.serial} has ${owners.length} owners: ${owners.join("; ")}.`);
  }
}

const describe = (value: unknown): string =>
  JSON.stringify(value, (_key, member: Data) =>
    member instanceof Uint8Array ? `${member.length} bytes` : typeof member === "bigint" ? String(member) : member,
  )?.slice(0, 1_500) ?? "nothing";
