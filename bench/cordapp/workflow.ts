// What the benchmark measures beside the obligation example: a flow that does nothing, one of five
// durable steps, and one exchange between two parties.

import { cordapp, flow, responder } from "@bowline/sdk";
import { Integer, Object as Struct, String as Text } from "typebox";

export const Empty = flow({
  name: "bench.Empty",
  startable: true,
  input: Struct({}),
  output: Text(),
  call: async () => "done",
});

const STEPS = 5;

/** Each step's result is on disk before the next begins. */
export const Steps5 = flow({
  name: "bench.Steps5",
  startable: true,
  input: Struct({}),
  output: Integer(),
  async call(context) {
    let last = 0;
    for (let step = 1; step <= STEPS; step++) {
      last = last * 31 + step;
      await context.checkpoint({ step, result: last });
    }
    return last;
  },
});

const protocol = { name: "bench.ping", versions: [1] };
const Ball = Struct({ count: Integer() });

export const PingPong = flow({
  name: "bench.PingPong",
  startable: true,
  initiates: protocol,
  input: Struct({ peer: Text() }),
  output: Ball,
  async call(context, { peer }) {
    const session = await context.initiate(peer);
    return session.sendAndReceive({ count: 1 }, Ball);
  },
});

export const Pong = responder({
  name: "bench.Pong",
  answers: protocol,
  async call(_context, session) {
    const ball = await session.receive(Ball);
    await session.send({ count: ball.count + 1 });
  },
});

const bundle = cordapp({ flows: [Empty, Steps5, PingPong, Pong], states: [], contracts: [] });

export { bundle as cordapp };
