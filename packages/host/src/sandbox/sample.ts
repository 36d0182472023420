// A small CorDapp, as an author would write it, with flows that misbehave. For tests of the sandbox.

import { contract, cordapp as define, flow, requireThat, responder, state } from "@bowline/sdk";
import { Any, Integer, Array as List, Object as Shape, String as Text } from "typebox";

const Nothing = Shape({});
const protocol = { name: "com.example.ping", versions: [1] };

const Steps = flow({
  name: "com.example.Steps",
  startable: true,
  input: Shape({ label: Text() }),
  output: Text(),
  async call(context, { label }) {
    const first = await context.now();
    const [second, third] = await Promise.all([context.now(), context.uuid()]);
    context.log.info("stepped", { label });
    return `${label} ${first} ${second} ${third}`;
  },
});

const Ping = flow({
  name: "com.example.Ping",
  startable: true,
  initiates: protocol,
  input: Shape({ peer: Text() }),
  output: List(Text()),
  async call(context, { peer }) {
    const session = await context.initiate(peer as never);
    return [await session.sendAndReceive("ping", Text())];
  },
});

const Pong = responder({
  name: "com.example.Pong",
  answers: protocol,
  async call(_context, session) {
    await session.send(`${await session.receive(Text())} pong`);
  },
});

const Forbidden = flow({
  name: "com.example.Forbidden",
  startable: true,
  input: Nothing,
  async call(context) {
    return context.syscall({ kind: "vault.write", writes: [] });
  },
});

const Loop = flow({
  name: "com.example.Loop",
  startable: true,
  input: Nothing,
  async call(context) {
    await context.now();
    for (;;);
  },
});

const Throw = flow({
  name: "com.example.Throw",
  startable: true,
  input: Shape({ how: Text() }),
  async call(context, { how }) {
    await context.now();
    const payNobody = (): never => (null as unknown as { pay(): never }).pay();
    if (how === "bug") payNobody();
    const hidden = new Error("x");
    Object.defineProperty(hidden, "stack", { value: "at secret (cordapp.js:1:1)" });
    throw how === "nothing" ? null : hidden;
  },
});

const Hoard = flow({
  name: "com.example.Hoard",
  startable: true,
  input: Shape({ megabytes: Integer() }),
  async call(context, { megabytes }) {
    const hoard: string[] = [];
    for (let i = 0; i < megabytes; i++) hoard.push(JSON.stringify(`${i % 10}`.repeat(2 ** 20)));
    await context.now();
    return hoard.length;
  },
});

/** Says how much of what came back is what it sent. */
const Bulk = flow({
  name: "com.example.Bulk",
  startable: true,
  initiates: protocol,
  input: Shape({ peer: Text(), megabytes: Integer() }),
  output: Integer(),
  async call(context, { peer, megabytes }) {
    const session = await context.initiate(peer as never);
    const bytes = new Uint8Array(megabytes * 2 ** 20);
    for (let i = 0; i < bytes.length; i += 4_096) bytes[i] = i >> 12;
    const back: Uint8Array = await session.sendAndReceive(bytes, Any());
    let same = 0;
    for (let i = 0; i < bytes.length; i += 4_096) if (back[i] === bytes[i]) same += 4_096;
    return back.length === bytes.length ? same : 0;
  },
});

const Coin = state({
  name: "com.example.Coin",
  version: 1,
  contract: "com.example.CoinContract",
  schema: Shape({ owner: Text(), amount: Integer() }),
  participants: ({ owner }) => [owner],
  json: ({ amount }) => ({ amount }),
});

const CoinContract = contract({
  name: "com.example.CoinContract",
  commands: { Issue: Nothing, Recurse: Nothing },
  verify({ commands, outputs }) {
    const down = (): number => 1 + down();
    if (commands.some(({ type }) => type === "Recurse")) down();
    for (const { state: made } of outputs)
      if (made.type === "com.example.Coin") requireThat((made.data as { amount: number }).amount > 0, "the amount is more than zero");
  },
});

export const cordapp = define({
  flows: [Steps, Ping, Pong, Forbidden, Loop, Hoard, Bulk, Throw],
  states: [Coin],
  contracts: [CoinContract],
});
