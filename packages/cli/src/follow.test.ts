import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { writeEvent } from "@bowline/api/events";
import { Agent } from "undici";
import { followStatus } from "./follow.ts";

const event = (id: number, flowStatus: string) => writeEvent({ id: String(id), type: "status", data: JSON.stringify({ flowStatus }) });

/** A server that answers each connection by the next of `answers`; what it was asked, and what was followed. */
async function follow(answers: readonly ((response: ServerResponse) => void)[]) {
  const asked: (string | undefined)[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    asked.push(request.headers["last-event-id"] as string | undefined);
    answers[asked.length - 1]?.(response);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const dispatcher = new Agent();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const states: string[] = [];
  try {
    for await (const { flowStatus } of followStatus({ url, user: "a", password: "b", dispatcher }, "0123456789AB", "r 1"))
      states.push(flowStatus);
    return { asked, states };
  } finally {
    await dispatcher.destroy();
    server.close();
  }
}

test("a stream that breaks, or a server that is away for a moment, is resumed after the last event", async () => {
  const { asked, states } = await follow([
    (response) => {
      response.writeHead(200).write(event(1, "START_REQUESTED") + event(2, "RUNNING").slice(0, -5));
      setTimeout(() => response.destroy(), 50);
    },
    (response) =>
      response.writeHead(503, { "content-type": "application/json" }).end('{"title":"Away.","status":503,"details":{"code":"x.away"}}'),
    (response) => response.writeHead(200).end(event(2, "RUNNING")),
    (response) => response.writeHead(200).end(event(3, "COMPLETED") + event(4, "NEVER")),
  ]);
  assert.deepEqual(asked, [undefined, "1", "1", "2"], "half an event is none");
  assert.deepEqual(states, ["START_REQUESTED", "RUNNING", "COMPLETED"]);
});

test("a refusal is final", async () => {
  const refuse = (response: ServerResponse) =>
    response.writeHead(404).end('{"title":"There is none.","status":404,"details":{"code":"flow.unknown"}}');
  await assert.rejects(follow([refuse]), { code: "flow.unknown", message: "There is none." });
});
