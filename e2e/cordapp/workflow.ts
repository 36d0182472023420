// Flows that show when something happened twice, or not at all: what each ends with is a count of what it and its
// counterparty did.

import { cordapp, type FlowError, flow, responder } from "@bowline/sdk";
import { Any, Boolean as Flag, Integer, Array as List, Optional, Object as Struct, String as Text } from "typebox";

const protocol = { name: "e2e.talk", versions: [1] };
const Said = Struct({ round: Integer(), pauseMs: Integer(), failAt: Integer(), filler: Text() });
const Heard = Struct({ round: Integer(), heard: Integer() });

export const Talk = flow({
  name: "e2e.Talk",
  startable: true,
  initiates: protocol,
  input: Struct({
    peer: Text(),
    rounds: Integer(),
    /** The counterparty waits so long before each answer. */
    pauseMs: Optional(Integer()),
    /** The counterparty fails in this round. */
    failAt: Optional(Integer()),
    /** Text that every message carries along. */
    characters: Optional(Integer()),
    timeoutMs: Optional(Integer()),
  }),
  output: List(Integer()),
  async call(context, { peer, rounds, pauseMs = 0, failAt = 0, characters = 0, timeoutMs }) {
    const session = await context.initiate(peer, timeoutMs === undefined ? {} : { timeoutMs });
    const counts: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const answer = await session.sendAndReceive({ round, pauseMs, failAt, filler: "x".repeat(characters) }, Heard);
      if (answer.round !== round) throw new Error(`round ${round} was answered as ${answer.round}`);
      counts.push(answer.heard);
    }
    await session.send({ round: 0, pauseMs: 0, failAt: 0, filler: "" });
    return counts;
  },
});

export const Answer = responder({
  name: "e2e.Answer",
  answers: protocol,
  async call(context, session) {
    for (let heard = 1; ; heard++) {
      const { round, pauseMs, failAt } = await session.receive(Said);
      if (round === 0) return;
      if (round === failAt) throw new Error("asked to fail");
      if (pauseMs > 0) await context.sleep(pauseMs);
      await session.send({ round, heard });
    }
  },
});

export const Sleep = flow({
  name: "e2e.Sleep",
  startable: true,
  input: Struct({ milliseconds: Integer(), times: Integer() }),
  output: Integer(),
  async call(context, { milliseconds, times }) {
    for (let slept = 0; slept < times; slept++) await context.sleep(milliseconds);
    return times;
  },
});

export const Compute = flow({
  name: "e2e.Compute",
  startable: true,
  input: Struct({ steps: Integer(), afterMs: Optional(Integer()) }),
  output: Integer(),
  async call(context, { steps, afterMs = 0 }) {
    if (afterMs > 0) await context.sleep(afterMs);
    const ids = new Set<string>();
    for (let step = 0; step < steps; step++) {
      ids.add(await context.uuid());
      await context.checkpoint();
    }
    return ids.size;
  },
});

/** Asks the host itself, as code would that does not want the sdk's check of its channels. */
export const Announce = flow({
  name: "e2e.Announce",
  startable: true,
  input: Struct({ channel: Text(), text: Text() }),
  async call(context, { channel, text }) {
    await context.syscall({ kind: "external.send", channel, message: text });
    await context.checkpoint();
    return null;
  },
});

const bulk = { name: "e2e.bulk", versions: [1] };

/** Says how many of its bytes came back as they were, or why they did not leave. */
export const Bulk = flow({
  name: "e2e.Bulk",
  startable: true,
  initiates: bulk,
  input: Struct({ peer: Text(), megabytes: Integer(), asText: Optional(Flag()) }),
  async call(context, { peer, megabytes, asText = false }) {
    const session = await context.initiate(peer);
    const bytes = new Uint8Array(megabytes * 2 ** 20);
    for (let i = 0; i < bytes.length; i += 1_000) bytes[i] = i / 1_000;
    try {
      const back: Uint8Array = await session.sendAndReceive(asText ? "x".repeat(bytes.length) : bytes, Any());
      let same = back.length === bytes.length ? bytes.length : 0;
      for (let i = 0; i < bytes.length; i += 1_000) if (back[i] !== bytes[i]) same--;
      return same;
    } catch (refused) {
      return (refused as FlowError).type;
    }
  },
});

export const Echo = responder({
  name: "e2e.Echo",
  answers: bulk,
  async call(_context, session) {
    await session.send(await session.receive(Any()));
  },
});

const bundle = cordapp({
  flows: [Talk, Answer, Sleep, Compute, Announce, Bulk, Echo],
  states: [],
  contracts: [],
  channels: [{ name: "prices", type: "SEND" }],
});

export { bundle as cordapp };
