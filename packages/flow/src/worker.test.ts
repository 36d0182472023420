import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CordappDefinition, FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { responderFlowId } from "./messages.ts";
import { ALICE, BOB, digest, Trial } from "./trial.memory.ts";

const PING = { name: "ping", versions: [1, 2] };
const Empty = flow({ name: "Empty", startable: true, input: Type.Object({}), call: async () => "done" });
const Ping = flow({
  name: "Ping",
  startable: true,
  initiates: PING,
  input: Type.Object({ rounds: Type.Integer() }),
  async call(ctx, { rounds }) {
    const session = await ctx.initiate(BOB);
    const heard: number[] = [];
    for (let round = 1; round <= rounds; round++) heard.push(await session.sendAndReceive(round, Type.Integer()));
    return heard;
  },
});
const Pong = responder({
  name: "Pong",
  answers: { name: "ping", versions: [2, 3] },
  async call(_ctx, session) {
    const first = await session.receive(Type.Integer());
    await session.send(first * 10);
  },
});
const app = (flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });

describe("a flow worker", () => {
  test("runs an empty flow in one commit", async () => {
    const trial = new Trial({ cordapp: app([Empty]) });
    await trial.worker();
    const id = await trial.start("Empty", {});
    const row = await trial.finished(id);
    assert.deepEqual([row.status, row.outcome, trial.commits], ["COMPLETED", { ok: "done" }, 1]);
  });

  test("a conversation of one round costs two commits and one", async () => {
    const trial = new Trial({ cordapp: app([Ping, Pong]) });
    await trial.worker();
    const id = await trial.start("Ping", { rounds: 1 });
    const row = await trial.finished(id);
    assert.deepEqual(row.outcome, { ok: [10] });
    assert.equal(trial.commits, 3);
    const responderRow = await trial.row(responderFlowId(`${id}:1`, digest), BOB);
    assert.equal(responderRow.status, "COMPLETED");
    await trial.run(1_000);
    for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 60_000, 100), []);
  });
});
