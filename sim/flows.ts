// The simulator's CorDapp: flows that run programs and check, as they go, that their sessions keep their promise.
//
// Every message has a number. Whoever hears another than the next one says so, and the seed has failed.

import type { Data } from "@bowline/base";
import { cordapp, type FlowContext, FlowError, flow, responder, type Session } from "@bowline/sdk";
import * as Type from "typebox";
import { coinContract, coinFlows, coinState } from "./coins.ts";
import { deedFlows } from "./deed-flows.ts";
import { Note, NoteContract } from "./notes.ts";
import type { Act, Op, Program } from "./programs.ts";

const PROTOCOL = { name: "sim.talk", versions: [2, 1] };

/** On the worst of days it takes long until all is said. What nobody will ever say is found after that time too. */
const PATIENCE = { timeoutMs: 24 * 3_600_000 };

const Input = Type.Object({ program: Type.Unsafe<Program>(Type.Unknown()), fails: Type.Boolean() });

export const Walk = flow({
  name: "sim.Walk",
  startable: true,
  initiates: PROTOCOL,
  input: Input,
  call: (context, input) => walkAndEnd(context, input),
});

/** The same without a protocol of its own: its sessions outlive it. */
const Stroll = flow({ name: "sim.Stroll", startable: false, input: Input, call: (context, input) => walkAndEnd(context, input) });

const Take = flow({
  name: "sim.Take",
  startable: false,
  input: Type.String(),
  async call(context, handed) {
    const told = context.properties.get(handed) ?? "";
    context.properties.set(handed, "from below");
    return told;
  },
});

async function walkAndEnd(context: FlowContext, { program, fails }: Type.Static<typeof Input>): Promise<Data> {
  const notes = await walk(context, program);
  if (fails) throw new FlowError("sim.onPurpose", "It was to fail.");
  return notes;
}

async function walk(context: FlowContext, program: Program): Promise<Data[]> {
  const notes: Data[] = [];
  for (const op of program) notes.push(await take(context, op));
  return notes;
}

async function take(context: FlowContext, op: Op): Promise<Data> {
  switch (op.op) {
    case "sleep":
      await timed(context, op.ms);
      return op.op;
    case "talk":
      return talk(context, op);
    case "all":
      return talkToAll(context, op);
    case "sub":
      return sub(context, op);
    case "together":
      return Promise.all(op.branches.map((branch) => walk(context, branch)));
    case "expire":
      await expire(context, op.peer);
      return op.op;
    default:
      await simple(context, op.op);
      return op.op;
  }
}

async function timed(context: FlowContext, ms: number): Promise<void> {
  const before = await context.now();
  await context.sleep(ms);
  requireOrder((await context.now()) >= before + ms, "a sleep ended before its time");
}

type Simple = Exclude<Op, { readonly program: Program } | { readonly peer: string } | { readonly ms: number }>["op"];

async function simple(context: FlowContext, op: Simple): Promise<void> {
  switch (op) {
    case "now":
      requireOrder((await context.now()) > 0, "there is no time");
      return;
    case "uuid": {
      const [one, other] = [await context.uuid(), await context.uuid()];
      requireOrder(one !== other, "an id came twice");
      return;
    }
    case "random":
      await context.random(40);
      return;
    case "checkpoint":
      await context.checkpoint();
      return;
    case "lookup":
      requireOrder((await context.members.mine()).name === context.me, "a member is not itself");
      return;
    case "sign": {
      const [key] = (await context.members.mine()).ledgerKeys;
      await context.keys.sign(Uint8Array.of(1), key as string);
      return;
    }
    case "patched":
      // Whoever runs it again decides as the one before did: nothing was ever run in other code.
      requireOrder((await context.patched("sim.fix")) && (await context.patched("sim.fix")), "a fix was passed by");
      return;
    case "properties":
      return hand(context);
    case "nobody":
      return refused(async () => (await context.initiate("O=Nobody, L=London, C=GB")).sendAndReceive(0, Type.Unknown()));
    case "noProtocol": {
      const protocol = { name: "sim.nobodyAnswers", versions: [1] };
      return refused(async () => (await context.initiate(context.me, { protocol })).sendAndReceive(0, Type.Unknown()));
    }
  }
}

/** Properties travel down, to sub-flows and to whoever answers, and never up. Each under a key of its own: others may hand beside it. */
async function hand(context: FlowContext): Promise<void> {
  const value = await context.uuid();
  const handed = `sim.handed.${value}`;
  context.properties.set(handed, value);
  requireOrder((await context.subFlow(Take, handed)) === value, "a sub-flow was told something else");
  requireOrder(context.properties.get(handed) === value, "a sub-flow told its caller something");
  requireOrder((await context.initiate(context.me)).properties[handed] === value, "a session was told something else");
}

/** Of a session that cannot be: it fails, and the flow goes on. */
async function refused(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof FlowError && thrown.type.startsWith("session.")) return;
    throw thrown;
  }
  throw new FlowError("sim.disorder", "A session with nobody had an answer.");
}

/** A counterparty that is silent for too long; whether the answer comes all the same is a race. */
async function expire(context: FlowContext, peer: string): Promise<void> {
  try {
    const session = await context.initiate(peer, { timeoutMs: 2_000 });
    await session.send({ is: "rest", n: 0, ms: 60_000 });
    await session.sendAndReceive({ is: "ask", n: 1 }, Type.Unknown());
  } catch (thrown) {
    if (!(thrown instanceof FlowError && thrown.type.startsWith("session."))) throw thrown;
  }
}

async function sub(context: FlowContext, { program, initiating, fails }: Extract<Op, { op: "sub" }>): Promise<Data> {
  try {
    return (await context.subFlow(initiating ? Walk : Stroll, { program, fails })) as Data;
  } catch (thrown) {
    if (fails && thrown instanceof FlowError && thrown.type === "sim.onPurpose") return "failed";
    throw thrown;
  }
}

// --- The initiator's side ---

/** What an initiator sends; `n` counts its messages. */
type Said = { readonly n: number } & (
  | { readonly is: "number"; readonly value: number }
  | { readonly is: "ask" | "end" | "fail" }
  | { readonly is: "flood"; readonly count: number }
  | { readonly is: "parcel"; readonly bytes: Uint8Array }
  | { readonly is: "rest"; readonly ms: number }
  | { readonly is: "visit"; readonly program: Program }
);

const Answer = Type.Object({ n: Type.Integer(), answer: Type.Unsafe<Data>(Type.Unknown()) });

class Talk {
  readonly session: Session;
  #sent = 0;
  #heard = 0;
  #told = 0;

  constructor(session: Session) {
    this.session = session;
  }

  numbered<S>(said: S): S & { readonly n: number } {
    return { ...said, n: this.#sent++ };
  }

  number(): Data {
    return this.numbered({ is: "number", value: this.#told++ });
  }

  /** Fails unless it is the next that the other side sent. */
  check({ n, answer }: Type.Static<typeof Answer>): Data {
    requireOrder(n === this.#heard++, `of ${this.session.counterparty} answer ${n} came where ${this.#heard - 1} was due`);
    return answer;
  }
}

async function talk(context: FlowContext, { peer, acts, ending }: Extract<Op, { op: "talk" }>): Promise<Data> {
  const to = new Talk(await context.initiate(peer, PATIENCE));
  const heard: Data[] = [];
  for (const act of acts) heard.push(...(await doAct(to, act)));
  if (ending === "end") await to.session.send(to.numbered({ is: "end" }));
  if (ending === "close") await to.session.close();
  if (ending === "fail") await refused(() => to.session.sendAndReceive(to.numbered({ is: "fail" }), Answer));
  return [...heard, ending];
}

async function doAct(to: Talk, act: Act): Promise<Data[]> {
  const { session } = to;
  switch (act.act) {
    case "tell":
      for (let i = 0; i < act.count; i++) await session.send(to.number());
      return [];
    case "ask":
      return [to.check(await session.sendAndReceive(to.numbered({ is: "ask" }), Answer))];
    case "flood": {
      await session.send(to.numbered({ is: "flood", count: act.count }));
      const sums: Data[] = [];
      for (let i = 0; i < act.count; i++) sums.push(to.check(await session.receive(Answer)));
      return sums;
    }
    case "parcel": {
      const bytes = new Uint8Array(act.bytes).fill(7);
      return [to.check(await session.sendAndReceive(to.numbered({ is: "parcel", bytes }), Answer))];
    }
    case "who": {
      const { protocol, version } = await session.counterpartyInfo();
      return [`${protocol} ${version}`];
    }
    case "rest":
      await session.send(to.numbered({ is: "rest", ms: act.ms }));
      return [];
    case "visit":
      return [to.check(await session.sendAndReceive(to.numbered({ is: "visit", program: act.program as unknown as Data }), Answer))];
  }
}

async function talkToAll(context: FlowContext, { peers, rounds }: Extract<Op, { op: "all" }>): Promise<Data> {
  const talks: Talk[] = [];
  for (const peer of peers) talks.push(new Talk(await context.initiate(peer, PATIENCE)));
  const sessions = talks.map(({ session }) => session);
  const sendAll = (payload: (to: Talk) => Data) => context.sendAll(talks.map((to) => ({ session: to.session, payload: payload(to) })));
  const sums: Data[] = [];
  for (let round = 0; round < rounds; round++) {
    await sendAll((to) => to.number());
    await sendAll((to) => to.numbered({ is: "ask" }));
    const answers = await context.receiveAll(sessions, Answer);
    sums.push(answers.map((answer, index) => (talks[index] as Talk).check(answer)));
  }
  await sendAll((to) => to.numbered({ is: "end" }));
  return sums;
}

// --- The responder's side ---

const Listen = responder({
  name: "sim.Listen",
  answers: { name: PROTOCOL.name, versions: [1, 2] },
  async call(context, session) {
    requireOrder(session.version === 2, `version ${session.version} was chosen where both speak 2`);
    let [heard, answered, sum, numbers] = [0, 0, 0, 0];
    const answer = (value: Data) => session.send({ n: answered++, answer: value });
    for (;;) {
      const said = await nextOf(session);
      if (said === undefined) return;
      requireOrder(said.n === heard++, `message ${said.n} came where ${heard - 1} was due`);
      if (said.is === "end") return;
      if (said.is === "fail") throw new FlowError("sim.peerFailed", "It was asked to fail.");
      if (said.is === "number") {
        requireOrder(said.value === numbers++, `number ${said.value} came where ${numbers - 1} was due`);
        sum += said.value;
      }
      if (said.is === "ask") await answer(sum);
      if (said.is === "flood") for (let i = 0; i < said.count; i++) await answer(sum);
      if (said.is === "parcel") await answer(said.bytes.every((byte) => byte === 7) ? said.bytes.length : "damaged");
      if (said.is === "rest") await timed(context, said.ms);
      if (said.is === "visit") await answer((await context.subFlow(Walk, { program: said.program, fails: false })) as Data);
    }
  },
});

/** Undefined where the initiator has closed the session. */
async function nextOf(session: Session): Promise<Said | undefined> {
  try {
    return await session.receive(Type.Unsafe<Said>(Type.Unknown()));
  } catch (thrown) {
    if (thrown instanceof FlowError && thrown.type === "session.closed") return undefined;
    throw thrown;
  }
}

function requireOrder(holds: boolean, disorder: string): void {
  if (!holds) throw new FlowError("sim.disorder", disorder);
}

export const simulated = cordapp({
  flows: [Walk, Stroll, Take, Listen, ...coinFlows, ...deedFlows],
  states: [coinState, Note],
  contracts: [coinContract, NoteContract],
});
