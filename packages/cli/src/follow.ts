// One flow as it goes on, by server-sent events. A connection that breaks is made anew with the last event's id, so that
// nothing is missed; only a network that stays away for long ends it.

import { setTimeout as sleep } from "node:timers/promises";
import { errorOf, followFlow, TERMINAL_STATUSES } from "@bowline/api";
import { createEventReader } from "@bowline/api/events";
import { BowlineError } from "@bowline/base";
import { type Dispatcher, request } from "undici";
import type { FlowStatusReply } from "./connection.ts";

const PAUSE_MS = 500;
const PATIENCE_MS = 120_000;
const HTTP_OK = 200;
const HTTP_NO_CONTENT = 204;

export interface FollowOptions {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly dispatcher: Dispatcher;
}

/** Every state of the flow that it is told of, the terminal one last; a parked flow stays until it goes on. */
export async function* followStatus(options: FollowOptions, vnode: string, id: string): AsyncGenerator<FlowStatusReply, void> {
  let lastEventId: string | undefined;
  let patienceEnds = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      for await (const event of eventsOf(options, vnode, id, lastEventId)) {
        lastEventId = event.id ?? lastEventId;
        patienceEnds = performance.now() + PATIENCE_MS;
        if (event.type !== "status") continue;
        const status = JSON.parse(event.data) as FlowStatusReply;
        yield status;
        if (TERMINAL_STATUSES.includes(status.flowStatus)) return;
      }
    } catch (thrown) {
      if (!isPassing(thrown) || performance.now() > patienceEnds) throw thrown;
    }
    await sleep(PAUSE_MS);
  }
}

async function* eventsOf({ url, user, password, dispatcher }: FollowOptions, vnode: string, id: string, lastEventId: string | undefined) {
  const path = followFlow.path
    .replace("{holdingidentityshorthash}", encodeURIComponent(vnode))
    .replace("{clientrequestid}", encodeURIComponent(id));
  const answer = await request(`${url}/api/v5_3${path}`, {
    dispatcher,
    headers: {
      accept: "text/event-stream",
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    },
  });
  if (answer.statusCode === HTTP_NO_CONTENT) throw new BowlineError("notFound", "flow.unknown", `The flow ${id} has nothing more to tell.`);
  if (answer.statusCode !== HTTP_OK) throw errorOf(answer.statusCode, await answer.body.json().catch(() => undefined));
  const read = createEventReader();
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) yield* read(decoder.decode(chunk as Uint8Array, { stream: true }));
}

/** What a server that restarts, or a proxy that lets go, looks like. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof BowlineError ? thrown.kind === "unavailable" || thrown.kind === "tooMany" : true;
}
