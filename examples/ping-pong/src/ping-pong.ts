// A match of ping-pong: one member serves, the other returns, and both keep the count.

import { FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";

export const PROTOCOL = { name: "com.example.pingpong", versions: [1] };

const STRICT = { additionalProperties: false };

/** A stroke of whoever serves; `last` says that none follows. What a peer sends is checked: a peer is never trusted. */
const Serve = Type.Object({ stroke: Type.Integer({ minimum: 1 }), last: Type.Boolean() }, STRICT);
const Return = Type.Object({ stroke: Type.Integer({ minimum: 2 }) }, STRICT);

/** Started by whoever serves. */
export const Ping = flow({
  name: "com.example.pingpong.Ping",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object(
    {
      opponent: Type.String({ minLength: 1, maxLength: 512, description: "The opponent's X.500 name." }),
      rounds: Type.Integer({ minimum: 1, maximum: 1_000 }),
      /** Between two rounds. */
      restMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })),
    },
    { additionalProperties: false },
  ),
  output: Type.Object({ strokes: Type.Integer(), durationMs: Type.Integer() }),
  async call(context, { opponent, rounds, restMs = 0 }) {
    const member = await context.members.lookup(opponent);
    if (member === undefined) throw new FlowError("pingpong.opponentUnknown", `"${opponent}" is not a member of this network.`);
    const began = await context.now();
    const session = await context.initiate(member.name);
    let stroke = 0;
    for (let round = 1; round <= rounds; round++) {
      const returned = await session.sendAndReceive({ stroke: stroke + 1, last: round === rounds }, Return);
      if (returned.stroke !== stroke + 2)
        throw new FlowError("pingpong.miscounted", `Stroke ${stroke + 2} was to come, not ${returned.stroke}.`);
      stroke = returned.stroke;
      if (restMs > 0 && round < rounds) await context.sleep(restMs);
    }
    context.log.info("match over", { opponent: member.name, strokes: stroke });
    return { strokes: stroke, durationMs: (await context.now()) - began };
  },
});

/** Run by whoever returns, until the match is over. */
export const Pong = responder({
  name: "com.example.pingpong.Pong",
  answers: PROTOCOL,
  async call(_context, session) {
    for (let expected = 1; ; expected += 2) {
      const { stroke, last } = await session.receive(Serve);
      if (stroke !== expected) throw new FlowError("pingpong.miscounted", `Stroke ${expected} was to come, not ${stroke}.`);
      await session.send({ stroke: stroke + 1 });
      if (last) return;
    }
  },
});
