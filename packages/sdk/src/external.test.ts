import assert from "node:assert/strict";
import { test } from "node:test";
import { externalMessagingOf } from "./external.ts";
import type { Syscall } from "./syscalls.ts";

const asked: Syscall[] = [];
const messaging = externalMessagingOf([{ name: "prices", type: "SEND" }], async (call) => void asked.push(call));

test("a message is asked to be sent, under an id of the author's where one is given", async () => {
  await messaging.send("prices", "m1");
  await messaging.send("prices", "id2", "m2");
  assert.deepEqual(asked, [
    { kind: "external.send", channel: "prices", message: "m1" },
    { kind: "external.send", channel: "prices", id: "id2", message: "m2" },
  ]);
});

test("a channel that the CorDapp does not declare, and a message that is too large, are refused and never asked", async () => {
  const before = asked.length;
  await assert.rejects(messaging.send("Prices", "m"), { type: "external.channelUnknown" });
  await assert.rejects(messaging.send("prices", "m".repeat(1_000_000)), { type: "external.messageTooLarge" });
  assert.equal(asked.length, before);
});
