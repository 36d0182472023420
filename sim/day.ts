// Lives one day, and judges it: everything that was asked for has ended as it had to, and nothing is left over.

import { type Data, encode, equalBytes, parseName, type SecureHash, type X500Name } from "@bowline/base";
import type { FlowInspection, FlowRow, FlowStore } from "@bowline/flow";
import type { ListedState } from "@bowline/ledger";
import { memoryUniqueness, type UniquenessStore } from "@bowline/ledger/notary";
import { REPAIR_FLOW, type UnverifiedTransaction } from "@bowline/ledger/upkeep";
import { allFlows, isOver, memoryStorage, NO_FAULTS, type Party, type Storage, World } from "@bowline/testing/world";
import { COIN_NOTES } from "./coins.ts";
import { simulated } from "./flows.ts";
import { blind } from "./hostile.ts";
import { judgeDeed, judgeLedger } from "./ledger-judge.ts";
import { LedgerWitness } from "./ledger-witness.ts";
import { inputOf, type Plan, type Request } from "./plan.ts";
import { expectedNotes } from "./programs.ts";
import { Disorder, Witness } from "./witness.ts";

const STARTS_AT = Date.UTC(2030, 0, 1);
const notaryName = (number: number): X500Name => parseName(`O=Notary ${number}, L=London, C=GB`);
/** Nothing is repeated later than that after what failed. */
const QUIET_MS = 70_000;

const FLOW_OF = { walk: "sim.Walk", issue: "sim.IssueCoin", move: "sim.MoveCoin", deed: "sim.Do" } as const;

export interface DayOptions {
  /** In memory where nothing is said. */
  readonly storage?: (party: Party, now: () => number) => Promise<Storage>;
  readonly uniqueness?: (now: () => number, party: Party) => UniquenessStore;
}

export interface DayReport {
  readonly commits: number;
  readonly flows: number;
  readonly crashes: number;
}

/** Throws what went wrong. */
export async function live(plan: Plan, options: DayOptions = {}): Promise<DayReport> {
  const witness = new Witness();
  const ledger = new LedgerWitness(plan.notary, (disorder) => witness.say(disorder));
  const world = await create(plan, options, ledger);
  world.onCommit = (member, commit) => {
    witness.committed(member, commit);
    if (witness.commits === plan.absence?.afterCommits) world.crash(parseName(plan.absence.member));
  };
  try {
    const ids = await ask(world, plan, witness);
    await end(world, ids, witness);
    // Where two have half of the notary's nodes each, nobody ever decides.
    await heal(world, plan.notary.signaturesRequired === 1);
    const flows = await judge(world, plan, witness);
    await judgeLedger(world, plan, ledger);
    if (witness.disorder !== undefined) throw witness.disorder;
    return { commits: witness.commits, flows, crashes: world.crashes };
  } finally {
    await world.close();
  }
}

function create(plan: Plan, options: DayOptions, ledger: LedgerWitness): Promise<World> {
  const { storage = async (_, now) => memoryStorage(now), uniqueness = memoryUniqueness }: DayOptions = options;
  return World.create({
    seed: plan.seed,
    startsAt: STARTS_AT,
    members: [
      ...plan.members.map((name) => ({ name: parseName(name), cordapps: [simulated], isNotary: false })),
      ...Array.from({ length: plan.notaryNodes }, (_, index) => ({ name: notaryName(index + 1), cordapps: [], isNotary: true })),
    ],
    faults: plan.faults,
    owners: plan.owners,
    hotFlowsMax: plan.hotFlowsMax,
    clocksOffMs: plan.clocksOffMs,
    notary: plan.notary,
    notaryWorkers: plan.notaryWorkers,
    uniqueness: (now, party) => ledger.watchNotary(uniqueness(now, party), party.name),
    storage: async (party, now) => ledger.watchStorage(party, await storage(party, now), now),
    roles: (party, roles, membership) => {
      const own = party.name === plan.hostile ? blind(roles, membership) : roles;
      const { crypto } = own;
      const sign: typeof crypto.sign = async (request) => {
        const reply = await crypto.sign(request);
        if (request.purpose === "transaction") {
          const { transactionId } = request.parts as { readonly transactionId: SecureHash };
          ledger.signed(party.name, transactionId, reply.signature);
        }
        return reply;
      };
      return { ...own, crypto: { ...crypto, sign } };
    },
  });
}

/** What clients and operators do, in order of time. */
async function ask(world: World, plan: Plan, witness: Witness): Promise<ReadonlySet<string>> {
  const ids = new Map<string, string>();
  const deeds = plan.requests.flatMap((request) => [
    ...request.at.map((at) => ({ at, deed: () => start(world, request, witness, ids) })),
    ...(request.killedAt === undefined ? [] : [{ at: request.killedAt, deed: () => kill(world, request, witness, ids) }]),
  ]);
  const { absence } = plan;
  if (absence !== null) deeds.push({ at: absence.until, deed: () => world.restart(parseName(absence.member)) });
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
async function heal(world: World, isDecidable: boolean): Promise<void> {
  world.faults = NO_FAULTS;
  for (const name of world.places.keys()) await world.restart(name);
  const settled = async (day: number): Promise<boolean> => {
    for (const { storage } of world.places.values()) {
      if ((await allFlows(storage.flows)).some((row) => !isOver(row) && row.status !== "PARKED")) return false;
      const open = (await storage.readVault({ kind: "unverified", limit: 1 })) as unknown as readonly UnverifiedTransaction[];
      if (open.length > 0 && (isDecidable || day === 0)) return false;
    }
    return true;
  };
  for (let day = 0; day < HEALING_DAYS; day++) {
    const until = world.time.now + DAY_MS;
    const isQuiet = await world.time.wait(() => world.time.quietMs >= QUIET_MS, world.time.now + LOUD_MS);
    if (!isQuiet && (await settled(day))) throw new Disorder(`All flows are over, and still there is no end of ${await unsent(world)}.`);
    if (isQuiet && (await settled(day))) return;
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
      judgeFlow(row, requests.get(`${member} ${requestOf(row)}`), plan, member);
      if (seen.has(requestOf(row))) throw new Disorder(`Client request ${requestOf(row)} of ${member} has two flows.`);
      if (row.origin.kind === "client") seen.add(requestOf(row));
      await judgeRows(storage.flows, row, witness, member);
    }
    const unsent = await storage.flows.unacknowledged(world.time.now + 120_000, 100);
    if (unsent.length > 0) throw new Disorder(`${member} still sends ${describe(unsent[0])}.`);
  }
  const [error] = world.logs.filter(({ level }) => level === "error");
  if (error !== undefined) throw new Disorder(`The engine says: ${error.message} ${describe(error.facts)}`);
  await judgeCoins(world, plan);
  return count;
}

const requestOf = ({ origin }: FlowRow): string => (origin.kind === "client" ? origin.clientRequestId : `session ${origin.session}`);

/** What a responder may come to beside its end: it was asked to fail, or the other side has failed, closed or been silent. */
const RESPONDER_ENDS = /^(sim\.(peerFailed|refused)|session\.|notary\.|ledger\.|vault\.statusRefused)/;

function judgeFlow(row: FlowRow, request: Request | undefined, plan: Plan, member: X500Name): void {
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
  if (work.kind === "deed" && outcome !== null && "ok" in outcome) {
    judgeDeed(is, work.deed, outcome.ok as readonly string[], plan, member);
    return;
  }
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

/** Each coin that was issued has one owner; its unspent state is in one vault. */
async function judgeCoins(world: World, plan: Plan): Promise<void> {
  const held = new Map<string, X500Name[]>();
  for (const [member, { storage, party }] of world.places) {
    const { states } = (await storage.readVault({ kind: "list", consumed: false })) as unknown as {
      readonly states: readonly ListedState[];
    };
    for (const { json } of states) {
      const { serial, owner } = json as { readonly serial?: string; readonly owner: string };
      if (serial !== undefined && owner === party.publicKey) held.set(serial, [...(held.get(serial) ?? []), member]);
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
