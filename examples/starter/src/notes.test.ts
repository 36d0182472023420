// A whole network in one process: the platform's own code on memory, with time and trouble made by the test.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createNetwork, minutes, simulate } from "@bowline/testing";
import { cordapp as contract, Note } from "./contract.ts";
import { ListNotes, WriteNote, cordapp as workflow } from "./workflow.ts";

const COMPANIES = { cordapps: [contract, workflow], members: ["Alice", "Bob"] };
const BOB = "O=Bob, L=London, C=GB";

test("writer and reader hold the note", async () => {
  const network = await createNetwork(COMPANIES);
  await network.node("Alice").start(WriteNote, { reader: BOB, text: "Good morning" });
  for (const name of ["Alice", "Bob"]) {
    const notes = await network.node(name).start(ListNotes, {});
    assert.deepEqual(notes, [{ text: "Good morning", writer: network.node("Alice").name, reader: BOB }]);
  }
});

test("who is no member cannot be written to", async () => {
  const network = await createNetwork(COMPANIES);
  const writing = network.node("Alice").start(WriteNote, { reader: "O=Dora, L=Madrid, C=ES", text: "Hello?" });
  await assert.rejects(writing, { type: "note.readerUnknown" });
});

test("nobody writes to itself: the contract refuses", async () => {
  const network = await createNetwork(COMPANIES);
  const bob = network.node("Bob");
  await assert.rejects(bob.start(WriteNote, { reader: BOB, text: "Do not forget" }), { message: /goes to another company/ });
  assert.deepEqual(await bob.vault.find(Note), []);
});

test("a reader that is away gets its note when it is back", async () => {
  const network = await createNetwork(COMPANIES);
  network.crash("Bob");
  const writing = network.node("Alice").start(WriteNote, { reader: BOB, text: "See you" });
  await network.advance(minutes(3));
  await network.restart("Bob");
  await writing;
  await network.settle();
  assert.equal((await network.node("Bob").vault.find(Note)).length, 1);
});

test("on every bad day, a note is written once", () =>
  simulate({ ...COMPANIES, seeds: 50 }, async (network) => {
    await network.node("Alice").start(WriteNote, { reader: BOB, text: "Once" });
    await network.settle();
    assert.equal((await network.node("Bob").vault.find(Note)).length, 1);
  }));
