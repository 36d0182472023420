import assert from "node:assert/strict";
import { test } from "node:test";
import { contract, cordapp, FlowError, flow, responder, state, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { createNetwork } from "./index.ts";

const PROTOCOL = { name: "note", versions: [1] };
const Note = state({
  name: "Note",
  version: 1,
  contract: "Notes",
  schema: Type.Object({ holders: Type.Array(Type.String()) }),
  participants: ({ holders }) => holders,
});
const Notes = contract({ name: "Notes", commands: { Write: Type.Object({}) }, verify: () => {} });
/** Of all whom it names, who must all sign. */
const Write = flow({
  name: "Write",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ with: Type.Array(Type.String()) }),
  async call(context, { with: others }) {
    const [notary] = await context.notaries.all();
    const holders = [(await context.members.mine()).ledgerKeys[0] as string];
    for (const name of others) holders.push((await context.members.lookup(name))?.ledgerKeys[0] as string);
    const proposal = transaction()
      .notary(notary?.name as string)
      .until((await context.now()) + 600_000)
      .output(Note, { holders })
      .command(Notes, "Write")
      .signedBy(...holders)
      .build();
    const sessions = [];
    for (const name of others) sessions.push(await context.initiate(name));
    await context.ledger.finalize(await context.ledger.sign(proposal), sessions);
    return null;
  },
});
const Refuse = responder({
  name: "Refuse",
  answers: PROTOCOL,
  async call(context, session) {
    await context.ledger.receiveFinality(session, () => {
      throw new FlowError("note.refused", `${context.me} does not take notes.`);
    });
  },
});
const app = cordapp({ flows: [Write, Refuse], states: [Note], contracts: [Notes] });

test("where several refuse one transaction its proposer is told a refusal as its author wrote it, and not that a session failed", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const network = await createNetwork({ cordapps: [app], members: ["Alice", "Bob", "Carol"], seed });
    const others = [network.node("Bob").name, network.node("Carol").name];
    await assert.rejects(network.node("Alice").start(Write, { with: others }), (thrown: FlowError) => {
      assert.match(`${thrown.type} ${thrown.details["type"] ?? ""}`, /note\.refused/);
      assert.equal(thrown.type === "session.failed", false, thrown.message);
      return true;
    });
  }
});
